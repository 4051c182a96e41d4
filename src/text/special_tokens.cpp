#include "text/special_tokens.h"

#include "base/error.h"
#include "base/json.h"
#include "text/json_node.h"

namespace glossa {
namespace {

constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kMap = "special_tokens_map.json";

struct Role {
  const char* key;
  std::string SpecialTokens::*token;
};
constexpr Role kRoles[] = {
    {"bos_token", &SpecialTokens::bos},   {"eos_token", &SpecialTokens::eos},
    {"unk_token", &SpecialTokens::unk},   {"pad_token", &SpecialTokens::pad},
    {"sep_token", &SpecialTokens::sep},   {"cls_token", &SpecialTokens::cls},
    {"mask_token", &SpecialTokens::mask},
};

// A token is a text, or an object with its content.
void read_roles(const JsonNode& root, SpecialTokens& tokens) {
  for (const Role& role : kRoles)
    if (const auto node = root.find(role.key))
      tokens.*role.token = node->json().is_object() ? node->at("content").string() : node->string();
}

void read_config(const JsonNode& root, SpecialTokens& tokens) {
  read_roles(root, tokens);
  tokens.add_bos = root.boolean("add_bos_token", false);
  tokens.add_eos = root.boolean("add_eos_token", false);
  tokens.clean_up_tokenization_spaces = root.boolean("clean_up_tokenization_spaces", false);
  // "No limit" is spelled as 10^30.
  if (const auto length = root.find("model_max_length"); length && length->json().is_number()) {
    if (length->json().is_number_unsigned() && length->json().get<std::uint64_t>() <= INT64_MAX)
      tokens.model_max_length = length->json().get<std::int64_t>();
    else if (!(length->json().get<double>() > 0))
      length->wrong("a positive number");
  }
  // A list of named templates is the chat template's reader's to choose from.
  if (const auto chat = root.find("chat_template"); chat && chat->json().is_string())
    tokens.chat_template = chat->string();
}

}  // namespace

SpecialTokens read_special_tokens(const fs::path& directory, const Limits& limits) {
  SpecialTokens tokens;
  const auto read = [&](const char* name, auto&& reader) {
    const fs::path path = directory / name;
    std::error_code error;  // of other errors reading says more
    if (!fs::exists(path, error) && !error) return;
    const Json json = read_json(path, limits);
    reader(JsonNode(json, "", shown(path)), tokens);
  };
  read(kMap, read_roles);
  read(kConfig, read_config);
  return tokens;
}

std::string to_tokenizer_config(const SpecialTokens& tokens) {
  OrderedJson json;
  for (const Role& role : kRoles)
    if (!(tokens.*role.token).empty()) json[role.key] = tokens.*role.token;
  if (tokens.add_bos) json["add_bos_token"] = true;
  if (tokens.add_eos) json["add_eos_token"] = true;
  json["clean_up_tokenization_spaces"] = tokens.clean_up_tokenization_spaces;
  if (tokens.model_max_length) json["model_max_length"] = *tokens.model_max_length;
  if (!tokens.chat_template.empty()) json["chat_template"] = tokens.chat_template;
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  return to_text(json);
}

}  // namespace glossa
