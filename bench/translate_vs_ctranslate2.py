#!/usr/bin/env python3
"""Translation speed against CTranslate2, in target tokens a second, both in f32 and run in turns.

    ~/glossa-tools/bin/pip install -r tools/requirements.txt ctranslate2
    ~/glossa-tools/bin/python bench/translate_vs_ctranslate2.py --glossa build/release/glossa

The model is the preset encdec-base (6+6 layers of 512, feed-forward 2048, vocabulary 10,000) with random weights; sources have 24
tokens, and exactly 24 are generated. CTranslate2 gets a random Marian model of that shape through its own converter. One row
for each batch and beam: the median of each side's rounds, and the median and range of the ratios between neighbouring rounds.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import machine

WORDS, LENGTH = 10_000, 24


class Vocabulary:
    """As much of a tokenizer as the converter asks for."""
    eos_token, unk_token, bos_token = "</s>", "<unk>", None

    def get_vocab(self):
        return {token: i for i, token in enumerate(["</s>", "<unk>", *(f"w{i}" for i in range(2, WORDS)), "<pad>"])}


def make_model(directory):
    import torch
    import transformers
    from ctranslate2.converters.transformers import MarianMTLoader
    config = transformers.MarianConfig(
        vocab_size=WORDS + 1, d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8,
        decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048, max_position_embeddings=512,
        activation_function="relu", scale_embedding=True, pad_token_id=WORDS, eos_token_id=0, forced_eos_token_id=None,
        decoder_start_token_id=WORDS)
    torch.manual_seed(1)
    with torch.no_grad():
        spec = MarianMTLoader()(transformers.MarianMTModel(config).eval(), Vocabulary())
        spec.validate()
        spec.optimize(quantization=None)
    directory.mkdir()
    spec.save(str(directory))


def ctranslate2_rate(translator, batch, beam, seconds):
    source = [[f"w{random.randrange(2, WORDS)}" for _ in range(LENGTH)] for _ in range(batch)]
    runs, begin = 0, time.perf_counter()
    while runs == 0 or time.perf_counter() - begin < seconds:
        out = translator.translate_batch(source, beam_size=beam, max_batch_size=0, min_decoding_length=LENGTH,
                                         max_decoding_length=LENGTH)
        assert all(len(o.hypotheses[0]) == LENGTH for o in out)
        runs += 1
    return runs * batch * LENGTH / (time.perf_counter() - begin)


def glossa_rate(program, batch, beam, threads):
    out = subprocess.run(
        [program, "bench", "translate", "--preset", "encdec-base", "--batch", str(batch), "--beam-size", str(beam),
         "--length", str(LENGTH), "--threads", str(threads), "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])["tokens_per_second"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--glossa", default="build/release/glossa")
    arguments.add_argument("--isa", choices=["best", "avx2"], default="best", help="instruction set of both programs")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=3, help="of CTranslate2's runs in a round")
    a = arguments.parse_args()
    if dict(os.environ) != (wanted := machine.environment(a.isa)):
        os.execve(sys.executable, [sys.executable, *sys.argv], wanted)  # libraries read these as they are loaded
    import ctranslate2
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary) / "model"
        make_model(directory)
        translator = ctranslate2.Translator(str(directory), device="cpu", compute_type="float32", intra_threads=a.threads,
                                            inter_threads=1)
        print(f"CTranslate2 {ctranslate2.__version__}, f32, {machine.processor()}, {a.isa}, {a.threads} threads\n")
        print("| batch | beam | glossa, tokens/s | CTranslate2, tokens/s | ratio | range |\n|---|---|---|---|---|---|")
        for batch in (32, 1):
            for beam in (1, 4):
                ctranslate2_rate(translator, batch, beam, 0)  # warm up
                rounds = [(glossa_rate(a.glossa, batch, beam, a.threads), ctranslate2_rate(translator, batch, beam, a.seconds))
                          for _ in range(a.rounds)]
                ratios = [ours / theirs for ours, theirs in rounds]
                ours, theirs = (statistics.median(rates) for rates in zip(*rounds))
                print(f"| {batch} | {beam} | {ours:.0f} | {theirs:.0f} | {statistics.median(ratios):.2f}x | "
                      f"{min(ratios):.2f}-{max(ratios):.2f} |", flush=True)


if __name__ == "__main__":
    main()
