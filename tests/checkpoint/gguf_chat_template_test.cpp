#include "checkpoint/gguf_chat_template.h"

#include <gmock/gmock.h>

#include "support/error_of.h"

namespace glossa {
namespace {

using testing::HasSubstr;

GgufMetadata metadata() {
  GgufMetadata m("model.gguf");
  m.set("tokenizer.ggml.tokens", GgufArray::of(std::vector<std::string>{"a", "<s>", "</s>"}));
  m.set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  m.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  return m;
}

std::string text(const GgufMetadata& m, bool with_tools = false) {
  const auto chat = gguf_chat_template(m, with_tools);
  return chat ? chat->render(OrderedJson::array()).text : "none";
}

TEST(GgufChatTemplate, HasTheFilesTokens) {
  GgufMetadata m = metadata();
  EXPECT_EQ(text(m), "none");
  m.set("tokenizer.chat_template", std::string("{{ bos_token }}x{{ eos_token }}"));
  EXPECT_EQ(text(m), "<s>x</s>");
  EXPECT_EQ(text(m, true), "<s>x</s>");
  m.set("tokenizer.chat_template.tool_use", std::string("tools{{ eos_token }}"));
  EXPECT_EQ(text(m), "<s>x</s>");
  EXPECT_EQ(text(m, true), "tools</s>");
  m.erase("tokenizer.ggml.bos_token_id");
  EXPECT_EQ(text(m), "x</s>");
}

TEST(GgufChatTemplate, B23_WhatIsNoTemplateIsRefusedByName) {
  GgufMetadata m = metadata();
  m.set("tokenizer.chat_template", std::string("{% if %}"));
  EXPECT_THAT(error_of([&] { text(m); }), HasSubstr("model.gguf: tokenizer.chat_template: line 1: "));
  m.set("tokenizer.chat_template",
        std::string("{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}"));
  EXPECT_THAT(error_of([&] { text(m); }), HasSubstr("template exceeded 1000000 steps"));
  m.set("tokenizer.chat_template", std::uint32_t{1});
  EXPECT_THAT(error_of([&] { text(m); }), HasSubstr("tokenizer.chat_template"));
  m.set("tokenizer.chat_template", std::string("x"));
  m.set("tokenizer.ggml.bos_token_id", std::uint32_t{3});
  EXPECT_THAT(error_of([&] { text(m); }), HasSubstr("tokenizer.ggml.bos_token_id"));
}

}  // namespace
}  // namespace glossa
