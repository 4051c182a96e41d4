#include "text/cut_words.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/unicode.h"
#include "text/unicode_classes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace glossa {
namespace {

enum Kind : std::uint8_t { kOther = 0, kLetter = 1, kNumber = 2, kSpace = 4, kBeyondAscii = 8 };

constexpr std::array<std::uint8_t, 256> ascii_kinds() {
  std::array<std::uint8_t, 256> kinds{};
  for (unsigned c = 0; c < 256; ++c) {
    if (c >= 0x80) kinds[c] = kBeyondAscii;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') kinds[c] = kLetter;
    if (c >= '0' && c <= '9') kinds[c] = kNumber;
    if (c == ' ' || (c >= 9 && c <= 13)) kinds[c] = kSpace;
  }
  return kinds;
}
constexpr std::array<std::uint8_t, 256> kAsciiKinds = ascii_kinds();

struct Character {
  std::uint8_t kind = kOther;
  std::uint8_t size = 0;  // in bytes; 0 at the end of the text
};

class Scanner {
 public:
  Scanner(std::string_view text, std::uint32_t base, std::vector<Piece>& pieces)
      : bytes_(reinterpret_cast<const unsigned char*>(text.data())),
        size_(static_cast<std::uint32_t>(text.size())),
        base_(base),
        pieces_(pieces),
        classes_(CharClasses::get()) {}

  template <WordPattern pattern>
  void cut() {
    while (at_ < size_) {
      const std::uint32_t begin = at_;
      if constexpr (pattern == WordPattern::gpt2) {
        gpt2_piece();
      } else {
        cl100k_piece<pattern == WordPattern::qwen2 ? 1 : 3>();
      }
      pieces_.push_back({base_ + begin, base_ + at_});
    }
  }

 private:
  // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  void gpt2_piece() {
    const unsigned char first = bytes_[at_];
    if (first == '\'') {
      if (const std::uint32_t size = contraction<false>()) {
        at_ += size;
        return;
      }
    }
    const Character c = character(at_);
    if (c.kind != kSpace) {
      at_ += c.size;
      return pass_run(c.kind);
    }
    if (first == ' ') {
      const Character next = character(at_ + 1);
      if (next.size > 0 && next.kind != kSpace) {
        at_ += 1 + next.size;
        return pass_run(next.kind);
      }
    }
    pass_spaces(c);
  }

  // (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
  // \s+(?!\S)|\s+
  template <int most_digits>
  void cl100k_piece() {
    const unsigned char first = bytes_[at_];
    if (first == '\'') {
      if (const std::uint32_t size = contraction<true>()) {
        at_ += size;
        return;
      }
    }
    const Character c = character(at_);
    if (c.kind == kLetter) {
      at_ += c.size;
      return pass_run(kLetter);
    }
    if (c.kind == kNumber) {
      at_ += c.size;
      for (int i = 1; i < most_digits; ++i) {
        const Character digit = character(at_);
        if (digit.size == 0 || digit.kind != kNumber) return;
        at_ += digit.size;
      }
      return;
    }
    const Character next = character(at_ + c.size);
    const bool line_end = first == '\r' || first == '\n';
    if (!line_end && next.kind == kLetter) {
      at_ += c.size + next.size;
      return pass_run(kLetter);
    }
    if (c.kind == kOther) {
      at_ += c.size;
      pass_run(kOther);
      return pass_line_ends();
    }
    if (first == ' ' && next.size > 0 && next.kind == kOther) {
      at_ += 1 + next.size;
      pass_run(kOther);
      return pass_line_ends();
    }
    if (const std::uint32_t end = last_line_end()) {
      at_ = end;
      return;
    }
    pass_spaces(c);
  }

  Character character(std::uint32_t at) const {
    if (at >= size_) return {};
    const std::uint8_t kind = kAsciiKinds[bytes_[at]];
    if (kind != kBeyondAscii) return {kind, 1};
    return wide_character(at);
  }

  Character wide_character(std::uint32_t at) const {
    const unsigned a = bytes_[at];
    const auto continues = [&](std::uint32_t i) { return at + i < size_ && (bytes_[at + i] & 0xC0) == 0x80; };
    if (a >= 0xC2 && a <= 0xDF && continues(1))
      return {kind_of((a & 0x1F) << 6 | (bytes_[at + 1] & 0x3F)), 2};
    if (a >= 0xE0 && a <= 0xEF && continues(1) && continues(2)) {
      const char32_t c = (a & 0x0F) << 12 | (bytes_[at + 1] & 0x3Fu) << 6 | (bytes_[at + 2] & 0x3Fu);
      if (c >= 0x800 && (c < 0xD800 || c > 0xDFFF)) return {kind_of(c), 3};
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes_), size_);
    if (utf8_length_at(text, at) == 0) return {kOther, 1};  // an ill-formed byte
    std::size_t next = at;
    const char32_t c = utf8_next(text, next);
    return {kind_of(c), static_cast<std::uint8_t>(next - at)};
  }

  std::uint8_t kind_of(char32_t c) const {
    static_assert(kLetter == char_class::letter && kNumber == char_class::number &&
                  kSpace == char_class::space);
    return classes_[c] & (char_class::letter | char_class::number | char_class::space);
  }

  // The size of the contraction at the apostrophe at_, or 0. Without regard to case the long s counts as an
  // s.
  template <bool any_case>
  std::uint32_t contraction() const {
    const auto letter = [&](std::uint32_t i) -> unsigned char {
      const unsigned char c = at_ + i < size_ ? bytes_[at_ + i] : 0;
      return any_case && c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    };
    const unsigned char a = letter(1), b = letter(2);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' || a == 'v') && b == 'e') return 3;
    if (a == 'l' && b == 'l') return 3;
    if (any_case && a == 0xC5 && b == 0xBF) return 3;
    return 0;
  }

  // Past all characters of a kind.
  void pass_run(std::uint8_t kind) {
    if (kind == kLetter) pass_ascii_letters();
    for (Character c = character(at_); c.size > 0 && c.kind == kind; c = character(at_)) at_ += c.size;
  }

  void pass_ascii_letters() {
#ifdef __SSE2__
    // Letters, in either case, are the 26 values from -128 on after this shift.
    const __m128i lower = _mm_set1_epi8(0x20), shift = _mm_set1_epi8(static_cast<char>(0x80 - 'a')),
                  bound = _mm_set1_epi8(-128 + 26);
    while (at_ + 16 <= size_) {
      const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes_ + at_));
      const __m128i moved = _mm_add_epi8(_mm_or_si128(sixteen, lower), shift);
      const unsigned others =
          ~static_cast<unsigned>(_mm_movemask_epi8(_mm_cmplt_epi8(moved, bound))) & 0xFFFF;
      if (others) {
        at_ += static_cast<std::uint32_t>(__builtin_ctz(others));
        return;
      }
      at_ += 16;
    }
#endif
    while (at_ < size_ && kAsciiKinds[bytes_[at_]] == kLetter) ++at_;
  }

  void pass_line_ends() {
    while (at_ < size_ && (bytes_[at_] == '\r' || bytes_[at_] == '\n')) ++at_;
  }

  // Where the last line end is over in the run of spaces at at_, or 0.
  std::uint32_t last_line_end() const {
    std::uint32_t end = 0;
    std::uint32_t at = at_;
    for (Character c = character(at); c.size > 0 && c.kind == kSpace; c = character(at)) {
      if (bytes_[at] == '\r' || bytes_[at] == '\n') end = at + 1;
      at += c.size;
    }
    return end;
  }

  // \s+(?!\S)|\s+: all spaces but the last, which belongs to what follows; all of them at the end of the
  // text, and a single one in any case.
  void pass_spaces(Character c) {
    std::uint32_t last = at_;
    const std::uint32_t begin = at_;
    while (c.size > 0 && c.kind == kSpace) {
      last = at_;
      at_ += c.size;
      c = character(at_);
    }
    if (c.size > 0 && last > begin) at_ = last;
  }

  const unsigned char* bytes_;
  std::uint32_t size_, at_ = 0, base_;
  std::vector<Piece>& pieces_;
  const CharClasses& classes_;
};

}  // namespace

std::string_view expression_of(WordPattern pattern) {
  switch (pattern) {
    case WordPattern::gpt2:
      return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
    case WordPattern::cl100k:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
             R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
    case WordPattern::qwen2:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
             R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
  }
  fail(Code::internal, "unknown word pattern {}", static_cast<int>(pattern));
}

std::optional<WordPattern> known_pattern(std::string_view expression) {
  for (const WordPattern pattern : {WordPattern::gpt2, WordPattern::cl100k, WordPattern::qwen2})
    if (expression == expression_of(pattern)) return pattern;
  return std::nullopt;
}

void cut_words(WordPattern pattern, std::string_view text, std::uint32_t base, std::vector<Piece>& pieces) {
  Scanner scanner(text, base, pieces);
  switch (pattern) {
    case WordPattern::gpt2:
      return scanner.cut<WordPattern::gpt2>();
    case WordPattern::cl100k:
      return scanner.cut<WordPattern::cl100k>();
    case WordPattern::qwen2:
      return scanner.cut<WordPattern::qwen2>();
  }
}

}  // namespace glossa
