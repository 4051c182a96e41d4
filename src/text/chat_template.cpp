#include "text/chat_template.h"

#include <algorithm>

#include "text/jinja_parser.h"
#include "text/jinja_render.h"
#include "text/jinja_strings.h"

namespace glossa {
namespace {

// Under these names templates look for what a model thought before its answer. The first is the usual one.
constexpr std::string_view kReasoning[] = {"reasoning_content", "thinking", "reasoning"};
constexpr std::string_view kTag = "CONTINUE_FINAL_MESSAGE_TAG ";

OrderedJson::const_iterator member(const OrderedJson& object, std::string_view key) {
  return object.find(std::string(key));
}

// What one of the names says is given under the first two, too, in the order that transformers gives them.
void share_reasoning(OrderedJson& message) {
  for (const auto key : kReasoning) {
    const auto found = member(message, key);
    if (found == message.end() || found->is_null()) continue;
    const OrderedJson reasoning = *found;
    OrderedJson shared = {{"thinking", reasoning}};
    for (const auto& [name, value] : message.items()) shared[name] = value;
    shared["reasoning_content"] = reasoning;
    message = std::move(shared);
    return;
  }
}

void check_messages(const OrderedJson& messages) {
  check(messages.is_array(), Code::chat_template,
        "messages: found a JSON {}, and a list of objects is needed", messages.type_name());
  for (std::size_t i = 0; i < messages.size(); ++i)
    check(messages[i].is_object(), Code::chat_template,
          "messages[{}]: found a JSON {}, and an object is needed", i, messages[i].type_name());
}

void check_list(const OrderedJson& list, std::string_view name) {
  if (list.is_null()) return;
  check(list.is_array(), Code::chat_template, "{}: found a JSON {}, and a list is needed", name,
        list.type_name());
  for (const auto& item : list)
    check(item.is_object(), Code::chat_template, "{}: found a JSON {} in the list, and objects are needed",
          name, item.type_name());
}

// Puts the tag behind the last text of the last message; that text.
std::string mark_end(OrderedJson& messages) {
  check(!messages.empty(), Code::chat_template, "continue_final_message: there are no messages");
  OrderedJson& last = messages.back();
  const auto content = last.find("content");
  check(content != last.end() && !content->is_null(), Code::chat_template,
        "continue_final_message: the last message has no content");
  const auto mark = [](OrderedJson& text) {
    check(text.is_string(), Code::chat_template, "continue_final_message: found a JSON {} where text must be",
          text.type_name());
    std::string before = text.get<std::string>();
    text = before + std::string(kTag);
    return before;
  };
  if (!content->is_array()) return mark(*content);
  for (auto part = content->rbegin(); part != content->rend(); ++part)
    if (part->is_object() && part->contains("text")) return mark((*part)["text"]);
  fail(Code::chat_template, "continue_final_message: no text in the last message");
}

void cut_at_tag(RenderedChat& chat, std::string_view final_text) {
  const std::size_t tag = chat.text.rfind(jinja::stripped(kTag));
  check(tag != std::string::npos && chat.text.find(jinja::stripped(final_text)) != std::string::npos,
        Code::chat_template, "continue_final_message: the template changes or leaves out the last message");
  const bool whole = std::string_view(chat.text).substr(tag).starts_with(kTag);
  chat.text.resize(tag);
  // The template has trimmed the text, so what is before the tag is trimmed as well.
  if (!whole) chat.text.resize(jinja::stripped(chat.text, {.left = false}).size());
  for (auto& [begin, end] : chat.generated) {
    begin = std::min<std::uint64_t>(begin, chat.text.size());
    end = std::min<std::uint64_t>(end, chat.text.size());
  }
}

class Variables {
 public:
  Variables(std::string_view origin, const TemplateLimits& limits) : origin_(origin), limits_(limits) {}
  void add(std::string name, const OrderedJson& json) {
    check(std::none_of(all_.begin(), all_.end(), [&](const auto& v) { return v.first == name; }),
          Code::chat_template, "{}: chat_template_kwargs: {} is given in another way", origin_, quoted(name));
    jinja::Value value = jinja::from_json(json, name, limits_);
    all_.emplace_back(std::move(name), std::move(value));
  }
  std::vector<std::pair<std::string, jinja::Value>> take() { return std::move(all_); }

 private:
  const std::string_view origin_;
  const TemplateLimits& limits_;
  std::vector<std::pair<std::string, jinja::Value>> all_;
};

}  // namespace

struct ChatTemplate::Tree {
  jinja::Block block;
};

ChatTemplate ChatTemplate::parse(std::string_view source, std::string origin,
                                 std::map<std::string, std::string> tokens, const TemplateLimits& limits) {
  ChatTemplate made;
  made.source_ = source;
  made.origin_ = std::move(origin);
  made.tokens_ = std::move(tokens);
  made.limits_ = limits;
  try {
    made.tree_ = std::make_shared<const Tree>(Tree{jinja::parse_template(source, limits)});
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", made.origin_, error.what());
  }
  return made;
}

RenderedChat ChatTemplate::render(const OrderedJson& given, const ChatOptions& options) const {
  check_messages(given);
  check_list(options.tools, "tools");
  check_list(options.documents, "documents");
  OrderedJson messages = given;
  for (OrderedJson& message : messages) share_reasoning(message);
  std::string final_text;
  if (options.continue_final_message) {
    check(!options.add_generation_prompt, Code::chat_template,
          "continue_final_message and add_generation_prompt contradict each other");
    final_text = mark_end(messages);
  }

  Variables variables(origin_, limits_);
  variables.add("messages", messages);
  variables.add("tools", options.tools);
  variables.add("documents", options.documents);
  variables.add("add_generation_prompt", options.add_generation_prompt);
  std::map<std::string, std::string> tokens = tokens_;
  if (options.bos_token) tokens["bos_token"] = *options.bos_token;
  if (options.eos_token) tokens["eos_token"] = *options.eos_token;
  const OrderedJson& more = options.chat_template_kwargs;
  check(more.is_null() || more.is_object(), Code::chat_template,
        "chat_template_kwargs: found a JSON {}, and an object is needed", more.type_name());
  if (more.is_object())
    for (const auto& [name, value] : more.items()) {
      variables.add(name, value);
      tokens.erase(name);
    }
  for (const auto& [name, text] : tokens) variables.add(name, text);

  try {
    const jinja::RenderInput input{variables.take(), options.now, options.mark_generated};
    jinja::RenderOutput output = jinja::render(tree_->block, input, limits_);
    RenderedChat chat{std::move(output.text), std::move(output.generated)};
    if (options.continue_final_message) cut_at_tag(chat, final_text);
    return chat;
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", origin_, error.what());
  }
}

bool ChatTemplate::begins_with_bos(std::string_view text) const {
  const auto bos = tokens_.find("bos_token");
  return bos != tokens_.end() && !bos->second.empty() && text.starts_with(bos->second);
}

}  // namespace glossa
