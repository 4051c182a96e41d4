#!/usr/bin/env python3
"""Compares what transformers and this program make of chat templates: every .jinja file of a folder with conversations that stress it.

    python tools/compare_chat_templates.py FOLDER [--glossa build/release/glossa]

Where transformers fails this program must fail too, and nowhere else.
"""
import argparse
import difflib
import pathlib

from chat_cases import conversations, ours, reference

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--glossa", default="build/release/glossa")
    a = parser.parse_args()
    names, cases = [], []
    for file in sorted(a.folder.glob("*.jinja")):
        for name, case in conversations():
            names.append(f"{file.name} {name}")
            cases.append((file.read_text(), case, TOKENS))
    equal = failed = different = 0
    for name, case, got in zip(names, cases, ours(a.glossa, cases), strict=True):
        wanted = reference(*case)
        if wanted == got or ("error" in wanted and "error" in got):
            equal += 1
            failed += "error" in wanted
            continue
        different += 1
        print(f"--- {name}")
        if "error" in wanted or "error" in got or wanted["text"] == got["text"]:
            print(f"transformers: {str(wanted)[:300]}\nglossa:       {str(got)[:300]}")
        else:
            print("\n".join(list(difflib.unified_diff(wanted["text"].split("\n"), got["text"].split("\n"), "transformers", "glossa", lineterm=""))[:12]))
    print(f"{len(cases)} cases: {equal} equal ({failed} of them refused by both), {different} different")
    return different != 0


if __name__ == "__main__":
    raise SystemExit(main())
