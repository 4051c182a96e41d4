#!/usr/bin/env python3
"""How close a quantised model's predictions are to those of its own weights in f32: perplexity here, in llama.cpp and in transformers,
divergence and agreement here and in llama.cpp.

    python tools/compare_perplexity.py MODEL.gguf... --text wikitext2.test.txt.gz --llama LLAMA_CPP/build/bin [--pieces 40]

transformers has the weights as it decodes them itself, in f32. The text is cut after so many pieces of 512 tokens, of which all programs
score the later half; "<unk>" in it becomes "unk", since programs differ in whether a text may hold special tokens. The divergence
is of each program from itself on the weights in f32, on the later halves of the first pieces: llama-perplexity --kl-divergence, and glossa
verify, whose sums over a piece less those over its first half are those of the later one. Ends with status 1 if a perplexity of ours is further than 0.3 % from transformers', or our divergence
is larger than llama.cpp's.
"""
import argparse
import gzip
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
import transformers

CONTEXT = 512


def run(*command, **how):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **how)


def cut_text(glossa, model, path, pieces):
    """The beginning of the text that has so many pieces and not one more, and its ids."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="\n") as file:
        text = file.read().replace("<unk>", "unk")
    ids = lambda part: [int(i) for i in run(glossa, "tokenizer", "encode", "-m", model, "--json-lines", input=json.dumps(part) + "\n").stdout.split()]
    wanted, low, high = pieces * CONTEXT + CONTEXT // 2, 0, len(text)
    while high - low > 200:
        middle = (low + high) // 2
        low, high = (low, middle) if len(ids(text[:middle])) > wanted else (middle, high)
    part = text[:low].rsplit(" ", 1)[0]
    return part, ids(part)


def transformers_perplexity(model, ids, pieces, bos):
    total = count = 0
    for begin in range(0, pieces * CONTEXT, CONTEXT):
        piece = torch.tensor([ids[begin:begin + CONTEXT]])
        if bos is not None:
            piece[0, 0] = bos
        half = CONTEXT // 2
        with torch.no_grad():
            logits = model(piece, logits_to_keep=CONTEXT - half).logits[0, :-1].double()
        # What comes before a token predicts it: the later half without its first token.
        total += torch.nn.functional.cross_entropy(logits, piece[0, half + 1:], reduction="sum").item()
        count += CONTEXT - half - 1
    return math.exp(total / count)


def ours(glossa, model, text, threads):
    return json.loads(run(glossa, "perplexity", "-m", model, "-c", CONTEXT, "--json", "-t", threads, text).stdout)["perplexity"]


def llama(folder, model, text, threads, *more):
    done = run(folder / "llama-perplexity", "-m", model, "-f", text, "-c", CONTEXT, "-t", threads, *more)
    return done.stdout + done.stderr


def our_divergence(glossa, plain, quantised, ids, pieces, begin, folder, threads):
    """Mean divergence and agreement over the later halves."""
    file = folder / "piece.txt"

    def sums(part):
        text = run(glossa, "tokenizer", "decode", "-m", quantised, "--json-lines", input=" ".join(map(str, part)) + "\n").stdout
        file.write_text(json.loads(text), encoding="utf-8", newline="\n")
        done = subprocess.run([glossa, "verify", plain, quantised, "-f", file, "-c", str(CONTEXT), "--json", "-t", str(threads)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        found = json.loads(done.stdout)
        count = len(part) + len(begin)
        if found["tokens"] != count:
            raise SystemExit(f"a piece's text has {found['tokens']} tokens, and the piece {count}; begin the pieces elsewhere")
        return count, count * found["mean_kl"], count * found["agreement"]

    places = divergence = same = 0
    for at in range(0, pieces * CONTEXT, CONTEXT):
        whole = sums(ids[at + len(begin):at + CONTEXT - 1])  # the last token's prediction has nothing to be scored by
        half = sums(ids[at + len(begin):at + CONTEXT // 2])
        places, divergence, same = (total + w - h for total, w, h in zip((places, divergence, same), whole, half))
    return divergence / places, same / places


def number(pattern, output):
    return float(re.search(pattern + r"\s*[:=]?\s*([-\d.]+)", output)[1])


def compare(a, gguf):
    with tempfile.TemporaryDirectory(dir=a.work) as folder:
        folder = pathlib.Path(folder)
        part, ids = cut_text(a.glossa, gguf, a.text, a.pieces)
        text, plain = folder / "text.txt", folder / "plain.gguf"
        text.write_text(part, encoding="utf-8", newline="\n")
        run(a.glossa, "convert", gguf, plain, "--type", "F32")
        begin = run(a.glossa, "tokenizer", "encode", "-m", gguf, "--json-lines", input='""\n').stdout.split()
        model = transformers.AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32).eval()
        its = transformers_perplexity(model, ids, a.pieces, int(begin[0]) if begin else None)
        del model
        print(f"\n{gguf.name}, {a.pieces} pieces of {CONTEXT} tokens\n\n| program | weights | perplexity | to transformers in f32 |\n|---|---|---|---|")
        rows = [("glossa", "f32", ours(a.glossa, plain, text, a.threads)), ("glossa", "quantised", ours(a.glossa, gguf, text, a.threads))]
        logits = folder / "logits"
        few = ["--chunks", a.kl_pieces]
        llama(a.llama, plain, text, a.threads, "--kl-divergence-base", logits, *few)
        found = llama(a.llama, gguf, text, a.threads, "--kl-divergence-base", logits, "--kl-divergence", *few)
        rows.append(("llama.cpp", "quantised", number("Final estimate: PPL", llama(a.llama, gguf, text, a.threads))))
        print(f"| transformers | f32 | {its:.4f} | |")
        for program, weights, value in rows:
            print(f"| {program} | {weights} | {value:.4f} | {100 * (value / its - 1):+.3f} % |")
        mean, same = our_divergence(a.glossa, plain, gguf, ids, a.kl_pieces, begin, folder, a.threads)
    its_mean, its_same = number("Mean    KLD", found), number("Same top p:", found) / 100
    print("\n| program | mean divergence, nats | same likeliest token |\n|---|---|---|")
    print(f"| glossa | {mean:.6f} | {100 * same:.2f} % |\n| llama.cpp | {its_mean:.6f} | {100 * its_same:.2f} % |", flush=True)
    return all(abs(v / its - 1) <= 0.003 for p, _, v in rows if p == "glossa") and mean <= its_mean


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", type=pathlib.Path, help="GGUF files")
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--llama", type=pathlib.Path, required=True, help="folder of llama.cpp's programs")
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--pieces", type=int, default=40)
    parser.add_argument("--kl-pieces", type=int, default=8, help="for the divergence: llama.cpp keeps all logits in a file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", help="folder for what is kept meanwhile, some gigabytes")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    return 0 if all([compare(a, model) for model in a.models]) else 1


if __name__ == "__main__":
    sys.exit(main())
