// gguf_chat_template.h -- the chat template inside a GGUF file.
#pragma once
#include <optional>

#include "checkpoint/gguf_file.h"
#include "text/chat_template.h"

namespace glossa {

// tokenizer.chat_template, or with tools tokenizer.chat_template.tool_use if the file has that. The variables
// bos_token and eos_token are the pieces of tokenizer.ggml.bos_token_id and eos_token_id. Nothing if there is
// no template.
std::optional<ChatTemplate> gguf_chat_template(const GgufMetadata& metadata, bool with_tools = false,
                                               const TemplateLimits& limits = {});

}  // namespace glossa
