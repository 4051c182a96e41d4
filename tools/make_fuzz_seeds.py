#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets for safetensors, GGUF, torch.save, llama2.c, shard indexes, manifests, config.json, JSON, UTF-8
and answers of the hub into tests/fuzz/seeds.

They are small files that reach every branch of a parser once: good ones, and one for each way to be bad. Running it again
writes the same bytes."""
import json
import pathlib
import pickle
import struct
import zlib

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


GGUF_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110),
               12: (256, 144), 13: (256, 176), 14: (256, 210), 16: (256, 66), 20: (32, 18), 24: (1, 1), 26: (1, 4), 30: (1, 2), 39: (32, 17)}


def gguf():
    def text(value):
        data = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<Q", len(data)) + data

    def key(name, kind, value):
        return text(name) + struct.pack("<I", kind) + value

    def array(name, kind, values):
        return key(name, 9, struct.pack("<IQ", kind, len(values)) + b"".join(values))

    def line(name, dims, kind, offset):
        return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)

    def file(keys=(), tensors=(), version=3, data=None, counts=None, alignment=32):
        """Tensors are (name, dimensions, type), one after the other, or lines of their own."""
        lines, body = [], b""
        for tensor in tensors:
            if isinstance(tensor, bytes):
                lines.append(tensor)
                continue
            name, dims, kind = tensor
            elements, size = GGUF_BLOCKS[kind]
            for dim in dims:
                size *= dim
            body += b"\0" * (-len(body) % alignment)
            lines.append(line(name, dims, kind, len(body)))
            body += bytes(i * 37 % 256 for i in range(size // elements))
        header = b"GGUF" + struct.pack("<I2Q", version, *(counts or (len(lines), len(keys)))) + b"".join(keys) + b"".join(lines)
        return header + b"\0" * (-len(header) % alignment) + (body if data is None else data)

    u32 = lambda n: struct.pack("<I", n)
    tokens = [array("tokenizer.ggml.tokens", 8, [text(t) for t in ("a", "b", "ab", "</s>")]),
              array("tokenizer.ggml.scores", 6, [struct.pack("<f", -i) for i in range(4)]),
              array("tokenizer.ggml.token_type", 5, [struct.pack("<i", 1)] * 4),
              array("tokenizer.ggml.merges", 8, [text("a b")]), key("tokenizer.ggml.eos_token_id", 4, u32(3))]
    values = [key("u8", 0, b"\xff"), key("i8", 1, b"\xff"), key("u16", 2, b"\1\2"), key("i16", 3, b"\1\2"), key("u32", 4, u32(7)),
              key("i32", 5, u32(7)), key("f32", 6, struct.pack("<f", 0.5)), key("bool", 7, b"\1"), key("text", 8, text("x")),
              key("u64", 10, struct.pack("<Q", 2**64 - 1)), key("i64", 11, struct.pack("<q", -1)), key("f64", 12, struct.pack("<d", 1.5)),
              array("bools", 7, [b"\0", b"\1"]), array("none", 8, [])]
    one = [("w", [4], 0)]
    good = {
        "nothing": file(), "values": file(values), "vocabulary": file(tokens, version=2),
        "types": file([key("general.architecture", 8, text("llama"))], [(f"t{kind}", [256, 1], kind) for kind in (0, 1, 2, 14, 24, 26)]),
        "ranks": file([], [("a", [1], 0), ("b", [2, 3], 1), ("c", [1, 2, 3, 4], 30)]),
        "aligned": file([key("general.alignment", 4, u32(8))], [("a", [3], 0), ("b", [1], 0)], alignment=8),
        "part": file([key("split.no", 2, b"\0\0"), key("split.count", 2, b"\2\0")], one),
    }
    for kind in (3, 6, 7, 8, 10, 11, 12, 13, 16, 20, 39):
        good[f"blocks{kind}"] = file([], [("w", [GGUF_BLOCKS[kind][0], 2], kind)])
    bad = {
        "empty": b"", "magic": b"GGML" + file()[4:], "version": file(version=4), "swapped": b"GGUF" + struct.pack(">I", 3) + file()[8:],
        "counts": file(counts=(2**63, 2**63)), "key_length": file([struct.pack("<Q", 2**64 - 1)], counts=(0, 1)),
        "string_length": file([key("k", 8, struct.pack("<Q", 2**40))]), "key_twice": file([key("k", 0, b"1")] * 2),
        "key_empty": file([key("", 0, b"1")]), "key_not_utf8": file([key(b"\xff", 0, b"1")]), "kind": file([key("k", 13, b"1" * 8)]),
        "nested": file([key("k", 9, struct.pack("<IQIQ", 9, 1, 0, 1) + b"1")]), "array_kind": file([array("k", 13, [b"1"])]),
        "array_count": file([key("k", 9, struct.pack("<IQ", 10, 2**61 + 1) + b"1" * 8)]), "truth": file([key("k", 7, b"\2")]),
        "alignment": file([key("general.alignment", 4, u32(13))]), "alignment_kind": file([key("general.alignment", 5, u32(32))]),
        "rank_0": file([], [line("w", [], 0, 0)], data=b"4444"), "rank_5": file([], [line("w", [1] * 5, 0, 0)], data=b"4444"),
        "dim_0": file([], [line("w", [4, 0], 0, 0)]), "product": file([], [line("w", [2**42 + 1, 2**22], 0, 0)], data=b"4444"),
        "block": file([], [line("w", [48], 2, 0)], data=b"x" * 27), "removed": file([], [line("w", [32], 4, 0)], data=b"x" * 20),
        "unknown": file([], [line("w", [32], 77, 0)], data=b"x" * 20), "unaligned": file([], [line("w", [1], 0, 4)], data=b"44444444"),
        "hole": file([], [line("w", [1], 0, 32)], data=b"4" * 36), "cut": file([], one)[:-3], "trailing": file([], one) + b"x" * 40,
        "overlap": file([], [line("a", [8], 0, 0), line("b", [8], 0, 0)], data=b"x" * 64),
        "twice": file([], one * 2), "name_long": file([], [("n" * 64, [1], 0)]), "name_nul": file([], [("a\0b", [1], 0)]),
        "scores": file(tokens[:1] + [array("tokenizer.ggml.scores", 6, [u32(0)] * 3)]),
        "merge": file(tokens[:1] + [array("tokenizer.ggml.merges", 8, [text("a z")])]),
        "special": file(tokens[:1] + [key("tokenizer.ggml.bos_token_id", 4, u32(4))]),
    }
    for name, data in good.items():
        put("gguf_fuzz", name, data)
    for name, data in bad.items():
        put("gguf_fuzz", "bad_" + name, data)


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


def repository():
    commit, sha1, sha256 = "0123456789abcdef" * 2 + "01234567", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "e3b0c442" * 8
    def text(files, **changed):
        return json.dumps({"id": "org/name", "sha": commit, "gated": False, "siblings": files} | changed).encode()
    def small(name):
        return {"rfilename": name, "size": 3, "blobId": sha1}
    def large(name):
        return {"rfilename": name, "size": 9, "blobId": sha1, "lfs": {"sha256": sha256, "size": 9, "pointerSize": 130}}
    put("repository_fuzz", "directory", text([small("config.json"), small("tokenizer.json"), large("model.safetensors")]))
    put("repository_fuzz", "shards", text([small("config.json"), small("model.safetensors.index.json")]
                                          + [large(f"model-{i:05}-of-00002.safetensors") for i in (1, 2)]))
    put("repository_fuzz", "gguf", text([large("m-Q4_K_M.gguf"), large("sub/m-Q8_0-00001-of-00002.gguf"), large("sub/m-Q8_0-00002-of-00002.gguf"),
                                         large("mmproj-m-f16.gguf")]))
    put("repository_fuzz", "plain", text([{"rfilename": "pytorch_model.bin"}, {"rfilename": "config.json"}]))
    for name, files in [("parent", [small("../../x")]), ("absolute", [small("/etc/passwd")]), ("inner", [small("a/../b")]), ("backslash", [small("a\\b")]),
                        ("twice", [small("a"), small("a")]), ("part", [large("m-Q8_0-00003-of-00002.gguf")]), ("digest", [small("a") | {"blobId": "../x"}]),
                        ("size", [small("a") | {"size": -1}]), ("lfs", [small("a") | {"lfs": 7}])]:
        put("repository_fuzz", "bad_" + name, text(files))
    put("repository_fuzz", "bad_commit", text([], sha="main"))


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


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s


def tensor(dtype=b"Float", key=b"0", elements=16, offset=0, size=(4, 4), stride=(4, 1)):
    """What torch.save writes for a tensor, opcode by opcode."""
    def numbers(values):
        return b"(" + b"".join(b"K%c" % v for v in values) + b"t"
    storage = b"(" + text(b"storage") + b"ctorch\n%sStorage\n" % dtype + text(key) + text(b"cpu") + b"K%ctQ" % elements
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K%c" % offset + numbers(size) + numbers(stride)
            + b"\x89ccollections\nOrderedDict\n)RtR")


def state_dict(*pairs):
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(text(k) + v for k, v in pairs) + b"u."


def pickles():
    good = {
        "state_dict": state_dict((b"w", tensor()), (b"t", tensor(stride=(1, 4))), (b"b", tensor(b"BFloat16", b"1", 12, 2, (3,), (1,)))),
        "scalar_and_empty": state_dict((b"s", tensor(size=(), stride=())), (b"e", tensor(size=(0, 3), stride=(3, 1)))),
        "expanded": state_dict((b"x", tensor(size=(4, 4), stride=(0, 1)))),
        "checkpoint": b"\x80\x02}(" + text(b"epoch") + b"K\x03" + text(b"model") + b"}(" + text(b"module.w") + tensor() + b"u" + text(b"args")
        + b"cargparse\nNamespace\n)\x81}(" + text(b"lr") + b"G?\xb9\x99\x99\x99\x99\x99\x9aub" + b"u.",
        "parameter": state_dict((b"p", b"ctorch._utils\n_rebuild_parameter\n(" + tensor() + b"\x88ccollections\nOrderedDict\n)RtR")),
        "from_type": state_dict((b"p", b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n"
                                 + tensor()[len(b"ctorch._utils\n_rebuild_tensor_v2\n"):-1] + b"}tR")),
        "v3": state_dict((b"u", b"ctorch._utils\n_rebuild_tensor_v3\n((" + text(b"storage") + b"ctorch.storage\nUntypedStorage\n" + text(b"1")
                          + text(b"cpu") + b"K\x18tQK\x00(K\x06t(K\x01t\x89Nctorch\nint32\ntR")),
    }
    values = {"a": [1, -2, 300, 2**31, 2**70, 1.5, None, True], "b": (1, (2, (3, ())), "x" * 300), "c": {1, 2}, "d": b"bytes" * 60, "e": bytearray(b"x")}
    for protocol in (1, 2, 4, 5):
        good[f"values_protocol{protocol}"] = pickle.dumps(values, protocol)
    bad = {
        "empty": b"", "system": b"\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00lstR.", "protocol0": pickle.dumps(values, 0), "cut": good["state_dict"][:-20],
        "system_in_state": good["checkpoint"].replace(b"G?\xb9\x99\x99\x99\x99\x99\x9a", b"cos\nsystem\n)R"), "cycle": b"\x80\x02]q\x01h\x01a.",
        "deep": b"\x80\x02N" + b"\x85" * 100 + b".", "build_on_tensor": state_dict((b"w", tensor() + b"}b")), "few_arguments": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        "outside": state_dict((b"w", tensor(offset=1))), "missing_storage": state_dict((b"w", tensor(key=b"9"))), "wrong_size": state_dict((b"w", tensor(elements=15))),
        "complex": state_dict((b"w", tensor(b"ComplexFloat"))), "twice": state_dict((b"w", tensor()), (b"w", tensor())), "memo": b"\x80\x02Nr\xff\xff\xff\xff.",
        "inst": b"\x80\x02(iposix\nsystem\n.", "ext": b"\x80\x02\x82\x01.", "length": b"\x80\x04\x8d" + b"\xff" * 8 + b".", "frame": b"\x80\x04\x95" + b"\xff" * 8 + b".",
        "key": b"\x80\x02}(K\x01" + tensor() + b"u.", "instance": b"\x80\x02ca\nB\n)\x81.",
    }
    for name, data in good.items():
        put("pickle_fuzz", name, data)
    for name, data in bad.items():
        put("pickle_fuzz", "bad_" + name, data)
    return good


def zipped(entries, descriptor=False, zip64=False, end64=False, padding=True):
    """A zip archive of stored entries, as torch.save and as our writer lay it out."""
    out, directory = b"", b""
    for name, data in entries:
        crc, size, at, flags = zlib.crc32(data), len(data), len(out), 8 if descriptor else 0
        short = 0xFFFFFFFF if zip64 else size
        extra = struct.pack("<HHQQ", 1, 16, size, size) if zip64 else b""
        begin = at + 30 + len(name) + len(extra) + 4
        local = extra + (struct.pack("<2sH", b"FB", -begin % 64) + b"Z" * (-begin % 64) if padding else b"")
        told = (0, 0, 0) if descriptor else (crc, short, short)
        out += struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 0, flags, 0, 0, 0, *told, len(name), len(local)) + name + local + data
        if descriptor:
            out += struct.pack("<4sIQQ" if zip64 else "<4sIII", b"PK\7\x08", crc, size, size)
        directory += struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0, 0, flags, 0, 0, 0, crc, short, short, len(name), len(extra), 0, 0, 0, 0, at) + name + extra
    begin, size, count = len(out), len(directory), len(entries)
    out += directory
    if end64:
        out += struct.pack("<4sQHHIIQQQQ4sIQI", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, begin, b"PK\6\7", 0, begin + size, 1)
        return out + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return out + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, size, begin, 0)


def zips(good):
    model = [(b"f/data.pkl", good["state_dict"]), (b"f/byteorder", b"little"), (b"f/data/0", bytes(range(64))), (b"f/data/1", bytes(24)), (b"f/version", b"3\n")]
    put("zip_fuzz", "model", zipped(model))
    put("zip_fuzz", "model_as_torch", zipped(model, descriptor=True, end64=True))
    put("zip_fuzz", "model_zip64", zipped(model, zip64=True, end64=True))
    small = [(b"a", b"first"), (b"b/c", b"")]
    plain = zipped(small, padding=False)
    put("zip_fuzz", "small", plain)
    put("zip_fuzz", "descriptor64", zipped(small, descriptor=True, zip64=True, padding=False))
    put("zip_fuzz", "nothing", zipped([]))
    central = plain.index(b"PK\1\2")
    bad = {
        "empty": b"", "cut": plain[:-1], "trailing": plain + b"x", "leading": b"x" + plain, "twice": zipped([(b"a", b"1"), (b"a", b"2")]),
        "parent": zipped([(b"../x", b"1")]), "absolute": zipped([(b"/x", b"1")]), "nul": zipped([(b"a\0b", b"1")]), "big_endian": zipped(model[:1] + [(b"f/byteorder", b"big")]),
        "compressed": plain.replace(b"PK\3\4\0\0\0\0\0", b"PK\3\4\0\0\0\0\x08", 1).replace(b"PK\1\2\0\0\0\0\0\0\0", b"PK\1\2\0\0\0\0\0\0\x08", 1),
        "encrypted": plain[:6] + b"\1" + plain[7:central + 8] + b"\1" + plain[central + 9:], "local_name": plain[:30] + b"z" + plain[31:],
        "crc": plain.replace(b"first", b"fjrst"), "comment": plain[:-2] + b"\1\0x", "two_ends": plain + plain[plain.index(b"PK\5\6"):],
        "count": plain[:-14] + struct.pack("<HH", 3, 3) + plain[-10:], "zip64_lies": zipped(small, zip64=True).replace(struct.pack("<QQ", 5, 5), struct.pack("<QQ", 5, 6)),
        "torchscript": zipped([(b"f/constants.pkl", b"x"), (b"f/data.pkl", b"x")]),
    }
    for name, data in bad.items():
        put("zip_fuzz", "bad_" + name, data)


def llama2c():
    def header(*numbers):
        return struct.pack(f"<{len(numbers)}i", *numbers)
    dim, hidden, layers, vocab, positions = 4, 6, 1, 5, 2
    keys = 4  # one head of 4 dimensions
    floats = struct.pack("<%df" % (vocab * dim + 3 * dim + 2 * dim * dim + 2 * keys * dim + 3 * dim * hidden),
                         *(i / 8 for i in range(vocab * dim + 3 * dim + 2 * dim * dim + 2 * keys * dim + 3 * dim * hidden)))
    tables, head = bytes(4 * positions * 4), bytes(4 * vocab * dim)
    shape = (dim, hidden, layers, 1, 1, vocab, positions)
    put("llama2c_fuzz", "version0", header(*shape) + floats + tables)
    put("llama2c_fuzz", "version0_untied", header(*shape[:5], -vocab, positions) + floats + tables + head)
    def versioned(version, rest):
        return (b"24ka" + header(version, *shape) + rest).ljust(256, b"\0")
    put("llama2c_fuzz", "version1", versioned(1, b"\1") + floats)
    put("llama2c_fuzz", "version1_untied", versioned(1, b"\0") + floats + head)
    quantized = lambda n: bytes(i % 256 for i in range(n)) + struct.pack("<f", 0.5) * (n // 4)
    weights = b"".join(quantized(n) for n in (vocab * dim, dim * dim, keys * dim, keys * dim, dim * dim, hidden * dim, dim * hidden, hidden * dim))
    put("llama2c_fuzz", "version2", versioned(2, b"\1" + header(4)) + bytes(4 * 3 * dim) + weights)
    tokens = [(0, b"<unk>"), (0, b"\n<s>\n"), (-1.5, b" a"), (-2, b"")]
    put("llama2c_fuzz", "tokenizer", header(5) + b"".join(struct.pack("<fi", s, len(p)) + p for s, p in tokens))
    bad = {
        "empty": b"", "header": header(*shape), "huge": header(*[1 << 20] * 7), "negative": header(-1, *shape[1:]) + floats, "heads": header(dim, hidden, layers, 3, 1, vocab, positions),
        "trailing": header(*shape) + floats + tables + b"x", "version3": versioned(3, b"\1") + floats, "group": versioned(2, b"\1" + header(3)) + weights,
        "padding": versioned(1, b"\1") [:-1] + b"x" + floats, "tokenizer_length": header(5) + struct.pack("<fi", 0, -1), "tokenizer_score": header(5) + struct.pack("<fi", float("nan"), 1) + b"a",
    }
    for name, data in bad.items():
        put("llama2c_fuzz", "bad_" + name, data)


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number, value):
    """A field of a protobuf: a number, a float, or bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value


def sentencepiece():
    def model(pieces, trainer=b"", normalizer=b""):
        data = b"".join(field(1, field(1, text.encode()) + field(2, score) + field(3, kind)) for text, score, kind in pieces)
        return data + field(2, trainer) + field(3, normalizer)
    mark = "\u2581"
    start = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    letters = [(mark, -1.0, 1), ("a", -1.5, 1), ("d", -2.0, 1), ("o", -2.5, 1), ("g", -3.0, 1), ("do", -3.5, 1), (mark + "do", -4.0, 1), ("[M]", 0.0, 4)]
    bytes_ = [(f"<0x{b:02X}>", 0.0, 6) for b in (0x0A, 0xC3, 0xA9, 0xE7, 0x8B, 0x97)]
    # A charsmap of one rule, é to e: nodes for nothing, 0xC3 and 0xC3 0xA9, each with a block of its own for its children.
    units = [0] * 1024
    units[0] = 256 << 10
    units[256 ^ 0xC3] = (256 ^ 0xC3 ^ 512) << 10 | 0xC3
    units[512 ^ 0xA9] = (512 ^ 0xA9 ^ 768) << 10 | 0xA9 | 1 << 8
    units[768] = 1 << 31
    charsmap = struct.pack("<I", 4096) + struct.pack("<1024I", *units) + b"e\0"
    put("sentencepiece_fuzz", "unigram", model(start + letters, field(3, 1)))
    put("sentencepiece_fuzz", "unigram_charsmap", model(start + letters, field(3, 1), field(2, charsmap)))
    put("sentencepiece_fuzz", "bpe", model(start + letters + bytes_, field(3, 2) + field(35, 1), field(3, 1) + field(4, 0)))
    put("sentencepiece_fuzz", "no_prefix", model(start + letters, field(3, 1) + field(40, 0), field(3, 0) + field(5, 0)))
    for name, data in [("bad_wire", b"\x0e\x01"), ("bad_varint", b"\x0a" + b"\xff" * 10), ("bad_length", b"\x0a\x7f"), ("bad_empty", b""),
                       ("bad_type", model(start, field(3, 9))), ("bad_kind", model([("a", -1.0, 7)])), ("bad_unk", model(start, field(40, 9))),
                       ("bad_score", model([("a", float("nan"), 1)])), ("bad_charsmap", model(start, b"", field(2, charsmap[:100])))]:
        put("sentencepiece_fuzz", name, data)


def vocab_files():
    byte = json.dumps({"a": 0, "b": 1, "ab": 2, "\u0120": 3, "\u0120a": 4, "<s>": 5, "</s>": 6, "<unk>": 7, "<pad>": 8, "<mask>": 9})
    words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ndog\n##s\n\u4e2d\n"
    for name, parts in [
        ("gpt2", (byte, "#version: 0.2\na b\n\u0120 a\n", '{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true}', "ab a<s>")),
        ("roberta", (byte, "a b\n", '{"tokenizer_class":"RobertaTokenizer"}', "ab <mask>")),
        ("qwen2", (byte, "a b\n", '{"tokenizer_class":"Qwen2Tokenizer","added_tokens_decoder":{"10":{"content":"<x>"}}}', "ab <x>1")),
        ("bert", (words, "", '{"do_lower_case":false}', "the dogs \u4e2d [MASK]")),
        ("bad_merge", (byte, "a c\n", "", "a")), ("bad_line", (byte, "a b c\n", "", "a")), ("bad_class", (words, "", '{"tokenizer_class":"X"}', "")),
        ("bad_id", (byte, "a b\n", '{"added_tokens_decoder":{"99":{"content":"<x>"}}}', "")), ("bad_empty", ("", "", "", "")),
    ]:
        put("vocab_files_fuzz", name, "\0".join(parts).encode())


def regexes():
    for name, expression, text in [
        ("gpt2", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", "The dog's 12  cats.\n"),
        ("gpt4o", r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{M}]*[\p{Ll}\p{Lm}]+(?i:'s|'re)?|\p{N}{1,3}", "HTTPServer's 1234"),
        ("classes", r"[a-z&&[^aeiou]]|[[:alpha:]\d]|\h|\R|[]^-]", "abc-]1\r\n"), ("loops", r"(a*)*b|(?:a??)+c|(a|b){2,3}?", "aabcab"),
        ("looks", r"(?<=a)b|(?<!a)c|a(?=.*z)|\bx\B|^y$|\A\w|\Z", "abc axz\ny\n"), ("possessive", r"a*+b|c?+d|(?>e+)f", "aab cd eef"),
        ("options", r"(?i)k(?-i:K)(?x) a # b", "\u212aKa"), ("bad_group", "(a", ""), ("bad_class", "[a", ""), ("bad_property", r"\p{X}", ""),
        ("bad_reference", r"(a)\1", "aa"), ("bad_size", "((a{99}){99}){99}", "a"), ("bad_escape", "\\", ""),
    ]:
        put("regex_fuzz", name, f"{expression}\0{text}".encode())


def tokenizers():
    """Tokenizers of the components that the seeds made from real ones do not have."""
    def tokenizer(model, **parts):
        return json.dumps({"version": "1.0", "added_tokens": [], "model": model} | parts, ensure_ascii=False).encode()
    pieces = [["<unk>", 0], ["\u2581", -2], ["a", -3], ["b", -3.5], ["\u2581ab", -4], ["<0x0A>", -9], ["<0xC3>", -9], ["<0xA9>", -9]]
    sequence = {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Nmt"}, {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAA="}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}}
    words = {"[UNK]": 0, "a": 1, "##b": 2, "##c": 3, "ab": 4}
    word_piece = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9, "vocab": words}
    put("tokenizer_fuzz", "unigram", tokenizer({"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": True}, **sequence,
        pre_tokenizer={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}) + "\0ab  \u00e9\nb".encode())
    put("tokenizer_fuzz", "word_piece", tokenizer(word_piece, pre_tokenizer={"type": "UnicodeScripts"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}) + "\0abc \u3042a ab".encode())
    put("tokenizer_fuzz", "splits_by_regex", tokenizer({"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}, pre_tokenizer={
        "type": "Sequence", "pretokenizers": [{"type": "FixedLength", "length": 2}, {
            "type": "Split", "pattern": {"Regex": r"\p{L}+|\s+(?!\S)|x*"}, "behavior": "Isolated", "invert": False}]},
        decoder={"type": "CTC", "pad_token": "a", "word_delimiter_token": "|", "cleanup": True}) + b"\0ab  c")


def chat_templates():
    """The templates of the goldens with conversations, and what uses every filter, test and method."""
    folder = SEEDS.parent.parent / "text" / "chat_templates"
    goldens = json.loads((folder / "goldens.json").read_text())
    pick = ["many", "like_tokens", "calls", "documents", "continue", "tools", "parts", "two_calls", "thinking"]
    for file, name in zip(sorted(folder.glob("*.jinja")), pick):
        conversation = json.dumps(goldens["conversations"][name], ensure_ascii=False, separators=(",", ":"))
        put("chat_template_fuzz", file.stem, file.read_bytes() + b"\0" + conversation.encode())
    bad = {"unclosed": "{% if a", "no_end": "{% for x in y %}", "no_string": "{{ 'a", "bracket": "{{ (a] }}", "raw": "{% raw %}", "comment": "{#",
           "include": "{% include 'a' %}", "recursive": "{% for a in b recursive %}{% endfor %}", "escape": "{{ '\\x\\ud800' }}", "macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "range": "{{ range(10**9) }}", "sizes": "{{ 'x' * 10**12 }}", "raise": "{{ raise_exception('no') }}", "deep": "{{ " + "(" * 120 + "1" + ")" * 120 + " }}"}
    for name, text in bad.items():
        put("chat_template_fuzz", f"bad_{name}", text.encode())
    random = json.loads((folder / "random.json").read_text())
    text = "\n".join(source for source, wanted in random["cases"][::6] if wanted is not None)
    variables = json.dumps({"messages": [{"role": "user"}], "chat_template_kwargs": random["variables"]}, ensure_ascii=False)
    put("chat_template_fuzz", "random", f"{text}\0{variables}".encode())


if __name__ == "__main__":
    chat_templates()
    sentencepiece()
    vocab_files()
    regexes()
    tokenizers()
    safetensors()
    gguf()
    zips(pickles())
    llama2c()
    shard_index()
    manifest()
    repository()
    config()
    json_seeds()
    utf8()
