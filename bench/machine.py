"""What the benchmarks of this folder share: what they say of the machine, how they ask programs for one instruction set, and
how they run them in turns."""
import os
import pathlib
import platform
import sys


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def types(isa):
    """Of the matrix products that the processor has."""
    bf16 = isa != "avx2" and "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()
    return ["f32", "bf16"] if bf16 else ["f32"]


def environment(isa):
    """Of this program's children: the instruction set, and nothing that slows a current PyTorch."""
    variables = dict(os.environ)
    variables.pop("OPENBLAS_CORETYPE", None)  # where it is set, it is for other programs
    if isa == "avx2":
        variables |= {"GLOSSA_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
                      "MKL_ENABLE_INSTRUCTIONS": "AVX2", "CT2_FORCE_CPU_ISA": "AVX2"}
    return variables


def peers(isa, compiled):
    """The modes of PyTorch that may be its best."""
    return [f"{mode} {t}" for t in types(isa) for mode in (["eager", "compiled"] if compiled else ["eager"])]


def in_turns(programs, rounds, rate):
    """What each program's run() gives in each round, by name; closes them."""
    results = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            results[name].append(program.run())
            print(f"{name}: {rate(results[name][-1]):.0f} tokens/s", file=sys.stderr, flush=True)
    for program in programs.values():
        program.close()
    return results
