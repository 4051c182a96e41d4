#!/usr/bin/env python3
"""Training on real sentences against PyTorch and Marian, in target tokens a second, all run in turns.

    ~/glossa-tools/bin/pip install torch pymarian
    ~/glossa-tools/bin/python bench/multi30k_vs_peers.py --glossa build/release/glossa [--isa avx2]

All train the model of a recipe on its training data, in batches of the recipe's size. Of this program it is `glossa train` as it
is: reading, batches, updates, metrics; without validation and checkpoints. PyTorch gets the same sentences as ids that lie
ready, sorted by length and padded to the longest of a batch, a batch being as many sentences as fit into the recipe's tokens,
padding included; it is used as in train_vs_pytorch.py, its compiled form with dynamic shapes. Marian gets the sentences as
pieces, sorts them by length itself, and trains with its own threads. Tokens are those of the targets with their ends, padding
not among them. BPE-dropout is off. Medians of the rounds.
"""
import argparse
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

import machine

SMALL = ["train.eval_steps=0", "train.save_steps=0", "train.logging_steps=10", "tokenizer.dropout=0", "data.valid_source=",
         "data.valid_target=", "data.test_source=", "data.test_target="]


class Glossa:
    def __init__(self, a, directory, precision):
        self.a, self.directory, self.precision = a, directory / f"glossa-{precision}", precision

    def run(self):
        steps = {"train.max_steps": self.a.steps, "train.warmup_steps": self.a.steps, "train.precision": self.precision}
        settings = [*SMALL, *(f"{key}={value}" for key, value in steps.items())]
        subprocess.run([self.a.glossa, "train", self.a.recipe, "--output-dir", self.directory, "--overwrite", "--threads",
                        str(self.a.threads), "--quiet", *(x for s in settings for x in ("--set", s))],
                       check=True, stdout=subprocess.DEVNULL, env=self.a.environment)
        lines = [json.loads(line) for line in (self.directory / "metrics.jsonl").read_text().splitlines()]
        return statistics.median(line["tokens_per_second"] for line in lines if "loss" in line)

    def close(self):
        pass


def encoded(a, model, options=()):
    """Source and target sentences as lists of words, which are ids or pieces."""
    sides = []
    for path in a.data:
        with subprocess.Popen([a.glossa, "tokenizer", "encode", "--model", model, "--input", path, *options],
                              stdout=subprocess.PIPE, text=True) as process:
            sides.append([line.split() for line in process.stdout])
    return sides


class PyTorch:
    """A process of its own, kept between rounds."""
    def __init__(self, a, mode):
        self.process = subprocess.Popen([sys.executable, __file__, "--worker", mode, "--threads", str(a.threads), "--steps",
                                         str(a.steps), "--batches", a.batches, "--model", a.model], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=a.environment)
        self.run()  # compiles

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def padded_batches(pairs, config, most):
    """Sorted by length and cut to `most` tokens of the longer side, padding included."""
    start, end, pad = config["decoder_start_token_id"], config["eos_token_id"], config["pad_token_id"]
    pairs = sorted(pairs, key=lambda pair: (max(map(len, pair)), len(pair[1])))
    batches, batch = [], []
    for pair in [*pairs, None]:
        if batch and (pair is None or (len(batch) + 1) * (1 + max(len(side) for p in [*batch, pair] for side in p)) > most):
            def rows(sentences, filler):
                width = max(map(len, sentences))
                return [s + [filler] * (width - len(s)) for s in sentences]
            batches.append([rows([s + [end] for s, _ in batch], pad), rows([[start] + t for _, t in batch], pad),
                            rows([t + [end] for _, t in batch], -100)])
            batch = []
        batch.append(pair)
    return batches


def worker(a):
    """Answers each line with the tokens a second of so many updates with batches drawn at random."""
    import torch
    import pytorch_transformer as peer
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    c = json.loads(pathlib.Path(a.model, "config.json").read_text())
    model = peer.Transformer(c["vocab_size"], c["d_model"], c["encoder_ffn_dim"], c["encoder_attention_heads"],
                             c["encoder_layers"], c["max_position_embeddings"], c["dropout"], 0.1, c["pad_token_id"])
    step = peer.make_step(model, peer.adam(model), "compiled" in a.worker, "bf16" in a.worker)
    batches = [[torch.tensor(part) for part in batch] for batch in json.loads(pathlib.Path(a.batches).read_text())]
    draw = random.Random(1)
    for _ in sys.stdin:
        chosen = draw.sample(batches, a.steps)
        step(chosen[0])
        begin = time.perf_counter()
        for batch in chosen:
            step(batch)
        seconds = time.perf_counter() - begin
        print(sum((labels != -100).sum().item() for _, _, labels in chosen) / seconds, flush=True)


class Marian:
    def __init__(self, a, directory):
        self.a, self.directory = a, directory
        sides = encoded(a, a.model, ("--pieces", "--no-special"))
        names = [str(directory / f"pieces.{i}") for i in (0, 1)]
        for name, lines in zip(names, sides):
            pathlib.Path(name).write_text("".join(" ".join(line) + "\n" for line in lines))
        pieces = dict.fromkeys(["</s>", "<unk>", *(p for side in sides for line in side for p in line)])
        vocabulary = directory / "vocabulary.yml"
        vocabulary.write_text("".join(f"{json.dumps(piece)}: {i}\n" for i, piece in enumerate(pieces)))
        c = json.loads(pathlib.Path(a.model, "config.json").read_text())
        self.command = [
            pathlib.Path(sys.executable).parent / "pymarian", "train", "--type", "transformer", "-t", *names, "-v", vocabulary,
            vocabulary, "-m", directory / "marian.npz", "--dim-emb", c["d_model"], "--transformer-dim-ffn", c["encoder_ffn_dim"],
            "--enc-depth", c["encoder_layers"], "--dec-depth", c["decoder_layers"], "--transformer-heads",
            c["encoder_attention_heads"], "--transformer-dropout", c["dropout"], "--label-smoothing", 0.1,
            "--tied-embeddings-all", "--mini-batch-words", a.tokens, "--mini-batch", 1000, "--maxi-batch", 100,
            "--cpu-threads", a.threads, "--after-batches", a.steps, "--disp-freq", "10u", "-w", 1000, "--learn-rate", 1e-3,
            "--max-length", 120, "--overwrite", "--no-restore-corpus"]

    def run(self):
        for old in self.directory.glob("marian.npz*"):
            old.unlink()
        log = subprocess.run([*map(str, self.command)], check=True, capture_output=True, text=True, env=self.a.environment).stderr
        rates = [float(rate) for rate in re.findall(r"([\d.]+) words/s", log)]
        return statistics.median(rates[1:])  # the first is of warming up

    def close(self):
        pass


def compare(a, directory):
    programs = {f"glossa {t}": Glossa(a, directory, t) for t in machine.types(a.isa)}
    print("reading the recipe's data", file=sys.stderr)
    programs["glossa f32"].run()
    a.model = str(programs["glossa f32"].directory)
    ids = [[[*map(int, line)] for line in side] for side in encoded(a, a.model, ("--no-special",))]
    a.batches = str(directory / "batches.json")
    c = json.loads(pathlib.Path(a.model, "config.json").read_text())
    pathlib.Path(a.batches).write_text(json.dumps(padded_batches(zip(*ids), c, a.tokens)))
    programs |= {f"PyTorch {mode}": PyTorch(a, mode) for mode in machine.peers(a.isa, not a.no_compile)}
    if not a.no_marian:
        programs["Marian f32"] = Marian(a, directory)
    results = machine.in_turns(programs, a.rounds, float)
    rate = {name: statistics.median(rates) for name, rates in results.items()}
    best = max((name for name in rate if name.startswith("PyTorch")), key=rate.get)
    print(f"\n{pathlib.Path(a.recipe).name}: {machine.processor()}, {a.isa}, {a.threads} threads, load {os.getloadavg()[0]:.1f}\n")
    print("| program | tokens/s | to PyTorch's best |\n|---|---|---|")
    for name in programs:
        print(f"| {name} | {rate[name]:.0f} | {rate[name] / rate[best]:.2f}x |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--glossa", default="build/release/glossa")
    arguments.add_argument("--recipe", default="recipes/multi30k-en-de.yaml")
    arguments.add_argument("--data", nargs=2, default=["data/multi30k/train.en.gz", "data/multi30k/train.de.gz"],
                           help="the recipe's training data, source and target")
    arguments.add_argument("--tokens", type=int, default=4096, help="of a batch, as the recipe has it")
    arguments.add_argument("--isa", choices=["best", "avx2"], default="best", help="instruction set of all programs")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=60, help="of each program in a round")
    arguments.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    arguments.add_argument("--no-marian", action="store_true", help="leave Marian out")
    for hidden in ("--worker", "--batches", "--model"):
        arguments.add_argument(hidden, help=argparse.SUPPRESS)
    a = arguments.parse_args()
    a.environment = machine.environment(a.isa)
    if a.worker:
        worker(a)
        return
    with tempfile.TemporaryDirectory() as temporary:
        compare(a, pathlib.Path(temporary))


if __name__ == "__main__":
    main()
