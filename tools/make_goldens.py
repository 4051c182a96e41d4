#!/usr/bin/env python3
"""Writes tests/golden: what other implementations compute from small random inputs.

    python3 -m venv ~/glossa-tools
    ~/glossa-tools/bin/pip install -r tools/requirements.txt
    ~/glossa-tools/bin/python tools/make_goldens.py [--only NAME]

Each folder holds a Hugging Face model as `save_pretrained` writes it (config.json, model.safetensors) and
golden.safetensors:
    source.ids, source.lengths, target.ids, target.lengths, labels    i32, sentences end to end, without padding
    logits                          [target tokens, vocabulary]
    loss, loss.smoothed             label smoothing 0 and 0.1
    gradient.NAME                   of loss.smoothed, for every parameter
    training.losses                 [10]: loss.smoothed before each of ten steps of AdamW (see TRAINING)
The models run on padded batches, in f64; results are rounded to f32. `optimizers` holds weights after steps of
torch.optim.AdamW and SGD, and of transformers' Adafactor.
"""
import argparse
import pathlib
import shutil
import tempfile

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"

PAD, START, EOS = 1, 2, 3
SOURCE_LENGTHS = [5, 1, 7, 3]
TARGET_LENGTHS = [4, 6, 1, 3]
SMOOTHING = 0.1
TRAINING = dict(lr=3e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01)
CLIP = 1.0

COMMON = dict(
    vocab_size=41, max_position_embeddings=16, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None,
    decoder_start_token_id=START, forced_eos_token_id=None, dropout=0.0, attention_dropout=0.0,
    activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0, use_cache=True)


def sizes(d_model, encoder, decoder):
    """(layers, heads, ffn) of both sides."""
    return dict(
        d_model=d_model, encoder_layers=encoder[0], encoder_attention_heads=encoder[1], encoder_ffn_dim=encoder[2],
        decoder_layers=decoder[0], decoder_attention_heads=decoder[1], decoder_ffn_dim=decoder[2])


MARIAN = (transformers.MarianConfig, transformers.MarianMTModel)
MODELS = {
    "marian-relu": (*MARIAN, dict(sizes(16, (2, 2, 32), (2, 2, 32)), activation_function="relu", scale_embedding=True)),
    "marian-swish": (*MARIAN, dict(sizes(24, (1, 4, 20), (1, 2, 40)), activation_function="swish", scale_embedding=True)),
    # Heads of 5: no multiple of a vector.
    "marian-gelu-odd": (*MARIAN, dict(sizes(30, (1, 6, 27), (1, 3, 33)), activation_function="gelu", scale_embedding=False)),
    "marian-two-vocabularies": (*MARIAN, dict(
        sizes(16, (1, 4, 24), (1, 4, 24)), activation_function="relu", scale_embedding=True, decoder_vocab_size=29,
        share_encoder_decoder_embeddings=False)),
    "marian-untied": (*MARIAN, dict(
        sizes(16, (1, 2, 24), (1, 2, 24)), activation_function="gelu_new", scale_embedding=True,
        tie_word_embeddings=False)),
    "bart": (transformers.BartConfig, transformers.BartForConditionalGeneration, dict(
        sizes(16, (1, 2, 32), (2, 4, 24)), activation_function="gelu", scale_embedding=False)),
    "m2m_100": (transformers.M2M100Config, transformers.M2M100ForConditionalGeneration, dict(
        sizes(20, (2, 2, 32), (1, 2, 32)), activation_function="relu", scale_embedding=True)),
    "mbart": (transformers.MBartConfig, transformers.MBartForConditionalGeneration, dict(
        sizes(16, (2, 2, 24), (1, 4, 32)), activation_function="gelu", scale_embedding=True)),
}


def randomize(model, generator):
    """Weights large enough that every part of the model shows in the loss."""
    for name, tensor in [*model.named_parameters(), ("final_logits_bias", getattr(model, "final_logits_bias", None))]:
        if tensor is None or "embed_positions" in name and not tensor.requires_grad:
            continue
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float32)
        if tensor.dim() == 2 and name != "final_logits_bias":
            value = noise * 1.2 / tensor.shape[1] ** 0.5
        elif "norm" in name and name.endswith("weight"):
            value = 1 + 0.1 * noise
        else:
            value = 0.1 * noise
        tensor.data.copy_(value)


def sentences(lengths, vocabulary, generator):
    return [torch.randint(4, vocabulary, (n,), generator=generator) for n in lengths]


def padded(rows, value):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def i32(rows):
    return torch.cat(rows).to(torch.int32)


def make_model(name, out):
    config_class, model_class, options = MODELS[name]
    generator = torch.Generator().manual_seed(sum(name.encode()))
    config = config_class(**{**COMMON, **options}, attn_implementation="eager")
    model = model_class(config)
    randomize(model, generator)

    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        for file in ("config.json", "model.safetensors"):
            shutil.copy(pathlib.Path(temporary) / file, out / file)

    target_vocabulary = options.get("decoder_vocab_size", COMMON["vocab_size"])
    source = sentences(SOURCE_LENGTHS, COMMON["vocab_size"], generator)
    labels = [torch.cat([s[:-1], torch.tensor([EOS])]) for s in sentences(TARGET_LENGTHS, target_vocabulary, generator)]
    inputs = [torch.cat([torch.tensor([START]), row[:-1]]) for row in labels]
    batch = dict(input_ids=padded(source, PAD), attention_mask=padded([torch.ones_like(s) for s in source], 0),
                 decoder_input_ids=padded(inputs, PAD))
    all_labels = padded(labels, -100)

    model = model.double().train()
    flat = all_labels.flatten()

    def loss_of(smoothing):
        logits = model(**batch).logits
        return logits, F.cross_entropy(logits.flatten(0, 1), flat, ignore_index=-100, label_smoothing=smoothing)

    logits, loss = loss_of(0.0)
    assert torch.allclose(model(**batch, labels=all_labels).loss, loss)
    golden = {
        "source.ids": i32(source), "source.lengths": torch.tensor(SOURCE_LENGTHS, dtype=torch.int32),
        "target.ids": i32(inputs), "target.lengths": torch.tensor(TARGET_LENGTHS, dtype=torch.int32),
        "labels": i32(labels), "logits": logits.flatten(0, 1)[flat != -100], "loss": loss.reshape(1),
    }
    _, loss = loss_of(SMOOTHING)
    golden["loss.smoothed"] = loss.reshape(1)
    model.zero_grad()
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.grad is not None:
            golden["gradient." + parameter_name] = parameter.grad.clone()

    optimizer = torch.optim.AdamW(model.parameters(), **TRAINING)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        _, loss = loss_of(SMOOTHING)
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    golden["training.losses"] = torch.tensor(losses)
    save(golden, out)


def make_optimizers(out):
    """NAME.weight0, NAME.weight after STEPS updates with gradients NAME.gradientI, for a matrix and a vector."""
    steps = 4
    generator = torch.Generator().manual_seed(7)
    golden = {}
    makers = {
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.1),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        "adafactor": lambda p: transformers.Adafactor(
            p, lr=0.05, scale_parameter=True, relative_step=False, warmup_init=False),
    }
    for kind, shape in (("matrix", (7, 5)), ("vector", (9,))):
        start = torch.randn(shape, generator=generator)
        gradients = [torch.randn(shape, generator=generator) * 10.0**-i for i in range(steps)]
        golden[f"{kind}.weight"] = start
        for i, g in enumerate(gradients):
            golden[f"{kind}.gradient{i}"] = g
        for name, make in makers.items():
            weight = torch.nn.Parameter(start.double())
            optimizer = make([weight])
            for g in gradients:
                weight.grad = g.double()
                optimizer.step()
            golden[f"{kind}.{name}"] = weight.detach()
    save(golden, out)


def save(golden, out):
    rounded = {k: (v if v.dtype == torch.int32 else v.detach().float()).contiguous().clone() for k, v in golden.items()}
    save_file(rounded, out / "golden.safetensors")


def main():
    transformers.utils.logging.disable_progress_bar()
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--only", help="the one folder to write")
    only = arguments.parse_args().only
    makers = {name: (lambda out, name=name: make_model(name, out)) for name in MODELS}
    makers["optimizers"] = make_optimizers
    for name, make in makers.items():
        if only in (None, name):
            out = GOLDEN / name
            out.mkdir(parents=True, exist_ok=True)
            make(out)
            print(name, sum(f.stat().st_size for f in out.iterdir()), "bytes")


if __name__ == "__main__":
    main()
