#include "generate/chat_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace glossa::test {
namespace {

// Letters, < and >, and the special tokens <a> and <b>.
Tokenizer letters() {
  return Tokenizer::parse(R"({"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 5, "content": "<a>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
                     {"id": 6, "content": "<b>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": "?", "continuing_subword_prefix": null, "end_of_word_suffix": null,
              "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
              "vocab": {"a": 0, "b": 1, "<": 2, ">": 3, "?": 4}, "merges": []}})", "letters");
}

const OrderedJson kMessages = OrderedJson::parse(R"([{"role": "user", "content": "a<b>b"}, {"role": "user", "content": [{"type": "text", "text": "<<a>"}]}])");

TEST(ChatPrompt, J23OnlyTheTemplateWritesSpecialTokens) {
  const ChatTemplate t = ChatTemplate::parse("{% for m in messages %}<a>{{ m.content if m.content is string else m.content[0].text }}{% endfor %}");
  // Between < and b> stands the word joiner, which this vocabulary does not have.
  EXPECT_THAT(chat_prompt(letters(), t, kMessages, {}), testing::ElementsAre(5, 0, 2, 4, 1, 3, 1, 5, 2, 2, 4, 0, 3));
  EXPECT_THAT(chat_prompt(letters(), t, kMessages, {}, true), testing::ElementsAre(5, 0, 6, 1, 5, 2, 5));
}

TEST(ChatPrompt, J23ASpecialTokenOfOneCharacterIsLeftOut) {
  const Tokenizer short_name = Tokenizer::parse(R"({"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 2, "content": "e", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
              "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {"a": 0, "b": 1}, "merges": []}})", "short");
  const ChatTemplate t = ChatTemplate::parse("{{ messages[0].content }}e");
  const OrderedJson messages = OrderedJson::parse(R"([{"role": "user", "content": "aeebe"}])");
  EXPECT_THAT(chat_prompt(short_name, t, messages, {}), testing::ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace glossa::test
