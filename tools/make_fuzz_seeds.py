#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets for safetensors, shard indexes, manifests, config.json, JSON and UTF-8 into tests/fuzz/seeds.

They are small files that reach every branch of a parser once: good ones, and one for each way to be bad. Running it again
writes the same bytes."""
import json
import pathlib
import struct

SEEDS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "seeds"
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def put(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def with_header(header, data=b""):
    return struct.pack("<Q", len(header)) + header + data


def laid_out(tensors, metadata=None):
    """A file with the given (name, dtype, shape), one after the other."""
    header, at = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, dtype, shape in tensors:
        size = SIZES[dtype]
        for dim in shape:
            size *= dim
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return with_header(text, bytes(i * 37 % 256 for i in range(at)))


def safetensors():
    put("safetensors_fuzz", "types", laid_out([(t.lower(), t, [2, 1]) for t in SIZES], {"format": "pt"}))
    put("safetensors_fuzz", "model", laid_out(
        [("model.embed.weight", "F32", [6, 4]), ("model.layers.0.weight", "BF16", [4, 4]), ("bias", "F16", [4])],
        {"format": "pt", "step": "7"}))
    put("safetensors_fuzz", "scalar_and_empty", laid_out([("s", "I64", []), ("e", "F32", [0, 3]), ("r", "U8", [1] * 8)]))
    put("safetensors_fuzz", "nothing", with_header(b"{}"))
    put("safetensors_fuzz", "values", laid_out([("x", "F32", [2])])[:-8] + struct.pack("<ff", float("nan"), float("-inf")))
    tensor = b'{"w":{"dtype":"%s","shape":%s,"data_offsets":%s}}'
    bad = {
        "empty": b"", "short": b"\1\2\3", "length_huge": b"\xff" * 8 + b"{}", "length_off_by_one": struct.pack("<Q", 3) + b"{}",
        "length_zero": struct.pack("<Q", 0), "swapped": struct.pack(">Q", 2) + b"{}", "starts_with_space": with_header(b" {}"),
        "tail": with_header(b"{} \x80\x02."), "trailing_data": with_header(b"{}", b"xyz"),
        "not_utf8": with_header(b'{"\xff":{}}'), "hole": with_header(tensor % (b"U8", b"[4]", b"[4,8]"), b"8" * 8),
        "overlap": with_header(b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},'
                               b'"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', b"6" * 6),
        "backwards": with_header(tensor % (b"U8", b"[4]", b"[4,0]"), b"4444"),
        "float_offset": with_header(tensor % (b"U8", b"[4]", b"[0,4e0]"), b"4444"),
        "negative": with_header(tensor % (b"U8", b"[-4]", b"[0,4]"), b"4444"),
        "overflow": with_header(tensor % (b"F32", b"[4194305,4194305,211106198978564]", b"[0,16]"), b"6" * 16),
        "zero_hides_overflow": with_header(tensor % (b"F32", b"[1099511627776,0,1099511627776]", b"[0,0]")),
        "too_small": with_header(tensor % (b"F32", b"[1048576]", b"[0,4]"), b"4444"),
        "duplicate": with_header(b'{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
                                 b'"\\u0077":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
        "duplicate_inner": with_header(b'{"w":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'),
        "unknown_dtype": with_header(tensor % (b"F8_E5M2", b"[1]", b"[0,1]"), b"1"),
        "rank_9": with_header(tensor % (b"U8", b"[1,1,1,1,1,1,1,1,1]", b"[0,1]"), b"1"),
        "deep_metadata": with_header(b'{"__metadata__":{"a":' + b"[" * 100 + b"}}"),
        "metadata_number": with_header(b'{"__metadata__":{"a":1}}'),
        "unknown_key": with_header(b'{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}}'),
        "strange_name": with_header(b'{"\\u0000\\u001b[31m/../x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
        "cut": laid_out([("x", "F32", [4])])[:-3],
    }
    for name, data in bad.items():
        put("safetensors_fuzz", name, data)


def shard_index():
    def index(shards, total=24):
        return json.dumps({"metadata": {"total_size": total}, "weight_map": shards}).encode()
    good = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    put("shard_index_fuzz", "good", index(good))
    put("shard_index_fuzz", "float_total", index(good, 24.0))
    put("shard_index_fuzz", "no_metadata", json.dumps({"weight_map": good}).encode())
    for name, shard in [("parent", "../../etc/passwd"), ("absolute", "/etc/passwd.safetensors"), ("hidden", ".x.safetensors"),
                        ("backslash", "..\\x.safetensors"), ("nul", "a\0.safetensors"), ("itself", "model.safetensors.index.json"),
                        ("nothing", "")]:
        put("shard_index_fuzz", "bad_" + name, index({"a": shard}))
    put("shard_index_fuzz", "bad_total", index(good, -1))
    put("shard_index_fuzz", "bad_number", index({"a": 7}))
    put("shard_index_fuzz", "bad_empty", index({}))
    put("shard_index_fuzz", "bad_duplicate", b'{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}')


def manifest():
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    def text(names, form=1):
        files = [{"name": name, "size": 3, "sha256": digest} for name in names]
        return json.dumps({"format": form, "files": files}).encode()
    put("manifest_fuzz", "good", text(["model.safetensors", "optimizer.safetensors", "sub/state.json"]))
    put("manifest_fuzz", "nothing", text([]))
    for name, files in [("parent", ["../x"]), ("inner_parent", ["a/../../x"]), ("absolute", ["/etc/passwd"]), ("dot", ["./x"]),
                        ("empty", [""]), ("twice", ["x", "x"]), ("order", ["b", "a"]), ("nul", ["a\0b"]), ("slash", ["a/"])]:
        put("manifest_fuzz", "bad_" + name, text(files))
    put("manifest_fuzz", "bad_format", text(["x"], 7))
    put("manifest_fuzz", "bad_digest", text(["x"]).replace(b"e3b0", b"E3b0"))
    put("manifest_fuzz", "bad_size", text(["x"]).replace(b"3,", b"-3,"))


def config():
    marian = {"model_type": "marian", "architectures": ["MarianMTModel"], "vocab_size": 41, "d_model": 16, "encoder_layers": 1,
              "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 4, "encoder_ffn_dim": 32,
              "decoder_ffn_dim": 24, "activation_function": "swish", "dropout": 0.1, "max_position_embeddings": 16,
              "scale_embedding": True, "pad_token_id": 40, "eos_token_id": 0, "decoder_start_token_id": 40}
    put("config_fuzz", "marian", json.dumps(marian).encode())
    for kind in ["bart", "m2m_100", "mbart"]:
        put("config_fuzz", kind, json.dumps(marian | {"model_type": kind, "activation_function": "gelu", "decoder_start_token_id": 2,
                                                      "pad_token_id": 1}).encode())
    for key, value in [("d_model", -1), ("d_model", "768"), ("d_model", True), ("d_model", 15), ("encoder_layers", 0),
                       ("encoder_layers", 2**31), ("dropout", 1.5), ("activation_function", "relu6"), ("model_type", "gpt2"),
                       ("vocab_size", None), ("pad_token_id", 99)]:
        put("config_fuzz", f"bad_{key}_{value}", json.dumps(marian | {key: value}).encode())


def json_seeds():
    good = {
        "config": json.dumps({"model_type": "marian", "d_model": 512, "dropout": 0.1, "tie": True, "x": None, "l": [1, [2, []]]}),
        "escapes": '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"', "numbers": "[0,-0,1e3,-2.5E-7,18446744073709551615,"
        "18446744073709551616,-9223372036854775808,1e-400,123456789012345678901234567890]", "space": " \t\n\r{ } ",
        "unicode": '{"\u00e9\u4e2d\U0001f600":"\u0000"}'.replace("\0", "\\u0000"),
    }
    bad = {
        "trailing_comma": "[1,]", "comment": "/* c */ 1", "nan": '{"a":NaN}', "two": "{} {}", "duplicate": '{"a":1,"\\u0061":2}',
        "lone_surrogate": '"\\ud800"', "deep": "[" * 100, "deep_objects": '{"a":' * 70, "number_huge": "1e400", "octal": "01",
        "open": '{"a":["', "single_quotes": "{'a':1}",
    }
    for name, text in good.items():
        put("json_fuzz", name, text.encode())
    for name, text in bad.items():
        put("json_fuzz", "bad_" + name, text.encode())
    for name, data in [("bom", b"\xef\xbb\xbf{}"), ("nul", b"{}\0"), ("utf8", b'"\xc0\xaf\xed\xa0\x80"'), ("empty", b"")]:
        put("json_fuzz", "bad_" + name, data)


def utf8():
    put("utf8_fuzz", "mixed", "Gr\u00fc\u00dfe, \u4e16\u754c! \U0001f600 e\u0301 \ufb01 \u0130 \u1e9b\u0323 \ufdfa".encode())
    put("utf8_fuzz", "hangul", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab".encode())
    put("utf8_fuzz", "marks", ("a" + "\u0301\u0323\u0307" * 20).encode())
    put("utf8_fuzz", "edges", "\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff".encode())
    for name, data in [("overlong", b"\xc0\xaf\xe0\x80\x80\xf0\x80\x80\x80"), ("surrogates", b"\xed\xa0\x80\xed\xbf\xbf"),
                       ("beyond", b"\xf4\x90\x80\x80\xf5\xff\xfe"), ("cut", b"abcdefgh\xf0\x9f\x98"), ("continuations", b"\x80\xbf" * 5),
                       ("control", b"\x1b[31m\x00\x7f\xc2\x9b"), ("empty", b"")]:
        put("utf8_fuzz", "bad_" + name, data)


if __name__ == "__main__":
    safetensors()
    shard_index()
    manifest()
    config()
    json_seeds()
    utf8()
