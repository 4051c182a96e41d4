#!/usr/bin/env python3
"""Language models against llama.cpp: reading a prompt of 512 tokens, writing one text, and writing 32 texts together; run in turns.

    python3 bench/models_vs_llama_cpp.py --glossa build/release/glossa --llama LLAMA_CPP/build/bin MODEL.gguf ...

LLAMA_CPP/build/bin holds llama-bench and llama-batched-bench, built with GGML_NATIVE. One row for each model and job: the median of
each side's rounds, and the median and range of the ratios between neighbouring rounds. llama.cpp chooses its kernels when it is
built, so another instruction set needs another build of it.
"""
import argparse
import json
import pathlib
import statistics
import subprocess

import machine

JOBS = ["read 512", "write", "write 32 texts"]
RUNS = 3  # of each job in a round, of which the median counts


def glossa(program, model, a):
    out = subprocess.run([program, "bench", "model", "-m", model, "--prompt", "512", "--generate", str(a.generate), "--batch", "32", "--runs",
                          str(RUNS), "--threads", str(a.threads), "--json"], check=True, capture_output=True, text=True, env=machine.environment(a.isa)).stdout
    found = json.loads(out.splitlines()[-1])
    return ([found[k] for k in ("prefill_tokens_per_second", "decode_tokens_per_second", "batch_decode_tokens_per_second")], found)


def llama(folder, model, a):
    env = machine.environment("best")
    out = subprocess.run([folder / "llama-bench", "-m", model, "-t", str(a.threads), "-p", "512", "-n", str(a.generate), "-r", str(RUNS), "-o", "json"],
                         check=True, capture_output=True, text=True, env=env).stdout
    single = [statistics.median(run["samples_ts"]) for run in json.loads(out)]
    batch = []
    for _ in range(RUNS):
        out = subprocess.run([folder / "llama-batched-bench", "-m", model, "-t", str(a.threads), "-c", str(32 * (a.generate + 2)),
                              "-npp", "1", "-ntg", str(a.generate), "-npl", "32", "--output-format", "jsonl"],
                             check=True, capture_output=True, text=True, env=env).stdout
        batch.append(next(json.loads(line)["speed_tg"] for line in out.splitlines() if line.startswith("{")))
    return [*single, statistics.median(batch)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("models", nargs="+")
    arguments.add_argument("--glossa", default="build/release/glossa")
    arguments.add_argument("--llama", type=pathlib.Path, required=True, help="folder of llama.cpp's programs")
    arguments.add_argument("--isa", choices=["best", "avx2"], default="best", help="instruction set of glossa")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--generate", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=3)
    a = arguments.parse_args()
    print(f"{machine.processor()}, {a.isa}, {a.threads} threads\n")
    print("| model | job | glossa, tokens/s | llama.cpp, tokens/s | ratio | range |\n|---|---|---|---|---|---|")
    for model in a.models:
        rounds, shares = [], []
        for _ in range(a.rounds):
            ours, found = glossa(a.glossa, model, a)
            rounds.append((ours, llama(a.llama, model, a)))
            shares.append(found["share_of_bandwidth"])
        for i, job in enumerate(JOBS):
            ours, theirs = (statistics.median(side[i] for side in sides) for sides in zip(*rounds))
            ratios = [ours[i] / theirs[i] for ours, theirs in rounds]
            print(f"| {pathlib.Path(model).stem} | {job} | {ours:.0f} | {theirs:.0f} | {statistics.median(ratios):.2f}x | "
                  f"{min(ratios):.2f}-{max(ratios):.2f} |", flush=True)
        print(f"| | share of the bandwidth, one text | {100 * statistics.median(shares):.0f} % | | | |", flush=True)


if __name__ == "__main__":
    main()
