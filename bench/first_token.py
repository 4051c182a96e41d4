#!/usr/bin/env python3
"""Time from the start of the program to its first token, files in the cache: `glossa generate -n 1` against llama.cpp's llama-completion.

    python3 bench/first_token.py MODEL.gguf... --llama LLAMA_CPP/build/bin [--glossa build/release/glossa] [--runs 20]

The two run in turns, from exec to exit, with a prompt of some words and one of some hundred, greedily; llama-completion without its run
to warm up and its fit to the memory. Medians of --runs runs, the median and range of the ratios of neighbouring runs (less than one: ours is faster), and processor
time of both, which other programs disturb less. What the model has said must be there, or the run counts as failed.
"""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import time

import machine

PROMPTS = {"short": "Once upon a time", "long": " ".join("The keeper of the lighthouse wrote in her journal that the night had been calm." for _ in range(12))}


def timed(command):
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=machine.environment("best")).stdout
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if not out.strip():
        raise SystemExit(f"{command[0]} has printed nothing")
    return 1000 * wall, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("models", nargs="+", type=pathlib.Path)
    arguments.add_argument("--glossa", default="build/release/glossa")
    arguments.add_argument("--llama", type=pathlib.Path, required=True, help="folder of llama.cpp's programs")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--runs", type=int, default=20)
    a = arguments.parse_args()
    threads = str(a.threads)
    print(f"{machine.processor()}, {threads} threads, load {os.getloadavg()[0]:.1f}\n")
    print("| model | prompt | glossa, ms | llama.cpp, ms | ratio | processor time, ms | ratio |\n|---|---|---|---|---|---|---|")
    for model in a.models:
        for name, prompt in PROMPTS.items():
            commands = ([a.glossa, "generate", "-m", model, "-p", prompt, "-n", "1", "--temp", "0", "-t", threads],
                        [a.llama / "llama-completion", "-m", model, "-p", prompt, "-n", "1", "--temp", "0", "-t", threads, "-no-cnv",
                         "--no-display-prompt", "--no-warmup", "-fit", "off"])
            for command in commands:
                timed(command)  # the file into the cache
            runs = [[timed(command) for command in commands] for _ in range(a.runs)]
            cells = []
            for which in (0, 1):
                ours, theirs = (statistics.median(run[side][which] for run in runs) for side in (0, 1))
                ratios = [run[0][which] / run[1][which] for run in runs]
                cells.append((ours, theirs, f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"))
            (wall, its_wall, ratio), (cpu, its_cpu, cpu_ratio) = cells
            print(f"| {model.stem} | {name} | {wall:.0f} | {its_wall:.0f} | {ratio} | {cpu:.0f} / {its_cpu:.0f} | {cpu_ratio} |", flush=True)


if __name__ == "__main__":
    main()
