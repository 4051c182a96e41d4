// char_set.h -- sets of code points, and those that regular expressions call by name.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

class CharSet {
 public:
  struct Range {
    char32_t first, last;
    bool operator==(const Range&) const = default;
  };
  CharSet() = default;
  explicit CharSet(std::vector<Range> ranges);  // in any order
  CharSet(char32_t first, char32_t last) : ranges_{{first, last}} {}

  std::span<const Range> ranges() const { return ranges_; }  // from the least on, with gaps between them
  bool contains(char32_t c) const;
  CharSet operator|(const CharSet& other) const;
  CharSet operator&(const CharSet& other) const { return ~(~*this | ~other); }
  CharSet operator~() const;  // of all code points up to U+10FFFF
  bool operator==(const CharSet&) const = default;

 private:
  std::vector<Range> ranges_;
};

// What \p{NAME} of Oniguruma is: general categories (L, Lu, Uppercase_Letter), scripts (Han), and classes
// (Alpha, Word). Nothing for a name that is not known.
std::optional<CharSet> named_set(std::string_view name);
// With all characters that differ from one of the set in their case only.
CharSet with_other_cases(const CharSet& set);
// The characters that are several ones in another case (Unicode's full case folding, such as U+00DF and
// "ss"), each with these.
struct WideCase {
  char32_t character;
  std::u32string folded;
};
std::span<const WideCase> wide_cases();
char32_t folded_case(char32_t c);  // of characters that are one in every case

// For the pre-tokenizer UnicodeScripts: numbers of scripts, and -1 for what goes with any script.
int library_script_of(char32_t c);

// For grapheme clusters: boundary classes of the library that are not those of the utf8proc at hand, and the
// roles in Indic conjuncts.
std::optional<int> library_break_of(char32_t c);
bool is_conjunct_consonant(char32_t c);
bool is_conjunct_linker(char32_t c);

}  // namespace glossa
