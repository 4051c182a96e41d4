#include "data/text_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_of.h"

namespace glossa::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<TextRow> rows(std::string_view text, bool required = false) {
  return read_text_rows(LineReader(ByteStream::of_bytes(as_bytes(text), "rows"), {}),
                        {.names = {"text", "n"}, .label = "label", .label_required = required});
}

TEST(TextRows, AreTheFieldsThatAreWanted) {
  const auto all = rows(
      "{\"n\": 1, \"text\": \"a\\n{b}\", \"label\": true, \"more\": [1]}\r\n\n"
      "{\"text\": \"\", \"n\": -2.5}\n{\"text\": \"\xE4\xBD\xA0\", \"n\": false, \"label\": null}");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_THAT(all[0].values, ElementsAre("a\n{b}", "1"));
  EXPECT_EQ(all[0].label, "true");
  EXPECT_THAT(all[1].values, ElementsAre("", "-2.5"));
  EXPECT_EQ(all[1].label, std::nullopt);
  EXPECT_EQ(all[1].line, 3u);
  EXPECT_THAT(all[2].values, ElementsAre("\xE4\xBD\xA0", "false"));
  EXPECT_EQ(all[2].label, std::nullopt);
}

TEST(TextRows, RefuseByLine) {
  const auto refusal = [](std::string_view text, bool required = false) {
    return error_of([&] { rows(text, required); });
  };
  const std::string good = "{\"text\": \"a\", \"n\": 1, \"label\": \"x\"}\n";
  EXPECT_THAT(refusal(good + "{\"txt\": \"a\", \"n\": 1}"),
              HasSubstr("E3301 rows: line 2: has no field \"text\"; its fields are \"n\", \"txt\""));
  EXPECT_THAT(refusal("{}"), HasSubstr("its fields are none"));
  EXPECT_THAT(refusal(good + "{\"text\": [\"a\"], \"n\": 1}"),
              HasSubstr("line 2: field \"text\" is a JSON array"));
  EXPECT_THAT(refusal("{\"text\": \"a\", \"n\": null}"), HasSubstr("field \"n\" is a JSON null"));
  EXPECT_THAT(refusal("{\"text\": \"a\", \"n\": 1}", true), HasSubstr("has no field \"label\""));
  EXPECT_THAT(refusal("{\"text\": \"a\", \"n\": 1, \"label\": null}", true),
              HasSubstr("field \"label\" is a JSON null"));
  EXPECT_THAT(refusal("{\"text\": \"a\", \"n\": 1, \"label\": \" \\n\"}"),
              HasSubstr("field \"label\" is empty"));
  EXPECT_THAT(refusal("{\"text\": \"a\", \"n\": 1, \"label\": {}}"),
              HasSubstr("field \"label\" is a JSON object"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("line 1: is a JSON array, and an object is needed"));
  EXPECT_THAT(refusal(good + "{\"text\": "), HasSubstr("line 2"));
  EXPECT_THAT(refusal("{\"text\": \"\xFF\", \"n\": 1}"), HasSubstr("E3002"));
  EXPECT_THAT(refusal("\n \n"), HasSubstr("E3004 rows: no rows"));
  EXPECT_THAT(refusal("{\"text\": \"a\", \"text\": \"b\", \"n\": 1}"), HasSubstr("duplicate key"));
}

}  // namespace
}  // namespace glossa::test
