#!/usr/bin/env python3
"""Tokenizer speed against Hugging Face's tokenizers, one thread each, the two run in turns: encoding and training.

    ~/glossa-tools/bin/pip install tokenizers gguf gigatoken
    taskset -c 1 ~/glossa-tools/bin/python bench/tokenizer_vs_huggingface.py --glossa build/release/glossa [--tokenizer FILE...] [--gigatoken]

Both learn the same vocabulary from the same lines, and must give the same merges, and the same ids for every line, or there is
no table. Encoding is in MB of text a second. Of the library it is measured in the process, on strings that lie ready, after a
pass to warm up: encode_batch, encode_batch_fast (which leaves offsets out), and a loop of encode. Of this program it is the
whole command, which also reads the lines and prints the ids: the time for --copies copies of the text, less that for one copy,
so that starting and reading the tokenizer do not count. Training is in seconds: of the library train_from_iterator over strings
that lie ready, of this program the whole command, from starting to the written file. Time is that of the processor, so that other
programs disturb little. Medians of --rounds rounds, and the least and greatest ratio of neighbouring runs.

Of the types unigram and word_piece, and of files given with --tokenizer (tokenizer.json, GGUF: tools/peer_tokenizers.py), encoding alone
is compared: the library trains them. --gigatoken adds a further peer where it reads the vocabulary: its encode_batch on the same strings,
after a pass to warm up, which gives arrays; its ids are checked, too.
"""
import argparse
import gzip
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
import machine
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tools"))
from peer_tokenizers import peer_of

SPECIALS = ["<pad>", "</s>", "<unk>"]


def library_tokenizer(kind):
    if kind == "byte_bpe":
        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        return made
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("contiguous")])
    made.decoder = decoders.Metaspace()
    return made


def seconds_of(work):
    """Of the processor, of this process and of those that it waits for."""
    def now():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime
    begin = now()
    work()
    return now() - begin


def library_trained(kind, lines, size):
    """A tokenizer of a type that this program does not train, as models of its kind have it."""
    if kind == "unigram":
        made = tokenizers.Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        made.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    else:
        made = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIALS, show_progress=False)
    made.train_from_iterator(lines, trainer)
    return made


class Comparison:
    def __init__(self, a, kind, path, directory):
        self.a, self.kind, self.directory = a, kind, directory
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="\n") as file:
            self.lines = file.read().splitlines()
        self.bytes = sum(len(line.encode()) + 1 for line in self.lines)
        self.once, self.often, self.model = directory / "once.txt", directory / "often.txt", directory / "model"
        text = "".join(line + "\n" for line in self.lines)
        self.once.write_text(text, encoding="utf-8", newline="\n")
        self.often.write_text(text * a.copies, encoding="utf-8", newline="\n")

    def run(self, *command, output=subprocess.DEVNULL):
        return subprocess.run([self.a.glossa, "tokenizer", *command, "--threads", "1"], check=True, stdout=output,
                              stderr=subprocess.DEVNULL, text=True).stdout

    def train(self):
        self.run("train", "--input", self.once, "--output-dir", self.model, "--overwrite", "--type", self.kind, "--vocab-size",
                 str(self.a.vocab_size))

    def train_library(self):
        self.library = library_tokenizer(self.kind)
        alphabet = pre_tokenizers.ByteLevel.alphabet() if self.kind == "byte_bpe" else []
        self.library.train_from_iterator(self.lines, trainers.BpeTrainer(
            vocab_size=self.a.vocab_size, min_frequency=2, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False))

    def encode(self, text):
        return seconds_of(lambda: self.run("encode", "--model", self.model, "--input", text))

    def use(self, tokenizer):
        """Compares with a tokenizer that is there."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.model.mkdir()
        tokenizer.save(str(self.model / "tokenizer.json"))
        self.library = tokenizer

    def check_vocabulary(self):
        ours, theirs = (json.loads(j)["model"] for j in ((self.model / "tokenizer.json").read_text(), self.library.to_str()))
        assert ours["vocab"] == theirs["vocab"] and ours["merges"] == theirs["merges"], "the vocabularies are not the same"
        self.library = tokenizers.Tokenizer.from_file(str(self.model / "tokenizer.json"))  # with </s> at the end of texts

    def check_ids(self):
        printed = self.run("encode", "--model", self.model, "--input", self.once, output=subprocess.PIPE).splitlines()
        expected = [" ".join(map(str, e.ids)) for e in self.library.encode_batch(self.lines)]
        assert printed == expected, "the ids are not the same"

    def use_gigatoken(self):
        """A further peer's way to encode all lines, or nothing where it refuses the vocabulary."""
        import gigatoken
        try:
            made = gigatoken.Tokenizer(str(self.model / "tokenizer.json"))
        except RuntimeError as refusal:
            print(f"gigatoken refuses {name_of(self.kind)}: {str(refusal).splitlines()[0]}", file=sys.stderr)
            return None
        found = made.encode_batch_list(self.lines, parallel=False)  # without the tokens that begin a text
        expected = [e.ids for e in self.library.encode_batch(self.lines, add_special_tokens=False)]
        different = sum(list(a) != b for a, b in zip(found, expected))
        if different:
            print(f"gigatoken, {name_of(self.kind)}: the ids of {different} of {len(expected)} lines are not the library's", file=sys.stderr)
        return lambda: made.encode_batch(self.lines, parallel=False)

    def encode_all(self):
        for line in self.lines:
            self.library.encode(line).ids

    def compare(self):
        """Pairs of runs for each way: ours, theirs, in the units of the table."""
        runs = {"encode_batch": [], "encode_batch_fast": [], "encode": []}
        if isinstance(self.kind, pathlib.Path):
            self.use(peer_of(self.kind))
        elif self.kind in ("unigram", "word_piece"):
            self.use(library_trained(self.kind, self.lines, self.a.vocab_size))
        else:
            runs["train"] = [(seconds_of(self.train), seconds_of(self.train_library)) for _ in range(self.a.rounds)]
            self.check_vocabulary()
        self.check_ids()
        ways = [("encode_batch", lambda: self.library.encode_batch(self.lines)),
                ("encode_batch_fast", lambda: self.library.encode_batch_fast(self.lines)), ("encode", self.encode_all)]
        if self.a.gigatoken and (work := self.use_gigatoken()):
            ways.append(("gigatoken", work))
            runs["gigatoken"] = []
        for _ in range(self.a.rounds):
            for way, work in ways:
                ours = (self.encode(self.often) - self.encode(self.once)) / (self.a.copies - 1)
                runs[way].append((self.bytes / ours / 1e6, self.bytes / seconds_of(work) / 1e6))
        return runs


def name_of(kind):
    if not isinstance(kind, pathlib.Path):
        return kind
    return kind.parent.name if kind.name == "tokenizer.json" else kind.stem


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--glossa", default="build/release/glossa")
    arguments.add_argument("--data", nargs="+", type=pathlib.Path, default=[pathlib.Path("data/multi30k/train.en.gz")],
                           help="texts, plain or as .gz; the default is fetched by ./run")
    arguments.add_argument("--vocab-size", type=int, default=8000)
    arguments.add_argument("--tokenizer", nargs="*", type=pathlib.Path, default=[], help="tokenizers to compare instead")
    arguments.add_argument("--gigatoken", action="store_true", help="a further peer")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--copies", type=int, default=21, help="of the text, for this program to encode")
    a = arguments.parse_args()
    print(f"tokenizers {tokenizers.__version__}, one thread, {machine.processor()}, vocabularies of {a.vocab_size}, "
          f"load {os.getloadavg()[0]:.1f}\n")
    print("| text | type | peer | glossa | peer | ratio |")
    print("|---|---|---|---|---|---|")
    for path in a.data:
        for kind in a.tokenizer or ("bpe", "byte_bpe", "unigram", "word_piece"):
            with tempfile.TemporaryDirectory() as temporary:
                runs = Comparison(a, kind, path, pathlib.Path(temporary)).compare()
            for way, pairs in runs.items():
                ours, theirs = (statistics.median(side) for side in zip(*pairs))
                ratios = [o / t if way != "train" else t / o for o, t in pairs]
                unit = "s" if way == "train" else "MB/s"
                print(f"| {path.name} | {name_of(kind)} | {way} | {ours:.3g} {unit} | {theirs:.3g} {unit} | {statistics.median(ratios):.3g}x "
                      f"({min(ratios):.3g}-{max(ratios):.3g}) |", flush=True)


if __name__ == "__main__":
    main()
