#!/usr/bin/env python3
"""Fuzzes the parsers and adds what was done to tests/fuzz/LEDGER.tsv.

  cmake -S . -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DGLOSSA_FUZZ=ON -DGLOSSA_SANITIZE=address,undefined
  ninja -C build/fuzz safetensors_fuzz json_fuzz
  tools/fuzz.py --seconds 300 safetensors_fuzz json_fuzz

What libFuzzer finds on the way is kept in build/fuzz/corpus, an input that crashes in build/fuzz/crashes. A crash counts if
the input crashes again: libFuzzer's time limit is wall-clock time, which a busy machine can take from anybody."""
import argparse
import datetime
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUZZ = ROOT / "tests" / "fuzz"
LEDGER = FUZZ / "LEDGER.tsv"
SECONDS_FOR_ONE = 5  # input


def crashes_again(program, path):
    result = subprocess.run([program, f"-timeout={SECONDS_FOR_ONE}", str(path)], capture_output=True)
    if result.returncode == 0:
        path.unlink()
    return result.returncode != 0


def run(target, build, seconds):
    corpus, crashes = build / "corpus" / target, build / "crashes" / target
    corpus.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    before = set(crashes.iterdir())
    command = [str(build / "tests" / "fuzz" / target), str(corpus), str(FUZZ / "seeds" / target), f"-max_total_time={seconds}",
               "-max_len=4096", f"-timeout={SECONDS_FOR_ONE}", "-rss_limit_mb=512", "-print_final_stats=1", f"-artifact_prefix={crashes}/"]
    dictionary = FUZZ / "dictionaries" / f"{target}.dict"
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    begin = datetime.datetime.now()
    result = subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, errors="replace")
    took = (datetime.datetime.now() - begin).total_seconds()
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", result.stderr))
    found = sum(crashes_again(command[0], path) for path in set(crashes.iterdir()) - before)
    row = [target, begin.date().isoformat(), stats.get("number_of_executed_units", "0"), f"{took:.0f}", str(found)]
    if not LEDGER.exists():
        LEDGER.write_text("target\tdate\texecutions\tseconds\tcrashes\n")
    with LEDGER.open("a") as ledger:
        ledger.write("\t".join(row) + "\n")
    print("\t".join(row), flush=True)
    if found:
        print(result.stderr[-4000:], file=sys.stderr)
    return found == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("targets", nargs="*", help="all by default")
    options = parser.parse_args()
    targets = options.targets or sorted(path.stem for path in FUZZ.glob("*_fuzz.cpp"))
    results = [run(target, options.build, options.seconds) for target in targets]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
