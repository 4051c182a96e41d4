#!/usr/bin/env python3
"""Makes random small templates of all that chat templates may be written with, and compares what transformers and this program make of them.

    python tools/compare_random_templates.py --count 20000 --seed 1 [--goldens FILE --most 300]

What this program refuses although transformers renders it is counted with the reasons. With --goldens, some cases become goldens of the tests.
"""
import argparse
import collections
import json
import random
import re

from chat_cases import ours, reference

VARIABLES = {"s": "Hello, World", "t": "  \u4f60\u597d \u00c4\u00df\U0001F600 x\n", "e": "", "n": 3, "m": -7, "z": 0, "f": 2.5, "g": 1e20, "yes": True, "no": False, "nil": None,
             "l": [3, 1, 2], "w": ["b", "a", "C", "\u00e9"], "d": {"b": 1, "a": [1, 2], "\u4e2d": "x"}, "r": [{"role": "user", "x": 2, "in": {"y": 1}}, {"role": "assistant", "x": 1}, {"role": "user"}],
             "mixed": [1, "1", None, True, 1.0, [], {}], "q": "it's \"q\" <b>&\\ \t", "nested": {"a": {"b": {"c": [1, {"d": "e"}]}}}, "lines": "a\n\n b\r\nc d\n"}
FILTERS = ["trim", "upper", "lower", "title", "capitalize", "length", "count", "join", "join(', ')", "join('-', 'x')", "join(attribute='role')", "items|list", "dictsort", "dictsort(true)",
           "dictsort(by='value')", "dictsort(reverse=true)", "default('D')", "default('D', true)", "d(1)", "map('upper')|list", "map(attribute='role')|list", "map(attribute='zz', default=0)|list",
           "map('length')|list", "map('string')|join", "select|list", "select('string')|list", "reject('none')|list", "select('gt', 1)|list", "selectattr('x')|list", "selectattr('role', 'equalto', 'user')|list",
           "selectattr('x', 'defined')|map(attribute='x')|list", "rejectattr('role', '==', 'user')|list", "list", "first", "last", "sum", "sum(attribute='x')", "sum(start=5)", "min", "max", "min(attribute='x')",
           "sort", "sort(reverse=true)", "sort(case_sensitive=true)", "sort(attribute='role')", "sort(attribute='role,x')", "unique|list", "unique(attribute='role')|list", "reverse", "reverse|list",
           "replace('l', 'L')", "replace('l', '', 1)", "replace('', '-')", "string", "int", "int(7)", "float", "abs", "round", "round(1)", "round(-1)", "round(1, 'floor')", "round(0, 'ceil')", "tojson", "tojson(indent=2)",
           "tojson(ensure_ascii=true)", "tojson(sort_keys=true)", "tojson(separators=(',', ':'))", "tojson(indent=1, sort_keys=true)", "indent", "indent(2)", "indent(first=true)", "indent('> ', blank=true)",
           "safe", "escape", "e", "batch(2)|list", "batch(2, 'x')|list", "slice(2)|list", "slice(2, 'x')|list", "groupby('role')", "groupby('x', default=9)", "wordcount", "truncate(5)", "truncate(8, true)",
           "truncate(6, true, '..', 0)", "urlencode", "center(20)", "format(1, 2)", "trim('Hd ')", "forceescape", "length|string", "list|length"]
TESTS = ["defined", "undefined", "none", "string", "mapping", "number", "integer", "float", "boolean", "true", "false", "iterable", "sequence", "callable", "upper", "lower", "odd", "even", "divisibleby(2)",
         "divisibleby 3", "sameas(none)", "sameas true", "eq(1)", "eq 1", "ne 'a'", "gt 1", "lt(2.5)", "ge 3", "le 3", "in [1, 'b', none]", "in(s)", "equalto 'user'", "escaped", "filter", "test"]
METHODS = ["strip()", "lstrip()", "rstrip()", "strip('Hd')", "split()", "split(',')", "split('l', 1)", "rsplit('l', 1)", "rsplit(none, 1)", "split(none, 1)", "startswith('H')", "endswith('d')", "startswith(('x', 'H'))",
           "upper()", "lower()", "title()", "capitalize()", "replace('l', '_')", "replace('l', '_', 1)", "find('o')", "rfind('o')", "index('o')", "count('l')", "find('o', 5)", "splitlines()", "splitlines(true)", "isdigit()",
           "isalpha()", "isspace()", "isupper()", "islower()", "isalnum()", "partition(',')", "rpartition('o')", "zfill(15)", "ljust(15, '.')", "rjust(15)", "center(16)", "center(15, '*')", "removeprefix('He')", "removesuffix('ld')",
           "swapcase()", "join(w)", "join(['a', s])", "format(1, x=2)", "items()|list", "keys()|list", "values()|list", "get('a')", "get('zz')", "get('zz', 5)", "items()", "keys()", "values()", "copy()", "count(1)", "index(1)",
           "append(1)", "pop()", "update({})", "nothing()", "a", "role", "x", "a.b", "b.c", "in.y", "0", "isnumeric()"]
LITERALS = ["1", "0", "-2", "2.5", "1e3", "0.1", "1_000", "0x1f", "'a'", "\"b\\n\"", "'\\u4f60'", "'it\\'s'", "'%s-%d'", "'%5.1f|%-4s|%03d'", "'{}{1}'", "'{} {x}'", "true", "False", "none", "[]", "[1, 'a']", "()", "(1,)", "{}",
            "{'k': 1, 'b': [s]}", "[1, 2, 3, 4]", "'a' 'b'", "range(4)", "range(5, 0, -2)", "range(n)|list", "dict(a=1, b=s)", "1.0", "100000000000000000000.0", "1e-7", "7", "'12'", "' 3.7 '", "'\u00df\ufb01'"]
SLICES = ["[0]", "[-1]", "[1:]", "[:2]", "[::-1]", "[1:3]", "[-2:]", "[::2]", "['a']", "['role']", "[5]", "[:-1]", "[n:]", "[3:0:-1]", "['zz']", "[n]", "[none:2]", "[-9:9:3]"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
SPACES = ["{% X %}", "{%- X %}", "{% X -%}", "{%- X -%}", "{%+ X %}", "{% X +%}", "{%-X-%}"]
TEXTS = ["a", "\n", "  ", " b \n", "\n  ", "\t", "x\n\n", "  \n  y", "\u4f60", "{ }", "%}", "\r\n", "}}"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, of):
        return self.r.choice(of)

    def atom(self):
        return self.pick([*VARIABLES, *LITERALS, "missing", "loop.index", "ns.v", "x", "k"]) if self.r.random() < 0.9 else "messages"

    def expression(self, depth=2):
        roll = self.r.random()
        if depth == 0 or roll < 0.15:
            return self.atom()
        inner = lambda: self.expression(depth - 1)
        if roll < 0.40:
            return f"{self.wrapped(depth - 1)}|{self.pick(FILTERS)}"
        if roll < 0.52:
            return f"{self.wrapped(depth - 1)}.{self.pick(METHODS)}"
        if roll < 0.62:
            return f"{self.wrapped(depth - 1)}{self.pick(SLICES)}"
        if roll < 0.72:
            return f"{self.wrapped(depth - 1)} is {self.pick(['', 'not '])}{self.pick(TESTS)}"
        if roll < 0.88:
            return f"{inner()} {self.pick(OPERATORS)} {inner()}"
        if roll < 0.92:
            return f"{inner()} if {inner()} else {inner()}"
        if roll < 0.94:
            return f"{inner()} if {inner()}"
        if roll < 0.96:
            return f"not {inner()}"
        if roll < 0.98:
            return f"[{inner()}, {inner()}]"
        return f"({inner()})"

    def wrapped(self, depth):
        e = self.expression(depth)
        return e if re.fullmatch(r"\w+", e) or self.r.random() < 0.25 else f"({e})"

    def tag(self, inside):
        return self.pick(SPACES).replace("X", inside)

    def output(self):
        return self.pick(["{{ X }}", "{{ X }}", "{{- X }}", "{{ X -}}", "{{-X-}}", "{{+ X }}"]).replace("X", self.expression(self.r.randrange(3)))

    def body(self, depth, loop=False):
        return "".join(self.piece(depth, loop) for _ in range(self.r.randrange(1, 4)))

    def piece(self, depth, loop):
        roll = self.r.random()
        t = self.tag
        if roll < 0.25 or (depth == 0 and roll < 0.5):
            return self.pick(TEXTS)
        if roll < 0.5 or depth == 0:
            return self.output()
        inner = lambda: self.body(depth - 1, loop)
        if roll < 0.60:
            return t(f"if {self.expression()}") + inner() + self.pick(["", t(f"elif {self.expression(1)}") + inner()]) + self.pick(["", t("else") + inner()]) + t("endif")
        if roll < 0.72:
            target, over = self.pick([("x", self.expression(1)), ("x", "l"), ("x", "r"), ("k, x", "d.items()"), ("k, x", "d|dictsort"), ("x", "w"), ("x", "s"), ("x", "range(3)")])
            condition = self.pick(["", "", "", f" if {self.expression(1)}", " if x", " if loop is defined"])
            extra = self.pick(["", "", t(f"if {self.expression(1)}") + t(self.pick(["break", "continue"])) + t("endif"), "{{ loop.index }}{{ loop.last }}", "{{ loop.length }}{{ loop.revindex0 }}",
                               "{{ loop.previtem }}{{ loop.nextitem }}", "{{ loop.cycle('a', 'b') }}{{ loop.first }}{{ loop.depth }}"])
            return t(f"for {target} in {over}{condition}") + extra + self.body(depth - 1, True) + self.pick(["", "", t("else") + inner()]) + t("endfor")
        if roll < 0.80:
            return self.pick([t(f"set x = {self.expression()}"), t(f"set x, k = {self.expression(1)}, {self.expression(1)}"), t("set ns = namespace(v=1, u='a')"), t(f"set ns.v = {self.expression(1)}"),
                              t("set x") + self.body(depth - 1) + t("endset"), t("set x | upper | trim") + self.body(depth - 1) + t("endset"), t(f"set k = {self.expression(1)}")])
        if roll < 0.86:
            return (t("macro m1(a, b=1, c='z')") + self.body(depth - 1) + "{{ a }}{{ b }}{{ c }}" + t("endmacro") +
                    self.pick(["{{ m1(1) }}", "{{ m1(s, c=2) }}", "{{ m1() }}", "{{ m1(1, 2, 3) }}", "{{ m1(b=s, a=x) }}", "{{ m1(*l) }}", "{{ m1(**{'a': 9}) }}", "{{ m1(1, 2, 3, 4) }}", "{{ m1(zz=1) }}", "{{ m1 is callable }}"]))
        if roll < 0.89:
            return t("macro m2(a)") + "<{{ caller(a) }}{{ varargs }}{{ kwargs }}>" + t("endmacro") + t(f"call(u) m2({self.expression(1)})") + self.body(depth - 1) + "{{ u }}" + t("endcall")
        if roll < 0.91:
            return t(self.pick(["filter upper", "filter trim|title", "filter indent(2)", "filter replace('a', 'b')"])) + self.body(depth - 1) + t("endfilter")
        if roll < 0.93:
            return t(f"with x = {self.expression(1)}, k = 2") + self.body(depth - 1) + t("endwith")
        if roll < 0.95:
            return self.pick(["{# c #}", "{#- c -#}", "{# c\n -#}", "{#- {{ x }} #}", "{#+ c +#}", "{##}"])
        if roll < 0.97:
            return self.pick(["{% raw %}{{ x }} \n{% endraw %}", "{%- raw -%} {% if %} {%- endraw -%}", "{% raw %}\n  {% endraw %}\n"])
        if roll < 0.985:
            return t("generation") + self.body(depth - 1) + t("endgeneration")
        return t("set j = joiner('|')") + "{{ j() }}a{{ j() }}b" + t("set c = cycler(1, 2)") + "{{ c.next() }}{{ c.next() }}{{ c.current }}"

    def template(self):
        return self.output() if self.r.random() < 0.4 else self.body(3)


# What is refused by name though Jinja has it, and what Python's texts of addresses and types differ in.
UNSUPPORTED = re.compile(r"not supported|cannot be printed|beyond 64 bits|iterator|marked safe|at most \d+ wide|too large|cannot be marked|recursive|the key of a dict|a base of|a slice needs"
                         r"|access to the attribute|has no slices")
ADDRESS = re.compile(r" at 0x|<class |<built-in|<bound method|<function|<generator|<Macro|<Cycler|<Joiner|<LoopContext|Markup\(|range\(|<method|<list_reverse|<reversed|<dict_rev|<str_")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--glossa", default="build/release/glossa")
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--goldens")
    parser.add_argument("--most", type=int, default=300)
    a = parser.parse_args()
    maker = Maker(a.seed)
    messages = [{"role": "user", "content": "Hi"}]
    cases = [(maker.template(), {"messages": messages, "chat_template_kwargs": VARIABLES}, {}) for _ in range(a.count)]
    counts, reasons, shown, goldens = collections.Counter(), collections.Counter(), 0, []
    for case, got in zip(cases, ours(a.glossa, cases), strict=True):
        wanted = reference(*case)
        if "text" in wanted and ADDRESS.search(wanted["text"]):
            counts["address"] += 1
        elif wanted == got:
            counts["equal"] += 1
            if 0 < len(wanted["text"]) < 300 and len(case[0]) < 300:
                goldens.append([case[0], wanted["text"]])
        elif "error" in wanted and "error" in got:
            counts["both fail"] += 1
            if len(case[0]) < 200 and len(goldens) % 5 == 0:
                goldens.append([case[0], None])
        elif "error" in got and UNSUPPORTED.search(got["error"]):
            counts["refused"] += 1
            reasons[re.sub(r".*line \d+: ", "", got["error"])[:70]] += 1
        else:
            counts["different"] += 1
            shown += 1
            if shown <= a.show:
                print(f"--- {case[0]!r}\ntransformers: {str(wanted)[:400]}\nglossa:       {str(got)[:400]}")
    print(dict(counts))
    print(dict(reasons.most_common(25)))
    if a.goldens:
        by_length = sorted(goldens[: a.most * 4], key=lambda g: -len(g[0]))
        with open(a.goldens, "w") as file:
            json.dump({"variables": VARIABLES, "cases": by_length[: a.most]}, file, ensure_ascii=False, indent=0)
    return counts["different"] != 0


if __name__ == "__main__":
    raise SystemExit(main())
