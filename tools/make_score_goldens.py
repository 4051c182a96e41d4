#!/usr/bin/env python3
"""Writes tests/evaluate/goldens.json and tests/score/goldens.json: what sacreBLEU 2.6 says of small random corpora.

    tools/make_score_goldens.py

The first holds numbers for the library (as doubles, to the last bit), the second what the command prints. Needs
sacreBLEU 2.6 in the Python that runs this; run it again only for another release of sacreBLEU.
"""
import contextlib
import io
import json
import os
import pathlib
import random
import sys
import tempfile

import compare_scores
import numpy
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.bleu import _get_tokenizer
from sacrebleu.significance import PairedTest
from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
METRICS = {"BLEU": BLEU, "CHRF": CHRF, "TER": TER}
CASES = [
    ("BLEU", {}),
    ("BLEU", {"tokenize": "intl", "lowercase": True, "smooth_method": "floor"}),
    ("BLEU", {"tokenize": "zh", "smooth_method": "add-k", "smooth_value": 0.5}),
    ("BLEU", {"tokenize": "char", "smooth_method": "none", "max_ngram_order": 6}),
    ("BLEU", {"tokenize": "none", "effective_order": True, "max_ngram_order": 2}),
    ("CHRF", {}),
    ("CHRF", {"word_order": 2}),
    ("CHRF", {"word_order": 1, "char_order": 4, "beta": 3, "lowercase": True, "whitespace": True, "eps_smoothing": True}),
    ("TER", {}),
    ("TER", {"normalized": True, "asian_support": True}),
    ("TER", {"normalized": True, "no_punct": True, "case_sensitive": True}),
    ("TER", {"no_punct": True, "asian_support": True}),
]
RESAMPLES = 60


def lines_of(rng, count):
    vocabulary = compare_scores.WORDS + compare_scores.POINTED + compare_scores.OTHERS
    return [compare_scores.joined(rng, [compare_scores.random_word(rng, vocabulary) for _ in range(rng.randrange(1, 14))], False)
            for _ in range(count)]


def tokenized(line):
    squeezed = lambda text: " ".join(text.split())
    out = {"line": line, "lower": line.lower()}
    for name in ["13a", "intl", "zh", "char", "none"]:
        out[name] = squeezed(_get_tokenizer(name)()(line.rstrip()))
    for flags in range(16):
        tercom = TercomTokenizer(normalized=bool(flags & 1), no_punct=bool(flags & 2), asian_support=bool(flags & 4),
                                 case_sensitive=bool(flags & 8))
        out[f"tercom{flags}"] = squeezed(tercom(line.rstrip()))
    return out


def number(x):
    return None if x is None else float(x)


def paired(metric, systems, references, kind):
    named = [(str(i), system) for i, system in enumerate(systems)]
    _, scores = PairedTest(named, {"m": metric}, references, test_type=kind, n_samples=RESAMPLES)()
    (results,) = [v for k, v in scores.items() if k != "System"]
    return [[number(r.score), number(r.p_value), number(r.mean), number(r.ci)] for r in results]


def golden(kind, options, systems, references):
    metric = METRICS[kind](**options)
    score = metric.corpus_score(systems[0], references)
    case = {"metric": kind, "options": options, "name": score.name, "score": score.score, "verbose": score._verbose,
            "signature": metric.get_signature().format(), "short": metric.get_signature().format(True),
            "segments": [float(METRICS[kind](**options).sentence_score(h, list(r)).score) for h, *r in zip(systems[0], *references)]}
    with contextlib.suppress(TypeError):  # single and double precision mixed, which sacreBLEU cannot average
        resampled = METRICS[kind](**options)
        estimate = resampled.corpus_score(systems[0], references, n_bootstrap=RESAMPLES)
        case["confidence"] = [float(estimate._mean), float(estimate._ci)]
        case["confidence_signature"] = resampled.get_signature().format()
    case["paired_bs"] = paired(METRICS[kind](**options), systems, references, "bs")
    case["paired_ar"] = paired(METRICS[kind](**options), systems, references, "ar")
    return case


def corpora():
    out = []
    for seed in range(8):
        rng = random.Random(f"golden {seed}")
        with tempfile.TemporaryDirectory() as directory:
            corpus = compare_scores.Corpus(rng, pathlib.Path(directory))
            read = lambda name: (pathlib.Path(directory) / name).read_bytes().decode().split("\n")[:-1][:8]
            references = [read(name) for name in corpus.reference_paths]
            systems = [read(name) for name in corpus.system_paths]
        if max(map(len, sum(references, []))) > 400:
            continue
        systems.append([references[0][i] if i % 2 else systems[0][i] for i in range(len(systems[0]))])
        out.append({"references": references, "systems": systems,
                    "cases": [golden(kind, options, systems, references) for kind, options in CASES]})
    return out


def random_numbers():
    draws = {}
    for seed in [0, 12345, 2**40 + 7]:
        rng = numpy.random.default_rng(seed)
        draws[str(seed)] = {"below 10": rng.choice(10, size=(3, 7)).ravel().tolist(), "below 1": rng.choice(1, size=2).tolist(),
                            "below 3000000000": rng.choice(3_000_000_000, size=5).tolist(),
                            "coins": rng.integers(2, size=(4, 11), dtype=bool).ravel().astype(int).tolist()}
    return draws


PRINTED = [
    ["reference0", "-i", "system0"],
    ["reference0", "reference1", "-i", "system0", "-m", "bleu", "chrf", "ter"],
    ["reference0", "-i", "system0", "-m", "ter", "chrf", "bleu", "-f", "text", "-w", "3"],
    ["reference0", "-i", "system0", "-m", "bleu", "ter", "-f", "text", "--short", "--confidence", "--confidence-n", "50"],
    ["reference0", "-i", "system0", "-m", "bleu", "chrf", "--confidence", "--confidence-n", "50", "-b"],
    ["reference0", "-i", "system0", "-m", "bleu", "--sentence-level", "--lowercase"],
    ["reference0", "-i", "system0", "system1", "system2", "-m", "bleu", "chrf", "ter"],
    ["reference0", "-i", "system0", "system1", "system2", "-m", "chrf", "bleu", "-f", "text"],
    ["reference0", "-i", "system0", "system1", "system2", "-m", "ter", "bleu", "-f", "text", "--paired-bs", "--paired-bs-n", "50"],
    ["reference0", "-i", "system0", "system1", "system2", "-m", "bleu", "-f", "latex", "--paired-ar", "--paired-ar-n", "50"],
    ["reference0", "-i", "system0", "system1", "-m", "bleu", "--paired-bs", "--paired-bs-n", "50"],
    ["reference0", "reference1", "-i", "system0", "system1", "-m", "ter", "chrf", "--paired-ar", "--paired-ar-n", "50"],
    ["reference_columns", "--num-refs", "2", "-i", "system0", "-m", "chrf", "-w", "4"],
    ["reference0", "-i", "system0", "-l", "en-zh", "-f", "text", "--smooth-method", "floor", "--smooth-value", "0.2"],
]


def printed():
    rng = random.Random("printed")
    out = {"files": {}, "runs": []}
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        while True:
            corpus = compare_scores.Corpus(rng, directory)
            if corpus.references == 2 and corpus.systems == 3 and corpus.segments == 8:
                break
        for name in [*corpus.reference_paths, *corpus.system_paths, corpus.reference_columns]:
            out["files"][name] = (directory / name).read_bytes().decode()
        for arguments in PRINTED:
            status, text = compare_scores.run_sacrebleu(arguments, directory, None)
            if status != 0:
                sys.exit(f"sacreBLEU failed on {arguments}")
            out["runs"].append({"arguments": arguments, "printed": text.decode()})
    return out


def write(path, document):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=True, indent=1) + "\n")


def main():
    os.environ.pop("SACREBLEU_SEED", None)
    with contextlib.redirect_stderr(io.StringIO()):
        rng = random.Random("lines")
        write(ROOT / "tests/evaluate/goldens.json",
              {"sacrebleu": sacrebleu.__version__, "resamples": RESAMPLES, "random": random_numbers(),
               "lines": [tokenized(line) for line in lines_of(rng, 40)], "corpora": corpora()})
    write(ROOT / "tests/score/goldens.json", printed())


if __name__ == "__main__":
    main()
