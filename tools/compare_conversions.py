#!/usr/bin/env python3
"""Compares `glossa convert` with transformers, and with llama.cpp where its programs are at hand.

  tools/compare_conversions.py --glossa build/release/glossa [--llama-cpp DIRECTORY] [--only NAME]

For a small random model of each architecture: written as GGUF it must be the same model to transformers' reader of GGUF (where that
reads the architecture in full), and written back as a directory to AutoModelForCausalLM and AutoTokenizer: logits within rounding,
the same ids. `--llama-cpp`: the folder of llama-completion, llama-tokenize and llama-quantize; the same greedy text, the same ids,
and for each mixture of types the same type for each tensor, with the same bytes."""
import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import gguf
import tokenizers
import torch
import transformers

TEXTS = ["The lighthouse keeper wrote 14.5 litres of oil in her journal.", "for (int i = 0; i < 10; ++i) { total += values[i]; }",
         "春天来了，河边的柳树发出新芽。", "  spaces   and\n\nlines\tHello", "naïve café 12345"]
MIXTURES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S",
            "Q5_K_M", "Q6_K", "IQ4_NL"]
CORPUS = [line for line in (pathlib.Path(__file__).parent.parent / "README.md").read_text().splitlines() if line]
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=8192)


def byte_bpe(pattern):
    """GPT-2's words, or those of Llama 3 or Qwen2 by their expression."""
    t = tokenizers.Tokenizer(tokenizers.models.BPE())
    pre = tokenizers.pre_tokenizers
    if pattern is None:
        t.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    else:
        t.pre_tokenizer = pre.Sequence([pre.Split(tokenizers.Regex(pattern), "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = tokenizers.decoders.ByteLevel()
    t.train_from_iterator(CORPUS, tokenizers.trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], show_progress=False,
        initial_alphabet=pre.ByteLevel.alphabet()))
    return t, "<|endoftext|>", "<|endoftext|>"


def sentencepiece(prefix, bos, eos):
    t = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = tokenizers.normalizers.Sequence(
        ([tokenizers.normalizers.Prepend("▁")] if prefix else []) + [tokenizers.normalizers.Replace(" ", "▁")])
    d = tokenizers.decoders
    t.decoder = d.Sequence([d.Replace("▁", " "), d.ByteFallback(), d.Fuse()] + ([d.Strip(" ", 1, 0)] if prefix else []))
    pieces = [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator([w for line in CORPUS for w in line.split()], tokenizers.trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>", bos, eos] + pieces, show_progress=False))
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    t = tokenizers.Tokenizer.from_str(json.dumps(data))
    t.post_processor = tokenizers.processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, 1)])
    return t, bos, eos


CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CL100K.replace("{1,3}", "")


def qwen_tokenizer():
    t, bos, eos = byte_bpe(QWEN2)
    t.normalizer = tokenizers.normalizers.NFC()
    return t, None, eos


def llama(**options):
    return dict(dict(hidden_size=256, intermediate_size=512, num_hidden_layers=9, num_attention_heads=8, num_key_value_heads=2,
                     max_position_embeddings=512, tie_word_embeddings=False, rms_norm_eps=1e-5), **options)


GEMMA = dict(head_dim=64, tie_word_embeddings=True, sliding_window=16, query_pre_attn_scalar=64)
# name: model_type, options, tokenizer, whether transformers reads all of it from GGUF
MODELS = {
    "gpt2": ("gpt2", dict(n_embd=256, n_layer=9, n_head=4), lambda: byte_bpe(None), True),
    "llama": ("llama", llama(), lambda: sentencepiece(True, "<s>", "</s>"), True),
    "llama-3": ("llama", llama(tie_word_embeddings=True, rope_parameters=LLAMA3), lambda: byte_bpe(CL100K), False),
    "llama-biases": ("llama", llama(attention_bias=True, mlp_bias=True), lambda: sentencepiece(True, "<s>", "</s>"), False),
    "llama-linear": ("llama", llama(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.5)),
                     lambda: sentencepiece(True, "<s>", "</s>"), False),
    "mistral": ("mistral", llama(head_dim=32, sliding_window=None), lambda: sentencepiece(True, "<s>", "</s>"), True),
    "mistral-window": ("mistral", llama(head_dim=32, sliding_window=16), lambda: sentencepiece(True, "<s>", "</s>"), False),
    "qwen2": ("qwen2", llama(tie_word_embeddings=True), qwen_tokenizer, True),
    "qwen2-yarn": ("qwen2", llama(rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=128)),
                   qwen_tokenizer, False),
    "qwen3": ("qwen3", llama(head_dim=128), qwen_tokenizer, True),
    "phi3": ("phi3", llama(sliding_window=None), lambda: sentencepiece(True, "<s>", "</s>"), True),
    "phi3-longrope": ("phi3", llama(num_attention_heads=4, sliding_window=None, original_max_position_embeddings=256, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, short_factor=[1 + i / 50 for i in range(32)], long_factor=[1 + i / 4 for i in range(32)],
        original_max_position_embeddings=256, partial_rotary_factor=1.0)), lambda: sentencepiece(True, "<s>", "</s>"), False),
    "gemma2": ("gemma2", llama(**GEMMA), lambda: sentencepiece(False, "<bos>", "<eos>"), False),
    "gemma2-wide": ("gemma2", llama(**dict(GEMMA, head_dim=256, query_pre_attn_scalar=256, sliding_window=4096)), lambda: sentencepiece(False, "<bos>", "<eos>"), True),
    "gemma3-wide": ("gemma3_text", llama(**dict(GEMMA, head_dim=256, query_pre_attn_scalar=256, sliding_window=4096)), lambda: sentencepiece(False, "<bos>", "<eos>"), True),
    "gemma3": ("gemma3_text", llama(**GEMMA, rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6),
                                                                  sliding_attention=dict(rope_type="default", rope_theta=10000.0))),
               lambda: sentencepiece(False, "<bos>", "<eos>"), False),
    "gemma3-layers": ("gemma3_text", llama(**GEMMA, layer_types=["sliding_attention", "full_attention", "full_attention"] * 3, rope_parameters=dict(
        full_attention=dict(rope_type="default", rope_theta=1e6), sliding_attention=dict(rope_type="default", rope_theta=5000.0))),
                      lambda: sentencepiece(False, "<bos>", "<eos>"), False),
}


def make(name, folder):
    kind, options, tokenizer, _ = MODELS[name]
    fast, bos, eos = tokenizer()
    rows = fast.get_vocab_size() + 8  # some have no token
    options = dict(options, vocab_size=rows, eos_token_id=fast.token_to_id(eos), bos_token_id=fast.token_to_id(bos) if bos else None,
                   pad_token_id=fast.token_to_id(eos) if name == "phi3" else None)  # without one transformers' reader of GGUF takes 32000
    torch.manual_seed(sum(name.encode()))
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(kind, **options)).eval()
    for parameter_name, parameter in model.named_parameters():
        parameter.data = torch.randn(parameter.shape) * 0.07
        if "norm" in parameter_name or ".ln_" in parameter_name:
            parameter.data += 0 if kind.startswith("gemma") or parameter_name.endswith("bias") else 1
    model.save_pretrained(folder)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=fast, bos_token=bos, eos_token=eos, **(dict(pad_token=eos) if name == "phi3" else {}))
    wrapped.save_pretrained(folder)
    return model


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr.decode(errors='replace')[-3000:]}")
    return done.stdout.decode(errors="replace")


def encoded(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return [tokenizer(text)["input_ids"] for text in TEXTS]


@torch.no_grad()
def logits(model, ids):
    return [model(torch.tensor([row])).logits[0] for row in ids]


def distance(a, b):
    return max(((x - y).abs().max() / x.abs().max()).item() for x, y in zip(a, b))


def tensors(path):
    return {t.name: (t.tensor_type.name, hashlib.sha256(t.data.tobytes()).hexdigest()) for t in gguf.GGUFReader(path).tensors}


def gguf_tokens(path):
    return gguf.GGUFReader(path).fields["tokenizer.ggml.tokens"].contents()


def compare_quantising(glossa, llama_cpp, folder, f32):
    for mixture in MIXTURES:
        ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
        run(glossa, "-q", "convert", f32, ours, "--type", mixture, "--force")
        run(llama_cpp / "llama-quantize", f32, theirs, mixture, 1)
        a, b = tensors(ours), tensors(theirs)
        for name in sorted(b):
            if a[name] != b[name]:
                sys.exit(f"{mixture}: {name}: glossa has {a[name]}, and llama-quantize {b[name]}")
    return f"{len(MIXTURES)} mixtures the same"


def compare(name, glossa, llama_cpp):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        # Its name becomes general.name, and both others do something else for a "mistral" or a "phi3".
        original = folder / "original"
        model = make(name, original)
        ids = encoded(original)
        wanted = logits(model, ids)
        f32, back, again = folder / "f32.gguf", folder / "back", folder / "again.gguf"
        run(glossa, "-q", "convert", original, f32)
        run(glossa, "-q", "convert", f32, back)
        run(glossa, "-q", "convert", back, again)
        report = []
        if MODELS[name][3]:
            read = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file="f32.gguf").eval()
            far = distance(wanted, logits(read, ids))
            report.append(f"GGUF to transformers {far:.1e}")
            if far > 1e-4:
                sys.exit(f"{name}: transformers reads another model from GGUF, {far}")
        found = encoded(back)
        if found != ids:
            sys.exit(f"{name}: other ids after GGUF and back: {found} and {ids}")
        far = distance(wanted, logits(transformers.AutoModelForCausalLM.from_pretrained(back).eval(), ids))
        report.append(f"GGUF and back {far:.1e}")
        if far > 1e-4:
            sys.exit(f"{name}: another model after GGUF and back, {far}")
        if {k: v[1] for k, v in tensors(f32).items()} != {k: v[1] for k, v in tensors(again).items()}:
            report.append("tensors of the second GGUF differ in their last bits")
        run(glossa, "-q", "verify", original, f32, "--max-logit-difference", "0.001")
        if llama_cpp:
            for text, row in zip(TEXTS, ids):
                (folder / "text").write_text(text)
                tokens = json.loads(run(llama_cpp / "llama-tokenize", "-m", f32, "-f", folder / "text", "--ids", "--log-disable").strip().splitlines()[-1])
                if tokens != row:
                    sys.exit(f"{name}: llama.cpp has the ids {tokens} for {text!r}, wanted {row}")
            prompt = TEXTS[0]
            theirs = run(llama_cpp / "llama-completion", "-m", f32, "-p", prompt, "-n", "24", "--temp", "0", "-no-cnv", "--no-display-prompt",
                         "--ignore-eos", "-t", "1", "-fa", "off", "-c", "128", "--no-warmup", "-ctk", "f32", "-ctv", "f32")
            # To ignore the end is, in llama.cpp, never to choose a token that may end a text.
            ends = [a for i in range(3) if gguf_tokens(f32)[i] in ("<|endoftext|>", "<|im_end|>", "</s>", "<eos>") for a in ("-l", f"{i}-1000")]
            ours = run(glossa, "-q", "generate", "-m", f32, "-p", prompt, "-n", "24", "--temp", "0", "--ignore-eos", *ends)
            # llama.cpp does not show what stands for nothing, and holds back the beginning of a character.
            theirs, ours = theirs.strip(), re.sub(r"\[PAD\d+\]", "", ours).strip()
            if name == "mistral-window":  # llama.cpp passes over the window
                report.append("llama.cpp: the same ids")
            elif len(theirs) < 12 or not ours.startswith(theirs):
                sys.exit(f"{name}: llama.cpp writes {theirs!r}, and glossa {ours!r}")
            else:
                report.append("llama.cpp: the same ids, the same text")
            if name in ("llama", "gpt2", "qwen2", "gemma2", "phi3"):
                report.append(compare_quantising(glossa, llama_cpp, folder, f32))
        print(f"{name}: {', '.join(report)}", flush=True)


def main():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--llama-cpp", type=pathlib.Path)
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.only or MODELS:
        compare(name, pathlib.Path(options.glossa).resolve(), options.llama_cpp)


if __name__ == "__main__":
    main()
