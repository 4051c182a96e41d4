#!/usr/bin/env python3
"""Compares `glossa score` with sacreBLEU 2.6 on random corpora: every byte of what both print must be the same.

    tools/compare_scores.py --glossa build/release/glossa --count 1000

Corpora mix scripts, odd white space, empty lines, entities, repetitions and shifted, dropped and swapped words; each is
scored with several random sets of options. The first difference is kept with the commands that show it, and ends the run
with status 1. Needs sacreBLEU 2.6 in the Python that runs this.
"""
import argparse
import collections
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

import numpy  # noqa: F401  (loaded once here, not in every child)
import sacrebleu
import sacrebleu.sacrebleu
import sacrebleu.significance  # noqa: F401

WORDS = "the a cat sat on mat quick brown fox jumps over lazy dog Haus Straße Übermut naïve señor l'été it's dogs' x".split()
OTHERS = [
    "你好", "世界", "我爱北京天安门", "。", "，", "「引号」", "ひらがな", "カタカナ", "ー", "・", "한국어", "ﾊﾝｶｸ", "㈱", "㍿", "⺀", "豈",
    "﨎", "𠀀", "丽", "ΟΔΥΣΣΕΥΣ", "ΣΑΣ", "Σ", "ΑΣ'Α", "İstanbul", "IĞDIR", "ЖИЗНЬ", "мир", "שלום", "مرحبا", "٣٤٥", "१२३", "½", "Ⅻ", "ⓐ",
    "ª", "e\u0301", "ﬁ", "🙂", "👩\u200d🚀", "\ufeff", "\u200b", "\u00ad", "\u0378", "\u20c1", "\u1b4e", "\U00010d41", "\u2e60", "€", "±",
    "©", "…", "–", "—", "„", "“", "«", "»", "¿", "\x00", "\x7f",
]
POINTED = [
    "3.14", "1,000", "1,000.", ".5", "5.", "a.b", "...", "..", ",", ".", "10-20", "-5", "5-", "a-b", "--", "!", "?!", "(x)", "[1]", "{y}",
    "&quot;", "&amp;", "&lt;b&gt;", "&amp;lt;", "<skipped>", "&", "it's", "'s", "s'", "'", '"', "50%", "$5", "#1", "@you", "a/b", "c:\\d",
    "~", "^", "_", "`", "|", "*", "+", "=", ";", ":", ",,", ".,1", "1.,", "(hi)", "--1.", "e.g.", "U.S.A.",
]
SPACES = [" "] * 30 + ["  ", "\t", "\u00a0", "\u2003", "\u3000", "\u2028", "\u0085", "\x1c", "\x1f", "\x0b", "\r", "\u1680", "\u202f", ""]


def random_word(rng, vocabulary):
    if rng.random() < 0.9:
        return rng.choice(vocabulary)
    c = rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x250, 0x3000), rng.randrange(0x3000, 0x10000), rng.randrange(0x10000, 0x20000)])
    return "?" if 0xD800 <= c < 0xE000 else chr(c)


def joined(rng, words, plain):
    return "".join(w + (" " if plain else rng.choice(SPACES)) for w in words)


def changed(rng, words, vocabulary):
    """Words as another translator would have put them."""
    words = list(words)
    for _ in range(rng.choice([0, 1, 1, 2, 3, 6, 12])):
        what, n = rng.randrange(6), len(words)
        if what == 0 or n == 0:
            words.insert(rng.randrange(n + 1), random_word(rng, vocabulary))
        elif what == 1:
            del words[rng.randrange(n)]
        elif what == 2:
            words[rng.randrange(n)] = random_word(rng, vocabulary)
        else:
            begin, length = rng.randrange(n), rng.randrange(1, 12)
            run = words[begin:begin + length]
            if what != 3:
                del words[begin:begin + length]
            at = rng.randrange(len(words) + 1)
            words[at:at] = run
    return words


class Corpus:
    def __init__(self, rng, directory):
        self.directory = directory
        self.segments = rng.choice([1, 2, 3, 5, 8, 12, 30])
        self.references = rng.choice([1, 1, 1, 2, 3, 4])
        self.systems = rng.choice([1, 1, 2, 3])
        vocabulary = list(WORDS)
        if rng.random() < 0.7:
            vocabulary += POINTED
        if rng.random() < 0.7:
            vocabulary += OTHERS
        if rng.random() < 0.3:
            vocabulary = rng.sample(vocabulary, 4)
        plain = rng.random() < 0.5
        longest = rng.choice([3, 8, 20, 40, 40, 150])
        references, systems = [[] for _ in range(self.references)], [[] for _ in range(self.systems)]
        for _ in range(self.segments):
            words = [random_word(rng, vocabulary) for _ in range(rng.randrange(longest + 1))]
            if rng.random() < 0.05:
                words = [random_word(rng, vocabulary)] * rng.randrange(60)
            for stream in references + systems:
                own = changed(rng, words, vocabulary)
                if rng.random() < 0.03:
                    own = []
                if rng.random() < 0.03:
                    own = own * rng.randrange(2, 5)
                if rng.random() < 0.03:
                    own = own[:1]
                stream.append(joined(rng, own, plain).replace("\n", ""))
        self.reference_paths = [self.write(f"reference{i}", lines) for i, lines in enumerate(references)]
        self.system_paths = [self.write(f"system{i}", lines) for i, lines in enumerate(systems)]
        # Columns must survive the stripping of their lines, and the carriage returns that end lines there.
        clean = lambda line: " ".join(line.replace("\t", " ").replace("\r", " ").split()) or "-"
        self.columns = self.write("columns", ["\t".join(map(clean, row)) for row in zip(*systems)])
        self.reference_columns = self.write("reference_columns", ["\t".join(map(clean, row)) for row in zip(*references)])

    def write(self, name, lines):
        (self.directory / name).write_bytes("".join(line + "\n" for line in lines).encode())
        return name


def random_options(rng, corpus):
    options, systems = [], corpus.systems
    maybe = lambda share, *words: options.extend(words) if rng.random() < share else None
    metrics = rng.sample(["bleu", "chrf", "ter"], rng.choice([1, 2, 3]))
    mode = rng.choice(["plain", "plain", "sentences", "test"])
    if mode == "sentences":
        metrics, systems = metrics[:1], 1
        options.append("--sentence-level")
    from_columns = mode == "plain" and rng.random() < 0.2
    if from_columns:
        systems = corpus.systems
    elif mode != "test" or rng.random() < 0.4:
        systems = 1
    if mode == "test":
        if systems == 1:
            options += ["--confidence", "--confidence-n", str(rng.choice([1, 2, 50, 200]))]
        elif rng.random() < 0.5:
            options += ["--paired-bs", "--paired-bs-n", str(rng.choice([2, 50, 200, 300]))]
        else:
            options += ["--paired-ar", "--paired-ar-n", str(rng.choice([2, 50, 300]))]
            # Ties between numbers that are no binary fractions fall as NumPy's matrix product sums on this processor.
            if corpus.references == 3 and corpus.segments > 12 and "ter" in metrics:
                metrics = ["bleu"]
    options += ["-m", *metrics, "--width", str(rng.choice([0, 1, 2, 4, 8, 14, 17]))]
    maybe(0.5, "--format", rng.choice(["json", "text", "latex"]))
    maybe(0.2, "--short")
    maybe(0.2, "--score-only")
    options += ["--tokenize", rng.choice(["13a", "13a", "intl", "zh", "char", "none"])] if rng.random() < 0.8 else []
    maybe(0.3, "--lowercase")
    if rng.random() < 0.6:
        options += ["--smooth-method", rng.choice(["exp", "floor", "add-k", "none"])]
        maybe(0.4, "--smooth-value", rng.choice(["0", "0.01", "0.5", "1", "2.75"]))
    maybe(0.2, "--chrf-char-order", rng.choice(["1", "2", "4", "9"]))
    maybe(0.5, "--chrf-word-order", rng.choice(["0", "1", "2", "3"]))
    maybe(0.2, "--chrf-beta", rng.choice(["0", "1", "3"]))
    for flag in ["--chrf-whitespace", "--chrf-lowercase", "--chrf-eps-smoothing", "--ter-case-sensitive"]:
        maybe(0.3, flag)
    for flag in ["--ter-asian-support", "--ter-no-punct", "--ter-normalized"]:
        maybe(0.4, flag)
    if rng.random() < 0.15 and corpus.references > 1:
        references = [corpus.reference_columns, "--num-refs", str(corpus.references)]
    else:
        references = corpus.reference_paths
    if from_columns:
        return [*references, *options], corpus.columns
    return [*references, "-i", *corpus.system_paths[:systems], *options], None


def run_sacrebleu(arguments, directory, stdin):
    """In a forked child, since importing everything again for each run would take most of the time."""
    out = directory / "sacrebleu.out"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chdir(directory)
            for fd, path, flags in [(0, stdin or os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                                    (2, directory / "sacrebleu.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)]:
                os.dup2(os.open(path, flags, 0o644), fd)
            sys.argv = ["sacrebleu", *arguments]
            sacrebleu.sacrebleu.main()
            sys.stdout.flush()
            status = 0
        except SystemExit as e:
            sys.stdout.flush()
            status = e.code or 0
        except BaseException:  # noqa: BLE001  (what went wrong in it is not ours to say)
            pass
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, out.read_bytes()


def run_glossa(program, arguments, directory, stdin):
    with open(directory / stdin if stdin else os.devnull, "rb") as standard_input:
        done = subprocess.run([program, "score", *arguments], cwd=directory, stdin=standard_input, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossa", required=True, help="the program")
    parser.add_argument("--count", type=int, default=1000, help="corpora (default: %(default)s)")
    parser.add_argument("--options-each", type=int, default=3, help="sets of options for each corpus (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the corpora (default: %(default)s)")
    args = parser.parse_args()
    if not sacrebleu.__version__.startswith("2.6"):
        sys.exit(f"needs sacreBLEU 2.6, and this Python has {sacrebleu.__version__}")
    program = str(pathlib.Path(args.glossa).resolve())
    os.environ["COLUMNS"] = "80"
    tally = collections.Counter()
    for number in range(args.count):
        rng = random.Random(f"{args.seed}:{number}")
        with tempfile.TemporaryDirectory(prefix="scores") as temporary:
            directory = pathlib.Path(temporary)
            corpus = Corpus(rng, directory)
            for _ in range(args.options_each):
                arguments, stdin = random_options(rng, corpus)
                status, expected = run_sacrebleu(arguments, directory, stdin)
                ours_status, ours, message = run_glossa(program, arguments, directory, stdin)
                if status != 0:
                    tally["sacreBLEU failed"] += 1  # it cannot print single precision as JSON, or mix it with double
                    if ours_status == 1 or ours_status < 0:
                        sys.exit(f"corpus {number}: glossa ended with {ours_status}: {message}")
                    continue
                tally["runs compared"] += 1
                tally["bytes compared"] += len(expected)
                if ours_status == 0 and ours == expected:
                    continue
                kept = pathlib.Path(tempfile.mkdtemp(prefix="scores-differ"))
                subprocess.run(["cp", "-r", f"{directory}/.", str(kept)], check=True)
                (kept / "glossa.out").write_bytes(ours)
                tail = shlex.join(arguments) + (f" < {stdin}" if stdin else "")
                sys.exit(f"corpus {number}: outputs differ (glossa ended with {ours_status}: {message.strip()})\n"
                         f"  cd {kept}\n  sacrebleu {tail}\n  {program} score {tail}")
    print(f"{args.count} corpora: " + ", ".join(f"{count} {what}" for what, count in sorted(tally.items())))


if __name__ == "__main__":
    main()
