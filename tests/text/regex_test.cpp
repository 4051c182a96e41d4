// Regular expressions against what Oniguruma makes of them, as the library `tokenizers` uses it.
#include "text/regex.h"

#include <gmock/gmock.h>

#include "support/error_of.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::StartsWith;

// The text cut at its matches, each match in <>.
std::string marked(std::string_view expression, std::string_view text) {
  std::vector<Regex::Match> matches;
  Regex(expression, "test").find_all(text, matches);
  std::string out;
  std::size_t at = 0;
  for (const auto& m : matches) {
    out += std::string(text.substr(at, m.begin - at)) + "<" +
           std::string(text.substr(m.begin, m.end - m.begin)) + ">";
    at = m.end;
  }
  return out + std::string(text.substr(at));
}

struct Case {
  const char *expression, *text, *marked;
};

TEST(Regex, MatchesAreOnigurumas) {
  const Case cases[] = {
      {R"(^a)", "ba\nab\n", "ba\n<a>b\n"},  // lines, not texts
      {R"(a$)", "ba\nab\na", "b<a>\nab\n<a>"},
      {R"($)", "a\n", "a<>\n<>"},
      {R"(\Z)", "a\n", "a<>\n<>"},
      {R"(\z)", "a\n", "a\n<>"},
      {R"(\A.)", "ab\nc", "<a>b\nc"},
      {R"(.+)", "a\nb", "<a>\n<b>"},
      {R"((?m).+)", "a\nb", "<a\nb>"},
      {R"(a{2}+)", "aaaaa", "<aaaa>a"},  // an interval repeated
      {R"(a{2}?)", "aaaaa", "<aa><aa>a<>"},
      {R"(a{,2})", "aaa", "<aa><a>"},
      {R"(a{x}|{,})", "a{x}{,}", "<a{x}><{,}>"},
      {R"(\h+)", "fgh", "<f>gh"},  // hexadecimal digits
      {R"([a[bc]&&[^c]]+)", "abcab", "<ab>c<ab>"},
      {R"([]a]+)", "a]b", "<a]>b"},
      {R"([^]]+)", "a]b", "<a>]<b>"},
      {R"([a-]+[\]\\])", "a-]", "<a-]>"},
      {R"([[:alpha:]x1]+)", "ab12", "<ab1>2"},
      {R"([[:^alpha:]]+)", "ab12", "ab<12>"},
      {R"([[:punct:]]+|\p{Punct}+)", "a+!", "a<+!>"},
      {R"((?<x>a)b)", "ab", "<ab>"},
      {R"(x*)", "axxb", "<>a<xx>b<>"},
      {R"(a||b)", "ab", "<a>b<>"},
      {R"(\R)", "\r\n\n\r", "<\r\n><\n><\r>"},
      {R"((?i)k)", "K\u212Ak", "<K><\u212A><k>"},
      {R"((?i:'s|'re))", "'S'\u017F're'Re", "<'S><'\u017F><'re><'Re>"},
      {R"(a(?i)b|c)", "aB C aC ac", "<aB> C <aC> <ac>"},
      {R"((?i)[^a]+)", "xAa", "<x>Aa"},
      {R"((?i)\p{Lu})", "aB", "a<B>"},
      {R"((?x) a b # c)", "ab", "<ab>"},
      {R"((?#a)b)", "ab", "a<b>"},
      {R"(\w+)", "a\u00B2\u0301_-", "<a\u00B2\u0301_>-"},
      {R"(\d+\s)", "\u0663\u30001 ", "<\u0663\u3000><1 >"},
      {R"([\w]+)", "a\u00B2", "<a>\u00B2"},
      {R"(\bb)", "\u00B2b b", "\u00B2b <b>"},
      {R"(\Bb)", "ab b", "a<b> b"},
      {R"(\p{Han}+|\P{L})", "\u4E2D\u6587a1", "<\u4E2D\u6587>a<1>"},
      {R"(\p{^L}+)", "a12b", "a<12>b"},
      {R"((?<!a)b|(?<=\s)c)", "ab b c", "ab <b> <c>"},
      {R"((?<=c|a)b)", "b ab cb", "b a<b> c<b>"},
      {R"(a(?=bc)|b(?!c))", "abc ab b", "<a>bc a<b> <b>"},
      {R"((?:a|ab)(?:c|bcd))", "abcd", "<abcd>"},
      {R"((?:a|ab)c)", "abc", "<abc>"},
      {R"(a+?b|a)", "aab a", "<aab> <a>"},
      {R"(a*+a|b++c|d?+d)", "aa bbc dd", "aa <bbc> <dd>"},
      {R"((?>a+)b)", "aab", "<aab>"},
      {R"((a*)*b|c)", "aab c", "<aab> <c>"},
      {R"((?:a??)*b)", "ab", "<ab>"},
      {R"((a+)+$)", "aaab aaa", "aaab <aaa>"},
      {R"(\x41\x{1F600}\u0042\t)", "A\U0001F600B\t", "<A\U0001F600B\t>"},
      {R"(\s+(?!\S)|\s+)", "a   b  ", "a<  >< >b<  >"},
      {R"(\N\O)", "a\n\nb", "<a\n>\nb"},
  };
  for (const Case& c : cases) EXPECT_EQ(marked(c.expression, c.text), c.marked) << c.expression;
}

TEST(Regex, IllFormedBytesAreReplacementCharacters) {
  EXPECT_EQ(marked(R"(\p{L}+|[^\s\p{L}]+)", "a\xFF\xE4\xB8 \xE4\xB8\xAD\x80"),
            "<a><\xFF\xE4\xB8> <\xE4\xB8\xAD><\x80>");
}

// Expressions that send engines back again and again, or that look ahead for every match as far as the text
// goes.
TEST(Regex, D07_TimeIsLinearInTheText) {
  const std::string many(1'000'000, 'a'), spaces(1'000'000, ' ');
  for (const char* expression :
       {"(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)(.*)(.*)(.*)x", "a*b|a", "(?=.*b)a|a", "(?!a*c)a"}) {
    std::vector<Regex::Match> matches;
    Regex(expression, "test").find_all(many + "!", matches);
    EXPECT_LE(matches.size(), many.size()) << expression;
  }
  std::vector<Regex::Match> matches;
  Regex(R"(\s+(?!\S)|\s+$|\s*[\r\n]+|\s)", "test").find_all(spaces + "x", matches);
  EXPECT_EQ(matches.size(), 2u);
  Regex("([a-z]+)*X", "test").find_all(many, matches);
  EXPECT_TRUE(matches.empty());
}

TEST(Regex, D07_AutomataThatGrowWithoutEndAreStopped) {
  std::string text;
  for (unsigned i = 0, x = 1; i < 100'000; ++i, x = x * 1103515245 + 12345) text += x >> 30 & 1 ? 'a' : 'b';
  const auto search = [&] {
    std::vector<Regex::Match> matches;
    Regex("(?:[ab]{200}a(?<=a)|a[ab]{199}b)(?=(?:[ab][ab])*a[ab]{60}c|x?)c", "test")
        .find_all(text + "c", matches);
  };
  const std::string said = error_of(search);
  EXPECT_TRUE(said.empty() ||
              (said.starts_with("E5002 test: ") && said.find("states for this text") != said.npos))
      << said;
}

TEST(Regex, D07_PlacesAreNamed) {
  EXPECT_THAT(error_of([] { Regex("a\u4E2D(?<=bc)", "tokenizer.json: x"); }),
              AllOf(StartsWith("E3201 tokenizer.json: x: the regular expression "),
                    HasSubstr(": byte 4: \"(?<=bc)\": ")));
}

}  // namespace
}  // namespace glossa::test
