"""Random strings of Unicode that favour what tokenizers stumble over."""
import random
import sys
import unicodedata

SPACES = [" ", "  ", "\n", "\r\n", "\r", "\t", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u00a0", "\u1680", "\u180e",
          "\u2000", "\u2003", "\u2007", "\u2009", "\u200a", "\u200b", "\u200c", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000",
          "\ufeff", "\u2581", "\u2581\u2581", " \n ", "\n\n", "   "]
WORDS = ["'s", "'S", "'re", "'LL", "\u2019s", "don't", "n't", " do not", "the", "The", "THE", "stra\u00dfe", "\u017f", "'\u017f", "\u212a", "\ufb01",
         "\uff76\uff9e", "\u00bd", "\u2460", "\ufdfa", "\u2122", "...", "!?", "</s>", "<0x0A>", "<0xE4>", "##ing", "http://a.b/c?d=e", "\u0130", "\u01c5",
         "\u1e9e", "e\u0301", "\u0958", "\u0344", "\u1100\u1161\u11a8", "1st", "x2", "3.14", "1,000,000", "0x7f", "a_b", "CamelCase", "\u0e33", "\u0eb3"]
EDGES = ["\ud7ff", "\ue000", "\uf8ff", "\ufdd0", "\ufffd", "\ufffe", "\uffff", "\U00010000", "\U0001ffff", "\U000e0001", "\U000e007f",
         "\U000effff", "\U000f0000", "\U0010fffe", "\U0010ffff", "\u07ff", "\u0800", "\x7f", "\x80", "\u00ad", "\u202e", "\u2066", "\u2069"]
SKIN = [chr(c) for c in range(0x1F3FB, 0x1F400)]
MARKS = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me")]
DIGITS = [chr(c) for c in range(0x80, sys.maxunicode + 1) if unicodedata.category(chr(c)) in ("Nd", "Nl", "No")]


class RandomTexts:
    """`pieces` and `specials` of a vocabulary are put among the characters."""

    def __init__(self, seed, pieces, specials):
        self.r, self.pieces, self.specials = random.Random(seed), pieces or [" "], specials or ["</s>"]
        one_of = lambda *blocks: lambda: chr(self.r.randrange(*self.r.choice(blocks)))
        choice = lambda what: lambda: self.r.choice(what)
        self.kinds = [
            choice(SPACES), choice(WORDS), choice(MARKS), choice(DIGITS), choice(EDGES), choice("0123456789"),
            one_of((32, 127)), one_of((97, 123)), one_of((32, 127)), one_of((0, 32), (0x7F, 0xA0)), one_of((0xA0, 0x250)), one_of((0x250, 0x3000)),
            one_of((0x4E00, 0xA000)), one_of((0x3400, 0x4DC0), (0xF900, 0xFB00), (0x20000, 0x2A6E0), (0x3000, 0x3100)),
            one_of((0xAC00, 0xD7A4)), one_of((0x1100, 0x1200), (0xA960, 0xA980), (0xD7B0, 0xD800)), one_of((0xE00, 0xE80), (0xE80, 0xF00)),
            one_of((0x590, 0x600), (0x600, 0x700), (0x750, 0x780)), one_of((0x900, 0xE00), (0x1000, 0x10A0), (0x1780, 0x1800)),
            one_of((0x370, 0x530)), one_of((0x1F300, 0x1FB00), (0x2600, 0x27C0)), one_of((0xE000, 0x110000)), self.emoji, self.piece, self.piece, self.special]

    def emoji(self):
        """A sequence with skin, variation, joiners; a flag; or a keycap."""
        k = self.r.random()
        if k < 0.2:
            return "".join(chr(0x1F1E6 + self.r.randrange(26)) for _ in range(self.r.randrange(1, 5)))
        if k < 0.3:
            return self.r.choice("0123456789#*") + self.r.choice(["\ufe0f\u20e3", "\u20e3", "\ufe0f"])
        if k < 0.35:
            return "\U0001F3F4" + "".join(chr(0xE0000 + ord(c)) for c in "gbsct") + "\U000e007f"
        one = lambda: chr(self.r.choice([self.r.randrange(0x1F300, 0x1FAFF), 0x2764, 0x1F468, 0x1F469])) + self.r.choice(["", "", "\ufe0f", self.r.choice(SKIN)])
        return "\u200d".join(one() for _ in range(self.r.randrange(1, 5)))

    def piece(self):
        return self.r.choice(self.pieces)

    def special(self):
        """The text of a special token, whole, cut or in another case."""
        token = self.r.choice(self.specials)
        k = self.r.random()
        return token if k < 0.7 else token[:self.r.randrange(len(token) + 1)] if k < 0.85 else token[1:] if k < 0.95 else token.upper()

    def text(self):
        # A text of few kinds has long runs of each, and some have one character many times.
        chosen = self.r.sample(self.kinds, self.r.randrange(1, 9))
        parts = [self.r.choice(chosen)() for _ in range(self.r.randrange(0, 32))]
        if self.r.random() < 0.05 and parts:
            parts[self.r.randrange(len(parts))] *= int(2 ** self.r.uniform(2, 10 if self.r.random() < 0.1 else 7))
        return "".join(parts)
