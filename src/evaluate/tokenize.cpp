#include "evaluate/tokenize.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/unicode.h"
#include "evaluate/python_text.h"

namespace glossa {
namespace {

struct Range {
  char32_t first, last;
};

template <std::size_t n>
bool among(char32_t c, const Range (&ranges)[n]) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](Range r) { return c >= r.first && c <= r.last; });
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  std::size_t found = text.find(what);
  if (found == text.npos) return;
  std::string out;
  std::size_t begin = 0;
  for (; found != text.npos; found = text.find(what, begin)) {
    out.append(text, begin, found - begin);
    out += by;
    begin = found + what.size();
  }
  out.append(text, begin, text.npos);
  text = std::move(out);
}

void unescape_entities(std::string& text) {
  if (text.find('&') == text.npos) return;
  replace_all(text, "&quot;", "\"");
  replace_all(text, "&amp;", "&");
  replace_all(text, "&lt;", "<");
  replace_all(text, "&gt;", ">");
}

// A table of the ASCII characters for which `wanted` holds.
template <class Wanted>
constexpr auto ascii_table(Wanted wanted) {
  struct {
    bool holds[256] = {};
    constexpr bool operator()(char c) const { return holds[static_cast<unsigned char>(c)]; }
  } table;
  for (int c = 0; c < 128; ++c) table.holds[c] = wanted(static_cast<char>(c));
  return table;
}

constexpr auto is_digit = ascii_table([](char c) { return c >= '0' && c <= '9'; });
constexpr auto is_point = ascii_table([](char c) { return c == '.' || c == ','; });
// The class [\{-\~\[-\` -\&\(-\+\:-\@\/] of mteval: ASCII punctuation but ' , - . -- and the space.
constexpr auto is_separate = ascii_table([](char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') ||
         (c >= '(' && c <= '+') || (c >= ':' && c <= '@') || c == '/';
});

// The passes below each do what one regular expression of mteval does: from left to right, a match consumes
// what it matched. They look at bytes: where the expressions ask for any character but a digit, the
// neighbouring byte of a longer character answers the same, and consuming one byte of it or all makes no
// difference, since no byte of it is a match.

// ([...]) -> ' \1 '
void split_punctuation(const std::string& text, std::string& out) {
  out.clear();
  for (const char c : text) {
    if (is_separate(c)) {
      out += ' ', out += c, out += ' ';
    } else {
      out += c;
    }
  }
}

// ([^0-9])([\.,]) -> '\1 \2 '
void split_points_after_other_than_digits(const std::string& text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (is_digit(text[i]) || i + 1 == text.size() || !is_point(text[i + 1])) continue;
    out += ' ', out += text[++i], out += ' ';
  }
}

// ([\.,])([^0-9]) -> ' \1 \2'
void split_points_before_other_than_digits(const std::string& text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_point(text[i]) || i + 1 == text.size() || is_digit(text[i + 1])) {
      out += text[i];
      continue;
    }
    out += ' ', out += text[i], out += ' ', out += text[++i];
  }
}

// ([0-9])(-) -> '\1 \2 '
void split_dashes_after_digits(const std::string& text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (!is_digit(text[i]) || i + 1 == text.size() || text[i + 1] != '-') continue;
    out += ' ', out += text[++i], out += ' ';
  }
}

// The part of mteval-v13a for Western languages.
std::string western(const std::string& text) {
  std::string a, b;
  a.reserve(text.size() * 2), b.reserve(text.size() * 2);
  split_punctuation(text, a);
  split_points_after_other_than_digits(a, b);
  split_points_before_other_than_digits(b, a);
  split_dashes_after_digits(a, b);
  return b;
}

std::string mteval13a(std::string_view line) {
  std::string text(line);
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  replace_all(text, "\n", " ");
  unescape_entities(text);
  return western(" " + text + " ");
}

// What sacreBLEU takes for Chinese. Its table spells the two ranges beyond the first plane with four
// hexadecimal digits and one more character; as strings of two characters they compare so as to hold U+2001
// to U+2A6D (general punctuation, arrows, mathematics) and U+2F81 to U+2FA1, and none of the characters
// meant.
bool is_chinese(char32_t c) {
  static constexpr Range kRanges[] = {
      {0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x303F},
      {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x33FF},
      {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A},
      {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF},
  };
  return c >= 0x2001 && among(c, kRanges);
}

// Copies `text` with a space on each side of every character for which `wanted` holds.
template <class Wanted>
std::string spaced(std::string_view text, Wanted wanted) {
  std::string out;
  out.reserve(text.size() * 2);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const bool apart = wanted(utf8_next(text, at));
    if (apart) out += ' ';
    out += text.substr(begin, at - begin);
    if (apart) out += ' ';
  }
  return out;
}

enum class Class : std::uint8_t { other, number, punctuation, symbol };

// Of the Unicode versions after the one that utf8proc 2.8 knows (15.0), since Python's `regex` follows
// Unicode closely.
Class later_class(char32_t c) {
  static constexpr Range kPunctuation[] = {
      {0x1B4E, 0x1B4F},   {0x1B7F, 0x1B7F},   {0x2E60, 0x2E63},   {0x10D6E, 0x10D6E}, {0x10ED0, 0x10ED0},
      {0x113D4, 0x113D5}, {0x113D7, 0x113D8}, {0x11BE1, 0x11BE1}, {0x16D6D, 0x16D6F}, {0x1E5FF, 0x1E5FF}};
  static constexpr Range kNumbers[] = {{0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9},
                                       {0x11DE0, 0x11DE9}, {0x1246F, 0x1246F}, {0x12475, 0x1247F},
                                       {0x12550, 0x12686}, {0x16130, 0x16139}, {0x16D70, 0x16D79},
                                       {0x16FF4, 0x16FF6}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA}};
  static constexpr Range kSymbols[] = {
      {0x20C1, 0x20C4},   {0x2427, 0x2429},   {0x2B96, 0x2B96},   {0x2FFC, 0x2FFF},   {0x31E4, 0x31E5},
      {0x31EF, 0x31EF},   {0xFBC3, 0xFBD2},   {0xFD90, 0xFD91},   {0xFDC8, 0xFDCE},   {0x10D8E, 0x10D8F},
      {0x10EC9, 0x10ECA}, {0x10ED1, 0x10ED8}, {0x1CC00, 0x1CCEF}, {0x1CCFA, 0x1CCFC}, {0x1CD00, 0x1CEB3},
      {0x1CEBA, 0x1CED0}, {0x1CED2, 0x1CED4}, {0x1CEDD, 0x1CEFD}, {0x1D1EB, 0x1D1FF}, {0x1D253, 0x1D25A},
      {0x1D25D, 0x1D25E}, {0x1D260, 0x1D27F}, {0x1DB00, 0x1DB1C}, {0x1F1AE, 0x1F1AE}, {0x1F6D8, 0x1F6D9},
      {0x1F777, 0x1F77A}, {0x1F7DA, 0x1F7DB}, {0x1F7F1, 0x1F7FF}, {0x1F8B2, 0x1F8BB}, {0x1F8C0, 0x1F8C1},
      {0x1F8D0, 0x1F8D8}, {0x1FA54, 0x1FA57}, {0x1FA89, 0x1FA8F}, {0x1FABE, 0x1FABE}, {0x1FAC6, 0x1FAC6},
      {0x1FAC8, 0x1FAC8}, {0x1FACC, 0x1FACD}, {0x1FADC, 0x1FADD}, {0x1FADF, 0x1FADF}, {0x1FAE9, 0x1FAEB},
      {0x1FAEF, 0x1FAEF}, {0x1FAF9, 0x1FAFA}, {0x1FBCB, 0x1FBEF}, {0x1FBFA, 0x1FBFA}};
  if (among(c, kPunctuation)) return Class::punctuation;
  if (among(c, kNumbers)) return Class::number;
  return among(c, kSymbols) ? Class::symbol : Class::other;
}

Class class_of(char32_t c) {
  if (is_number(c)) return Class::number;
  if (is_punctuation(c)) return Class::punctuation;
  if (is_symbol(c)) return Class::symbol;
  return general_category(c) == 0 ? later_class(c) : Class::other;  // 0: unassigned
}

// mteval-v14: (\P{N})(\p{P}) -> '\1 \2 ', (\p{P})(\P{N}) -> ' \1 \2', (\p{S}) -> ' \1 '.
std::string international(std::string_view line) {
  const std::u32string text = decoded(line);
  std::u32string once, twice;
  once.reserve(text.size() * 2), twice.reserve(text.size() * 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    once += text[i];
    if (i + 1 == text.size() || class_of(text[i + 1]) != Class::punctuation ||
        class_of(text[i]) == Class::number)
      continue;
    once += U' ', once += text[++i], once += U' ';
  }
  for (std::size_t i = 0; i < once.size(); ++i) {
    if (i + 1 == once.size() || class_of(once[i]) != Class::punctuation ||
        class_of(once[i + 1]) == Class::number) {
      twice += once[i];
      continue;
    }
    twice += U' ', twice += once[i], twice += U' ', twice += once[++i];
  }
  std::string out;
  out.reserve(line.size() * 2);
  for (const char32_t c : twice) {
    const bool apart = class_of(c) == Class::symbol;
    if (apart) out += ' ';
    utf8_append(out, c);
    if (apart) out += ' ';
  }
  return out;
}

bool is_tercom_asian(char32_t c) {
  // U+3200 to U+3F22 stands in sacreBLEU (and tercom) where U+3200 to U+32FF is meant; it lies within the
  // ideographs for the most part, and the rest of them is split anyway.
  static constexpr Range kRanges[] = {{0x2E80, 0x2EFF}, {0x31C0, 0x31EF}, {0x3200, 0x4DBF},
                                      {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0xFE30, 0xFE4F}};
  return among(c, kRanges);
}

bool is_asian_punctuation(char32_t c) {
  static constexpr Range kRanges[] = {{0x3001, 0x3002}, {0x3008, 0x3011}, {0x3014, 0x301F}, {0x30FB, 0x30FB},
                                      {0xFF01, 0xFF02}, {0xFF08, 0xFF09}, {0xFF0C, 0xFF0C}, {0xFF0E, 0xFF0E},
                                      {0xFF1A, 0xFF1B}, {0xFF1F, 0xFF1F}, {0xFF61, 0xFF65}};
  return among(c, kRanges);
}

std::string tercom_normalized(std::string text, bool asian_support) {
  replace_all(text, "\n-", "");
  replace_all(text, "\n", " ");
  unescape_entities(text);
  std::string a, b;
  split_punctuation(" " + text + " ", a);
  replace_all(a, "'s ",
              " 's ");  // the space appended above makes 's at the end of the line no case of its own
  split_points_after_other_than_digits(a, b);
  split_points_before_other_than_digits(b, a);
  split_dashes_after_digits(a, b);
  if (!asian_support) return b;
  // tercom's expressions for kana ask for them at the start of the line, where by now there is a space.
  return spaced(b, [](char32_t c) { return is_tercom_asian(c) || is_asian_punctuation(c); });
}

std::string without_punctuation(std::string_view text, bool asian_support) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = utf8_next(text, at);
    static constexpr std::u32string_view kRemoved = U".,?:;!\"()";
    if (kRemoved.find(c) != kRemoved.npos || (asian_support && is_asian_punctuation(c))) continue;
    out += text.substr(begin, at - begin);
  }
  return out;
}

constexpr std::string_view kNames[] = {"13a", "intl", "zh", "char", "none"};  // in the order of BleuTokenizer

}  // namespace

std::string_view name_of(BleuTokenizer tokenizer) {
  return kNames[static_cast<std::size_t>(tokenizer)];
}

BleuTokenizer bleu_tokenizer(std::string_view name) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found != std::end(kNames)) return static_cast<BleuTokenizer>(found - std::begin(kNames));
  for (const std::string_view dictionary : {"ja-mecab", "ko-mecab"})
    check(name != dictionary, Code::bad_value,
          "tokenizer {} needs the MeCab dictionary, which glossa does not have; use char", dictionary);
  for (const std::string_view model : {"spm", "flores101", "flores200", "spBLEU-1K"})
    check(name != model, Code::bad_value,
          "tokenizer {} needs a SentencePiece model from the network; encode both sides with it and use none",
          model);
  const std::string best = closest(name, kNames);
  fail(Code::bad_value, "unknown tokenizer {}; known: 13a, intl, zh, char, none{}", quoted(name),
       best.empty() ? "" : fmt::format("; did you mean {}?", best));
}

std::string tokenized(std::string_view line, BleuTokenizer tokenizer) {
  switch (tokenizer) {
    case BleuTokenizer::mteval13a:
      return mteval13a(line);
    case BleuTokenizer::international:
      return international(line);
    case BleuTokenizer::chinese:
      return western(spaced(python_strip(line), is_chinese));
    case BleuTokenizer::characters:
      return spaced(line, [](char32_t) { return true; });
    case BleuTokenizer::none:
      return std::string(line);
  }
  fail(Code::internal, "unknown tokenizer {}", static_cast<int>(tokenizer));
}

std::string tercom_tokenized(std::string_view line, const TercomOptions& options) {
  std::string text = options.case_sensitive ? std::string(line) : python_lower(line);
  if (options.normalized) text = tercom_normalized(std::move(text), options.asian_support);
  if (options.no_punctuation) text = without_punctuation(text, options.asian_support);
  return text;
}

}  // namespace glossa
