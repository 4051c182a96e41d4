#include "text/special_tokens.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"
#include "text/json_node.h"

namespace glossa {
namespace {

constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kMap = "special_tokens_map.json";
constexpr const char* kAdded = "added_tokens.json";

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

std::optional<bool> optional_boolean(const JsonNode& root, const char* key) {
  const auto node = root.find(key);
  return node ? std::optional(node->boolean()) : std::nullopt;
}

// An object of ids and tokens.
void read_added_tokens_decoder(const JsonNode& node, std::vector<AddedToken>& tokens) {
  if (!node.json().is_object()) node.wrong("an object of ids and tokens");
  for (const auto& [key, value] : node.json().items()) {
    const JsonNode token(value, fmt::format("{}[{}]", node.path(), quoted(key)), node.origin());
    Token id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0)
      token.refuse("an id is a whole number");
    tokens.push_back({.id = id,
                      .content = token.at("content").string(),
                      .single_word = token.boolean("single_word", false),
                      .lstrip = token.boolean("lstrip", false),
                      .rstrip = token.boolean("rstrip", false),
                      .normalized = token.boolean("normalized", false),
                      .special = token.boolean("special", false)});
  }
}

void read_tokenizer(const JsonNode& root, TokenizerConfig& config) {
  config.origin = root.origin();
  read_config(root, config.special);
  if (const auto name = root.find("tokenizer_class")) config.tokenizer_class = name->string();
  if (config.tokenizer_class.ends_with("Fast"))
    config.tokenizer_class.resize(config.tokenizer_class.size() - 4);
  if (const auto added = root.find("added_tokens_decoder"))
    read_added_tokens_decoder(*added, config.added_tokens);
  config.add_prefix_space = optional_boolean(root, "add_prefix_space");
  config.legacy = optional_boolean(root, "legacy");
  config.strip_accents = optional_boolean(root, "strip_accents");
  config.keep_accents = optional_boolean(root, "keep_accents");
  config.do_lower_case = root.boolean("do_lower_case", true);
  config.tokenize_chinese_chars = root.boolean("tokenize_chinese_chars", true);
  if (const auto extra = root.find("extra_ids")) config.extra_ids = extra->natural(100'000);
}

// added_tokens.json: an object of tokens and ids.
void read_added_tokens(const JsonNode& root, std::vector<AddedToken>& tokens) {
  if (!root.json().is_object()) root.wrong("an object of tokens and ids");
  for (const auto& entry : root.json().items()) {
    const JsonNode id(entry.value(), quoted(entry.key()), root.origin());
    const auto known = [&](const AddedToken& t) { return t.content == entry.key(); };
    if (std::none_of(tokens.begin(), tokens.end(), known))
      tokens.push_back(
          {.id = static_cast<Token>(id.natural(INT32_MAX)), .content = entry.key(), .normalized = false});
  }
}

void sort_by_id(std::vector<AddedToken>& tokens) {
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view text, std::string_view origin, const Limits& limits) {
  const Json json = parse_json(text, origin, limits);
  TokenizerConfig config;
  read_tokenizer(JsonNode(json, "", origin), config);
  sort_by_id(config.added_tokens);
  return config;
}

TokenizerConfig read_tokenizer_config(const fs::path& directory, const Limits& limits) {
  TokenizerConfig config;
  const auto read = [&](const char* name, auto&& reader) {
    const fs::path path = directory / name;
    std::error_code error;  // of other errors reading says more
    if (!fs::exists(path, error) && !error) return;
    const Json json = read_json(path, limits);
    const std::string origin = shown(path);
    reader(JsonNode(json, "", origin));
  };
  read(kMap, [&](const JsonNode& root) { read_roles(root, config.special); });
  read(kConfig, [&](const JsonNode& root) { read_tokenizer(root, config); });
  read(kAdded, [&](const JsonNode& root) { read_added_tokens(root, config.added_tokens); });
  sort_by_id(config.added_tokens);
  return config;
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
