#!/usr/bin/env python3
"""The likeliest continuations of twenty prompts (English, Chinese, code) here, in llama.cpp and in transformers, and why they differ.

    python tools/compare_greedy_text.py MODEL.gguf... --llama LLAMA_CPP/build/bin [--tokens 48]

transformers has the weights as it decodes them itself, in f32; the programs compute with the quantised ones as they do. At the first token
that a program has and transformers has not, transformers' logits of the two say how close the choice was: rounding decides between tokens
that are nearly alike. With --f32 ours runs on the weights in f32, too, which must give transformers' tokens, or the exit status is 1.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers

PROMPTS = [
    "Once upon a time, there was a little girl who", "The capital of France is", "The three laws of thermodynamics are",
    "In 1969, the first people to walk on the Moon", "My favourite recipe for bread begins with", "To whom it may concern:\n\n",
    "The difference between a virus and a bacterium is", "Question: What is 17 + 25?\nAnswer:", "The old lighthouse keeper wrote in his journal:",
    "Photosynthesis is the process by which", "春天来了，", "中国的首都是", "从前有一座山，山上有一座庙，", "机器学习是", "今天的天气",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n", "#include <stdio.h>\n\nint main(void) {\n", "SELECT name, COUNT(*) FROM",
    "for (int i = 0; i < n; ++i) {\n", "import numpy as np\n\n# Multiply two matrices\n"]

WITHIN = -1  # in the place of a token of llama.cpp, whose text differs within a character


def ours(glossa, model, tokens, folder, threads):
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": p}) + "\n" for p in PROMPTS))
    out = subprocess.run([glossa, "generate", "-m", model, file, "-n", str(tokens), "--temp", "0", "--ignore-eos", "--json", "-t",
                          str(threads)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return [json.loads(line)["tokens"] for line in out.splitlines()]


def llama(folder, model, prompt, tokens, threads):
    out = subprocess.run([folder / "llama-completion", "-m", model, "-p", prompt, "-n", str(tokens), "--temp", "0", "-no-cnv",
                          "--no-display-prompt", "--no-warmup", "--special", "-t", str(threads)], check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
    return out.decode("utf-8", "replace").removesuffix("\n\n").removesuffix("\n").removesuffix(" [end of text]")


def ids_of(glossa, model, texts, *more):
    given = "".join(json.dumps(t) + "\n" for t in texts)
    out = subprocess.run([glossa, "tokenizer", "encode", "-m", model, "--json-lines", *more], input=given, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [[int(i) for i in line.split()] for line in out.splitlines()]


def text_of(glossa, model, ids):
    given = "".join(" ".join(map(str, i)) + "\n" for i in ids)
    out = subprocess.run([glossa, "tokenizer", "decode", "-m", model, "--json-lines"], input=given, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def first_difference(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), None)


def greedy(model, ids, tokens):
    """The tokens, and the logits that each was chosen by."""
    logits, cache, given = [], None, torch.tensor([ids])
    with torch.no_grad():
        for _ in range(tokens):
            made = model(given, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = made.past_key_values
            logits.append(made.logits[0, -1])
            given = logits[-1].argmax().view(1, 1)
    return [int(l.argmax()) for l in logits], logits


class Comparison:
    def __init__(self, a, model):
        self.a, self.model, self.same = a, model, {}

    def report(self, program, prompt, expected, logits, found):
        same, count = self.same.get(program, (0, 0))
        at = first_difference(expected, found)
        self.same[program] = (same + (at is None), count + 1)
        if at is not None:
            its = text_of(self.a.glossa, self.model, [[expected[at]]])[0]
            if found[at] == WITHIN:  # the likeliest other token is the least that was passed over
                name, logit = "a part of a character", logits[at].topk(2).values[1]
            else:
                name, logit = repr(text_of(self.a.glossa, self.model, [[found[at]]])[0]), logits[at][found[at]]
            margin = float(logits[at][expected[at]] - logit)
            print(f"| {json.dumps(prompt[:28], ensure_ascii=False)} | {program} | {at} | {its!r} | {name} | {margin:.3f} |", flush=True)

    def of_text(self, expected, logits, text):
        """llama.cpp gives a text: the tokens of ours up to where it differs, then the first of those of the rest of it."""
        texts = text_of(self.a.glossa, self.model, [expected[:n] for n in range(len(expected) + 1)])
        whole = [t.rstrip("\ufffd") for t in texts]
        longest = max(n for n, t in enumerate(whole) if text.startswith(t))
        if longest == len(expected) or texts[-1].startswith(text.rstrip("\ufffd")):
            return expected
        if text.startswith(texts[longest]) and (rest := text[len(texts[longest]):]) and not rest.startswith("\ufffd"):
            return expected[:longest] + ids_of(self.a.glossa, self.model, [rest], "--no-special")[0][:1]
        # Within a character: at one of its tokens, most likely where two were most alike.
        margin = lambda n: float(logits[n].topk(2).values.diff().abs())
        at = min((n for n in range(longest + 1) if whole[n] == whole[longest]), key=margin)
        return expected[:at] + [WITHIN]


def compare(a, gguf):
    c = Comparison(a, gguf)
    model = transformers.AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32).eval()
    prompts = ids_of(a.glossa, gguf, PROMPTS)
    print(f"\n{gguf.name}, {a.tokens} tokens\n\n| prompt | program | first differing token | transformers | program | margin of logits |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        programs = {"glossa": ours(a.glossa, gguf, a.tokens, folder, a.threads)}
        if a.f32:
            subprocess.run([a.glossa, "-q", "convert", gguf, folder / "plain.gguf", "--type", "F32"], check=True, stdout=subprocess.DEVNULL)
            programs["glossa, f32"] = ours(a.glossa, folder / "plain.gguf", a.tokens, folder, a.threads)
        for i, prompt in enumerate(PROMPTS):
            expected, logits = greedy(model, prompts[i], a.tokens)
            for program, found in programs.items():
                c.report(program, prompt, expected, logits, found[i])
            c.report("llama.cpp", prompt, expected, logits, c.of_text(expected, logits, llama(a.llama, gguf, prompt, a.tokens, a.threads)))
    for program, (same, count) in c.same.items():
        print(f"\n{program}: {same} of {count} texts are transformers'", flush=True)
    return not a.f32 or c.same["glossa, f32"][0] == len(PROMPTS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=pathlib.Path, help="GGUF files")
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--llama", type=pathlib.Path, required=True, help="folder of llama.cpp's programs")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--f32", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    return 0 if all([compare(a, model) for model in a.models]) else 1


if __name__ == "__main__":
    sys.exit(main())
