#!/usr/bin/env python3
"""Writes tests/text/golden: small tokenizers of the library `tokenizers`, and what it makes of some texts.

Each file holds a tokenizer.json and cases: a text, its ids, its offsets in bytes, and the text that the ids decode to;
and, for those trained the way this program trains, the texts they were trained on. Offsets are left out where the library
gives those of the first character only (it recomposes, and loses the others).

    python tools/make_tokenizer_goldens.py
"""
import base64
import json
import os
import pathlib

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders as D
from tokenizers import models as M
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P
from tokenizers import processors as R
from tokenizers import trainers as T

from make_unicode_classes import charsmap_of

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "text" / "golden"
SPECIALS = ["<pad>", "</s>", "<unk>"]
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"]
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"
RULES = {"ﬁ": "fi", "½": "1/2", "²": "2", "e\u0301": "é", "\n": " ", "\r": " ", "\t": " ", "\u200b": " ", "\ufeff": "", "\u00a0": " ", "\u3000": " ",
         "Å": "A", "…": "..."}
TEXTS = [
    "A dog runs across the beach, and another dog runs after it.",
    "Two men in blue shirts are standing on a ladder; the men's tools aren't there.",
    "Ein Hund läuft über den Strand, und ein anderer Hund läuft ihm nach.",
    "Zwei Männer in blauen Hemden stehen auf einer Leiter in der Nähe des Strandes.",
    "Un homme à la peau foncée porte un chapeau près de la fenêtre.",
    "一只狗跑过海滩,另一只狗跟在后面。",
    "两个穿蓝色衬衫的男人站在梯子上。海滩上有一只狗。",
    "她在海滩上跑步,他在梯子上站着。",
]
CASES = TEXTS[:2] + TEXTS[5:7] + [
    "",
    " ",
    "  a  b ",
    "dogs dog's DOG'S they'll We'RE",
    "line\nline\r\n\n  indented\t\ttabs \u00a0\u3000 wide\u2028end \n",
    "1 12 123 1234 12345 ½ ② ٣",
    "naïve café cafe\u0301 Å A\u030a ﬁn ｶﾞ İstanbul ŒUVRE",
    "ㅎㅏㄴㄱㅡㄹ ㅋㅋㅋㅠㅠ 가ㄳ 가ㅏ \uac00\u11a7 \uac00\u11a8 ﾡￂ ￾ￜ ㄱㅤ ㄱㆍ \u0e01\u0e33 \u0e33",
    "e" + "\u0323\u0301\u0302" * 60 + "x",
    "한국어 각 \u1112\u1161\u11ab русский עברית\u05b7 हिन्दी ไทย",
    "\U0001F468\u200d\U0001F469\u200d\U0001F467 \U0001F1E9\U0001F1EA ❤️ \u200b\ufeff \ue000",
    "▁marked ▁▁ twice▁inside",
    "a</s>b <pad></s> [MASK] [MASK]x Strand Strandes <unk>",
    "'\u017f \u1e9e ß ﷺ \U0001d552",
    "<|x|>",
    "…—“quoted”? !!! ... --- ~~~ $5 a+b=c",
]


def bpe(size=420, **options):
    return T.BpeTrainer(vocab_size=size, min_frequency=2, special_tokens=SPECIALS, show_progress=False, **options)


def byte_bpe():
    return bpe(initial_alphabet=P.ByteLevel.alphabet())


def end_with_eos(tokenizer):
    tokenizer.post_processor = R.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B:1 </s>:1", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))])


def write(name, tokenizer, offsets=True, trained=None):
    cases = []
    for text in CASES:
        encoding = tokenizer.encode(text)
        case = {"text": text, "ids": encoding.ids}
        if offsets:
            at = [0]
            for c in text:
                at.append(at[-1] + len(c.encode()))
            case["offsets"] = [[at[a], at[b]] for a, b in encoding.offsets]
        case["decoded"] = tokenizer.decode(encoding.ids, skip_special_tokens=True)
        cases.append(case)
    golden = {"tokenizer": json.loads(tokenizer.to_str()), "cases": cases}
    if trained:
        golden["trained"] = {"type": trained, "vocab_size": tokenizer.get_vocab_size(), "texts": TEXTS}
    GOLDEN.mkdir(parents=True, exist_ok=True)
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    (GOLDEN / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def make(name, normalizer, pre_tokenizer, decoder, trainer=None, model=None, post=None, added=(), **how):
    tokenizer = Tokenizer(model or M.BPE(unk_token="<unk>"))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    if decoder:
        tokenizer.decoder = decoder
    tokenizer.train_from_iterator(TEXTS, trainer or bpe())
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    if post:
        tokenizer.post_processor = post
    else:
        end_with_eos(tokenizer)
    write(name, tokenizer, **how)
    return tokenizer


def llama(marked):
    """Bytes for what the vocabulary does not have, as in Llama 2."""
    j = json.loads(marked.to_str())
    vocab = j["model"]["vocab"]
    for b in range(256):
        vocab[f"<0x{b:02X}>"] = len(vocab)
    j["model"].update(byte_fallback=True, fuse_unk=True)
    j["pre_tokenizer"] = None
    j["normalizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(j))
    tokenizer.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    tokenizer.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    write("byte_fallback", tokenizer)


def main():
    marks = P.Sequence([P.Metaspace(), P.Punctuation("contiguous")])
    marked = make("bpe", N.NFC(), marks, D.Metaspace(), trained="bpe", offsets=False)
    make("byte_bpe", None, P.ByteLevel(add_prefix_space=False), D.ByteLevel(), byte_bpe(), M.BPE(), trained="byte_bpe")
    words = T.WordLevelTrainer(vocab_size=60, min_frequency=2, special_tokens=SPECIALS, show_progress=False)
    make("words", N.NFC(), marks, D.Metaspace(), words, M.WordLevel(unk_token="<unk>"), trained="words", offsets=False)
    llama(marked)
    make("added_tokens", None, P.Metaspace(prepend_scheme="first"), D.Metaspace(prepend_scheme="first"), added=[
        AddedToken("[MASK]", lstrip=True, special=True), AddedToken("Strand", single_word=True, normalized=True),
        AddedToken("<|x|>", rstrip=True, normalized=False)])
    make("lower_case_digits", N.Sequence([N.NFKC(), N.Lowercase()]), P.Sequence([P.Metaspace(), P.Digits(True)]), D.Metaspace(),
         added=[AddedToken("DOG", normalized=True)], offsets=False)
    make("accents", N.Sequence([N.NFD(), N.StripAccents(), N.Strip()]), P.Whitespace(), None)
    make("compatibility", N.Sequence([N.NFKD(), N.Replace("a", "bb")]),
         P.Sequence([P.WhitespaceSplit(), P.Metaspace(prepend_scheme="first")]), D.Metaspace())
    make("bert", N.BertNormalizer(), P.BertPreTokenizer(), None, post=R.BertProcessing(("</s>", 1), ("<pad>", 0)))
    make("bert_cased", N.BertNormalizer(clean_text=False, strip_accents=True, lowercase=False),
         P.Sequence([P.WhitespaceSplit(), P.Punctuation("merged_with_next")]), None)
    make("roberta", None, P.ByteLevel(add_prefix_space=True), D.ByteLevel(), byte_bpe(),
         post=R.RobertaProcessing(("</s>", 1), ("<pad>", 0)))
    make("trimmed", N.Lowercase(), P.Sequence([P.Digits(False), P.ByteLevel(add_prefix_space=False)]), D.ByteLevel(), byte_bpe(),
         post=R.ByteLevel(trim_offsets=True))
    make("cl100k", None, P.Sequence([P.Split(Regex(CL100K), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]),
         D.ByteLevel(), byte_bpe(), M.BPE(ignore_merges=True))
    make("qwen2", None, P.Sequence([P.Split(Regex(CL100K.replace("{1,3}", "")), "isolated"),
                                    P.ByteLevel(add_prefix_space=False, use_regex=False)]), D.ByteLevel(), byte_bpe())
    make("splits", N.Prepend("_"), P.Sequence([P.Split(" ", "merged_with_previous"), P.Split("e", "isolated", invert=True),
                                               P.CharDelimiterSplit("n"), P.Split("s", "contiguous")]), None)
    make("affixes", None, P.Sequence([P.WhitespaceSplit(), P.Punctuation()]), D.BPEDecoder(),
         bpe(end_of_word_suffix="</w>", continuing_subword_prefix="##"))
    components()


def unigram(name, normalizer, pre_tokenizer, decoder, bytes=False, size=150):
    tokenizer = Tokenizer(M.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer or P.Metaspace()
    tokenizer.train_from_iterator(TEXTS, T.UnigramTrainer(vocab_size=size, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False))
    j = json.loads(tokenizer.to_str())
    j["model"]["vocab"] = [[piece, round(score, 6)] for piece, score in j["model"]["vocab"]]
    if bytes:
        j["model"]["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
        j["model"]["byte_fallback"] = True
    if not pre_tokenizer:
        j["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(j))
    tokenizer.decoder = decoder
    end_with_eos(tokenizer)
    write(name, tokenizer, offsets=False)


def components():
    precompiled = N.Precompiled(base64.b64decode(charsmap_of(RULES)))
    words = M.WordPiece(unk_token="<unk>", max_input_chars_per_word=12)
    make("word_piece", N.BertNormalizer(), P.BertPreTokenizer(), D.WordPiece(), model=words, trainer=T.WordPieceTrainer(
        vocab_size=160, special_tokens=SPECIALS, show_progress=False), post=R.TemplateProcessing(
        single="<pad> $A </s>", pair="<pad> $A </s> $B:1 </s>:1", special_tokens=[("<pad>", 0), ("</s>", 1)]))
    unigram("unigram", N.Sequence([N.Nmt(), precompiled, N.Replace(Regex(" {2,}"), " ")]), P.Metaspace(prepend_scheme="first"),
            D.Metaspace(prepend_scheme="first"))
    unigram("unigram_bytes", N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None,
            D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]), bytes=True)
    ends = R.Sequence([R.ByteLevel(trim_offsets=False), R.TemplateProcessing(
        single="<pad> $A", pair="<pad> $A <pad> $B:1", special_tokens=[("<pad>", 0)])])
    def splits(expressions):
        return P.Sequence([P.Split(Regex(e), "isolated") for e in expressions] + [P.ByteLevel(add_prefix_space=False, use_regex=False)])
    make("o200k", None, splits([O200K]), D.ByteLevel(), bpe(280, initial_alphabet=P.ByteLevel.alphabet()), M.BPE(), post=ends)
    make("deepseek", None, splits(DEEPSEEK), D.ByteLevel(), bpe(280, initial_alphabet=P.ByteLevel.alphabet()), M.BPE())
    make("clip", N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()]), P.Sequence([P.Split(Regex(CLIP), "removed", invert=True)]),
         D.BPEDecoder(), bpe(160, end_of_word_suffix="</w>"), offsets=False)
    make("bloom", None, splits([BLOOM]), D.ByteLevel(), bpe(280, initial_alphabet=P.ByteLevel.alphabet()), M.BPE())
    make("falcon", None, P.Sequence([P.Punctuation("contiguous"), P.ByteLevel(add_prefix_space=False), P.Digits(False),
                                     P.Split(Regex("[0-9][0-9][0-9]"), "isolated")]),
         D.ByteLevel(), bpe(280, initial_alphabet=P.ByteLevel.alphabet()), M.BPE(), offsets=False)
    make("scripts", None, P.UnicodeScripts(), D.CTC(pad_token="<unk>", word_delimiter_token="e"), bpe(120))
    make("lengths", N.Replace(Regex(r"\p{N}+"), "#"), P.FixedLength(3), D.Sequence([D.Fuse(), D.Replace(Regex("[aeiou]+"), "*")]), bpe(120))


if __name__ == "__main__":
    main()
