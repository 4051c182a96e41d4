"""The tokenizer of the library `tokenizers` that a model's own stands for: of a tokenizer.json (also as .gz), of a directory, or put
together from the tables of a GGUF file with the words of the published tokenizer of its kind."""
import gzip
import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CL100K.replace("{1,3}", "")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"]
CONTROL, USER_DEFINED = 3, 4  # of tokenizer.ggml.token_type


def words():
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def split(*expressions, then=()):
    bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*(pre_tokenizers.Split(Regex(e), "isolated") for e in expressions), *then, bytes_alone])


def digits_and_words():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words()])


def falcon():
    return pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), words(), pre_tokenizers.Digits(individual_digits=False),
                                    pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")])


# tokenizer.ggml.pre: what cuts words, whether text is brought to NFC before, whether whole words that are tokens stay so.
KINDS = {
    "gpt-2": (words, False, False),
    "mpt": (words, True, False),
    "smollm": (digits_and_words, False, False),
    "starcoder": (digits_and_words, False, False),
    "refact": (digits_and_words, False, False),
    "command-r": (digits_and_words, True, False),
    "llama-bpe": (lambda: split(CL100K), False, True),
    "qwen2": (lambda: split(QWEN2), True, False),
    "qwen35": (lambda: split(QWEN35), True, False),
    "falcon": (falcon, False, False),
    "deepseek-coder": (lambda: split(*DEEPSEEK_CODER, then=[pre_tokenizers.Digits(individual_digits=True)]), False, False),
}


def sentencepiece_bpe(read, has):
    """As LlamaTokenizer makes it of a SentencePiece model: all ways to join two pieces to a third, in the order of its score."""
    tokens, types = read("tokens"), read("token_type")
    ids, ways = {t: i for i, t in enumerate(tokens)}, []
    for piece, score in zip(tokens, read("scores")):
        parts = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in ids and piece[i:] in ids]
        ways += [(-score, pair) for pair in sorted(parts, key=lambda pair: (ids[pair[0]], ids[pair[1]]))]
    ways.sort(key=lambda way: way[0])
    made = tokenizers.Tokenizer(models.BPE(vocab=ids, merges=[pair for _, pair in ways], unk_token=tokens[read("unknown_token_id")], fuse_unk=True,
                                           byte_fallback=True))
    prefix = not has("add_space_prefix") or read("add_space_prefix")
    made.normalizer = normalizers.Sequence([*([normalizers.Prepend("\u2581")] if prefix else []), normalizers.Replace(" ", "\u2581")])
    return made


def of_gguf(path):
    import gguf
    fields = gguf.GGUFReader(path).fields
    has = lambda key: "tokenizer.ggml." + key in fields
    read = lambda key: fields["tokenizer.ggml." + key].contents()
    of_type = lambda wanted: [AddedToken(t, normalized=False, special=wanted == CONTROL)
                              for t, k in zip(read("tokens"), read("token_type")) if k == wanted]
    if read("model") == "llama":
        made = sentencepiece_bpe(read, has)
        made.add_special_tokens(of_type(CONTROL) + [AddedToken(read("tokens")[read("unknown_token_id")], normalized=False, special=True)])
        made.add_tokens(of_type(USER_DEFINED))
        return made
    kind = read("pre") if read("model") == "gpt2" and has("pre") else None
    if kind not in KINDS:
        raise SystemExit(f"{path}: a vocabulary of kind {read('model')}, {kind}: name its tokenizer.json with MODEL=FILE")
    cut, nfc, ignore_merges = KINDS[kind]
    tokens, merges = read("tokens"), [tuple(m.split(" ")) for m in read("merges")]
    made = tokenizers.Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges, ignore_merges=ignore_merges))
    if nfc:
        made.normalizer = normalizers.NFC()
    made.pre_tokenizer, made.decoder = cut(), decoders.ByteLevel()
    made.add_special_tokens(of_type(CONTROL))
    made.add_tokens(of_type(USER_DEFINED))
    return made


def peer_of(path):
    path = pathlib.Path(path)
    if path.name.endswith(".json.gz"):
        return tokenizers.Tokenizer.from_str(gzip.decompress(path.read_bytes()).decode())
    if path.suffix == ".json":
        return tokenizers.Tokenizer.from_file(str(path))
    if path.suffix == ".gguf":
        return of_gguf(path)
    if (path / "tokenizer.json").exists():
        return tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    import transformers
    return transformers.AutoTokenizer.from_pretrained(str(path)).backend_tokenizer


def specials_of(peer):
    return [t["content"] for t in json.loads(peer.to_str())["added_tokens"]]
