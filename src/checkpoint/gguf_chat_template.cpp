#include "checkpoint/gguf_chat_template.h"

namespace glossa {

std::optional<ChatTemplate> gguf_chat_template(const GgufMetadata& metadata, bool with_tools,
                                               const TemplateLimits& limits) {
  std::string key = "tokenizer.chat_template";
  if (with_tools && metadata.has(key + ".tool_use")) key += ".tool_use";
  if (!metadata.has(key)) return std::nullopt;
  std::map<std::string, std::string> tokens;
  for (const std::string name : {"bos_token", "eos_token"}) {
    const std::string id = "tokenizer.ggml." + name + "_id";
    if (!metadata.has(id) || !metadata.has("tokenizer.ggml.tokens")) continue;
    const GgufArray& pieces = metadata.strings("tokenizer.ggml.tokens");
    const auto most = static_cast<std::int64_t>(pieces.size()) - 1;
    tokens[name] = pieces.text(static_cast<std::uint64_t>(metadata.integer(id, {0, most})));
  }
  return ChatTemplate::parse(metadata.text(key), metadata.origin() + ": " + key, std::move(tokens), limits);
}

}  // namespace glossa
