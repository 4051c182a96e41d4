#include "checkpoint/gguf_tokenizer.h"

#include "text/parts.h"

namespace glossa {
namespace {

std::string key(const char* name) {
  return std::string("tokenizer.ggml.") + name;
}

std::vector<std::string_view> texts(const GgufMetadata& m, const char* name) {
  std::vector<std::string_view> all;
  if (!m.has(key(name))) return all;
  const GgufArray& array = m.strings(key(name));
  for (std::uint64_t i = 0; i < array.size(); ++i) all.push_back(array.text(i));
  return all;
}

std::optional<std::int64_t> id(const GgufMetadata& m, const char* name) {
  return m.has(key(name)) ? std::optional(m.integer(key(name))) : std::nullopt;
}
std::optional<bool> flag(const GgufMetadata& m, const char* name) {
  return m.has(key(name)) ? std::optional(m.boolean(key(name))) : std::nullopt;
}

// A rule set is an array of bytes, with or without signs.
std::string_view bytes(const GgufMetadata& m, const char* name) {
  const auto* array = m.has(key(name)) ? std::get_if<GgufArray>(m.find(key(name))) : nullptr;
  if (!array || (array->type() != GgufType::u8 && array->type() != GgufType::i8)) return {};
  return {reinterpret_cast<const char*>(array->bytes().data()), array->bytes().size()};
}

}  // namespace

GgufVocabulary gguf_vocabulary(const GgufMetadata& m) {
  GgufVocabulary v;
  v.origin = m.origin();
  v.model = m.text(key("model"));
  v.pre = m.text_or(key("pre"), "");
  v.tokens = texts(m, "tokens");
  v.merges = texts(m, "merges");
  if (m.has(key("scores"))) v.scores = m.numbers(key("scores"));
  if (m.has(key("token_type")))
    for (const std::int64_t type : m.integers(key("token_type"), {INT32_MIN, INT32_MAX}))
      v.token_types.push_back(static_cast<std::int32_t>(type));
  v.bos_token_id = id(m, "bos_token_id");
  v.eos_token_id = id(m, "eos_token_id");
  v.unknown_token_id = id(m, "unknown_token_id");
  v.seperator_token_id = id(m, "seperator_token_id");
  v.padding_token_id = id(m, "padding_token_id");
  v.cls_token_id = id(m, "cls_token_id");
  v.mask_token_id = id(m, "mask_token_id");
  v.add_bos_token = flag(m, "add_bos_token");
  v.add_eos_token = flag(m, "add_eos_token");
  v.add_sep_token = flag(m, "add_sep_token");
  v.add_space_prefix = flag(m, "add_space_prefix");
  v.remove_extra_whitespaces = flag(m, "remove_extra_whitespaces");
  v.normalizer_lowercase = flag(m, "normalizer.lowercase");
  v.normalizer_strip_accents = flag(m, "normalizer.strip_accents");
  v.precompiled_charsmap = bytes(m, "precompiled_charsmap");
  if (m.has("tokenizer.chat_template")) v.chat_template = m.text("tokenizer.chat_template");
  return v;
}

Tokenizer gguf_tokenizer(const GgufFile& file) {
  return Tokenizer(tokenizer_of_gguf(gguf_vocabulary(file.metadata())));
}

}  // namespace glossa
