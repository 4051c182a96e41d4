// chat_template.h -- a conversation as the text that a model was trained on: the subset of Jinja that chat
// templates are written in, with what transformers' apply_chat_template gives them. docs/chat-templates.md
// says what there is.
//
// Templates come with models and are strangers' programs. They read nothing but what they are given, call
// nothing outside, and every resource they use is limited. What users write is a value and never read as a
// template.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/jinja_budget.h"

namespace glossa {

struct ChatOptions {
  OrderedJson tools, documents;  // lists, or null
  bool add_generation_prompt = false;
  // The text ends where the last message's content does, for a model to go on with it.
  bool continue_final_message = false;
  bool mark_generated = false;                      // fill in RenderedChat::generated
  std::optional<std::string> bos_token, eos_token;  // instead of those that came with the template
  OrderedJson chat_template_kwargs;                 // an object of further variables, or null
  std::optional<std::chrono::local_seconds> now;    // for strftime_now, instead of the clock
};

struct RenderedChat {
  std::string text;
  // Bytes [first, second) of `text` that the template says the assistant wrote ({% generation %}).
  std::vector<std::pair<std::uint64_t, std::uint64_t>> generated;
};

class ChatTemplate {
 public:
  // Error(chat_template), with `origin` and the line, for what is not a template; Error(size) and
  // Error(depth) for what is beyond the limits. `tokens` are variables of their names, as "bos_token" and
  // "eos_token".
  static ChatTemplate parse(std::string_view source, std::string origin = "chat template",
                            std::map<std::string, std::string> tokens = {},
                            const TemplateLimits& limits = {});

  // `messages` is a list of objects. Error(chat_template) for what the template refuses by raise_exception,
  // in its own words, and for its mistakes; Error(count, size, depth) for what is beyond the limits, by name.
  // Safe to call from several threads.
  RenderedChat render(const OrderedJson& messages, const ChatOptions& options = {}) const;

  const std::string& source() const { return source_; }
  // Whether the text has the token before everything else, so that the tokenizer must add no second one.
  bool begins_with_bos(std::string_view text) const;

 private:
  struct Tree;
  std::string source_, origin_;
  std::map<std::string, std::string> tokens_;
  TemplateLimits limits_;
  std::shared_ptr<const Tree> tree_;
};

// The template of a Hugging Face directory: chat_template.jinja (with tools,
// additional_chat_templates/tool_use.jinja if that is there too), else `chat_template` of
// tokenizer_config.json: a text, or a list of {name, template} of which "default" is taken, and with tools
// "tool_use" if there is one. Tokens are those of tokenizer_config.json. Nothing if the directory has no
// template.
std::optional<ChatTemplate> load_chat_template(const std::filesystem::path& directory,
                                               bool with_tools = false, const TemplateLimits& limits = {});

}  // namespace glossa
