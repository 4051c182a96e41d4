// Chat templates against what transformers makes of them (tools/make_chat_template_goldens.py), and the
// interface.
#include "text/chat_template.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "support/in_folder.h"
#include "text/chat_request.h"

namespace glossa::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

const fs::path kGoldens = fs::path(GLOSSA_SOURCE_DIR) / "tests/text/chat_templates";

OrderedJson ordered(const fs::path& path) {
  return parse_ordered_json(read_file(path), shown(path));
}

std::string failure(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_TRUE(error.exit() == Exit::input || error.exit() == Exit::limit) << error.what();
    EXPECT_THAT(std::string(error.what()), testing::Not(HasSubstr("\n")));
    return error.what();
  }
  return "";
}

std::string rendered(std::string_view source, const OrderedJson& variables = {}) {
  ChatOptions options;
  options.chat_template_kwargs = variables;
  return ChatTemplate::parse(source).render(OrderedJson::array(), options).text;
}

TEST(ChatTemplate, TheConstructsOfKnownFamilies) {
  const OrderedJson goldens = ordered(kGoldens / "goldens.json");
  int texts = 0, refusals = 0;
  for (const auto& [file, results] : goldens["templates"].items()) {
    const ChatTemplate chat = ChatTemplate::parse(read_file(kGoldens / file), file);
    for (const auto& [name, wanted] : results.items()) {
      SCOPED_TRACE(file + " " + name);
      ChatRequest request = parse_chat_request(goldens["conversations"][name].dump(), name);
      request.options.mark_generated = true;
      RenderedChat result;
      const std::string error = failure([&] { result = chat.render(request.messages, request.options); });
      if (wanted.contains("error")) {
        EXPECT_THAT(error, HasSubstr(wanted["error"].get<std::string>()));
        EXPECT_FALSE(error.empty());
        ++refusals;
        continue;
      }
      EXPECT_EQ(error, "");
      EXPECT_EQ(result.text, wanted["text"].get<std::string>());
      EXPECT_EQ(OrderedJson(result.generated), wanted.value("generated", OrderedJson::array()));
      ++texts;
    }
  }
  EXPECT_GT(texts, 200);
  EXPECT_GT(refusals, 30);
}

// What Jinja makes of them: a loop is left from within other tags too, and what a filter or a variable was to
// get of the last round is dropped.
TEST(ChatTemplate, LoopsAreLeftFromWithinOtherTags) {
  const auto loop = [](const std::string& begin, const std::string& end, const char* leave) {
    return rendered("{% for i in range(4) %}" + begin + "a{% if i == 2 %}{% " + leave +
                    " %}{% endif %}{{ i }}" + end + "{% endfor %}");
  };
  EXPECT_EQ(loop("{% with x = i %}", "{% endwith %}", "break"), "a0a1a");
  EXPECT_EQ(loop("{% with x = i %}", "{% endwith %}", "continue"), "a0a1aa3");
  EXPECT_EQ(loop("{% filter upper %}", "{% endfilter %}", "break"), "A0A1");
  EXPECT_EQ(loop("{% filter upper %}", "{% endfilter %}", "continue"), "A0A1A3");
  EXPECT_EQ(loop("{% set x %}", "{% endset %}{{ x }}", "break"), "a0a1");
}

TEST(ChatTemplate, RandomTemplates) {
  const OrderedJson goldens = ordered(kGoldens / "random.json");
  EXPECT_GE(goldens["cases"].size(), 300u);
  const OrderedJson messages = {{{"role", "user"}, {"content", "Hi"}}};
  ChatOptions options;
  options.chat_template_kwargs = goldens["variables"];
  for (const auto& each : goldens["cases"]) {
    const std::string source = each[0];
    SCOPED_TRACE(source);
    std::string text;
    const std::string error =
        failure([&] { text = ChatTemplate::parse(source).render(messages, options).text; });
    EXPECT_EQ(error.empty(), each[1].is_string()) << error;
    if (each[1].is_string()) {
      EXPECT_EQ(text, each[1].get<std::string>());
    }
  }
}

TEST(ChatTemplate, ATemplatesOwnWordsComeThrough) {
  EXPECT_EQ(failure([] { rendered("a\n{{ raise_exception('Roles must\nalternate') }}"); }),
            "chat template: line 2: the template refuses the conversation: Roles must alternate");
}

TEST(ChatTemplate, ErrorsSayLineAndWhatWasFound) {
  EXPECT_EQ(failure([] { ChatTemplate::parse("\n{% if x %}", "t.jinja"); }),
            "t.jinja: line 2: found the end of the template, expected {% endif %}");
  EXPECT_EQ(failure([] { ChatTemplate::parse("{{ a b }}"); }),
            "chat template: line 1: found \"b\", expected '}}'");
  EXPECT_THAT(failure([] { ChatTemplate::parse("{% endfor %}"); }), HasSubstr("there is no tag \"endfor\""));
  EXPECT_THAT(failure([] { ChatTemplate::parse("{{ 'a }}"); }), HasSubstr("not closed"));
  EXPECT_THAT(failure([] { ChatTemplate::parse("{% for x in y recursive %}{% endfor %}"); }),
              HasSubstr("recursive"));
  EXPECT_THAT(failure([] { ChatTemplate::parse("\xff"); }), HasSubstr("byte 0: not UTF-8"));
  EXPECT_EQ(failure([] {
              rendered("{{ a.b.c }}", {{"a", OrderedJson::object()}});
            }),
            "chat template: line 1: 'dict object' has no attribute \"b\"");
  EXPECT_THAT(failure([] { rendered("{{ 1|uppr }}"); }), HasSubstr("did you mean upper?"));
}

TEST(ChatTemplate, GeneratedTextIsInBytes) {
  ChatOptions options;
  options.mark_generated = true;
  const OrderedJson messages = {{{"role", "user"}, {"content", "你好"}},
                                {{"role", "assistant"}, {"content", "世界"}}};
  const auto chat = ChatTemplate::parse(
      "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% else %}{% generation %}{{ m.content "
      "}}!"
      "{% endgeneration %}{% endif %}{% endfor %}");
  const RenderedChat result = chat.render(messages, options);
  EXPECT_EQ(result.text, "你好世界!");
  EXPECT_THAT(result.generated, ElementsAre(Pair(6, 13)));
  EXPECT_THAT(chat.render(messages).generated, IsEmpty());
  options.continue_final_message = true;
  const RenderedChat continued = chat.render(messages, options);
  EXPECT_EQ(continued.text, "你好世界");
  EXPECT_THAT(continued.generated, ElementsAre(Pair(6, 12)));
}

TEST(ChatTemplate, TokensAndTime) {
  const auto chat = ChatTemplate::parse("{{ bos_token }}{{ strftime_now('%Y-%m-%d %A %H:%M') }}", "t",
                                        {{"bos_token", "<s>"}});
  ChatOptions options;
  options.now = std::chrono::local_days(std::chrono::year(2024) / 2 / 29) + std::chrono::hours(7);
  const std::string text = chat.render(OrderedJson::array(), options).text;
  EXPECT_EQ(text, "<s>2024-02-29 Thursday 07:00");
  EXPECT_TRUE(chat.begins_with_bos(text));
  options.bos_token = "<b>";
  EXPECT_EQ(chat.render(OrderedJson::array(), options).text, "<b>2024-02-29 Thursday 07:00");
}

TEST(ChatRequest, KeysAndTypes) {
  const auto request = [](std::string_view json) {
    return failure([&] { parse_chat_request(json, "line 1"); });
  };
  EXPECT_EQ(request(R"([{"role": "user"}])"), "");
  EXPECT_EQ(request(R"({"messages": [], "now": "2024-07-26", "tools": null})"), "");
  EXPECT_THAT(request(R"({"messages": [], "tool": []})"),
              HasSubstr("unknown key \"tool\" (did you mean tools?)"));
  EXPECT_THAT(request(R"({"add_generation_prompt": 1})"),
              HasSubstr("found a JSON number, wanted true or false"));
  EXPECT_THAT(request(R"({"now": "2024-13-01"})"), HasSubstr("is no time"));
  EXPECT_THAT(request(R"({"a": 1, "a": 2})"), HasSubstr("duplicate key"));
}

TEST(ChatTemplate, MessagesMustBeObjects) {
  const auto chat = ChatTemplate::parse("x");
  EXPECT_THAT(failure([&] { chat.render("text"); }), HasSubstr("messages: found a JSON string"));
  EXPECT_THAT(failure([&] { chat.render({1}); }), HasSubstr("messages[0]: found a JSON number"));
  ChatOptions options;
  options.tools = {"x"};
  EXPECT_THAT(failure([&] { chat.render(OrderedJson::array(), options); }),
              HasSubstr("tools: found a JSON string in the list"));
  EXPECT_THAT(failure([&] { rendered("x", {{"big", 18446744073709551615u}}); }), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(failure([&] { rendered("x", {{"text", "\xff"}}); }), HasSubstr("not UTF-8"));
}

class ChatTemplateFiles : public InFolder {
 protected:
  std::string text(bool with_tools = false) const {
    const auto chat = load_chat_template(folder, with_tools);
    return chat ? chat->render(OrderedJson::array()).text : "none";
  }
};

TEST_F(ChatTemplateFiles, WhereTheyAre) {
  EXPECT_EQ(text(), "none");
  put("tokenizer_config.json",
      R"({"bos_token": {"content": "<b>"}, "eos_token": null, "add_bos_token": true})");
  EXPECT_EQ(text(), "none");
  put("tokenizer_config.json",
      R"({"bos_token": {"content": "<b>"}, "chat_template": "one {{ bos_token }}{{ eos_token }}"})");
  EXPECT_EQ(text(), "one <b>");
  put("tokenizer_config.json",
      R"({"eos_token": "</s>", "chat_template": [{"name": "default", "template": "d"},
      {"name": "tool_use", "template": "t{{ eos_token }}"}]})");
  EXPECT_EQ(text(), "d");
  EXPECT_EQ(text(true), "t</s>");
  put("chat_template.jinja", "file {{ eos_token }}");
  EXPECT_EQ(text(true), "file </s>");
  fs::create_directory(folder / "additional_chat_templates");
  put("additional_chat_templates/tool_use.jinja", "tools");
  EXPECT_EQ(text(true), "tools");
  EXPECT_EQ(text(), "file </s>");
}

TEST_F(ChatTemplateFiles, WhatTheyMayNotBe) {
  put("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_THAT(failure([&] { text(); }),
              HasSubstr("tokenizer_config.json: chat_template: found a JSON number"));
  put("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_THAT(failure([&] { text(); }), HasSubstr("no template named \"default\", only \"rag\""));
  put("tokenizer_config.json", R"({"chat_template": [{"name": "rag"}]})");
  EXPECT_THAT(failure([&] { text(); }), HasSubstr("needs a name and a template"));
  put("tokenizer_config.json", R"({"bos_token": [1], "chat_template": ""})");
  EXPECT_THAT(failure([&] { text(); }), HasSubstr("\"bos_token\": found a JSON array"));
  put("chat_template.jinja", "{% if %}");
  put("tokenizer_config.json", "{}");
  EXPECT_THAT(failure([&] { text(); }), HasSubstr("chat_template.jinja: line 1: "));
}

}  // namespace
}  // namespace glossa::test
