#!/usr/bin/env python3
"""Training speed and memory against PyTorch, in tokens a second (of the target), the two run in turns.

    python3 -m venv ~/glossa-tools && ~/glossa-tools/bin/pip install torch
    ~/glossa-tools/bin/python bench/train_vs_pytorch.py --glossa build/release/glossa [--isa avx2]

The models and batches are the presets of `glossa bench train`: Transformers of the paper's layout with one embedding for both
sides and the head, dropout 0.1 on embeddings and residual branches, label smoothing 0.1, Adam, every sentence of one length, so
that PyTorch pads nothing and needs no masks; and GPT-2s without dropout and smoothing. Glossa measures the norm of the gradients and
clips them at each update, and stops at what is not finite, as in training; PyTorch is spared that. It is used at its best: one product
for q, k and v, scaled_dot_product_attention, fused Adam, eager and compiled, f32 and bf16 autocast. Each of its modes is a process of its own that is kept between rounds, so
compilation is not counted; in a round, every program measures some steps after one to warm up. Medians of all steps of all rounds.
Memory is the most that the process ever had resident (of a compiled mode, the compiler's too).
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import machine

PRESETS = {  # width, feed-forward, heads, layers of each stack, sentences, tokens of each side
    "encdec-base": (512, 2048, 8, 6, 64, 24),
    "encdec-small": (256, 1024, 4, 3, 128, 16),
}
VOCABULARY, DROPOUT, SMOOTHING = 10_000, 0.1, 0.1
GPTS = {  # vocabulary, width, heads, layers, sequences, tokens of each, positions
    "gpt2-124m": (50_257, 768, 12, 12, 4, 256, 1024),
    "gpt-small": (8_000, 384, 6, 6, 16, 256, 256),
}


def worker(preset, mode, threads):
    """Answers each line with the seconds of so many steps, and the memory used so far."""
    import torch
    import pytorch_transformer as peer
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    if preset in GPTS:
        import pytorch_gpt
        vocabulary, width, heads, layers, sentences, length, positions = GPTS[preset]
        model = pytorch_gpt.Gpt(vocabulary, width, heads, layers, positions)
    else:
        width, inner, heads, layers, sentences, length = PRESETS[preset]
        vocabulary = VOCABULARY
        model = peer.Transformer(vocabulary, width, inner, heads, layers, length, DROPOUT, SMOOTHING)
    step = peer.make_step(model, peer.adam(model), "compiled" in mode, "bf16" in mode)
    batch = [torch.randint(2, vocabulary, (sentences, length)) for _ in range(2 if preset in GPTS else 3)]
    for line in sys.stdin:
        step(batch)
        times = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            step(batch)
            times.append(time.perf_counter() - begin)
        print(json.dumps([times, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)


class PyTorch:
    def __init__(self, preset, mode, arguments, environment):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", preset, "--mode", mode, "--threads", str(arguments.threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        sentences, length = (GPTS | PRESETS)[preset][4:6]
        self.tokens, self.steps = sentences * length, arguments.steps
        self.run(1)  # compiles

    def run(self, steps=None):
        self.process.stdin.write(f"{steps or self.steps}\n")
        self.process.stdin.flush()
        times, memory = json.loads(self.process.stdout.readline())
        return {"tokens_per_second": self.tokens / statistics.median(times), "peak_memory_mib": memory}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Glossa:
    def __init__(self, preset, mode, arguments, environment):
        self.command = [arguments.glossa, "bench", "train", "--preset", preset, "--steps", str(arguments.steps), "--threads",
                        str(arguments.threads), "--json", *(["--bf16"] if "bf16" in mode else [])]
        self.environment = environment

    def run(self):
        out = subprocess.run(self.command, check=True, capture_output=True, text=True, env=self.environment).stdout
        return json.loads(out)

    def close(self):
        pass


def compare(preset, a):
    environment = machine.environment(a.isa)
    programs = {f"glossa {t}": Glossa(preset, t, a, environment) for t in machine.types(a.isa)}
    programs |= {f"PyTorch {mode}": PyTorch(preset, mode, a, environment) for mode in machine.peers(a.isa, not a.no_compile)}
    results = machine.in_turns(programs, a.rounds, lambda run: run["tokens_per_second"])
    rate = {n: statistics.median(r["tokens_per_second"] for r in runs) for n, runs in results.items()}
    memory = {n: max(r["peak_memory_mib"] for r in runs) for n, runs in results.items()}
    best = max((n for n in rate if n.startswith("PyTorch")), key=rate.get)
    print(f"\n{preset}: {machine.processor()}, {results['glossa f32'][0]['instruction_set']}, {a.threads} threads, "
          f"load {os.getloadavg()[0]:.1f}\n")
    print("| program | tokens/s | to PyTorch's best | share of f32 or bf16 peak | peak memory, MiB | to that of PyTorch's best |")
    print("|---|---|---|---|---|---|")
    for name in programs:
        share = [r["share_of_peak"] for r in results[name] if "share_of_peak" in r]
        print(f"| {name} | {rate[name]:.0f} | {rate[name] / rate[best]:.2f}x | "
              f"{f'{100 * statistics.median(share):.0f} %' if share else ''} | {memory[name]:.0f} | "
              f"{memory[name] / memory[best]:.2f}x |", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--glossa", default="build/release/glossa")
    arguments.add_argument("--presets", nargs="+", choices=[*PRESETS, *GPTS], default=[*PRESETS, *GPTS])
    arguments.add_argument("--isa", choices=["best", "avx2"], default="best", help="instruction set of both programs")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=5, help="of each program in a round")
    arguments.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    arguments.add_argument("--worker", choices=[*PRESETS, *GPTS], help=argparse.SUPPRESS)
    arguments.add_argument("--mode", help=argparse.SUPPRESS)
    a = arguments.parse_args()
    if a.worker:
        worker(a.worker, a.mode, a.threads)
        return
    for preset in a.presets:
        compare(preset, a)


if __name__ == "__main__":
    main()
