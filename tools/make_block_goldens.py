#!/usr/bin/env python3
"""Writes tests/golden/blocks/ggml.json: what ggml makes of rows of numbers in each block type.

    ~/glossa-tools/bin/python tools/make_block_goldens.py libggml-base.so

The library is ggml's own, of any build that fuses no multiplication with an addition (the npm package @node-llama-cpp/linux-x64
has one). The numbers are made here and in tests/tensor/blocks_test.cpp by the same arithmetic, so the file holds digests alone:
for each type and case the beginning of the SHA-256 of the blocks and of the values they decode to, and under "decoded" that of
the values of blocks of random bytes. Not-a-numbers are counted as 0x7FC00000.
"""
import ctypes
import hashlib
import json
import pathlib
import sys

import numpy

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "blocks" / "ggml.json"
ELEMENTS = 1024
TYPES = {"q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_k": 10, "q3_k": 11, "q4_k": 12, "q5_k": 13, "q6_k": 14,
         "iq4_nl": 20}


def mixed(seed, count):
    """SplitMix64: `count` numbers of 64 bits."""
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed << 32) + (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


def bell(seed):
    """Sums of four numbers of 16 bits, centred: exact in f32, within [-2, 2]."""
    z = mixed(seed, ELEMENTS)
    total = sum((z >> numpy.uint64(16 * i) & numpy.uint64(0xFFFF)).astype(numpy.int64) for i in range(4)) - 2 * 65535
    return total.astype(numpy.float32) * numpy.float32(2.0**-16)


def power(exponent):
    return numpy.ldexp(numpy.float32(1), exponent).astype(numpy.float32)


def cases():
    chance, x = mixed(99, ELEMENTS), bell(1)
    group = numpy.arange(ELEMENTS) // 16
    one_in = lambda n: chance % numpy.uint64(n) == 0
    bits = (chance >> numpy.uint64(32)).astype(numpy.uint32).view(numpy.float32)
    return {
        "bell": x,
        "outliers": numpy.where(one_in(64), x * power(7), x),
        "sparse": numpy.where(one_in(8), x, numpy.float32(0)),
        "positive": abs(x) + numpy.float32(0.5),
        "negative": -abs(x),
        "offset": x * power(-6) + numpy.float32(3),
        "zeros": x * numpy.float32(0),  # of both signs
        "constants": x[group // 2 * 32],
        "magnitudes": x * power((mixed(98, ELEMENTS)[group] % numpy.uint64(30)).astype(numpy.int32) - 20),
        "halves": ((chance % numpy.uint64(17)).astype(numpy.int64) - 8).astype(numpy.float32) * numpy.float32(0.5),
        "tiny": x * power(-30),
        "subnormal": x * power(-135),
        "huge": x * power(14),
        "bits": numpy.where(numpy.isfinite(bits), bits, numpy.float32(0)),
    }


def digest(data):
    if data.dtype == numpy.float32:
        data = numpy.where(numpy.isnan(data), numpy.uint32(0x7FC00000), data.view(numpy.uint32))
    return hashlib.sha256(data.tobytes()).hexdigest()[:16]


class Ggml:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.ggml_version.restype = ctypes.c_char_p
        self.library.ggml_row_size.restype = ctypes.c_size_t
        self.library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
        self.library.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                                     ctypes.c_int64, ctypes.c_void_p]

    def size(self, name):
        return self.library.ggml_row_size(TYPES[name], ELEMENTS)

    def encode(self, name, values):
        values = numpy.ascontiguousarray(values, dtype=numpy.float32)
        blocks = numpy.zeros(self.size(name), numpy.uint8)
        self.library.ggml_quantize_chunk(TYPES[name], values.ctypes.data, blocks.ctypes.data, 0, 1, ELEMENTS, None)
        return blocks

    def decode(self, name, blocks):
        values = numpy.zeros(ELEMENTS, numpy.float32)
        function = getattr(self.library, "dequantize_row_" + name.replace("_k", "_K"))
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        function(blocks.ctypes.data, values.ctypes.data, ELEMENTS)
        return values


def main():
    ggml = Ggml(sys.argv[1])
    goldens = {"ggml": ggml.library.ggml_version().decode(), "encoded": {}, "decoded": {}}
    for name in TYPES:
        goldens["encoded"][name] = {}
        for case, values in cases().items():
            blocks = ggml.encode(name, values)
            goldens["encoded"][name][case] = [digest(blocks), digest(ggml.decode(name, blocks))]
        noise = (mixed(97, ggml.size(name)) >> numpy.uint64(56)).astype(numpy.uint8)
        goldens["decoded"][name] = digest(ggml.decode(name, noise))
    text = json.dumps(goldens, indent=1)
    text = text.replace("[\n    ", "[").replace(",\n    \"", ", \"").replace("\n   ]", "]")
    GOLDENS.write_text(text + "\n")


if __name__ == "__main__":
    main()
