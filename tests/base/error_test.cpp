#include "base/error.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/checked.h"

namespace glossa {
namespace {

TEST(Error, TheThousandsOfTheCodeAreTheExitStatus) {
  EXPECT_EQ(Error(Code::safetensors, "").exit(), Exit::input);
  EXPECT_EQ(Error(Code::write, "").exit(), Exit::io);
  EXPECT_EQ(Error(Code::depth, "").exit(), Exit::limit);
  EXPECT_EQ(Error(Code::locked, "").exit(), Exit::busy);
  EXPECT_EQ(Error(Code::stopped, "").exit(), Exit::stopped);
}

TEST(Error, CheckThrowsOnlyWhenTheConditionFails) {
  EXPECT_NO_THROW(check(true, Code::usage, "never {}", 1));
  try {
    check(false, Code::bad_value, "{} is not {}", 3, 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "3 is not 4");
    EXPECT_EQ(error.code(), Code::bad_value);
  }
}

TEST(Error, QuotedTextCannotSteerATerminal) {
  using namespace std::string_view_literals;
  EXPECT_EQ(quoted("plain"), "\"plain\"");
  EXPECT_EQ(quoted("gr\xC3\xBC\xC3\x9F"), "\"gr\xC3\xBC\xC3\x9F\"");
  EXPECT_EQ(quoted("a\x1B[31m\n\0b"sv), "\"a\\x1b[31m\\x0a\\x00b\"");
  EXPECT_EQ(quoted("\xC2\x9B"), "\"\\xc2\\x9b\"");  // the one-character form of ESC [
  EXPECT_EQ(quoted("\xFF\xED\xA0\x80"), "\"\\xff\\xed\\xa0\\x80\"");
  EXPECT_EQ(quoted("say \"\\\""), "\"say \\\"\\\\\\\"\"");
  EXPECT_EQ(quoted(std::string(500, 'x'), 4), "\"xxxx\"... (500 bytes)");
}

TEST(Error, ClosestNamesTheSlipOfThePenAndNothingFarther) {
  const std::vector<std::string> known = {"learning_rate", "warmup_steps", "max_steps", "seed"};
  EXPECT_EQ(closest("lerning_rate", known), "learning_rate");
  EXPECT_EQ(closest("max_step", known), "max_steps");
  EXPECT_EQ(closest("esed", known), "seed");
  EXPECT_EQ(closest("tokenizer_model", known), "");
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Checked, OverflowIsAnError) {
  EXPECT_EQ(checked_mul(1ull << 32, (1ull << 32) - 1), ((1ull << 32) - 1) << 32);
  EXPECT_EQ(checked_add(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_THROW(checked_mul(1ull << 32, 1ull << 32), Error);
  EXPECT_THROW(checked_add(UINT64_MAX, 1), Error);
}

}  // namespace
}  // namespace glossa
