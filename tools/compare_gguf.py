#!/usr/bin/env python3
"""Compares `glossa inspect` with the format's own package (pip install gguf) on real files.

  tools/compare_gguf.py --glossa build/release/glossa MODEL.gguf...

Metadata must be the same (of long arrays, what is shown), and so must names, types, shapes and sizes of tensors. Of each tensor
that numpy can decode, extremes and zeros of its values must be the same, mean and mean square within the rounding of f64."""
import argparse
import json
import math
import subprocess
import sys

import gguf
import numpy


def check(where, found, expected):
    if found != expected:
        sys.exit(f"{where}: glossa has {found!r}, and gguf {expected!r}")


def same_number(found, expected):
    return found == expected or (isinstance(expected, float) and math.isclose(found, expected, rel_tol=1e-15))


def compare_value(key, found, field):
    expected = field.contents()
    if not isinstance(expected, list):
        if isinstance(expected, (numpy.generic, float)):
            expected = float(expected)
        if not same_number(found, expected):
            check(key, found, expected)
        return
    if isinstance(found, dict):
        check(key, found["count"], len(expected))
        check(key, found["type"], field.types[-1].name)
        found, expected = found["first"], expected[:len(found["first"])]
    check(key, found, expected)


def compare_tensor(found, tensor):
    name = tensor.name
    check(name, found["dtype"], tensor.tensor_type.name)
    check(name, found["shape"], [int(n) for n in reversed(tensor.shape)])
    check(name, found["bytes"], int(tensor.n_bytes))
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float64)
    statistics = found["statistics"]
    check(f"{name}: minimum", statistics["minimum"], values.min())
    check(f"{name}: maximum", statistics["maximum"], values.max())
    check(f"{name}: zeros", statistics["zero"], int((values == 0).sum()))
    size = math.sqrt(float((values**2).mean()))
    for key, expected in (("mean", float(values.mean())), ("root_mean_square", size)):
        if abs(statistics[key] - expected) > 1e-12 * size:
            check(f"{name}: {key}", statistics[key], expected)


def compare(glossa, path):
    ours = json.loads(subprocess.run([glossa, "inspect", path, "--json", "--statistics"], check=True, capture_output=True).stdout)
    reader = gguf.GGUFReader(path)
    fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    metadata = ours["gguf"]["metadata"]
    check("keys", list(metadata), list(fields))
    for key, field in fields.items():
        compare_value(key, metadata[key], field)
    check("tensors", [t["name"] for t in ours["tensors"]], [t.name for t in reader.tensors])
    for found, tensor in zip(ours["tensors"], reader.tensors):
        compare_tensor(found, tensor)
    print(f"{path}: {len(fields)} keys and {len(reader.tensors)} tensors are the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    for path in options.files:
        compare(options.glossa, path)


if __name__ == "__main__":
    main()
