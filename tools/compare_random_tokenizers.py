#!/usr/bin/env python3
"""Makes random tokenizers of all components that tokenizer.json can have, and compares what the library `tokenizers` and this
program make of random texts: ids, and the text that they decode to.

    python tools/compare_random_tokenizers.py --count 2000 --seed 1

A tokenizer that the library refuses, or fails on, is left out; one that this program refuses is counted, with the reasons.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RUST_BACKTRACE": "0"}
from tokenizers import Tokenizer
from make_unicode_classes import charsmap_of

LETTERS = ["a", "b", "c", "A", "B", "\u00e9", "\u00c9", "\u4e2d", "\u6587", "\u2581", "1", "2", ".", "!", "'", " ", "\u0301", "\u00df", "\ud55c"]
EXTRA = ["\n", "\r\n", "\t", "  ", "\u00a0", "\u3042", "\u30ab", "\u0416", "\u05d0", "\U0001F600", "\u200d", "\ufb01", "\u2122", "\u00bd", "\x01", "\x7f",
         "\u200b", "\ufeff", "\ufffd", "\u1161", "e\u0301", "\u0958\u0301", "n't", "'s", "</s>", "<0x41>", "Z", "\u0130", "\u01c5", "\u0344"]
RULES = {"a": "b", "\u00e9": "e", "e\u0301": "\u00e9", "\u2122": "TM", "\ufb01": "fi", "\u0958": "\u0915\u093c", "\n": " ", "\r": " ", "\u200b": " ", "\ufeff": "",
         "B": "", "\u0344": "\u0308\u0301"}
REGEX_ATOMS = ["a", "b", ".", r"\s", r"\S", r"\w", r"\d", r"\p{L}", r"\p{N}", r"\p{Lu}", r"[^\s\p{L}]", "[a-c]", "[^ab]", r"[\r\n]", "'", " ",
               r"\p{Han}", "\u00e9", r"[[:alpha:]0-9]", r"[\w&&[^a]]", r"\p{P}", r"\p{^L}", r"\p{M}", r"\R", r"\h"]
EDGES = [r"\b", r"\B", "^", "$", r"\A", r"\z", r"\Z", "(?<=a)", r"(?<!\s)", r"(?!\S)", "(?=b)"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def some(self, make, most):
        return [make() for _ in range(self.r.randrange(most + 1))]

    def text(self):
        return "".join(self.r.choice(LETTERS if self.r.random() < 0.8 else EXTRA) for _ in range(self.r.randrange(0, 16)))

    def piece(self, most=4):
        return "".join(self.r.choice(LETTERS) for _ in range(self.r.randrange(1, most)))

    # ---- regular expressions; loops of parts that can be empty are left out, where engines differ by accident

    def atom(self, depth):
        k = self.r.random()
        if depth and k < 0.3:
            return self.r.choice(["(?:", "(", "(?:", "(?i:", "(?=", "(?!"]) + self.alternatives(depth - 1) + ")"
        return self.r.choice(EDGES if k < 0.36 else REGEX_ATOMS)

    def quantified(self, atom):
        if atom in EDGES or atom.startswith(("(?=", "(?!", "(?<")) or self.r.random() < 0.45:
            return atom
        if atom.startswith("("):
            return atom + self.r.choice(["?", "??"])
        return atom + self.r.choice(["*", "+", "?", "{1,3}", "{2}", "*?", "+?", "??", "{0,2}?", "{2,}"] + (["++", "*+", "?+"] if atom != r"\R" else []))

    def sequence(self, depth):
        return "".join(self.quantified(self.atom(depth)) for _ in range(self.r.randrange(1, 4)))

    def alternatives(self, depth=2):
        return "|".join(self.sequence(depth) for _ in range(self.r.choice([1, 1, 2, 3])))

    def pattern(self, empty=True):
        """With or without regular expressions that match nothing: the library loses count where it replaces that."""
        if self.r.random() < 0.3:
            return {"String": self.piece(3)}
        return {"Regex": self.alternatives() if empty else f"(?:{self.alternatives()}){self.r.choice(REGEX_ATOMS)}"}

    # ---- components

    def normalizer(self):
        r = self.r
        return r.choice([
            lambda: {"type": r.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"])},
            lambda: {"type": "Strip", "strip_left": r.random() < 0.5, "strip_right": r.random() < 0.5},
            lambda: {"type": "Replace", "pattern": self.pattern(empty=False), "content": r.choice(["", " ", "a", "xy", "\u2581"])},
            lambda: {"type": "Prepend", "prepend": r.choice(["\u2581", "_", " "])},
            lambda: {"type": "BertNormalizer", "clean_text": r.random() < 0.5, "handle_chinese_chars": r.random() < 0.5,
                     "strip_accents": r.choice([None, True, False]), "lowercase": r.random() < 0.5},
            lambda: {"type": "Precompiled", "precompiled_charsmap": charsmap_of(RULES)},
        ])()

    def behavior(self):
        return self.r.choice(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])

    def pre_tokenizer(self):
        r = self.r
        return r.choice([
            lambda: {"type": r.choice(["Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"])},
            lambda: {"type": "Split", "pattern": self.pattern(), "behavior": self.behavior(), "invert": r.random() < 0.3},
            lambda: {"type": "Punctuation", "behavior": self.behavior()},
            lambda: {"type": "Digits", "individual_digits": r.random() < 0.5},
            lambda: {"type": "CharDelimiterSplit", "delimiter": r.choice(LETTERS)},
            lambda: {"type": "Metaspace", "replacement": r.choice(["\u2581", "_"]), "prepend_scheme": r.choice(["first", "never", "always"]),
                     "split": r.random() < 0.5},
            lambda: {"type": "FixedLength", "length": r.randrange(1, 6)},
            lambda: {"type": "ByteLevel", "add_prefix_space": r.random() < 0.5, "trim_offsets": True, "use_regex": r.random() < 0.7},
        ])()

    def bytes_pieces(self):
        return [f"<0x{b:02X}>" for b in range(256) if self.r.random() < 0.98]

    def bpe(self):
        r = self.r
        prefix, suffix = r.choice([None, None, "", "##"]), r.choice([None, None, "", "</w>"])
        vocab, merges = dict.fromkeys(["<unk>", "</s>"]), []
        for c in LETTERS + ["\u0120", "\u00c3", "\u00a9", "\u00e4", "\u00b8", "\u0143"]:
            if r.random() < 0.85:
                for form in {c, (prefix or "") + c, c + (suffix or ""), (prefix or "") + c + (suffix or "")}:
                    vocab[form] = None
        for _ in range(r.randrange(0, 60)):
            a, b = r.choice(list(vocab)), r.choice(list(vocab))
            if prefix and not b.startswith(prefix):
                continue
            joined = a + (b[len(prefix):] if prefix else b)
            if (a, b) not in merges and len(joined) < 12:
                vocab[joined] = None
                merges.append((a, b))
        if fallback := r.random() < 0.5:
            vocab |= dict.fromkeys(self.bytes_pieces())
        return {"type": "BPE", "dropout": None, "unk_token": r.choice([None, "<unk>"]), "continuing_subword_prefix": prefix,
                "end_of_word_suffix": suffix, "fuse_unk": r.random() < 0.5, "byte_fallback": fallback,
                "ignore_merges": r.random() < 0.3, "vocab": {p: i for i, p in enumerate(vocab)}, "merges": merges}

    def unigram(self):
        r = self.r
        pieces = dict.fromkeys(["<unk>", "</s>"] + [c for c in LETTERS if r.random() < 0.85])
        pieces |= dict.fromkeys(self.piece(5) for _ in range(r.randrange(0, 40)))
        if fallback := r.random() < 0.5:
            pieces |= dict.fromkeys(self.bytes_pieces())
        return {"type": "Unigram", "unk_id": 0, "vocab": [[p, -round(r.uniform(0, 12), r.choice([0, 1, 15]))] for p in pieces],
                "byte_fallback": fallback}

    def words(self):
        r = self.r
        vocab = dict.fromkeys(["<unk>", "</s>"] + [self.piece() for _ in range(60)])
        if r.random() < 0.3:
            return {"type": "WordLevel", "vocab": {p: i for i, p in enumerate(vocab)}, "unk_token": "<unk>"}
        prefix = r.choice(["##", "", "_"])
        vocab |= dict.fromkeys([prefix + self.piece() for _ in range(60)] + [c for c in LETTERS if r.random() < 0.8])
        vocab |= dict.fromkeys(prefix + c for c in LETTERS if r.random() < 0.8)
        return {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": prefix,
                "max_input_chars_per_word": r.choice([100, 5]), "vocab": {p: i for i, p in enumerate(vocab)}}

    def decoder(self):
        r = self.r
        return r.choice([
            lambda: {"type": r.choice(["ByteFallback", "Fuse"])},
            lambda: {"type": "WordPiece", "prefix": r.choice(["##", "_"]), "cleanup": r.random() < 0.5},
            lambda: {"type": "CTC", "pad_token": r.choice(["<unk>", "a"]), "word_delimiter_token": "1", "cleanup": r.random() < 0.5},
            lambda: {"type": "Replace", "pattern": self.pattern(), "content": r.choice(["", " ", "xy"])},
            lambda: {"type": "Strip", "content": r.choice([" ", "a"]), "start": r.randrange(3), "stop": r.randrange(3)},
            lambda: {"type": "BPEDecoder", "suffix": r.choice(["</w>", "a"])},
            lambda: {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": r.choice(["first", "never", "always"]), "split": True},
            lambda: {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        ])()

    def post_processor(self):
        r = self.r
        ends = {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}
        text, end = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}
        return r.choice([
            lambda: None,
            lambda: {"type": "TemplateProcessing", "single": r.choice([[text, end], [end, text], [end, text, end, end]]), "pair": [text, end],
                     "special_tokens": ends},
            lambda: {"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<unk>", 0]},
            lambda: {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
                                                        {"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<unk>", 0],
                                                         "trim_offsets": True, "add_prefix_space": False}]},
        ])()

    def tokenizer(self):
        def sequence(name, steps):
            return steps[0] if len(steps) == 1 else {"type": "Sequence", name: steps} if steps else None
        added = [{"id": 1, "content": "</s>", "single_word": self.r.random() < 0.3, "lstrip": self.r.random() < 0.3,
                  "rstrip": self.r.random() < 0.3, "normalized": self.r.random() < 0.5, "special": self.r.random() < 0.5}]
        return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added if self.r.random() < 0.5 else [],
                "normalizer": sequence("normalizers", self.some(self.normalizer, 3)),
                "pre_tokenizer": sequence("pretokenizers", self.some(self.pre_tokenizer, 3)),
                "post_processor": self.post_processor(), "decoder": sequence("decoders", self.some(self.decoder, 3)),
                "model": self.r.choice([self.bpe, self.bpe, self.unigram, self.words])()}


def run(program, command, model, lines):
    return subprocess.run([program, "tokenizer", command, "--model", str(model), "--json-lines"], input="".join(line + "\n" for line in lines),
                          capture_output=True, text=True, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--texts", type=int, default=40, help="for each tokenizer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5)
    a = parser.parse_args()
    make = Maker(a.seed)
    compared = texts = different = failed = 0
    refused = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tokenizer.json"
        for _ in range(a.count):
            made = json.dumps(make.tokenizer())
            given = [make.text() for _ in range(a.texts)]
            try:
                peer = Tokenizer.from_str(made)
                its = [peer.encode(t).ids for t in given]
                decoded = [peer.decode(ids, skip_special_tokens=False) for ids in its]
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                failed += 1
                continue
            path.write_text(made, encoding="utf-8")
            result = run(a.glossa, "encode", path, map(json.dumps, given))
            if result.returncode:
                refused[result.stderr.strip().split("json: ")[-1][:90]] += 1
                if result.returncode not in (3, 5):
                    sys.exit(f"status {result.returncode}: {result.stderr}\n{made}")
                continue
            back = run(a.glossa, "decode", path, (" ".join(map(str, ids)) for ids in its))
            mine = [[int(i) for i in line.split()] for line in result.stdout.splitlines()]
            texts_back = [json.loads(line) for line in back.stdout.splitlines()]
            compared, texts = compared + 1, texts + len(given)
            wrong = [(t, m, i, b, d) for t, m, i, b, d in zip(given, mine, its, texts_back, decoded) if m != i or b != d]
            if wrong or len(texts_back) != len(given):
                different += 1
                if different <= a.show:
                    print(made.replace(charsmap_of(RULES), "..."), *map(repr, wrong[:1]), sep="\n  ")
    print(f"{compared} tokenizers and {texts} texts compared, {different} different; the library failed on {failed}, refused: {refused.most_common(5)}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
