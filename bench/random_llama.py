#!/usr/bin/env python3
"""Writes LLaMA-shaped models with random weights, so that speed can be measured at sizes nobody has files of at hand.

    python3 bench/random_llama.py SHAPE TOKENIZER_DIRECTORY OUT [--type TYPE ...] [--glossa build/release/glossa]

SHAPE is 134m (that of SmolLM2) or 1.1b (that of TinyLlama, with the tokenizer's vocabulary). OUT becomes a Hugging Face directory in
bfloat16, and OUT-TYPE.gguf its conversion for each type (q8_0, q4_0, q4_k_m, bf16, ...)."""
import argparse
import json
import pathlib
import shutil
import subprocess

import ml_dtypes  # noqa: F401  (gives numpy its bfloat16)
import numpy as np
from safetensors.numpy import save_file

SHAPES = {
    "134m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True),
    "1.1b": dict(hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4, tie_word_embeddings=False),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("shape", choices=SHAPES)
    arguments.add_argument("tokenizer", type=pathlib.Path)
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--type", nargs="*", default=[])
    arguments.add_argument("--glossa", default="build/release/glossa")
    a = arguments.parse_args()
    shape = SHAPES[a.shape]
    vocabulary = json.loads((a.tokenizer / "config.json").read_text())["vocab_size"]
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", max_position_embeddings=2048, rms_norm_eps=1e-5,
                  rope_theta=10000.0, vocab_size=vocabulary, bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16", **shape)
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / "config.json").write_text(json.dumps(config, indent=2))
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (a.tokenizer / name).exists():
            shutil.copy(a.tokenizer / name, a.out / name)
    random = np.random.default_rng(1)

    def matrix(rows, cols):
        return (random.standard_normal((rows, cols), dtype=np.float32) / np.sqrt(cols)).astype(ml_dtypes.bfloat16)

    width, inner = shape["hidden_size"], shape["intermediate_size"]
    keys = width // shape["num_attention_heads"] * shape["num_key_value_heads"]
    one = np.ones(width, dtype=ml_dtypes.bfloat16)
    tensors = {"model.embed_tokens.weight": matrix(vocabulary, width), "model.norm.weight": one}
    if not shape["tie_word_embeddings"]:
        tensors["lm_head.weight"] = matrix(vocabulary, width)
    for layer in range(shape["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        tensors |= {p + "input_layernorm.weight": one, p + "post_attention_layernorm.weight": one,
                    p + "self_attn.q_proj.weight": matrix(width, width), p + "self_attn.k_proj.weight": matrix(keys, width),
                    p + "self_attn.v_proj.weight": matrix(keys, width), p + "self_attn.o_proj.weight": matrix(width, width),
                    p + "mlp.gate_proj.weight": matrix(inner, width), p + "mlp.up_proj.weight": matrix(inner, width),
                    p + "mlp.down_proj.weight": matrix(width, inner)}
    save_file(tensors, a.out / "model.safetensors", metadata={"format": "pt"})
    for kind in a.type:
        subprocess.run([a.glossa, "convert", a.out, f"{a.out}-{kind}.gguf", "--type", kind, "--force"], check=True)


if __name__ == "__main__":
    main()
