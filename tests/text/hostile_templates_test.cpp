// The cases B23, E15, E16 and J21: templates are strangers' programs, and messages strangers' texts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/error.h"
#include "text/chat_template.h"

namespace glossa::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// What comes of a template: its text, or why it was refused; soon in either case.
std::string result(std::string_view source, std::string_view content = "") {
  const auto begin = std::chrono::steady_clock::now();
  std::string text;
  try {
    text = ChatTemplate::parse(source).render({{{"role", "user"}, {"content", content}}}).text;
  } catch (const Error& error) {
    EXPECT_TRUE(error.exit() == Exit::input || error.exit() == Exit::limit) << error.what();
    text = error.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << source.substr(0, 200);
  return text;
}

TEST(HostileTemplates, B23_E16_Steps) {
  EXPECT_THAT(result("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"),
              HasSubstr("template exceeded 1000000 steps"));
  EXPECT_THAT(result("{% set x = range(100000)|list %}{% for a in x %}{{ x|sum }}{% endfor %}"),
              HasSubstr("1000000 steps"));
  EXPECT_THAT(result("{% for a in range(100000) %}{{ messages[0].content is upper }}{% endfor %}",
                     repeated("A", 1 << 20)),
              AnyOf(HasSubstr("1000000 steps"), HasSubstr("bytes of text")));
}

// What looks through a long text again and again is counted, though it makes nothing.
TEST(HostileTemplates, B23_E16_TextsLookedThrough) {
  const std::string content = repeated("0", 1 << 20);
  for (const char* look : {"messages[0].content.partition('x')", "messages[0].content|int"})
    EXPECT_THAT(result(std::string("{% for a in range(100000) %}{% for b in range(100) %}{% set x = ") + look +
                           " %}{% endfor %}{% endfor %}",
                       content),
                AnyOf(HasSubstr("1000000 steps"), HasSubstr("bytes of text")))
        << look;
}

// A name, a path of attributes or many arguments cost by their length, wherever they are used.
TEST(HostileTemplates, B23_E16_LongNamesPathsAndArguments) {
  EXPECT_THAT(result("{{ " + repeated("x", 1001) + " }}"),
              HasSubstr("line 1: a name of 1001 bytes, and at most 1000 are read"));
  EXPECT_EQ(result("{% set " + repeated("x", 1000) + " = 1 %}{{ " + repeated("x", 1000) + " }}"), "1");
  EXPECT_THAT(result("{% set x = ['a'] * 100000 %}{{ x|map(attribute='" + repeated("0.", 100000) +
                     "0')|list|length }}"),
              HasSubstr("1000000 steps"));
  std::string parameters;
  for (int i = 0; i < 20000; ++i) parameters += fmt::format("{}a{}", i ? "," : "", i);
  EXPECT_THAT(result("{% macro m(" + parameters +
                     ") %}{% endmacro %}{% for i in range(100000) %}{{ m() }}{% endfor %}"),
              HasSubstr("1000000 steps"));
}

TEST(HostileTemplates, B23_E16_Ranges) {
  EXPECT_THAT(result("{{ range(10**9)|length }}"),
              HasSubstr("template exceeded 100000 numbers of one range()"));
  EXPECT_THAT(result("{{ range(-9223372036854775807, 9223372036854775807)|length }}"),
              HasSubstr("100000 numbers"));
  EXPECT_EQ(result("{{ range(0, -9223372036854775807, -9223372036854775807)|length }}"), "1");
}

TEST(HostileTemplates, B23_E16_Nesting) {
  const int kDeep = 100000;
  for (const auto& [open, close] :
       {std::pair("{% if 1 %}", "{% endif %}"), std::pair("{% for x in y %}", "{% endfor %}"),
        std::pair("{% filter upper %}", "{% endfilter %}"), std::pair("{% macro m() %}", "{% endmacro %}")}) {
    // As many as a template of 1 MB holds.
    const int n = std::min<int>(kDeep, (1 << 20) / static_cast<int>(std::strlen(open) + std::strlen(close)));
    EXPECT_THAT(result(repeated(open, n) + repeated(close, n)),
                HasSubstr("template exceeded 100 levels of nesting"))
        << open;
  }
  for (const auto& [open, close] :
       {std::pair("(", ")"), std::pair("[", "]"), std::pair("{1:", "}"), std::pair("not ", ""),
        std::pair("-", ""), std::pair("a(", ")"), std::pair("a[", "]"), std::pair("a if b else ", ""),
        std::pair("1|d(", ")"), std::pair("1 is eq(", ")"), std::pair("1 is eq (", ")")})
    EXPECT_THAT(result("{{ " + repeated(open, kDeep / 2) + "1" + repeated(close, kDeep / 2) + " }}"),
                HasSubstr("levels of nesting"))
        << open;
  EXPECT_THAT(result("{% set " + repeated("(", kDeep) + "x" + repeated(")", kDeep) + " = 1 %}"),
              HasSubstr("levels of nesting"));
  EXPECT_THAT(result("{{ a" + repeated(" if b", kDeep) + " }}"), HasSubstr("levels of nesting"));
}

TEST(HostileTemplates, E16_LongChainsAreNotDeep) {
  EXPECT_EQ(result("{{ 0" + repeated("+1", 50000) + " }}"), "50000");
  EXPECT_EQ(result("{{ ''" + repeated("~1", 1000) + " }}"), repeated("1", 1000));
  EXPECT_EQ(result("{{ 1" + repeated(" and 1", 50000) + " }}"), "1");
  EXPECT_EQ(result("{{ 'a'" + repeated("|upper", 50000) + " }}"), "A");
  EXPECT_EQ(result("{{ 'a'" + repeated(".strip()", 50000) + " }}"), "a");
  EXPECT_EQ(result("{{ 1" + repeated("<=1", 50000) + " }}"), "True");
  EXPECT_EQ(result("{% if 0 %}" + repeated("{% elif 0 %}", 50000) + "{% else %}x{% endif %}"), "x");
}

TEST(HostileTemplates, B23_E16_Macros) {
  EXPECT_THAT(result("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
              HasSubstr("template exceeded 400 levels of nesting"));
  EXPECT_THAT(result("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{% call a() %}{% endcall %}{% "
                     "endmacro %}{{ b() }}"),
              AnyOf(HasSubstr("400 levels"), HasSubstr("takes no argument")));
  EXPECT_THAT(
      result("{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(40) }}"),
      HasSubstr("1000000 steps"));
}

TEST(HostileTemplates, E16_Sizes) {
  EXPECT_THAT(result("{{ 'x' * 10**10 }}"), HasSubstr("template exceeded 268435456 bytes of text and lists"));
  EXPECT_THAT(result("{{ ([1] * 9223372036854775807)|length }}"), HasSubstr("bytes of text and lists"));
  EXPECT_THAT(result("{{ 10**100 }}"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(
      result(
          "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"),
      HasSubstr("bytes of text and lists"));
  EXPECT_THAT(
      result(
          "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}"),
      HasSubstr("bytes of text and lists"));
  EXPECT_THAT(result("{% set x = 'x' * 1000000 %}{% for i in range(1000) %}{{ x }}{% endfor %}"),
              AnyOf(HasSubstr("bytes of output"), HasSubstr("bytes of text and lists")));
  EXPECT_THAT(result("{{ 'x'.replace('', 'y' * 1000000).replace('y', 'z' * 1000) }}"),
              HasSubstr("bytes of text and lists"));
  EXPECT_THAT(result("{{ ('x,' * 1000000).split(',')|join('y' * 1000) }}"),
              HasSubstr("bytes of text and lists"));
  EXPECT_THAT(result("{{ 'x'.center(9223372036854775807) }}"), HasSubstr("bytes of text and lists"));
  EXPECT_THAT(result("{{ {}|tojson(indent=9223372036854775807) }}"), HasSubstr("bytes of text and lists"));
  EXPECT_THAT(result("{{ 'a'|indent(9223372036854775807) }}"), HasSubstr("bytes of text and lists"));
  EXPECT_THAT(result("{{ [1]|batch(9223372036854775807, 0)|list }}"), HasSubstr("steps"));
  EXPECT_THAT(result("{{ []|slice(9223372036854775807)|list }}"), HasSubstr("steps"));
  EXPECT_THAT(result("{{ '%99999999d' % 1 }}"), HasSubstr("at most 1000 wide"));
  EXPECT_THAT(result("{{ strftime_now('%99999d') }}"), HasSubstr("1024 bytes"));
  EXPECT_THAT(result(std::string(10 << 20, 'x')),
              HasSubstr("a template of 10485760 bytes, and at most 1048576 are read"));
}

// Shared parts make small values that are huge when they are written out.
TEST(HostileTemplates, E16_ValuesWithinValues) {
  const std::string doubled =
      "{% set ns = namespace(l=['x']) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}";
  EXPECT_THAT(result(doubled + "{{ ns.l }}"), HasSubstr("exceeded"));
  EXPECT_THAT(result(doubled + "{{ ns.l|tojson }}"), HasSubstr("exceeded"));
  EXPECT_THAT(result(doubled + "{% set a = ns.l %}" + doubled + "{{ ns.l == a }}"), HasSubstr("exceeded"));
  EXPECT_THAT(
      result("{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}"),
      HasSubstr("template exceeded 100 levels of lists within lists"));
  EXPECT_THAT(result("{% set ns = namespace() %}{% for i in range(1000) %}{% for x in [ns.l] %}{% set ns.l = "
                     "loop %}{% endfor %}{% endfor %}"),
              HasSubstr("levels of lists within lists"));
  // Namespaces and macros may hold themselves and each other, and go all the same.
  EXPECT_THAT(result("{% set ns = namespace() %}{% set ns.a = [ns] %}{% set ns.n = namespace %}{{ ns }}"),
              HasSubstr("levels of nesting"));
  EXPECT_EQ(result("{% set ns = namespace() %}{% macro m() %}{{ ns is defined }}{% endmacro %}{% set ns.m = "
                   "m %}{{ ns.m() }}"),
            "True");
  EXPECT_EQ(
      result(
          "{% set n = namespace() %}{% set ns = namespace(first=n, last=n) %}{% for i in range(20000) %}"
          "{% set m = namespace() %}{% set x = namespace(v=ns.last) %}{% set ns.last = x %}{% endfor %}done"),
      "done");
}

TEST(HostileTemplates, E15_NothingOutside) {
  EXPECT_THAT(result("{{ ''.__class__ }}"),
              HasSubstr("access to the attribute \"__class__\" of a str is unsafe"));
  EXPECT_THAT(result("{{ ''['__class__'] }}"), HasSubstr("unsafe"));
  EXPECT_THAT(result("{{ messages.__init__.__globals__ }}"), HasSubstr("unsafe"));
  EXPECT_THAT(result("{{ messages|map(attribute='__class__')|list }}"), HasSubstr("unsafe"));
  for (const char* tag : {"include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'"})
    EXPECT_THAT(result("{% " + std::string(tag) + " %}"), HasSubstr("reads other files")) << tag;
  EXPECT_THAT(result("{% block x %}{% endblock %}"), HasSubstr("there is no tag \"block\""));
  EXPECT_THAT(result("{{ '{0.__class__}'.format(1) }}"), HasSubstr("not supported"));
  EXPECT_THAT(result("{{ '{:>1000000000}'.format(1) }}"), HasSubstr("not supported"));
  EXPECT_THAT(result("{{ open('/etc/passwd') }}"), HasSubstr("'open' is undefined"));
  EXPECT_THAT(result("{{ self }}{{ self._TemplateReference__context }}"), HasSubstr("undefined"));
  EXPECT_THAT(result("{{ lipsum.__globals__ }}"), HasSubstr("'lipsum' is undefined"));
}

TEST(HostileTemplates, E15_NothingChanges) {
  for (const char* change :
       {"messages.append(1)", "messages.pop()", "messages[0].update({})", "messages[0].clear()", "[].sort()"})
    EXPECT_THAT(result("{{ " + std::string(change) + " }}"),
                HasSubstr("templates can change nothing but namespaces"))
        << change;
  EXPECT_THAT(result("{% set messages.x = 1 %}"), HasSubstr("which is no namespace"));
  EXPECT_THAT(result("{% set ns = namespace() %}{% set ns._x = 1 %}"), HasSubstr("underscore"));
}

TEST(HostileTemplates, J21_MessagesAreNeverTemplates) {
  const std::string plain = "{% for m in messages %}{{ m.content }}{% endfor %}";
  for (const char* content : {"{{ 7 * 7 }}", "{% for x in range(10**9) %}{% endfor %}", "{% raw %}", "{#",
                              "}}", "{{ raise_exception('x') }}", "\\u007b\\u007b 7 }}"}) {
    EXPECT_EQ(result(plain, content), content);
    EXPECT_EQ(result("{{ '%s' % messages[0].content }}", content), content);
    EXPECT_EQ(result("{{ '{}'.format(messages[0].content) }}", content), content);
  }
}

TEST(HostileTemplates, J21_MessagesCannotBlowUpATemplate) {
  EXPECT_THAT(result("{{ messages[0].content.split('a')|join(messages[0].content) }}", repeated("a", 100000)),
              HasSubstr("bytes of text and lists"));
  EXPECT_THAT(
      result("{% for c in messages[0].content %}{% for d in messages[0].content %}{% endfor %}{% endfor %}",
             repeated("狗", 10000)),
      HasSubstr("exceeded"));
  // Quadratic searches: a needle as long as half of the text.
  EXPECT_EQ(
      result("{{ (messages[0].content[:100000] ~ 'b') in messages[0].content }}", repeated("a", 200000)),
      "False");
  EXPECT_THAT(
      result("{{ messages[0].content.rfind('b' ~ messages[0].content[:1000000]) }}", repeated("a", 2000000)),
      AnyOf("-1", HasSubstr("steps")));
}

TEST(HostileTemplates, J21_UnknownAndReservedVariables) {
  ChatOptions options;
  options.chat_template_kwargs = {{"messages", 1}};
  try {
    ChatTemplate::parse("x").render(OrderedJson::array(), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "chat template: chat_template_kwargs: \"messages\" is given in another way");
  }
}

TEST(HostileTemplates, LimitsAreOptions) {
  TemplateLimits limits;
  limits.steps = 10;
  const auto chat = ChatTemplate::parse("{{ 1 }}{{ 2 }}{{ 3 }}{{ 4 }}{{ 5 }}{{ 6 }}{{ 7 }}", "t", {}, limits);
  try {
    chat.render(OrderedJson::array());
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "t: line 1: template exceeded 10 steps");
    EXPECT_EQ(error.code(), Code::count);
  }
}

}  // namespace
}  // namespace glossa::test
