#!/usr/bin/env python3
"""Writes tests/golden/generate: what Hugging Face's generate makes of random tiny models.

    ~/glossa-tools/bin/python tools/make_generation_goldens.py

One Marian model (config.json, model.safetensors) and goldens.json: a list of
    {"options": arguments of generate, "outputs": for each source a list of {"tokens": [...], "score": number or null}}
under "cases", and the "sources" they have in common; and under "filters" rows of logits, options of sampling, and the tokens
these leave. Tokens begin with the start token and end where padding begins; the
score is that of the beam search, or null where Hugging Face has none (greedy search).
Each source is searched alone, in f32.

And causal.json: the same for the decoder-only models of tests/golden/llama and tests/golden/gpt2, with "model" and "prompts" in each
of a list.
"""
import json
import pathlib
import shutil
import tempfile

import torch
import transformers

from make_goldens import randomize

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "generate"
PAD, EOS, VOCABULARY = 1, 2, 31
MAX_LENGTH = 18


def make_model(seed):
    config = transformers.MarianConfig(
        vocab_size=VOCABULARY, max_position_embeddings=24, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None,
        decoder_start_token_id=PAD, forced_eos_token_id=None, d_model=16, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=24,
        activation_function="relu", scale_embedding=True, attn_implementation="eager")
    model = transformers.MarianMTModel(config).eval()
    generator = torch.Generator().manual_seed(seed)
    randomize(model, generator)
    # Chances to end that lead to outputs of many lengths.
    model.final_logits_bias.data.zero_()
    model.final_logits_bias.data[0, EOS] = 1.4
    sources = [torch.randint(3, VOCABULARY, (n,), generator=generator) for n in (5, 1, 9, 3, 7, 12)]
    return model, [torch.cat([s, torch.tensor([EOS])]) for s in sources]


def cases():
    yield {"max_length": MAX_LENGTH}
    yield {"max_length": MAX_LENGTH, "no_repeat_ngram_size": 2, "min_length": 6, "repetition_penalty": 1.4}
    yield {"max_length": MAX_LENGTH, "forced_eos_token_id": EOS, "forced_bos_token_id": 7}
    for beams in range(2, 7):
        for early_stopping in (True, False, "never"):
            yield {"num_beams": beams, "early_stopping": early_stopping, "num_return_sequences": beams, "max_length": MAX_LENGTH}
    for length_penalty in (-1.0, 0.0, 0.6, 2.0):
        for early_stopping in (True, False, "never"):
            yield {"num_beams": 4, "length_penalty": length_penalty, "early_stopping": early_stopping, "num_return_sequences": 2,
                   "max_length": MAX_LENGTH}
    for n in (1, 2, 3):
        yield {"num_beams": 3, "no_repeat_ngram_size": n, "num_return_sequences": 3, "max_length": MAX_LENGTH}
    yield {"num_beams": 4, "min_length": 8, "max_length": 12}
    yield {"num_beams": 4, "min_new_tokens": 5, "max_new_tokens": 6, "num_return_sequences": 4}
    yield {"num_beams": 3, "max_length": 5, "forced_eos_token_id": EOS, "num_return_sequences": 3}
    yield {"num_beams": 3, "max_length": 9, "forced_bos_token_id": 9, "num_return_sequences": 2}
    yield {"num_beams": 4, "max_length": MAX_LENGTH, "bad_words_ids": [[PAD], [5], [6, 7], [3, 4, 8]]}
    yield {"num_beams": 4, "max_length": MAX_LENGTH, "suppress_tokens": [4, 9], "begin_suppress_tokens": [EOS, 11]}
    yield {"num_beams": 4, "max_length": MAX_LENGTH, "repetition_penalty": 1.3, "num_return_sequences": 2}
    yield {"num_beams": 4, "max_length": MAX_LENGTH, "repetition_penalty": 0.7, "num_return_sequences": 2}
    yield {"num_beams": 4, "max_length": MAX_LENGTH, "eos_token_id": [EOS, 5, 9], "num_return_sequences": 4}
    yield {"num_beams": 4, "max_length": MAX_LENGTH, "prefix": [8, 15, 4], "num_return_sequences": 4}


def generate(model, source, options):
    """The outputs, from a fresh configuration: nothing is inherited from the model's."""
    options = dict(options)
    prefix = options.pop("prefix", [])
    config = transformers.GenerationConfig(**{
        "pad_token_id": PAD, "eos_token_id": EOS, "decoder_start_token_id": PAD, "do_sample": False,
        "output_scores": True, "return_dict_in_generate": True, **options})
    extra = {"decoder_input_ids": torch.tensor([[PAD, *prefix]])} if prefix else {}
    out = model.generate(input_ids=source[None], attention_mask=torch.ones_like(source)[None], generation_config=config, **extra)
    scores = getattr(out, "sequences_scores", None)
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    result = []
    for i, row in enumerate(out.sequences.tolist()):
        end = next((t + 1 for t in range(1 + len(prefix), len(row)) if row[t] in ends), len(row))
        result.append({"tokens": row[:end], "score": None if scores is None else float(scores[i])})
    return result


def causal_cases():
    yield {"max_new_tokens": 8}
    for early_stopping in (True, False, "never"):
        yield {"num_beams": 3, "early_stopping": early_stopping, "num_return_sequences": 3, "max_new_tokens": 8}
    for length_penalty in (-1.0, 0.0, 2.0):
        yield {"num_beams": 4, "length_penalty": length_penalty, "num_return_sequences": 2, "max_new_tokens": 8}
    yield {"num_beams": 4, "no_repeat_ngram_size": 2, "num_return_sequences": 4, "max_new_tokens": 8, "min_new_tokens": 3}
    yield {"num_beams": 2, "max_length": 12, "repetition_penalty": 1.3, "num_return_sequences": 2}


def causal(name):
    model = transformers.AutoModelForCausalLM.from_pretrained(GOLDEN.parent / name, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(7)
    prompts = [torch.randint(3, VOCABULARY, (n,), generator=generator) for n in (4, 1, 7)]
    ends = [EOS, 5, 17]  # several, so that outputs end early now and then
    result = {"model": name, "ends": ends, "prompts": [p.tolist() for p in prompts], "cases": []}
    for options in causal_cases():
        outputs = []
        for prompt in prompts:
            config = transformers.GenerationConfig(pad_token_id=PAD, eos_token_id=ends, do_sample=False, output_scores=True,
                                                   return_dict_in_generate=True, **options)
            out = model.generate(input_ids=prompt[None], attention_mask=torch.ones_like(prompt)[None], generation_config=config)
            scores = getattr(out, "sequences_scores", None)
            outputs.append([])
            for i, row in enumerate(out.sequences.tolist()):
                end = next((t + 1 for t in range(len(prompt), len(row)) if row[t] in ends), len(row))
                outputs[-1].append({"tokens": row[:end], "score": None if scores is None else float(scores[i])})
        result["cases"].append({"options": options, "outputs": outputs})
    return result


def filters(model):
    generator = torch.Generator().manual_seed(1)
    for options in ({"temperature": 0.7, "top_k": 5}, {"top_k": 0, "top_p": 0.8}, {"top_k": 0, "min_p": 0.1}, {"top_k": 0, "typical_p": 0.5},
                    {"temperature": 1.5, "top_k": 20, "top_p": 0.9, "min_p": 0.05, "typical_p": 0.8}, {"top_k": 8, "typical_p": 0.2}):
        logits = (torch.randn(6, 30, generator=generator) * 2).round(decimals=3)
        config = transformers.GenerationConfig(do_sample=True, **options)
        chain = model._get_logits_processor(config)
        for row in logits:
            left = chain(torch.zeros(1, 1, dtype=torch.long), row[None])[0]
            yield {"options": options, "logits": [round(x, 3) for x in row.tolist()], "left": torch.nonzero(left > -torch.inf).flatten().tolist()}


def main():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model, sources = make_model(5)
    golden = {"sources": [s.tolist() for s in sources], "cases": []}
    for options in cases():
        outputs = [generate(model, s, options) for s in sources]
        golden["cases"].append({"options": options, "outputs": outputs})
        print(options, [len(o[0]["tokens"]) for o in outputs])
    GOLDEN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        model.save_pretrained(temporary)
        for file in ("config.json", "model.safetensors"):
            shutil.copy(pathlib.Path(temporary) / file, GOLDEN / file)
    golden["filters"] = list(filters(model))
    lines = ",\n  ".join(json.dumps(c) for c in golden["cases"])
    (GOLDEN / "goldens.json").write_text(f'{{"sources": {json.dumps(golden["sources"])},\n "cases": [\n  {lines}],\n'
                                       f' "filters": {json.dumps(golden["filters"])}}}\n')
    (GOLDEN / "causal.json").write_text(json.dumps([causal("llama"), causal("gpt2")]) + "\n")


if __name__ == "__main__":
    main()
