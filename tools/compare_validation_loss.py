#!/usr/bin/env python3
"""Measures the validation loss of a language model that `glossa train` wrote, with transformers, and compares it with what
the run says of itself (eval_loss of all_results.json).

    tools/compare_validation_loss.py MODEL TEXT [--split PERCENT]

TEXT, plain or .gz, is one document, as data.documents=file has it; with --split only its last PERCENT, as
data.validation_split_percentage holds them out. It is led by bos_token, followed by eos_token, and cut into blocks of
data.block_size. Needs the packages of tools/requirements.txt. Ends with status 1 if the losses differ by more than 1e-4.
"""
import argparse
import gzip
import json
import pathlib
import re
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--split", type=float, default=0)
    args = parser.parse_args()

    directory = pathlib.Path(args.model)
    block = int(re.search(r"block_size: (\d+)", (directory / "recipe.yaml").read_text()).group(1))
    wanted = json.loads((directory / "all_results.json").read_text())["eval_loss"]
    raw = (gzip.open if args.text.endswith(".gz") else open)(args.text, "rb").read().replace(b"\r\n", b"\n")
    if args.split:
        raw = raw[int(len(raw) * (1 - args.split / 100)):]

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model, info = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True, dtype=torch.float32)
    model.eval()
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[key]:
            sys.exit(f"{key}: {info[key]}")
    ids = [tokenizer.bos_token_id] + tokenizer(raw.decode(), add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    total, count = 0.0, len(ids) - 1
    with torch.no_grad():
        for begin in range(0, count, block):
            inputs = torch.tensor([ids[begin:min(begin + block, count)]])
            labels = torch.tensor(ids[begin + 1:begin + 1 + inputs.shape[1]])
            logits = model(input_ids=inputs).logits[0]
            total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
    found = total / count
    print(f"{count} tokens: transformers {found:.6f}, glossa {wanted:.6f}, difference {abs(found - wanted):.2e}")
    output = model.generate(**tokenizer("The ", return_tensors="pt"), max_new_tokens=20, do_sample=False)
    print(repr(tokenizer.decode(output[0])))
    sys.exit(abs(found - wanted) > 1e-4)


if __name__ == "__main__":
    main()
