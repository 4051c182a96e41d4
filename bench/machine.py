"""What the benchmarks of this folder say of the machine, and how they ask programs for one instruction set."""
import os
import pathlib
import platform


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def has_bf16(isa):
    return isa != "avx2" and "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()


def environment(isa):
    """Of this program's children: the instruction set, and nothing that slows a current PyTorch."""
    variables = dict(os.environ)
    variables.pop("OPENBLAS_CORETYPE", None)  # where it is set, it is for other programs
    if isa == "avx2":
        variables |= {"GLOSSA_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
                      "MKL_ENABLE_INSTRUCTIONS": "AVX2", "CT2_FORCE_CPU_ISA": "AVX2"}
    return variables
