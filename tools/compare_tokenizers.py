#!/usr/bin/env python3
"""Compares token ids with those of Hugging Face's tokenizers, text by text, for any number of texts.

    python tools/compare_tokenizers.py --model MODEL[=PEER]... --text FILE-OR-FOLDER... --random 1000000

MODEL is what `glossa tokenizer --model` takes. PEER, by default the same, is a tokenizer.json (also as .gz), a directory, or a GGUF
file, whose tables are put together as tools/peer_tokenizers.py says. Texts are the lines of files, plain or as .gz, and blocks of 64
lines; of .json and .jsonl files, all strings in them. To them come random strings of Unicode (tools/random_unicode.py). Both sides run
as streams. The first differences are printed; the last line of each model says how many texts, characters and differences there were.
"""
import argparse
import gzip
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

os.environ["TOKENIZERS_PARALLELISM"] = "true"
from peer_tokenizers import peer_of, specials_of
from random_unicode import RandomTexts

BATCH = 2000
BLOCK = 64  # lines that are one text
TEXTS = {"", ".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".inp", ".all", ".train", ".dev", ".test", ".en", ".de", ".fr"}


def files_of(paths):
    """Of folders, what has a name of text files."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and (file.with_suffix("") if file.suffix == ".gz" else file).suffix in TEXTS:
                yield file


def strings_of(value):
    """All strings of a JSON value, without recursion."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def json_values(text):
    """One after the other, each on a line or on many."""
    decoder, at = json.JSONDecoder(), 0
    while text[at:at + 1024].strip():
        while text[at].isspace():
            at += 1
        value, at = decoder.raw_decode(text, at)
        yield value


def texts_of(path):
    how = {"mode": "rt", "encoding": "utf-8", "errors": "replace", "newline": "\n"}
    with (gzip.open if path.suffix == ".gz" else open)(path, **how) as file:
        text = file.read()
    if ".json" in path.name:
        for value in json_values(text):
            yield from strings_of(value)
        return
    lines = text.split("\n")
    yield from lines
    for begin in range(0, len(lines), BLOCK):
        yield "\n".join(lines[begin:begin + BLOCK])


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


def compare(a, spec):
    model, _, other = spec.partition("=")
    peer = peer_of(other or model)
    peer.no_truncation()
    peer.no_padding()
    with tempfile.TemporaryDirectory() as temporary:
        if model.endswith(".json.gz"):
            unpacked = pathlib.Path(temporary, "tokenizer.json")
            unpacked.write_bytes(gzip.decompress(pathlib.Path(model).read_bytes()))
            model = unpacked
        ours = Ours(a.glossa, model, [] if a.special else ["--no-special"])
        pieces = sorted(peer.get_vocab(with_added_tokens=False))
        random_texts = RandomTexts(a.seed, pieces, specials_of(peer))
        texts = itertools.chain(*(texts_of(path) for path in files_of(a.text)), (random_texts.text() for _ in range(a.random)))
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
    print(f"{spec}: {count} texts, {characters} characters, {different} different", flush=True)
    return different == 0 and status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--model", nargs="+", required=True, metavar="MODEL[=PEER]")
    parser.add_argument("--text", nargs="*", type=pathlib.Path, default=[])
    parser.add_argument("--random", type=int, default=0, help="random strings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3, help="differences")
    parser.add_argument("--special", action="store_true", help="with the tokens that begin or end a text")
    a = parser.parse_args()
    return 0 if all([compare(a, spec) for spec in a.model]) else 1


if __name__ == "__main__":
    sys.exit(main())
