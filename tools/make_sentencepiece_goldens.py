#!/usr/bin/env python3
"""Writes tests/text/sentencepiece: two small SentencePiece models, and the ids that transformers' classes (and SentencePiece
itself, where no class is named) give to some texts.

    python tools/make_sentencepiece_goldens.py
"""
import json
import logging
import pathlib
import shutil
import tempfile
import warnings

import sentencepiece
import transformers

from make_tokenizer_goldens import CASES, TEXTS

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "text" / "sentencepiece"
RULES = {"ﬁ": "fi", "½": "1/2", "\t": " ", "\n": " ", "\u3000": " ", "\u200b": "", "Å": "A", "…": "..."}
# The first is SentencePiece: what it calls unknown and control is not found in texts there, so such texts are left out.
WAYS = {
    "bpe": [{}, {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True},
            {"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_eos_token": True},
            {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False},
            {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "mask_token": "<mask>"}],
    "unigram": [{}, {"tokenizer_class": "T5Tokenizer", "extra_ids": 5, "pad_token": "<unk>"},
                {"tokenizer_class": "XLMRobertaTokenizer"},
                {"tokenizer_class": "AlbertTokenizer", "bos_token": "<s>", "eos_token": "</s>", "cls_token": "[CLS]", "sep_token": "[SEP]",
                 "pad_token": "<unk>", "do_lower_case": False}],
}


def train(kind, folder, **options):
    text = folder / "texts"
    text.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(folder / kind), model_type=kind, character_coverage=1.0,
                                             minloglevel=2, num_threads=1, user_defined_symbols=["[MASK]", "[CLS]", "[SEP]"], **options)
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / f"{kind}.model", FOLDER / f"{kind}.model")


def cases(model, config, folder):
    if not config:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        texts = [t for t in CASES if "<" not in t and "[" not in t and "\u0301" not in t]
        return [{"text": t, "ids": processor.encode(t)} for t in texts]
    directory = folder / "directory"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    name = {"T5Tokenizer": "spiece.model", "AlbertTokenizer": "spiece.model", "XLMRobertaTokenizer": "sentencepiece.bpe.model"}
    shutil.copy(model, directory / name.get(config["tokenizer_class"], "tokenizer.model"))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = getattr(transformers, config["tokenizer_class"]).from_pretrained(str(directory)).backend_tokenizer
    return [{"text": t, "ids": e.ids, "decoded": tokenizer.decode(e.ids)} for t in CASES for e in [tokenizer.encode(t)]]


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        rules = folder / "rules.tsv"
        rules.write_text("".join(" ".join(f"{ord(c):X}" for c in k) + "\t" + " ".join(f"{ord(c):X}" for c in v) + "\n" for k, v in RULES.items()))
        train("bpe", folder, vocab_size=420, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False)
        train("unigram", folder, vocab_size=124, normalization_rule_tsv=str(rules))
        for kind, ways in WAYS.items():
            golden = [{"config": config, "cases": cases(FOLDER / f"{kind}.model", config, folder)} for config in ways]
            (FOLDER / f"{kind}.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
