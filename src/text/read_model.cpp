#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/read_components.h"

namespace glossa {
namespace {

// Ids without a piece: those of GPT-4's vocabulary are some dozen.
constexpr std::int64_t kMostGaps = 1 << 20;
// Affixes are put to every character; real ones have four bytes.
constexpr std::size_t kAffixBytes = 256;

// The two halves of a merge: ["a", "b"], or in older files "a b".
std::pair<std::string_view, std::string_view> read_merge(const JsonNode& node) {
  if (node.json().is_string()) {
    const std::string_view text = node.string();
    const std::size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos)
      node.wrong("two pieces with a space between");
    return {text.substr(0, space), text.substr(space + 1)};
  }
  const Json& json = node.json();
  if (!json.is_array() || json.size() != 2 || !json[0].is_string() || !json[1].is_string())
    node.wrong("two pieces");
  return {json[0].get_ref<const std::string&>(), json[1].get_ref<const std::string&>()};
}

std::optional<std::string> optional_string(const JsonNode& node, std::string_view key) {
  const auto member = node.find(key);
  return member ? std::optional(member->string()) : std::nullopt;
}

std::optional<std::string> read_affix(const JsonNode& node, std::string_view key) {
  auto affix = optional_string(node, key);
  if (affix && affix->size() > kAffixBytes)
    node.at(key).refuse("an affix of {} bytes, at most {} are allowed", affix->size(), kAffixBytes);
  return affix;
}

BpeModel read_bpe(const JsonNode& node, const Limits& limits) {
  BpeModel model;
  model.vocabulary = read_vocabulary(node.at("vocab"), limits);
  const JsonNode merges = node.at("merges");
  if (!merges.json().is_array()) merges.wrong("a list");
  check(merges.json().size() <= limits.vocabulary, Code::count, "{}: {} merges, at most {} are allowed",
        node.origin(), merges.json().size(), limits.vocabulary);
  model.merges.reserve(merges.json().size());
  for (const Json& json : merges.json()) {
    const JsonNode merge(json, fmt::format("model.merges[{}]", model.merges.size()), node.origin());
    const auto [left, right] = read_merge(merge);
    const Token a = model.vocabulary.find(left), b = model.vocabulary.find(right);
    if (a < 0 || b < 0)
      merge.refuse("the pair {} {}: {} is not in the vocabulary", quoted(left), quoted(right),
                   quoted(a < 0 ? left : right));
    model.merges.emplace_back(a, b);
  }
  if (const auto dropout = node.find("dropout")) {
    if (!dropout->json().is_number()) dropout->wrong("a number from 0 to 1");
    model.dropout = dropout->json().get<double>();
    if (!(*model.dropout >= 0 && *model.dropout <= 1)) dropout->wrong("a number from 0 to 1");
  }
  model.unk_token = optional_string(node, "unk_token");
  model.continuing_subword_prefix = read_affix(node, "continuing_subword_prefix");
  model.end_of_word_suffix = read_affix(node, "end_of_word_suffix");
  model.fuse_unk = node.boolean("fuse_unk", false);
  model.byte_fallback = node.boolean("byte_fallback", false);
  model.ignore_merges = node.boolean("ignore_merges", false);
  return model;
}

// Limits what a walk along a text can cost: of real pieces the longest have some 200 bytes.
constexpr std::size_t kPieceBytes = 1024;

void check_piece(const JsonNode& node, std::string_view piece) {
  if (piece.size() > kPieceBytes)
    node.refuse("a piece of {} bytes, at most {} are allowed", piece.size(), kPieceBytes);
}

WordPieceModel read_word_piece(const JsonNode& node, const Limits& limits) {
  const JsonNode vocabulary = node.at("vocab");
  WordPieceModel model{read_vocabulary(vocabulary, limits), node.at("unk_token").string(),
                       node.at("continuing_subword_prefix").string(),
                       node.at("max_input_chars_per_word").natural(kMostTokens)};
  for (Token id = 0; id < model.vocabulary.size(); ++id) check_piece(vocabulary, model.vocabulary[id]);
  return model;
}

UnigramModel read_unigram(const JsonNode& node, const Limits& limits) {
  const JsonNode list = node.at("vocab");
  if (!list.json().is_array()) list.wrong("a list of pieces and scores");
  check(list.json().size() <= limits.vocabulary, Code::count,
        "{}: model.vocab has {} pieces, at most {} are allowed", node.origin(), list.json().size(),
        limits.vocabulary);
  UnigramModel model;
  model.scores_of_json = true;
  for (const Json& json : list.json()) {
    const JsonNode entry(json, fmt::format("model.vocab[{}]", model.scores.size()), node.origin());
    if (!json.is_array() || json.size() != 2 || !json[0].is_string() || !json[1].is_number())
      entry.wrong("a piece and its score");
    const auto& piece = json[0].get_ref<const std::string&>();
    const double score = json[1].get<double>();
    if (piece.empty()) entry.refuse("an empty piece is found everywhere and nowhere");
    check_piece(entry, piece);
    if (!(score <= 0) || !std::isfinite(score))
      entry.refuse("the score {} of {}: scores are logarithms of probabilities, 0 at most", score,
                   quoted(piece));
    model.vocabulary.append(piece);
    model.scores.push_back(score);
  }
  if (const auto unk = node.find("unk_id")) {
    if (model.scores.empty()) unk->refuse("there is no piece");
    model.unk_id = static_cast<Token>(unk->natural(static_cast<std::int64_t>(model.scores.size()) - 1));
  }
  model.byte_fallback = node.boolean("byte_fallback", false);
  return model;
}

// Files from before models had a type.
std::string_view type_by_members(const JsonNode& node) {
  if (node.find("merges")) return "BPE";
  if (const auto vocabulary = node.find("vocab"); vocabulary && vocabulary->json().is_array())
    return "Unigram";
  if (node.find("max_input_chars_per_word")) return "WordPiece";
  return node.find("vocab") && node.find("unk_token") ? "WordLevel" : "";
}

}  // namespace

Vocabulary read_vocabulary(const JsonNode& node, const Limits& limits) {
  const Json& json = node.json();
  if (!json.is_object()) node.wrong("an object of pieces and ids");
  check(json.size() <= limits.vocabulary, Code::count, "{}: {}{}{} pieces, at most {} are allowed",
        node.origin(), node.path(), node.path().empty() ? "" : " has ", json.size(), limits.vocabulary);
  std::vector<std::pair<Token, const std::string*>> by_id;
  by_id.reserve(json.size());
  for (auto entry = json.begin(); entry != json.end(); ++entry) {
    const JsonNode id(*entry, fmt::format("{}[{}]", node.path(), quoted(entry.key())), node.origin());
    const std::int64_t most = static_cast<std::int64_t>(json.size()) - 1 + kMostGaps;
    if (id.natural(kMostTokens) > most)
      id.refuse("the id {} leaves too large a gap: with {} pieces ids go to {} at most",
                id.natural(kMostTokens), json.size(), most);
    by_id.emplace_back(static_cast<Token>(id.natural(kMostTokens)), &entry.key());
  }
  std::sort(by_id.begin(), by_id.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Vocabulary vocabulary;
  for (std::size_t i = 0; i < by_id.size(); ++i) {
    const auto& [id, piece] = by_id[i];
    if (i > 0 && by_id[i - 1].first == id)
      JsonNode(json[*piece], fmt::format("{}[{}]", node.path(), quoted(*piece)), node.origin())
          .refuse("the id {} is also that of {}", id, quoted(*by_id[i - 1].second));
    while (vocabulary.size() < id) vocabulary.skip();
    vocabulary.append(*piece);
  }
  return vocabulary;
}

Model read_model(const JsonNode& node, const Limits& limits) {
  const auto given = node.find("type");
  const std::string_view type = given ? given->string() : type_by_members(node);
  if (type == "BPE") return read_bpe(node, limits);
  if (type == "WordPiece") return read_word_piece(node, limits);
  if (type == "WordLevel")
    return WordLevelModel{read_vocabulary(node.at("vocab"), limits), node.at("unk_token").string()};
  if (type == "Unigram") return read_unigram(node, limits);
  node.refuse("the model {} is not supported; supported are BPE, WordPiece, WordLevel, Unigram",
              given ? quoted(type) : "without a type");
}

}  // namespace glossa
