#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace glossa {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

// The message of the Error that `text` gets, after its code; "" if it is accepted.
std::string refusal(const std::string& text, const Limits& limits = {}) {
  try {
    parse_json(text, "file.json", limits);
  } catch (const Error& error) {
    return fmt::format("E{} {}", static_cast<int>(error.code()), error.what());
  }
  return "";
}

TEST(Json, ReadsWhatRfc8259Allows) {
  const Json json =
      parse_json(R"( {"a": [1, -2, 3.5, 1e3, true, false, null, "x\u00e9\ud83d\ude00\n"], "": {}} )", "t");
  EXPECT_EQ(json["a"][0], 1);
  EXPECT_EQ(json["a"][1], -2);
  EXPECT_EQ(json["a"][2], 3.5);
  EXPECT_EQ(json["a"][3], 1000.0);
  EXPECT_TRUE(json["a"][6].is_null());
  EXPECT_EQ(json["a"][7], "x\xC3\xA9\xF0\x9F\x98\x80\n");
  EXPECT_TRUE(json[""].is_object());
  EXPECT_EQ(parse_json("18446744073709551615", "t"), UINT64_MAX);
  EXPECT_EQ(parse_json("-9223372036854775808", "t"), INT64_MIN);
  EXPECT_TRUE(parse_json("18446744073709551616", "t").is_number_float());
}

TEST(Json, D21_RefusesWhatIsNotJsonAndNamesTheByte) {
  for (const std::string& text : {""s,
                                  " "s,
                                  "{"s,
                                  "}"s,
                                  "[1,2,]"s,
                                  "{\"a\":1,}"s,
                                  "{'a':1}"s,
                                  "{a:1}"s,
                                  "[1 2]"s,
                                  "// c\n1"s,
                                  "/*c*/1"s,
                                  "NaN"s,
                                  "[NaN]"s,
                                  "Infinity"s,
                                  "-Infinity"s,
                                  "nan"s,
                                  "01"s,
                                  "1."s,
                                  ".5"s,
                                  "+1"s,
                                  "0x10"s,
                                  "1e"s,
                                  "1e400"s,
                                  "-1e400"s,
                                  "\"tab\there\""s,
                                  "\"open"s,
                                  "\"\\x41\""s,
                                  "\"\\u12\""s,
                                  "True"s,
                                  "nul"s,
                                  "{}{}"s,
                                  "{} x"s,
                                  "1 2"s,
                                  "[1]]"s,
                                  "{\"a\"}"s,
                                  "{\"a\":}"s,
                                  "{1:2}"s,
                                  "\xEF\xBB\xBF{}"s,
                                  "{}\0"s,
                                  "{}\0[]"s,
                                  "\0"s,
                                  "\xFF\xFE{\0}\0"s}) {
    EXPECT_THAT(refusal(text), testing::StartsWith("E3001 file.json: byte ")) << quoted(text);
  }
  EXPECT_THAT(refusal("{\"a\": NaN}"), HasSubstr("byte 6"));
  EXPECT_THAT(refusal("[1,2,]"), HasSubstr("byte 5"));
  EXPECT_THAT(refusal("{} x"), HasSubstr("byte 3"));
}

TEST(Json, RefusesIllFormedUtf8AndLoneSurrogates) {
  for (const std::string& text : {"\"\xFF\""s, "\"\xC0\xAF\""s, "\"\xED\xA0\x80\""s, "\"\xF4\x90\x80\x80\""s,
                                  "\"\xE2\x82\""s, "\"\x80\""s, "\"\\ud800\""s, "\"\\udc00\""s,
                                  "\"\\ud800\\ud800\""s, "\"\\ud800x\""s, "{\"\xFF\":1}"s}) {
    EXPECT_THAT(refusal(text), testing::StartsWith("E3001 ")) << quoted(text);
  }
}

TEST(Json, RefusesDuplicateKeysAtEveryLevelAlsoWhenTheyAreEqualOnlyUnescaped) {
  EXPECT_THAT(refusal(R"({"a":1,"b":2,"a":3})"), HasSubstr("byte 13: duplicate key \"a\""));
  EXPECT_THAT(refusal(R"({"w":1,"\u0077":2})"), HasSubstr("byte 7: duplicate key \"w\""));
  EXPECT_THAT(refusal(R"([{"x":{"k":[],"k":1}}])"), HasSubstr("duplicate key \"k\""));
  EXPECT_EQ(refusal(R"([{"x":1},{"x":1}])"), "");
}

TEST(Json, DepthIsLimitedWithoutRecursion) {
  EXPECT_EQ(refusal(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_THAT(refusal(std::string(65, '[') + std::string(65, ']')),
              testing::StartsWith("E5003 file.json: byte 64"));
  EXPECT_THAT(refusal(std::string(10'000'000, '[')), testing::StartsWith("E5003"));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), testing::StartsWith("E5003"));
}

TEST(Json, SizeIsLimited) {
  Limits limits;
  limits.json_bytes = 10;
  EXPECT_EQ(refusal("[1,2,3,44]", limits), "");
  EXPECT_THAT(refusal("[1,2,3,444]", limits), testing::StartsWith("E5002"));
}

TEST(Json, ValuesOfATreeAreLimited) {
  Limits limits;
  limits.json_values = 4;
  EXPECT_EQ(refusal(R"({"a":[1,[]]})", limits), "");
  EXPECT_EQ(refusal(R"({"a":[1,[],{}]})", limits), "E5004 file.json: JSON of more than the 4 values allowed");
}

TEST(Json, MessagesStayShortAndCleanWhateverTheTextHolds) {
  for (const std::string& text :
       {std::string(1 << 20, '1'), "\""s + std::string(1 << 20, 'x') + "\n", "\"\x1B[31m\n\""s,
        "[" + std::string(1 << 20, '9') + "e999]", std::string(1 << 16, '\x1B')}) {
    const std::string message = refusal(text);
    EXPECT_LT(message.size(), 400u);
    EXPECT_NE(message, "");
    for (char c : message) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

TEST(Json, EveryTruncationOfADocumentIsRefused) {
  const std::string text = R"({"a":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00"],"b":{"c":"d"}})";
  EXPECT_EQ(refusal(text), "");
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_NE(refusal(text.substr(0, size)), "") << size;
}

// Notes what it is told.
class Recorder final : public JsonEvents {
 public:
  std::string log;
  void null(Place p) override { note("null", p); }
  void boolean(bool v, Place p) override { note(v ? "true" : "false", p); }
  void negative(std::int64_t v, Place p) override { note(fmt::format("negative {}", v), p); }
  void natural(std::uint64_t v, Place p) override { note(fmt::format("natural {}", v), p); }
  void real(double, const std::string& text, Place p) override { note("real " + text, p); }
  void string(std::string& v, Place p) override { note("string " + v, p); }
  void key(std::string& v, Place p) override { note("key " + v, p); }
  void begin_object(Place p) override { note("{", p); }
  void end_object(Place p) override { note("}", p); }
  void begin_array(Place p) override { note("[", p); }
  void end_array(Place p) override { note("]", p); }

 private:
  void note(const std::string& what, Place p) { log += fmt::format("{}-{} {}|", p.begin, p.end, what); }
};

TEST(Json, EventsCarryThePlaceOfTheirToken) {
  Recorder recorder;
  scan_json("{ \"k\\u0041\" : [-0, 12 ,1e3,null] , \"b\":true}", "t", {}, recorder);
  EXPECT_EQ(recorder.log,
            "0-1 {|2-11 key kA|14-15 [|15-17 negative 0|19-21 natural 12|23-26 real 1e3|27-31 null|31-32 ]|"
            "35-38 key b|39-43 true|43-44 }|");
  recorder.log.clear();
  scan_json("17", "t", {}, recorder);
  EXPECT_EQ(recorder.log, "0-2 natural 17|");
}

TEST(Json, WritesInTheOrderGivenAndReadsItBack) {
  const OrderedJson json = {{"z", 1}, {"a", {1, 2}}, {"m", "x"}};
  const std::string text = to_text(json);
  EXPECT_EQ(text, "{\n  \"z\": 1,\n  \"a\": [\n    1,\n    2\n  ],\n  \"m\": \"x\"\n}\n");
  EXPECT_EQ(parse_json(text, "t")["z"], 1);
  EXPECT_THROW(to_text({{"bad", "\xFF"}}), Error);
}

std::string config_error(const std::function<void(const JsonView&)>& look, const std::string& text) {
  const Json json = parse_json(text, "t");
  try {
    look(JsonView(json, "config.json"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::config);
    return error.what();
  }
  return "";
}

TEST(JsonView, TypedLooksRefuseOtherTypesAndRanges) {
  const Json json = parse_json(R"({"n":5,"x":0.5,"b":true,"s":"t","null":null})", "t");
  const JsonView view(json, "config.json");
  EXPECT_EQ(view.integer("n", 1, 0, 10), 5);
  EXPECT_EQ(view.integer("absent", 7, 0, 1), 7);
  EXPECT_EQ(view.integer("null", 7, 0, 1), 7);
  EXPECT_EQ(view.number("x", 0, 0, 1), 0.5);
  EXPECT_EQ(view.number("n", 0, 0, 10), 5.0);
  EXPECT_EQ(view.boolean("b", false), true);
  EXPECT_EQ(view.string("s", ""), "t");
  EXPECT_FALSE(view.has("null"));
  EXPECT_TRUE(view.has("n"));
}

TEST(JsonView, E02_WrongTypesAndValuesAreNamed) {
  const auto integer = [](const JsonView& v) { v.integer("hidden_size", 0, 1, 65536); };
  EXPECT_EQ(config_error(integer, R"({"hidden_size":-1})"),
            "config.json: \"hidden_size\" is \"-1\", and a whole number from 1 to 65536 is needed");
  for (const char* value :
       {"0", "65537", "2147483648", "18446744073709551615", "1e300", "768.0", "\"768\"", "true", "[]"})
    EXPECT_NE(config_error(integer, fmt::format(R"({{"hidden_size":{}}})", value)), "") << value;
  const auto number = [](const JsonView& v) { v.number("dropout", 0, 0, 1); };
  for (const char* value : {"-0.1", "1.5", "\"0\"", "false"})
    EXPECT_NE(config_error(number, fmt::format(R"({{"dropout":{}}})", value)), "") << value;
  EXPECT_NE(config_error([](const JsonView& v) { v.boolean("b", false); }, R"({"b":1})"), "");
  EXPECT_NE(config_error([](const JsonView& v) { v.string("s", ""); }, R"({"s":1})"), "");
  const Json array = Json::array();
  EXPECT_THROW(JsonView(array, "config.json"), Error);
}

}  // namespace
}  // namespace glossa
