#include "text/char_set.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <string>

#include "text/unicode_classes.h"

namespace glossa {
namespace {

constexpr char32_t kLast = 0x10FFFF;
// Beyond it no character has another case.
constexpr char32_t kLastCased = 0x1FFFF;

struct Range {
  char32_t first, last;
};
struct Valued {
  char32_t first, last;
  std::uint8_t value;
};
struct Scripted {
  char32_t first, last;
  std::int16_t oniguruma, library;
};
#include "text/unicode_properties.inc"

// The general categories as utf8proc numbers them.
struct Category {
  const char *name, *long_name;
};
constexpr Category kCategories[] = {{"Cn", "Unassigned"},
                                    {"Lu", "Uppercase_Letter"},
                                    {"Ll", "Lowercase_Letter"},
                                    {"Lt", "Titlecase_Letter"},
                                    {"Lm", "Modifier_Letter"},
                                    {"Lo", "Other_Letter"},
                                    {"Mn", "Nonspacing_Mark"},
                                    {"Mc", "Spacing_Mark"},
                                    {"Me", "Enclosing_Mark"},
                                    {"Nd", "Decimal_Number"},
                                    {"Nl", "Letter_Number"},
                                    {"No", "Other_Number"},
                                    {"Pc", "Connector_Punctuation"},
                                    {"Pd", "Dash_Punctuation"},
                                    {"Ps", "Open_Punctuation"},
                                    {"Pe", "Close_Punctuation"},
                                    {"Pi", "Initial_Punctuation"},
                                    {"Pf", "Final_Punctuation"},
                                    {"Po", "Other_Punctuation"},
                                    {"Sm", "Math_Symbol"},
                                    {"Sc", "Currency_Symbol"},
                                    {"Sk", "Modifier_Symbol"},
                                    {"So", "Other_Symbol"},
                                    {"Zs", "Space_Separator"},
                                    {"Zl", "Line_Separator"},
                                    {"Zp", "Paragraph_Separator"},
                                    {"Cc", "Control"},
                                    {"Cf", "Format"},
                                    {"Cs", "Surrogate"},
                                    {"Co", "Private_Use"}};
// The first letters of categories that belong together.
constexpr Category kGroups[] = {{"L", "Letter"}, {"M", "Mark"},      {"N", "Number"}, {"P", "Punctuation"},
                                {"S", "Symbol"}, {"Z", "Separator"}, {"C", "Other"}};

// The ranges of each category for Oniguruma.
const std::array<std::vector<CharSet::Range>, std::size(kCategories)>& ranges_by_category() {
  static const auto all = [] {
    std::array<std::vector<CharSet::Range>, std::size(kCategories)> made;
    const Valued* corrected = std::begin(kCategory);
    for (char32_t c = 0; c <= kLast; ++c) {
      while (corrected != std::end(kCategory) && corrected->last < c) ++corrected;
      auto category = static_cast<std::size_t>(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
      if (corrected != std::end(kCategory) && corrected->first <= c) category = corrected->value;
      auto& ranges = made[category];
      if (!ranges.empty() && ranges.back().last + 1 == c) {
        ranges.back().last = c;
      } else {
        ranges.push_back({c, c});
      }
    }
    return made;
  }();
  return all;
}

// Names are the same without regard to case, spaces, hyphens and underscores.
std::string simplified(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (c != ' ' && c != '-' && c != '_') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return out;
}

std::optional<CharSet> category_set(std::string_view name) {
  std::vector<CharSet::Range> ranges;
  const auto is_name = [&](const Category& c) {
    return simplified(c.name) == name || simplified(c.long_name) == name;
  };
  const auto* group = std::find_if(std::begin(kGroups), std::end(kGroups), is_name);
  for (std::size_t i = 0; i < std::size(kCategories); ++i) {
    const bool in_group = group != std::end(kGroups) && kCategories[i].name[0] == group->name[0];
    if (!in_group && !is_name(kCategories[i])) continue;
    const auto& more = ranges_by_category()[i];
    ranges.insert(ranges.end(), more.begin(), more.end());
  }
  if (ranges.empty() && name != "cs") return std::nullopt;
  return CharSet(std::move(ranges));
}

std::optional<CharSet> script_set(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kScriptNames); ++i) {
    if (simplified(kScriptNames[i]) != name) continue;
    std::vector<CharSet::Range> ranges;
    for (const Scripted& s : kScripts)
      if (s.oniguruma == static_cast<int>(i)) ranges.push_back({s.first, s.last});
    return CharSet(std::move(ranges));
  }
  return std::nullopt;
}

template <std::size_t size>
CharSet set_of(const Range (&ranges)[size]) {
  std::vector<CharSet::Range> all;
  for (const Range& r : ranges) all.push_back({r.first, r.last});
  return CharSet(std::move(all));
}

std::optional<CharSet> class_set(std::string_view name) {
  const auto category = [](const char* of) { return *category_set(of); };
  const auto space = [&] { return CharSet({{9, 13}, {0x85, 0x85}}) | category("z"); };
  const auto control = [] { return CharSet({{0, 0x1F}, {0x7F, 0x9F}}); };
  const auto alpha = [&] { return category("l") | category("nl") | set_of(kOtherAlphabetic); };
  if (name == "any") return CharSet(0, kLast);
  if (name == "ascii") return CharSet(0, 0x7F);
  if (name == "assigned") return ~category("cn");
  if (name == "alpha" || name == "alphabetic") return alpha();
  if (name == "digit") return category("nd");
  if (name == "alnum") return alpha() | category("nd");
  if (name == "word") return alpha() | category("m") | category("nd") | category("pc");
  if (name == "upper" || name == "uppercase") return category("lu") | set_of(kOtherUppercase);
  if (name == "lower" || name == "lowercase") return category("ll") | set_of(kOtherLowercase);
  if (name == "space" || name == "whitespace") return space();
  if (name == "blank") return CharSet(9, 9) | category("zs");
  if (name == "cntrl") return control();
  if (name == "punct") return category("p") | category("s");
  if (name == "graph") return ~(space() | control() | category("cn") | category("cs"));
  if (name == "print") return ~(space() | control() | category("cn") | category("cs")) | category("zs");
  if (name == "xdigit") return CharSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  return std::nullopt;
}

template <class T, std::size_t size>
const T* range_with(const T (&ranges)[size], char32_t c) {
  const T* after = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                    [](char32_t value, const T& r) { return value < r.first; });
  return after != std::begin(ranges) && c <= std::prev(after)->last ? std::prev(after) : nullptr;
}

// ---- case

struct Folding {
  std::vector<std::pair<char32_t, char32_t>>
      by_folded;  // folded character, character; both of those that differ
  std::vector<WideCase> wide;

  Folding() {
    for (char32_t c = 0; c <= kLastCased; ++c) {
      utf8proc_int32_t folded[8];
      int boundary = 0;
      const auto count =
          utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), folded, 8, UTF8PROC_CASEFOLD, &boundary);
      if (count > 1) wide.push_back({c, std::u32string(folded, folded + count)});
      if (count != 1 || static_cast<char32_t>(folded[0]) == c) continue;
      by_folded.emplace_back(folded[0], c);
      by_folded.emplace_back(folded[0], folded[0]);
    }
    std::sort(by_folded.begin(), by_folded.end());
    by_folded.erase(std::unique(by_folded.begin(), by_folded.end()), by_folded.end());
  }
};

const Folding& folding() {
  static const Folding all;
  return all;
}

}  // namespace

CharSet::CharSet(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  for (const Range& r : ranges) {
    if (!ranges_.empty() && r.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, r.last);
    } else {
      ranges_.push_back(r);
    }
  }
}

bool CharSet::contains(char32_t c) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), c,
                                      [](char32_t value, const Range& r) { return value < r.first; });
  return after != ranges_.begin() && c <= std::prev(after)->last;
}

CharSet CharSet::operator|(const CharSet& other) const {
  std::vector<Range> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(std::move(all));
}

CharSet CharSet::operator~() const {
  CharSet rest;
  char32_t next = 0;
  for (const Range& r : ranges_) {
    if (r.first > next) rest.ranges_.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLast) rest.ranges_.push_back({next, kLast});
  return rest;
}

std::optional<CharSet> named_set(std::string_view name) {
  const std::string simple = simplified(name);
  if (auto set = class_set(simple)) return set;
  if (auto set = category_set(simple)) return set;
  return script_set(simple);
}

std::span<const WideCase> wide_cases() {
  return folding().wide;
}

char32_t folded_case(char32_t c) {
  for (const auto& [folded, character] : folding().by_folded)
    if (character == c) return folded;
  return c;
}

CharSet with_other_cases(const CharSet& set) {
  std::vector<CharSet::Range> more(set.ranges().begin(), set.ranges().end());
  const auto& all = folding().by_folded;
  for (auto first = all.begin(); first != all.end();) {
    const auto end = std::find_if(first, all.end(), [&](const auto& f) { return f.first != first->first; });
    if (std::any_of(first, end, [&](const auto& f) { return set.contains(f.second); }))
      for (auto f = first; f != end; ++f) more.push_back({f->second, f->second});
    first = end;
  }
  return CharSet(std::move(more));
}

int library_script_of(char32_t c) {
  const Scripted* found = range_with(kScripts, c);
  return found ? found->library : -1;
}

std::optional<int> library_break_of(char32_t c) {
  const Valued* found = range_with(kBreaks, c);
  return found ? std::optional<int>(found->value) : std::nullopt;
}

bool is_conjunct_consonant(char32_t c) {
  return range_with(kConjunctConsonant, c) != nullptr;
}

bool is_conjunct_linker(char32_t c) {
  return range_with(kConjunctLinker, c) != nullptr;
}

}  // namespace glossa
