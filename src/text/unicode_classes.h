// unicode_classes.h -- what kind of character the reference library takes a code point for. The classes were
// read off the library itself (tools/make_unicode_classes.py): it mixes several versions of Unicode, and ids
// must be its.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace glossa {

namespace char_class {
inline constexpr std::uint16_t letter = 1 << 0;   // \p{L}
inline constexpr std::uint16_t number = 1 << 1;   // \p{N}
inline constexpr std::uint16_t space = 1 << 2;    // White_Space
inline constexpr std::uint16_t mark = 1 << 3;     // \p{M}
inline constexpr std::uint16_t word = 1 << 4;     // \w of Rust's regex
inline constexpr std::uint16_t numeric = 1 << 5;  // char::is_numeric of Rust
inline constexpr std::uint16_t punctuation =
    1 << 6;  // ASCII punctuation and symbols, and \p{P} of an old Unicode
inline constexpr std::uint16_t combining = 1 << 7;     // what StripAccents removes
inline constexpr std::uint16_t bert_control = 1 << 8;  // what BertNormalizer removes
inline constexpr std::uint16_t bert_accent = 1 << 9;   // likewise, as accents
inline constexpr std::uint16_t nfc_changes = 1 << 10;
inline constexpr std::uint16_t nfkc_changes = 1 << 11;
inline constexpr std::uint16_t normalization_unknown = 1 << 12;  // newer than the library's normalization
}  // namespace char_class

// The classes of all code points, in pages. Made once; immutable.
class CharClasses {
 public:
  static const CharClasses& get();
  std::uint16_t operator[](char32_t c) const { return pages_[page_[c >> 8] * std::size_t{256} + (c & 255)]; }

 private:
  CharClasses();
  std::array<std::uint16_t, 0x1100> page_;
  std::vector<std::uint16_t> pages_;
};

// What Rust's char::to_lowercase gives, as one character; U+0130, which becomes two, is the caller's.
char32_t lower_case_of(char32_t c);

}  // namespace glossa
