#!/usr/bin/env python3
"""Compares the log-probabilities of labels that `glossa few-shot` gives with those of transformers, for the same prompts.

    tools/compare_few_shot.py MODEL [--glossa build/release/glossa] [--most 1e-3] -- FEW-SHOT OPTIONS

    tools/compare_few_shot.py SmolLM2-135M-Instruct -- -e train.jsonl -i test.jsonl --labels bad good

MODEL is a directory; the options are those of `glossa few-shot` but -m and --json, with --labels (each as prompts have it)
and a template that has a space before its label. Needs the packages of tools/requirements.txt. Ends with status 1 if a
log-probability differs by more than --most.
"""
import argparse
import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    words = sys.argv[1:]
    if "--" not in words:
        sys.exit(__doc__)
    cut = words.index("--")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--most", type=float, default=1e-3)
    args, options = parser.parse_args(words[:cut]), words[cut + 1:]

    def glossa(*more):
        command = [args.glossa, "-q", "few-shot", "-m", args.model, *options, *more]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return [json.loads(line) for line in lines]

    prompts = [line["prompt"] for line in glossa("--print-prompts")]
    ours = glossa("--json")[:-1]
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    worst, count, agreed = 0.0, 0, 0
    for prompt, result in zip(prompts, ours, strict=True):
        start = len(tokenizer(prompt)["input_ids"])
        theirs = {}
        for label in result["log_probabilities"]:
            ids = torch.tensor([tokenizer(f"{prompt} {label}")["input_ids"]])
            with torch.no_grad():
                log_probabilities = torch.log_softmax(model(ids).logits[0].double(), -1)
            theirs[label] = sum(log_probabilities[at - 1, ids[0, at]].item() for at in range(start, ids.shape[1]))
        for label, value in result["log_probabilities"].items():
            worst, count = max(worst, abs(value - theirs[label])), count + 1
        agreed += result["prediction"] == max(theirs, key=theirs.get)
    print(f"{len(prompts)} inputs, {count} log-probabilities: largest difference {worst:.2e}; {agreed} predictions agree")
    return worst > args.most


if __name__ == "__main__":
    sys.exit(main())
