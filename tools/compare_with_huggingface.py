#!/usr/bin/env python3
"""Compares a model directory with what transformers makes of it: token ids, logits, and translations by beam search.

    tools/compare_with_huggingface.py MODEL SENTENCES [--glossa build/release/glossa] [--lines 200]

Needs the packages of tools/requirements.txt. Ends with status 1 if anything differs.
"""
import argparse
import gzip
import json
import subprocess
import sys

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("sentences", help="a text file, plain or .gz")
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--lines", type=int, default=200)
    args = parser.parse_args()

    with (gzip.open if args.sentences.endswith(".gz") else open)(args.sentences, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line, _ in zip(file, range(args.lines))]
    text = "\n".join(lines) + "\n"

    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.model)
    model, info = AutoModelForSeq2SeqLM.from_pretrained(args.model, output_loading_info=True)
    model.eval()
    faults = 0
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[key]:
            faults += 1
            print(f"{key}: {info[key]}")

    def glossa(*words):
        return subprocess.run([args.glossa, *words], input=text, capture_output=True, text=True, check=True).stdout.splitlines()

    ids = [[int(i) for i in line.split()] for line in glossa("tokenizer", "encode", "--model", args.model)]
    wanted = tokenizer(lines)["input_ids"]
    different = sum(a != b for a, b in zip(ids, wanted))
    print(f"token ids: {different} of {len(lines)} lines differ")
    faults += different

    found = [json.loads(line)["translations"][0] for line in glossa("translate", "--model", args.model, "--json")]
    different, worst = 0, 0.0
    with torch.no_grad():
        for line, ours in zip(lines, found):
            inputs = tokenizer([line], return_tensors="pt")
            if inputs["input_ids"].shape[1] <= 1:
                continue
            out = model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                                 return_dict_in_generate=True, output_scores=True)
            theirs = tokenizer.decode(out.sequences[0], skip_special_tokens=True)
            if theirs != ours["text"]:
                different += 1
                print(f"  {line}\n    transformers: {theirs}\n    glossa:       {ours['text']}")
            elif model.generation_config.num_beams > 1:
                worst = max(worst, abs(out.sequences_scores[0].item() - ours["score"]))
    print(f"translations: {different} of {len(lines)} differ; scores of equal ones differ by {worst:.1e} at most")
    faults += different
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
