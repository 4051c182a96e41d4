#!/usr/bin/env python3
"""Writes tests/text/chat_templates/goldens.json: what transformers makes of the templates beside it and of conversations that stress them.

    python tools/make_chat_template_goldens.py

random.json beside it comes from compare_random_templates.py --count 20000 --seed 11 --goldens tests/text/chat_templates/random.json.
"""
import json
import pathlib

from chat_cases import NOW, conversations, reference

FOLDER = pathlib.Path(__file__).parent.parent / "tests/text/chat_templates"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def main():
    cases = {name: {**case, "now": NOW.isoformat(), **TOKENS} for name, case in conversations()}
    goldens = {}
    for file in sorted(FOLDER.glob("*.jinja")):
        results = {name: reference(file.read_text(), case, TOKENS) for name, case in conversations()}
        # The template's own words are part of the interface; Python's are not.
        for result in results.values():
            if "error" in result:
                kind, message = result["error"].split(": ", 1)
                result["error"] = message if kind == "TemplateError" else ""
            elif not result["generated"]:
                del result["generated"]
        goldens[file.name] = results
        print(file.name, len(results), "cases,", sum("error" in r for r in results.values()), "refused")
    with open(FOLDER / "goldens.json", "w") as out:
        json.dump({"conversations": cases, "templates": goldens}, out, ensure_ascii=False, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
