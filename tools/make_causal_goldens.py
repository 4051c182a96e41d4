#!/usr/bin/env python3
"""Writes the decoder-only models of tests/golden: what Hugging Face's compute from small random inputs.

    ~/glossa-tools/bin/python tools/make_causal_goldens.py [--only NAME]     (see make_goldens.py for the environment)

Each folder holds a model as `save_pretrained` writes it (config.json, model.safetensors) and golden.safetensors:
    ids, lengths, labels            i32, sequences end to end
    logits                          [tokens, vocabulary]
    loss, gradient.NAME             of the labels, for every parameter
    training.losses                 [10]: the loss before each of ten steps of AdamW (see TRAINING of make_goldens.py)
Models run in f64, one sequence at a time, since some of their rotary positions depend on the longest of a batch.
"""
import argparse
import pathlib
import shutil
import tempfile

import torch
import torch.nn.functional as F
import transformers

from make_goldens import CLIP, GOLDEN, TRAINING, i32, randomize, save

torch.set_num_threads(1)  # the models are far too small for more
LENGTHS = [9, 1, 14, 4]
VOCABULARY = 31


def gpt2(**options):
    return "gpt2", dict(dict(n_positions=16, n_embd=16, n_layer=2, n_head=2, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0), **options)


def llama(kind, **options):
    return kind, dict(dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                           max_position_embeddings=64, sliding_window=None, tie_word_embeddings=False), **options)


LLAMA3 = dict(rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=16)
MODELS = {
    "gpt2": gpt2(),
    "gpt2-variant": gpt2(n_inner=20, n_layer=3, activation_function="silu", scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False),
    "llama": llama("llama"),
    "llama-biases": llama("llama", attention_bias=True, mlp_bias=True, num_key_value_heads=4, head_dim=6, tie_word_embeddings=True,
                          rope_parameters=dict(rope_type="linear", rope_theta=100.0, factor=2.5)),
    "llama3": llama("llama", num_key_value_heads=1, head_dim=8, num_hidden_layers=1, rope_parameters=LLAMA3),
    "llama-dynamic": llama("llama", max_position_embeddings=10, num_hidden_layers=1,
                           rope_parameters=dict(rope_type="dynamic", rope_theta=100.0, factor=2.0)),
    "llama-yarn": llama("llama", head_dim=12, num_hidden_layers=1, rope_parameters=YARN),
    "mistral": llama("mistral", sliding_window=3),
    "phi3": llama("phi3", head_dim=4, num_hidden_layers=1, partial_rotary_factor=1.0, max_position_embeddings=40,
                  original_max_position_embeddings=10, resid_pdrop=0.0, embd_pdrop=0.0,
                  rope_parameters=dict(rope_type="longrope", rope_theta=100.0, short_factor=[1.0, 1.3], long_factor=[2.0, 3.7],
                                       original_max_position_embeddings=10)),
    "qwen2": llama("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=1),
    "qwen3": llama("qwen3", head_dim=10, tie_word_embeddings=True),
    "gemma2": llama("gemma2", head_dim=6, query_pre_attn_scalar=5, sliding_window=4, attn_logit_softcapping=3.0,
                    final_logit_softcapping=2.0, tie_word_embeddings=True),
    "gemma3": llama("gemma3_text", head_dim=6, query_pre_attn_scalar=7, sliding_window=3, num_hidden_layers=3, tie_word_embeddings=True,
                    layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                    rope_parameters=dict(full_attention=dict(rope_type="linear", factor=3.0, rope_theta=300.0),
                                         sliding_attention=dict(rope_type="default", rope_theta=50.0))),
}


def make_model(name, out):
    kind, options = MODELS[name]
    generator = torch.Generator().manual_seed(sum(name.encode()))
    config = transformers.AutoConfig.for_model(kind, vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2, pad_token_id=None, **options)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    randomize(model, generator)
    if kind.startswith("gemma"):  # gains are kept as their distance from one
        for parameter_name, parameter in model.named_parameters():
            if "norm" in parameter_name:
                parameter.data -= 1

    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        for file in ("config.json", "model.safetensors"):
            shutil.copy(pathlib.Path(temporary) / file, out / file)

    ids = [torch.randint(0, VOCABULARY, (n,), generator=generator) for n in LENGTHS]
    labels = [torch.randint(0, VOCABULARY, (n,), generator=generator) for n in LENGTHS]
    for row in labels:
        row[::5] = -100
    flat = torch.cat(labels)
    model = model.double().eval()

    def run():
        logits = torch.cat([model(input_ids=row[None], use_cache=False).logits[0] for row in ids])
        return logits, F.cross_entropy(logits, flat, ignore_index=-100)

    logits, loss = run()
    golden = {"ids": i32(ids), "lengths": torch.tensor(LENGTHS, dtype=torch.int32), "labels": i32(labels), "logits": logits,
              "loss": loss.reshape(1)}
    model.zero_grad()
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        golden["gradient." + parameter_name] = parameter.grad.clone()
    optimizer = torch.optim.AdamW(model.parameters(), **TRAINING)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        _, loss = run()
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    golden["training.losses"] = torch.tensor(losses)
    save(golden, out)


def main():
    transformers.utils.logging.disable_progress_bar()
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--only", help="the one folder to write")
    only = arguments.parse_args().only
    for name in MODELS:
        if only in (None, name):
            out = GOLDEN / name
            out.mkdir(parents=True, exist_ok=True)
            make_model(name, out)
            print(name, sum(f.stat().st_size for f in out.iterdir()), "bytes")


if __name__ == "__main__":
    main()
