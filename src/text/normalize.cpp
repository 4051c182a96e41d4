#include "text/normalize.h"

#include <algorithm>
#include <vector>

#include "text/byte_level.h"
#include "text/graphemes.h"
#include "text/unicode_classes.h"

namespace glossa {
namespace {

using Position = std::uint32_t;

char32_t next_character(std::string_view text, Position& at) {
  std::size_t place = at;
  const char32_t c = utf8_next(text, place);
  at = static_cast<Position>(place);
  return c;
}

// The first byte from `at` on that is not ASCII.
Position ascii_end(std::string_view text, Position at) {
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

// Calls f(rewrite, character, begin, end) for each character.
template <class F>
void each_character(AlignedText& text, F&& f) {
  Rewrite rewrite(text);
  const std::string_view view = text.view();
  for (Position at = 0; at < view.size();) {
    const Position begin = at;
    const char32_t c = next_character(view, at);
    f(rewrite, c, begin, at);
  }
  rewrite.finish();
}

void remove(AlignedText& text, std::uint16_t classes) {
  const CharClasses& of = CharClasses::get();
  each_character(text, [&](Rewrite& rewrite, char32_t c, Position begin, Position end) {
    if (!(of[c] & classes)) rewrite.keep(begin, end);
  });
}

// ---- Unicode normalization, stretch by stretch

// The vowels and finals of which syllables of Hangul are composed, in all three spellings that compatibility has, with
// some consonants between. U+11A7 is not one of them, and must not be: utf8proc takes it for a final that is nothing.
bool is_vowel_or_final(char32_t c) {
  return (c >= 0x1161 && c <= 0x1175) || (c >= 0x11A8 && c <= 0x11C2) || (c >= 0x3133 && c <= 0x313F) ||
         (c >= 0x314F && c <= 0x3163) || (c >= 0xFFA3 && c <= 0xFFAF) || (c >= 0xFFC2 && c <= 0xFFDC);
}

// Whether a character never joins or moves before the one in front of it: marks do, the vowels and finals of
// Hangul do, and so do the half-width voice marks of Katakana.
bool begins_stretch(char32_t c, std::uint16_t classes) {
  if (classes & char_class::normalization_unknown) return true;
  return !(classes & char_class::mark) && !is_vowel_or_final(c) && c != 0xFF9E && c != 0xFF9F;
}

// Longer stretches (in bytes) have one offset for all of them: the account of their characters takes time that grows
// with the square, and nobody writes so many marks for their meaning.
constexpr Position kFineStretch = 1024;

class UnicodeForm {
 public:
  explicit UnicodeForm(Normalization form) : form_(form) {}

  void operator()(AlignedText& text) const {
    const std::string_view view = text.view();
    if (ascii_end(view, 0) == view.size()) return;  // ASCII is the same in all forms
    const CharClasses& of = CharClasses::get();
    Rewrite rewrite(text);
    Position kept = 0;  // what lies before is written
    for (Position at = 0; at < view.size();) {
      const Position begin = at;
      const char32_t c = next_character(view, at);
      const std::uint16_t classes = of[c];
      if (classes & char_class::normalization_unknown) continue;
      const Position end = joined_end(view, at);
      if (end == at && (c < 0x80 || !changes(classes))) continue;
      rewrite.keep(kept, begin);
      put_stretch(rewrite, view, begin, end);
      kept = at = end;
    }
    rewrite.keep(kept, static_cast<Position>(view.size()));
    rewrite.finish();
  }

 private:
  bool changes(std::uint16_t classes) const {
    switch (form_) {
      case Normalization::nfc:
        return classes & char_class::nfc_changes;
      case Normalization::nfkc:
        return classes & char_class::nfkc_changes;
      default:
        return true;
    }
  }

  void put_stretch(Rewrite& rewrite, std::string_view view, Position begin, Position end) const {
    const std::string changed = normalized(view.substr(begin, end - begin), form_);
    if (!rewrite.tracks() || end - begin > kFineStretch) return rewrite.put(changed, begin, end);
    // The library's account of where characters come from, but for one thing: characters are paired off in order, what
    // a decomposition adds belongs to the one before, and what a composition joins is taken together (the library
    // keeps the first only).
    struct Part {
      char32_t character;
      bool added;  // by the decomposition of a character
    };
    std::vector<Part> parts;
    const bool compatible = form_ == Normalization::nfkc || form_ == Normalization::nfkd;
    for (Position at = begin; at < end;) {
      const Position from = at;
      next_character(view, at);
      bool added = false;
      for (const char32_t c : decomposed(view.substr(from, at - from), compatible)) {
        parts.push_back({c, added});
        added = true;
      }
    }
    Position last = begin, source = begin;  // the characters paired off last, and those that are not yet
    for (Position at = 0; at < changed.size();) {
      const Position from = at;
      next_character(changed, at);
      const std::string_view character = std::string_view(changed).substr(from, at - from);
      int taken = 0;  // characters of the source
      for (const char32_t c : decomposed(character, compatible)) {
        const auto part = std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.character == c; });
        if (part == parts.end()) continue;
        taken += !part->added;
        parts.erase(part);
      }
      if (taken > 0 && source < end) last = source;
      for (; taken > 0 && source < end; --taken) next_character(view, source);
      rewrite.put(character, last, std::max(source, last + 1));
    }
  }

  static std::u32string decomposed(std::string_view text, bool compatible) {
    const std::string all = normalized(text, compatible ? Normalization::nfkd : Normalization::nfd);
    std::u32string characters;
    for (Position at = 0; at < all.size();) characters += next_character(all, at);
    return characters;
  }

  // Where the characters end that join the one before `at`.
  static Position joined_end(std::string_view view, Position at) {
    const CharClasses& of = CharClasses::get();
    while (at < view.size() && static_cast<unsigned char>(view[at]) >= 0x80) {
      Position next = at;
      const char32_t c = next_character(view, next);
      if (begins_stretch(c, of[c])) break;
      at = next;
    }
    return at;
  }

  Normalization form_;
};

// ---- the steps

void lower(AlignedText& text) {
  each_character(text, [](Rewrite& rewrite, char32_t c, Position begin, Position end) {
    if (c < 0x80) {
      const char small = static_cast<char>(c | 0x20);
      return c >= 'A' && c <= 'Z' ? rewrite.put({&small, 1}, begin, end) : rewrite.keep(begin, end);
    }
    if (c == 0x130) return rewrite.put("i\xCC\x87", begin, end);  // the one character that becomes two
    const char32_t l = lower_case_of(c);
    if (l == c) return rewrite.keep(begin, end);
    std::string out;
    utf8_append(out, l);
    rewrite.put(out, begin, end);
  });
}

void strip(AlignedText& text, const normalizer::Strip& how) {
  const CharClasses& of = CharClasses::get();
  const std::string_view view = text.view();
  const auto is_space_at = [&](Position at, Position& end) {
    end = at;
    return of[next_character(view, end)] & char_class::space;
  };
  Position begin = 0, end = static_cast<Position>(view.size()), next = 0;
  while (how.left && begin < end && is_space_at(begin, next)) begin = next;
  while (how.right && begin < end) {
    Position last = end - 1;
    while ((static_cast<unsigned char>(view[last]) & 0xC0) == 0x80) --last;
    if (!is_space_at(last, next)) break;
    end = last;
  }
  if (begin == 0 && end == view.size()) return;
  Rewrite rewrite(text);
  rewrite.keep(begin, end);
  rewrite.finish();
}

// What comes in the place of a match belongs to its last character, or to the one before a match of nothing.
void replace(AlignedText& text, const std::vector<Regex::Match>& matches, const std::string& content) {
  if (matches.empty()) return;
  const std::string_view view = text.view();
  Rewrite rewrite(text);
  Position at = 0;
  for (const Regex::Match& m : matches) {
    rewrite.keep(at, m.begin);
    at = m.end;
    Position end = std::max<Position>(m.end, 1), begin = end - 1;
    while (end < view.size() && (static_cast<unsigned char>(view[end]) & 0xC0) == 0x80) ++end;
    while (begin > 0 && (static_cast<unsigned char>(view[begin]) & 0xC0) == 0x80) --begin;
    rewrite.put(content, begin, end);
  }
  rewrite.keep(at, static_cast<Position>(view.size()));
  rewrite.finish();
}

void replace(AlignedText& text, const normalizer::Replace& how) {
  std::vector<Regex::Match> matches;
  if (const auto* regex = std::get_if<Regex>(&how.pattern)) {
    regex->find_all(text.view(), matches);
  } else {
    find_text(text.view(), std::get<std::string>(how.pattern), matches);
  }
  replace(text, matches, how.content);
}

void prepend(AlignedText& text, const std::string& what) {
  if (text.view().empty()) return;
  Position first = 0;
  next_character(text.view(), first);
  Rewrite rewrite(text);
  rewrite.put(what, 0, first);
  rewrite.keep(0, static_cast<Position>(text.view().size()));
  rewrite.finish();
}

bool is_chinese(char32_t c) {  // of BERT; the gap from U+2B820 on is the library's
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void bert(AlignedText& text, const normalizer::Bert& how) {
  const CharClasses& of = CharClasses::get();
  const bool ascii = ascii_end(text.view(), 0) == text.view().size();  // neither Chinese nor accents
  if (how.clean_text)
    each_character(text, [&](Rewrite& rewrite, char32_t c, Position begin, Position end) {
      const std::uint16_t classes = of[c];
      if (classes & char_class::bert_control) return;
      classes& char_class::space ? rewrite.put(" ", begin, end) : rewrite.keep(begin, end);
    });
  if (how.handle_chinese_chars && !ascii)
    each_character(text, [&](Rewrite& rewrite, char32_t c, Position begin, Position end) {
      if (is_chinese(c)) rewrite.put(" ", begin, end);
      rewrite.keep(begin, end);
      if (is_chinese(c)) rewrite.put(" ", begin, end);
    });
  if (how.strip_accents.value_or(how.lowercase) && !ascii) {
    UnicodeForm{Normalization::nfd}(text);
    remove(text, char_class::bert_accent);
  }
  if (how.lowercase) lower(text);
}

void name_bytes(AlignedText& text) {
  Rewrite rewrite(text);
  const std::string_view view = text.view();
  for (Position at = 0; at < view.size(); ++at)
    rewrite.put(byte_names()[static_cast<unsigned char>(view[at])], at, at + 1);
  rewrite.finish();
}

void nmt(AlignedText& text) {
  each_character(text, [](Rewrite& rewrite, char32_t c, Position begin, Position end) {
    const bool control =
        (c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
    const bool space = c == 9 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    if (control) return;
    space ? rewrite.put(" ", begin, end) : rewrite.keep(begin, end);
  });
}

// Characters are paired off in order; those left over belong to the last of the others.
void put_mapped(Rewrite& rewrite, std::string_view view, Position begin, Position end,
                std::string_view mapped) {
  for (Position at = 0, from = begin; at < mapped.size();) {
    const Position here = at;
    next_character(mapped, at);
    Position to = from;
    next_character(view, to);
    rewrite.put(mapped.substr(here, at - here), from, at == mapped.size() ? end : to);
    if (to < end) from = to;
  }
}

// As the library applies SentencePiece's rules: to a short cluster of characters the shortest rule that it
// begins with, and all of it is gone; else to each character of it.
void apply_charsmap(AlignedText& text, const Charsmap& charsmap) {
  constexpr Position kShortCluster = 5;  // bytes
  const std::string_view view = text.view();
  Rewrite rewrite(text);
  const auto is_ascii = [&](Position at) { return static_cast<unsigned char>(view[at]) < 0x80; };
  // What is left out at the beginning belongs to what comes first, as in the library's account.
  const auto source = [&](Position begin) { return rewrite.size() == 0 ? 0 : begin; };
  for (Position at = 0; at < view.size();) {
    const Position begin = at;
    // A character of ASCII before another is a cluster, but for the end of a line.
    while (at < view.size() && is_ascii(at) && view[at] != '\r' &&
           charsmap.keeps(static_cast<unsigned char>(view[at])) &&
           (at + 1 == view.size() || is_ascii(at + 1)) && source(at) == at)
      ++at;
    if (at > begin) {
      rewrite.keep(begin, at);
      continue;
    }
    const auto end = static_cast<Position>(grapheme_end(view, begin));
    if (end - begin <= kShortCluster) {
      if (const auto mapped = charsmap.shortest(view.substr(begin, end - begin))) {
        put_mapped(rewrite, view, source(begin), end, *mapped);
        at = end;
        continue;
      }
    }
    while (at < end) {
      const Position here = at;
      next_character(view, at);
      const auto mapped = charsmap.shortest(view.substr(here, at - here));
      if (mapped) {
        put_mapped(rewrite, view, source(here), at, *mapped);
      } else if (source(here) == here) {
        rewrite.keep(here, at);
      } else {
        rewrite.put(view.substr(here, at - here), 0, at);
      }
    }
  }
  rewrite.finish();
}

struct Apply {
  AlignedText& text;
  void operator()(const normalizer::Unicode& step) const { UnicodeForm{step.form}(text); }
  void operator()(const normalizer::Lowercase&) const { lower(text); }
  void operator()(const normalizer::Strip& step) const { strip(text, step); }
  void operator()(const normalizer::StripAccents&) const { remove(text, char_class::combining); }
  void operator()(const normalizer::Replace& step) const { replace(text, step); }
  void operator()(const normalizer::Prepend& step) const { prepend(text, step.text); }
  void operator()(const normalizer::Bert& step) const { bert(text, step); }
  void operator()(const normalizer::ByteLevel&) const { name_bytes(text); }
  void operator()(const normalizer::Nmt&) const { nmt(text); }
  void operator()(const normalizer::Precompiled& step) const { apply_charsmap(text, step.charsmap); }
};

}  // namespace

void normalize(const Normalizer& normalizer, AlignedText& text) {
  for (const auto& step : normalizer) {
    if (text.view().empty()) return;
    std::visit(Apply{text}, step);
  }
}

std::string normalize(const Normalizer& normalizer, std::string_view text) {
  AlignedText aligned;
  aligned.reset(text, 0, false);
  normalize(normalizer, aligned);
  return std::string(aligned.view());
}

}  // namespace glossa
