#!/usr/bin/env python3
"""Compares token ids with those of Hugging Face's tokenizers, text by text, for any number of texts.

    python tools/compare_tokenizers.py --model DIR-OR-FILE... --text FILE... --random 1000000

A model is what `glossa tokenizer --model` takes. Its peer is `tokenizers` for a tokenizer.json, and for other files what
transformers' AutoTokenizer makes of the directory; --peer-directory names another directory for it. Texts are lines of files,
plain or as .gz, and random strings of Unicode that favour what tokenizers stumble over: spaces and line ends, marks, digits,
apostrophes, Chinese, and pieces of the vocabulary put together. Both sides run as streams. The first differences are printed;
the last line of each model says how many texts, characters and differences there were.
"""
import argparse
import gzip
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import threading

os.environ["TOKENIZERS_PARALLELISM"] = "true"
import tokenizers

BATCH = 2000


def lines_of(path):
    how = {"mode": "rt", "encoding": "utf-8", "errors": "replace", "newline": "\n"}
    opened = gzip.open(path, **how) if path.suffix == ".gz" else open(path, **how)
    with opened as file:
        for line in file:
            yield line.rstrip("\n")


def random_texts(count, pieces, seed):
    r = random.Random(seed)
    marks = [chr(c) for c in (0x300, 0x301, 0x302, 0x308, 0x30A, 0x323, 0x327, 0x5B0, 0x64B, 0x93C, 0x94D, 0xE33, 0x200D, 0xFE0F, 0x3099,
                              0x1161, 0x11A8, 0x20E3, 0x1F3FB)]
    spaces = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\u200b", "\ufeff", "\x0b", "\x85", "\u2581"]
    words = ["'s", "'S", "'re", "'LL", "don't", "n't", " do not", "the", "The", "THE", "stra\u00dfe", "\u017f", "\u212a", "\ufb01",
             "\uff76\uff9e", "\u00bd", "\u2460", "\u0663", "\ufdfa", "\u2122", "...", "!?", "</s>", "<0x0A>", "##ing", "http://a.b/c?d=e",
             "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F1E9\U0001F1EA"]

    def character(low, high):
        c = r.randrange(low, high)
        return chr(c) if not 0xD800 <= c < 0xE000 else "\ufffd"

    kinds = [lambda: r.choice(spaces), lambda: chr(r.randrange(32, 127)), lambda: chr(r.randrange(32, 127)), lambda: r.choice("0123456789"),
             lambda: r.choice(words), lambda: r.choice(marks), lambda: character(0x4E00, 0xA000), lambda: character(0xA0, 0x3000),
             lambda: character(0, 0x110000), lambda: character(0xAC00, 0xD7A4), lambda: character(0x1F300, 0x1FB00),
             lambda: r.choice(pieces) if pieces else " "]
    for _ in range(count):
        # A text of few kinds has long runs of each.
        chosen = r.sample(kinds, r.randrange(1, len(kinds) + 1))
        yield "".join(r.choice(chosen)() for _ in range(r.randrange(0, 40)))


def peer_of(path, directory):
    if directory is None and path.suffix == ".json":
        return tokenizers.Tokenizer.from_file(str(path))
    if directory is None and (path / "tokenizer.json").exists():
        return tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    import transformers
    return transformers.AutoTokenizer.from_pretrained(str(directory or path)).backend_tokenizer


class Ours:
    def __init__(self, program, model, arguments):
        self.process = subprocess.Popen([program, "tokenizer", "encode", "--model", str(model), "--json-lines", *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def encode(self, texts):
        def write():
            self.process.stdin.write("".join(json.dumps(t) + "\n" for t in texts))
            self.process.stdin.flush()
        writer = threading.Thread(target=write)
        writer.start()
        ids = [[int(i) for i in self.process.stdout.readline().split()] for _ in texts]
        writer.join()
        return ids

    def finish(self):
        self.process.stdin.close()
        return self.process.wait()


def compare(a, model):
    peer = peer_of(model, a.peer_directory)
    peer.no_truncation()
    peer.no_padding()
    ours = Ours(a.glossa, model, [] if a.special else ["--no-special"])
    pieces = sorted(peer.get_vocab(with_added_tokens=False))
    texts = itertools.chain(*(lines_of(path) for path in a.text), random_texts(a.random, pieces, a.seed))
    count = characters = different = 0
    while batch := list(itertools.islice(texts, BATCH)):
        theirs = peer.encode_batch_fast(batch, add_special_tokens=a.special)
        for text, mine, its in zip(batch, ours.encode(batch), theirs):
            count, characters = count + 1, characters + len(text)
            if mine != its.ids:
                different += 1
                if different <= a.show:
                    print(f"  {text!r}\n    ours {[peer.id_to_token(i) for i in mine]}\n    its  {[peer.id_to_token(i) for i in its.ids]}")
    status = ours.finish()
    print(f"{model}: {count} texts, {characters} characters, {different} different", flush=True)
    return different == 0 and status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--model", nargs="+", type=pathlib.Path, required=True)
    parser.add_argument("--peer-directory", type=pathlib.Path)
    parser.add_argument("--text", nargs="*", type=pathlib.Path, default=[])
    parser.add_argument("--random", type=int, default=0, help="random strings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3, help="differences")
    parser.add_argument("--special", action="store_true", help="with the tokens that begin or end a text")
    a = parser.parse_args()
    return 0 if all([compare(a, model) for model in a.model]) else 1


if __name__ == "__main__":
    sys.exit(main())
