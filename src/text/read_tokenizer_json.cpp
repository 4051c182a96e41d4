#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/read_components.h"
#include "text/tokenizer_json.h"

namespace glossa {
namespace {

constexpr std::size_t kAddedTokenBytes = 4096;

std::vector<AddedToken> read_added_tokens(const JsonNode& root, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  const auto list = root.find("added_tokens");
  if (!list) return tokens;
  Vocabulary seen;
  Token next = vocabulary.count();  // as the library counts
  for (const JsonNode& node : list->elements()) {
    AddedToken token{.id = static_cast<Token>(node.at("id").natural(kMostTokens)),
                     .content = node.at("content").string(),
                     .single_word = node.at("single_word").boolean(),
                     .lstrip = node.at("lstrip").boolean(),
                     .rstrip = node.at("rstrip").boolean(),
                     .normalized = node.at("normalized").boolean(),
                     .special = node.at("special").boolean()};
    if (token.content.empty()) node.refuse("an added token cannot be empty");
    if (token.content.size() > kAddedTokenBytes)
      node.refuse("an added token of {} bytes, at most {} are allowed", token.content.size(),
                  kAddedTokenBytes);
    if (seen.add(token.content) < 0) node.refuse("the added token {} is there twice", quoted(token.content));
    const Token known = vocabulary.find(token.content), wanted = known >= 0 ? known : next++;
    if (token.id != wanted || (known < 0 && vocabulary.has(wanted)))
      node.refuse("the added token {} has the id {}; {} {}", quoted(token.content), token.id,
                  known >= 0 ? "in the vocabulary it has" : "the next free one is", wanted);
    tokens.push_back(std::move(token));
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return tokens;
}

std::string one_of(const JsonNode& node, std::initializer_list<std::string_view> allowed) {
  for (const std::string_view a : allowed)
    if (node.string() == a) return node.string();
  std::string list;
  for (const std::string_view a : allowed) list += fmt::format("{}{}", list.empty() ? "" : ", ", a);
  node.wrong("one of " + list);
}

std::optional<Truncation> read_truncation(const JsonNode& root) {
  const auto node = root.find("truncation");
  if (!node) return std::nullopt;
  Truncation t;
  if (const auto direction = node->find("direction")) t.direction = one_of(*direction, {"Left", "Right"});
  t.strategy = one_of(node->at("strategy"), {"LongestFirst", "OnlyFirst", "OnlySecond"});
  t.max_length = node->at("max_length").natural(kMostTokens);
  t.stride = node->at("stride").natural(kMostTokens);
  return t;
}

std::optional<Padding> read_padding(const JsonNode& root) {
  const auto node = root.find("padding");
  if (!node) return std::nullopt;
  Padding p;
  if (const JsonNode strategy = node->at("strategy"); strategy.json().is_object()) {
    p.fixed_length = strategy.at("Fixed").natural(kMostTokens);
  } else {
    one_of(strategy, {"BatchLongest"});
  }
  p.direction = one_of(node->at("direction"), {"Left", "Right"});
  if (const auto multiple = node->find("pad_to_multiple_of"))
    p.pad_to_multiple_of = multiple->natural(kMostTokens);
  p.pad_id = node->at("pad_id").natural(kMostTokens);
  p.pad_type_id = node->at("pad_type_id").natural(kMostTokens);
  p.pad_token = node->at("pad_token").string();
  return p;
}

}  // namespace

TokenizerParts parse_tokenizer(std::string_view text, std::string_view origin, const Limits& limits) {
  // Other files of tokenizers are told by their names; what is wrong with JSON is for its parser to say.
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  check(first == text.npos || text[first] == '{' || text.starts_with("\xEF\xBB\xBF"), Code::tokenizer,
        "{}: byte {}: found {}, and a tokenizer.json begins with {{; other files of tokenizers are read "
        "under their own "
        "names: *.model, vocab.json with merges.txt, vocab.txt",
        origin, first, quoted(text.substr(std::min(first, text.size()), 8)));
  const Json json = parse_json(text, origin, limits);
  const JsonNode root(json, "", origin);
  if (const auto version = root.find("version"); version && version->string() != "1.0") version->wrong("1.0");
  TokenizerParts parts;
  parts.origin = origin;
  parts.model = read_model(root.at("model"), limits);
  parts.added_tokens = read_added_tokens(root, parts.vocabulary());
  parts.normalizer = read_normalizer(root);
  parts.pre_tokenizer = read_pre_tokenizer(root);
  parts.post_processor = read_post_processor(root);
  parts.decoder = read_decoder(root);
  parts.truncation = read_truncation(root);
  parts.padding = read_padding(root);
  return parts;
}

}  // namespace glossa
