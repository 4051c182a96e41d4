#!/usr/bin/env python3
"""Compares `glossa inspect` with the format's own library (pip install safetensors) on damaged files.

  tools/compare_safetensors.py --glossa build/release/glossa --count 2000

What glossa accepts, the library must accept too and see as the same tensors; what the library alone accepts is counted by
glossa's reason, since glossa is stricter on purpose (see src/checkpoint/safetensors.h)."""
import argparse
import collections
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

import safetensors

SEEDS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "seeds" / "safetensors_fuzz"
TOKENS = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"0", b"1", b"-", b"9", b" ", b"\\u0077", b'"F32"', b'"U8"', b"[0,0]", b"[0]",
          b"e", b".", b"\0", b"\xff", b"\n", b'"shape":', b"4", b"8"]


def damaged(data, chance):
    data = bytearray(data)
    for _ in range(chance.choice([0, 1, 1, 1, 2])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            data[at:at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            data[at:at] = chance.choice(TOKENS)
        elif kind == 2:
            del data[at:at + chance.choice([1, 2, 5])]
        else:
            data[at:at + 1] = chance.choice(TOKENS)
    end = data.rfind(b"}")
    if end >= 8 and chance.random() < 0.8:  # mend the length, which almost every change breaks
        data[:8] = struct.pack("<Q", end - 7)
    return bytes(data)


def by_library(data):
    try:
        return sorted((name, t["dtype"], list(t["shape"]), len(t["data"])) for name, t in safetensors.deserialize(data))
    except Exception:
        return None


def by_glossa(program, path):
    result = subprocess.run([program, "inspect", str(path), "--json"], capture_output=True, text=True)
    if result.returncode == 0:
        tensors = json.loads(result.stdout)["tensors"]
        return sorted((t["name"], t["dtype"], t["shape"], t["bytes"]) for t in tensors), ""
    if result.returncode not in (3, 5):
        raise SystemExit(f"exit status {result.returncode}: {result.stderr}")
    return None, re.sub(r'\d+|"[^"]*"', "#", result.stderr.replace(str(path), "FILE").strip())[:90]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossa", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    seeds = [path.read_bytes() for path in sorted(SEEDS.iterdir())]
    both, neither, stricter, faults = 0, 0, collections.Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "m.safetensors"
        for _ in range(options.count):
            data = damaged(chance.choice(seeds), chance)
            path.write_bytes(data)
            (ours, reason), theirs = by_glossa(options.glossa, path), by_library(data)
            both += ours is not None and ours == theirs
            neither += ours is None and theirs is None
            if ours is not None and ours != theirs:
                faults += 1
                print(f"glossa: {ours}\nlibrary: {theirs}\nfile: {data!r}\n")
            elif ours is None and theirs is not None:
                stricter[reason] += 1
    print(f"{both} accepted alike, {neither} refused by both, {sum(stricter.values())} refused by glossa alone, {faults} differ")
    for reason, count in stricter.most_common():
        print(f"{count:6} {reason}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
