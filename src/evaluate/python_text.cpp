#include "evaluate/python_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "base/unicode.h"

namespace glossa {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3, kSigma = 0x3C3, kFinalSigma = 0x3C2;

struct Range {
  char32_t first, last;
};

// DerivedCoreProperties.txt, Cased: beside Lu, Ll and Lt the characters of Other_Lowercase and
// Other_Uppercase. Those among them that are Lm or Mn are case-ignorable too, and as such are passed over
// before anybody asks for their case.
bool is_cased(char32_t c) {
  const int category = general_category(c);
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LT) return true;
  static constexpr Range kOther[] = {{0xAA, 0xAA},      {0xBA, 0xBA},       {0x2160, 0x217F},
                                     {0x24B6, 0x24E9},  {0x1F130, 0x1F149}, {0x1F150, 0x1F169},
                                     {0x1F170, 0x1F189}};
  return std::any_of(std::begin(kOther), std::end(kOther),
                     [c](Range r) { return c >= r.first && c <= r.last; });
}

// Case_Ignorable: Mn, Me, Cf, Lm, Sk, and what may stand within a word (Word_Break MidLetter, MidNumLet,
// Single_Quote).
bool is_case_ignorable(char32_t c) {
  switch (general_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      break;
  }
  static constexpr std::u32string_view kWithinWords =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  return kWithinWords.find(c) != kWithinWords.npos;
}

// SpecialCasing.txt, Final_Sigma: a cased letter before it and none after it, case-ignorable characters
// aside.
bool is_final(const std::u32string& text, std::size_t sigma) {
  std::size_t before = sigma;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t after = sigma + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

std::string lower_cased_with_sigma(std::string_view text) {
  const std::u32string characters = decoded(text);
  std::string out, one;
  out.reserve(text.size());
  for (std::size_t i = 0; i < characters.size(); ++i) {
    if (characters[i] == kCapitalSigma) {
      utf8_append(out, is_final(characters, i) ? kFinalSigma : kSigma);
    } else {
      one.clear();
      utf8_append(one, characters[i]);
      out += lower_cased(one);
    }
  }
  return out;
}

// Length in bytes of the white space that starts at byte `at`, or 0.
std::size_t space_at(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return is_python_space(first) ? 1 : 0;
  if (first != 0xC2 && first != 0xE1 && first != 0xE2 && first != 0xE3) return 0;  // no white space starts so
  std::size_t end = at;
  return is_python_space(utf8_next(text, end)) ? end - at : 0;
}

std::size_t character_before(std::string_view text, std::size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

}  // namespace

bool is_python_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
  return is_space(c);
}

std::string_view python_rstrip(std::string_view text) {
  while (!text.empty()) {
    const std::size_t last = character_before(text, text.size());
    if (!space_at(text, last)) break;
    text = text.substr(0, last);
  }
  return text;
}

std::string_view python_strip(std::string_view text) {
  text = python_rstrip(text);
  while (!text.empty()) {
    const std::size_t space = space_at(text, 0);
    if (!space) break;
    text.remove_prefix(space);
  }
  return text;
}

void python_split(std::string_view text, std::vector<std::string_view>& words) {
  words.clear();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t space = space_at(text, at);
    if (!space) {
      ++at;  // the bytes within a character are none that white space starts with
      continue;
    }
    if (at > begin) words.push_back(text.substr(begin, at - begin));
    begin = at += space;
  }
  if (begin < text.size()) words.push_back(text.substr(begin));
}

std::string python_lower(std::string_view text) {
  return text.find("\xCE\xA3") == text.npos ? lower_cased(text) : lower_cased_with_sigma(text);
}

std::u32string decoded(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) out += utf8_next(text, at);
  return out;
}

}  // namespace glossa
