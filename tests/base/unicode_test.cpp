#include "base/unicode.h"

#include <gtest/gtest.h>

#include <array>

namespace glossa {
namespace {

// A second opinion, by decoding first and judging the number afterwards (RFC 3629, section 3): 0 if ill
// formed.
std::size_t second_opinion(std::string_view s) {
  if (s.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  std::size_t length = 0;
  while (length < 8 && (byte(0) << length & 0x80)) ++length;
  if (length == 0) return 1;
  if (length == 1 || length > 4 || s.size() < length) return 0;
  std::uint32_t c = byte(0) & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
    c = c << 6 | (byte(i) & 63u);
  }
  const std::array<std::uint32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = c >= 0xD800 && c < 0xE000;
  return c < least[length] || surrogate || c > 0x10FFFF ? 0 : length;
}

TEST(Utf8, AgreesWithASecondImplementationOnEverySequenceOfOneToThreeBytes) {
  std::array<char, 3> text;
  std::size_t disagreements = 0;
  for (std::uint32_t n = 0; n < 1u << 24; ++n) {
    text = {static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
    for (std::size_t size = 1; size <= 3; ++size) {
      if ((size < 3 && (n & 0xFF)) || (size < 2 && (n & 0xFFFF))) continue;  // each shorter sequence once
      const std::string_view s(text.data(), size);
      disagreements += utf8_length_at(s, 0) != second_opinion(s);
    }
  }
  EXPECT_EQ(disagreements, 0u);
}

TEST(Utf8, AgreesWithASecondImplementationOnEverySequenceOfFourBytes) {
  std::size_t disagreements = 0;
  for (std::uint32_t first = 0xF0; first <= 0xF7; ++first) {
    for (std::uint32_t rest = 0; rest < 1u << 24; ++rest) {
      const std::array<char, 4> text = {static_cast<char>(first), static_cast<char>(rest >> 16),
                                        static_cast<char>(rest >> 8), static_cast<char>(rest)};
      const std::string_view s(text.data(), 4);
      disagreements += utf8_length_at(s, 0) != second_opinion(s);
    }
  }
  EXPECT_EQ(disagreements, 0u);
}

TEST(Utf8, EveryCodePointIsWrittenAndReadBack) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    utf8_append(text, c);
    std::size_t at = 0;
    ASSERT_EQ(utf8_length_at(text, 0), text.size());
    ASSERT_EQ(utf8_next(text, at), c);
    ASSERT_EQ(at, text.size());
  }
}

TEST(Utf8, TheErrorIsFoundAtItsByteWhereverItStands) {
  EXPECT_EQ(utf8_error(""), std::nullopt);
  for (std::size_t at = 0; at < 40; ++at) {
    std::string text(40, 'a');
    EXPECT_EQ(utf8_error(text), std::nullopt);
    text[at] = '\xFF';
    EXPECT_EQ(utf8_error(text), at);
    text.resize(at);
    text += "\xE2\x82";  // cut short at the end of the text
    EXPECT_EQ(utf8_error(text), at);
    text += "\xAC";
    EXPECT_EQ(utf8_error(text), std::nullopt);
  }
}

TEST(Utf8, RepairReplacesEachMaximalPartOnce) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(utf8_repaired("plain"), "plain");
  EXPECT_EQ(utf8_repaired("a\xF1\x80\x80\xE1\x80\xC2"
                          "b\x80"
                          "c\x80\xBF"
                          "d"),  // the Unicode Standard, table 3-8
            "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(utf8_repaired("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(utf8_repaired("\xF4\x90"), r + r);
  EXPECT_EQ(utf8_repaired("\xF0\x9F\x98"), r);
  EXPECT_EQ(utf8_repaired("\xC0\xAF"), r + r);
}

TEST(Unicode, NormalizationForms) {
  EXPECT_EQ(normalized("e\xCC\x81", Normalization::nfc), "\xC3\xA9");
  EXPECT_EQ(normalized("\xC3\xA9", Normalization::nfd), "e\xCC\x81");
  EXPECT_EQ(normalized("\xEF\xAC\x81", Normalization::nfkc), "fi");
  EXPECT_EQ(normalized("\xEF\xAC\x81", Normalization::nfc), "\xEF\xAC\x81");
  EXPECT_EQ(normalized("\xE1\xBA\x9B\xCC\xA3", Normalization::nfkd), "s\xCC\xA3\xCC\x87");
}

TEST(Unicode, LowerCase) {
  EXPECT_EQ(lower_cased("GR\xC3\x9C\xC3\x9F"
                        "E"),
            "gr\xC3\xBC\xC3\x9F"
            "e");
  EXPECT_EQ(lower_cased("\xC4\xB0"), "i\xCC\x87");
}

TEST(Unicode, Classes) {
  EXPECT_TRUE(is_letter(U'\u00E9') && is_letter(U'\u4E2D') && !is_letter(U'1'));
  EXPECT_TRUE(is_number(U'\u0663') && is_number(U'\u00BD') && !is_number(U'a'));
  EXPECT_TRUE(is_space(U'\u3000') && is_space(U'\u00A0') && !is_space(U'\u200B'));
  EXPECT_TRUE(is_punctuation(U'\u3002') && !is_punctuation(U'+') && is_symbol(U'+'));
  EXPECT_TRUE(is_mark(U'\u0301') && !is_mark(U'a'));
}

}  // namespace
}  // namespace glossa
