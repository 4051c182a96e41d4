#!/usr/bin/env python3
"""Start-up of `glossa translate`: from exec to the exit, with no line to translate and with one, in milliseconds.

    python3 bench/startup.py MODEL [--glossa build/release/glossa]
"""
import argparse
import pathlib
import statistics
import subprocess
import time

import machine


def milliseconds(program, model, text):
    begin = time.perf_counter()
    subprocess.run([program, "translate", "--model", model, "--beam-size", "1"], input=text, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - begin)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("model")
    arguments.add_argument("--glossa", default="build/release/glossa")
    arguments.add_argument("--runs", type=int, default=30)
    a = arguments.parse_args()
    size = pathlib.Path(a.model, "model.safetensors").stat().st_size / 2**20
    print(f"{machine.processor()}, model of {size:.1f} MiB, medians of {a.runs} runs")
    for name, text in [("nothing to translate", b""), ("one sentence", b"A dog runs.\n")]:
        times = [milliseconds(a.glossa, a.model, text) for _ in range(a.runs)]
        print(f"{name}: {statistics.median(times):.1f} ms (least {min(times):.1f})")


if __name__ == "__main__":
    main()
