#!/usr/bin/env python3
"""Writes src/text/unicode_classes.inc: which characters the library `tokenizers` takes for letters, numbers, ...

Ids must be the library's for every string, and it asks five tables of different Unicode versions (Oniguruma,
Rust's regex and std, and two crates from about 2016). So the classes are read off the library itself, one character at
a time.

    python tools/make_unicode_classes.py > src/text/unicode_classes.inc
    python tools/make_unicode_classes.py properties > src/text/unicode_properties.inc
"""
import base64
import ctypes
import struct
import sys

import regex
import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CHARACTERS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BATCH = 1000


def batches():
    for i in range(0, len(CHARACTERS), BATCH):
        yield CHARACTERS[i : i + BATCH]


def matched(regex):
    """Characters that a one-character pattern of Oniguruma matches."""
    split = pre_tokenizers.Split(Regex(regex), "removed", invert=True)
    return {ord(x) for b in batches() for piece, _ in split.pre_tokenize_str("".join(map(chr, b))) for x in piece}


def alone(pre_tokenizer):
    """Characters that are cut off from letters around them."""
    found = set()
    for b in batches():
        pieces = pre_tokenizer.pre_tokenize_str("".join(f"a{chr(c)}b" for c in b))
        found |= {ord(piece) for piece, _ in pieces if len(piece) == 1}
    return found - set(map(ord, "ab"))


def joined(pre_tokenizer):
    """Characters that stay with letters around them."""
    found = set()
    for b in batches():
        pieces = pre_tokenizer.pre_tokenize_str("\n".join(f"a{chr(c)}b" for c in b))
        found |= {ord(piece[1]) for piece, _ in pieces if len(piece) == 3}
    return found


def mapped(normalizer, to):
    return {c for c in CHARACTERS if normalizer.normalize_str(chr(c)) == to}


def changed(normalizer):
    return {c for c in CHARACTERS if normalizer.normalize_str(chr(c)) != chr(c)}


def ranges(characters):
    out = []
    for c in sorted(characters):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def utf8proc(options):
    """The normalization that this program links."""
    library = ctypes.CDLL("libutf8proc.so.2")
    library.utf8proc_map.restype = ctypes.c_ssize_t
    free = ctypes.CDLL(None).free

    def normalize(text):
        data, out = text.encode(), ctypes.c_void_p()
        size = library.utf8proc_map(data, ctypes.c_ssize_t(len(data)), ctypes.byref(out), options)
        result = ctypes.string_at(out.value, size).decode()
        free(out)
        return result

    return normalize


STABLE, COMPATIBILITY, DECOMPOSE = 2, 4, 16


def unknown_to_normalization():
    """Characters that decompose, compose or reorder for utf8proc and not in the library's older tables."""
    ours_nfd, ours_nfkd = utf8proc(STABLE | DECOMPOSE), utf8proc(STABLE | DECOMPOSE | COMPATIBILITY)
    nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
    found = set()
    for c in CHARACTERS:
        if nfkd(chr(c)) != ours_nfkd(chr(c)):
            found.add(c)
        if nfd(chr(c)) != ours_nfd(chr(c)):
            found |= set(map(ord, ours_nfd(chr(c))))  # so that they do not compose
        # Between a mark of class 230 and one of class 220, a mark's own class decides the order.
        marks = "a\u0301" + chr(c) + "\u0323"
        if nfd(marks) != ours_nfd(marks):
            found.add(c)
    return found


def lower_case():
    """Lower-case pairs beyond what Python's Unicode has, for tables older than the library's."""
    lower = normalizers.Lowercase()
    return [(c, ord(l)) for c in CHARACTERS if len(l := lower.normalize_str(chr(c))) == 1 and l != chr(c).lower()]


def write(name, what, pairs):
    print(f"// {what}")
    print(f"constexpr Range {name}[] = {{")
    line = "   "
    for a, b in pairs:
        entry = f" {{0x{a:X}, 0x{b:X}}},"
        if len(line) + len(entry) > 110:
            print(line)
            line = "   "
        line += entry
    print(line + "};")


# ---- properties: what regular expressions name, scripts, and where characters cluster

CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co".split()
SCRIPTS = """Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo
Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic
Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic
Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya
Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada
Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin Lepcha Limbu Linear_A Linear_B
Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui
Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue
Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian
Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician
Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo
Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai
Tibetan Tifinagh Tirhuta Todhri Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square""".split()
# As utf8proc numbers them.
BREAKS = ["START", "Other", "CR", "LF", "Control", "Extend", "L", "V", "T", "LV", "LVT", "Regional_Indicator", "SpacingMark",
          "Prepend", "ZWJ"]


class Property(ctypes.Structure):
    _fields_ = [("category", ctypes.c_int16), ("words", ctypes.c_uint16 * 9), ("bits", ctypes.c_uint16)]


def linked_properties():
    """{character: (category, boundary class)} of the utf8proc that this program links."""
    get = ctypes.CDLL("libutf8proc.so.2").utf8proc_get_property
    get.restype = ctypes.POINTER(Property)
    return {c: (found.category, found.bits >> 8) for c in CHARACTERS for found in [get(c).contents]}


def categories(linked):
    """Categories for Oniguruma that differ from utf8proc's."""
    of = {c: i for i, name in enumerate(CATEGORIES) if name != "Cs" for c in matched(rf"\p{{{name}}}")}
    return {c: of[c] for c in CHARACTERS if of[c] != linked[c][0]}


def beyond_categories(name, categories):
    """Characters of a class of Oniguruma that are of none of some categories."""
    return matched(rf"\p{{{name}}}") - matched("[" + "".join(rf"\p{{{c}}}" for c in categories) + "]")


def joined_scripts(representative, characters, between):
    """Of characters those that the pre-tokenizer UnicodeScripts does not cut from one before."""
    cut = pre_tokenizers.UnicodeScripts()
    found = set()
    for i in range(0, len(characters), BATCH):
        batch = characters[i : i + BATCH]
        text = "".join(representative + chr(c) + between for c in batch)
        pieces = [range_ for _, range_ in cut.pre_tokenize_str(text)]
        ends = {end for _, end in pieces}
        found |= {c for k, c in enumerate(batch) if 3 * k + 1 not in ends}
    return found


def scripts():
    """{character: (Oniguruma's script, the number of the script that UnicodeScripts takes it for)}; -1: any."""
    sets = {name: matched(rf"\p{{{name}}}") for name in SCRIPTS}
    # A character between two of other scripts is of any script if it joins both.
    wild = joined_scripts("A", CHARACTERS, "\u0416") & joined_scripts("\u05d0", CHARACTERS, "\u0416")
    known, left = dict.fromkeys(wild, -1), set()
    representatives = {}
    def other(script):
        return "A" if script != "Latin" else "\u0416"
    for number, name in enumerate(SCRIPTS):
        members = sorted(sets[name] - wild)
        if not members:
            continue
        representatives[number] = chr(members[0])
        same = joined_scripts(chr(members[0]), members, other(name)) | {members[0]}
        known |= dict.fromkeys(same, number)
        left |= set(members) - same
    left |= set(CHARACTERS) - set(known)
    for number, first in representatives.items():
        # A script that is another's for the library takes that one's number.
        for earlier in range(number):
            if earlier in representatives and joined_scripts(representatives[earlier], [ord(first)], other(SCRIPTS[earlier])):
                known = {c: earlier if n == number else n for c, n in known.items()}
                break
        same = joined_scripts(first, sorted(left), other(SCRIPTS[number]))
        known |= dict.fromkeys(same, known[ord(first)])
        left -= same
    if left:
        sys.exit(f"{len(left)} characters of no known script, such as U+{min(left):04X}")
    by_name = {c: i for i, name in enumerate(SCRIPTS) for c in sets[name]}
    return {c: (by_name.get(c, -1), known[c]) for c in CHARACTERS if c in by_name or known[c] >= 0}


def charsmap_of(rules):
    """SentencePiece's precompiled_charsmap of {text: what it becomes}, in base64."""
    values, texts = {}, b""
    for key, becomes in rules.items():
        values[key.encode()] = len(texts)
        texts += becomes.encode() + b"\0"
    nodes = sorted({key[:size] for key in values for size in range(len(key) + 1)})
    base = {node: 256 * (i + 1) for i, node in enumerate(nodes)}  # each node has a block of its own for its children
    units = [0] * (256 * (len(nodes) + 1))
    def offset_bits(offset):
        return offset << 10 if offset < 1 << 21 else offset >> 8 << 10 | 1 << 9
    for node in nodes:
        here = base[node[:-1]] ^ node[-1] if node else 0
        units[here] = offset_bits(here ^ base[node]) | (node[-1] if node else 0) | (node in values) << 8
        if node in values:
            units[base[node]] = 1 << 31 | values[node]
    blob = struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + texts
    return base64.b64encode(blob).decode()


def charsmap(character):
    """A Precompiled normalizer that makes one character an x."""
    return normalizers.Precompiled(base64.b64decode(charsmap_of({character: "x"})))


def grapheme_breaks(linked):
    """Boundary classes for the library that differ from utf8proc's."""
    normalize = charsmap("a").normalize_str
    joins = {c for c in CHARACTERS if normalize("a" + chr(c)) == "x"}
    ours = {c: linked[c][1] for c in CHARACTERS}
    marks = {BREAKS.index(name) for name in ("Extend", "SpacingMark", "ZWJ")}
    found = {}
    spacing = regex.compile(r"\p{Grapheme_Cluster_Break=SpacingMark}")
    for c in CHARACTERS:
        if (c in joins) != (ours[c] in marks):
            found[c] = 1 if c not in joins else BREAKS.index("SpacingMark" if spacing.match(chr(c)) else "Extend")
    for c in map(ord, filter(regex.compile(r"\p{Grapheme_Cluster_Break=Prepend}").match, map(chr, CHARACTERS))):
        prepends = charsmap(chr(c)).normalize_str(chr(c) + "a") == "x"
        if prepends != (ours[c] == BREAKS.index("Prepend")):
            found[c] = BREAKS.index("Prepend") if prepends else 1
    return found


def valued_ranges(values):
    out = []
    for c in sorted(values):
        if out and out[-1][1] == c - 1 and out[-1][2] == values[c]:
            out[-1][1] = c
        else:
            out.append([c, c, values[c]])
    return out


def write_valued(name, kind, what, values):
    print(f"// {what}")
    print(f"constexpr {kind} {name}[] = {{")
    line = "   "
    for first, last, value in valued_ranges(values):
        value = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        entry = f" {{0x{first:X}, 0x{last:X}, {value}}},"
        if len(line) + len(entry) > 110:
            print(line)
            line = "   "
        line += entry
    print(line + "};")


def main_properties():
    linked = linked_properties()
    print(f"// Generated by tools/make_unicode_classes.py from tokenizers {tokenizers.__version__}; do not edit.")
    write_valued("kCategory", "Valued", "general categories that Oniguruma knows otherwise than utf8proc does",
                 categories(linked))
    for name, of, categories_of in (("kOtherAlphabetic", "Alpha", ("L", "Nl")), ("kOtherUppercase", "Upper", ("Lu",)),
                                    ("kOtherLowercase", "Lower", ("Ll",))):
        write(name, rf"\p{{{of}}} beyond {', '.join(categories_of)}", ranges(beyond_categories(of, categories_of)))
    print("constexpr const char* kScriptNames[] = {")
    line = "   "
    for name in SCRIPTS:
        if len(line) + len(name) + 4 > 110:
            print(line)
            line = "   "
        line += f' "{name}",'
    print(line + "};")
    write_valued("kScripts", "Scripted", "{first, last, script for Oniguruma, script for the pre-tokenizer UnicodeScripts}", scripts())
    write_valued("kBreaks", "Valued", "boundary classes of grapheme clusters that are not utf8proc's", grapheme_breaks(linked))
    for name, of in (("kConjunctConsonant", "Consonant"), ("kConjunctLinker", "Linker")):
        members = filter(regex.compile(rf"\p{{Indic_Conjunct_Break={of}}}").match, map(chr, CHARACTERS))
        write(name, f"Indic_Conjunct_Break={of}", ranges(map(ord, members)))


def main():
    print(f"// Generated by tools/make_unicode_classes.py from tokenizers {tokenizers.__version__}; do not edit.")
    write("kLetter", r"\p{L} of Oniguruma", ranges(matched(r"\p{L}")))
    write("kNumber", r"\p{N} of Oniguruma", ranges(matched(r"\p{N}")))
    write("kMark", r"\p{M} of Oniguruma", ranges(matched(r"\p{M}")))
    write("kWord", r"\w of Rust's regex", ranges(joined(pre_tokenizers.Whitespace())))
    write("kNumeric", "char::is_numeric of Rust", ranges(alone(pre_tokenizers.Digits(True))))
    write("kPunctuation", "what the pre-tokenizer Punctuation isolates", ranges(alone(pre_tokenizers.Punctuation("isolated"))))
    write("kCombining", "what the normalizer StripAccents removes", ranges(mapped(normalizers.StripAccents(), "")))
    bert = normalizers.BertNormalizer(True, False, False, False)
    write("kBertControl", "what BertNormalizer removes as control characters", ranges(mapped(bert, "")))
    bert = normalizers.BertNormalizer(False, False, True, False)
    write("kBertAccent", "what BertNormalizer removes as accents", ranges(mapped(bert, "")))
    write("kNfcChanges", "what NFC changes", ranges(changed(normalizers.NFC())))
    write("kNfkcChanges", "what NFKC changes", ranges(changed(normalizers.NFKC())))
    write("kNormalizationUnknown", "characters too new for the library's normalization: nothing happens to them",
          ranges(unknown_to_normalization()))
    write("kLowerCase", "{character, its lower case} that older tables of Unicode do not have", lower_case())


if __name__ == "__main__":
    sys.exit(main_properties() if sys.argv[1:] == ["properties"] else main())
