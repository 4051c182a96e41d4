// chat_request.h -- a conversation as JSON, with what goes with it: one line of a file of conversations.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "text/chat_template.h"

namespace glossa {

struct ChatRequest {
  OrderedJson messages;
  ChatOptions options;
  std::optional<std::string> chat_template;  // instead of the model's
};

// A list of messages, or an object of `messages` and any of tools, documents, add_generation_prompt,
// continue_final_message, bos_token, eos_token, chat_template, chat_template_kwargs and now ("2024-07-26" or
// "2024-07-26T18:30:00"). Error(chat_template) for other keys and types, Error(json) for what is not JSON.
ChatRequest parse_chat_request(std::string_view json, std::string_view origin, const Limits& limits = {});

}  // namespace glossa
