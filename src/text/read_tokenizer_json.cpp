#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "text/json_node.h"
#include "text/tokenizer_json.h"

namespace glossa {
namespace {

constexpr std::int64_t kMostTokens = INT32_MAX;
// Templates put a handful of tokens around a text.
constexpr std::size_t kTemplatePieces = 1024;
constexpr std::size_t kAddedTokenBytes = 4096;
// Every step is a pass over the text; real files have up to six.
constexpr std::size_t kSteps = 64;
// Affixes are put to every character; real ones have four bytes.
constexpr std::size_t kAffixBytes = 256;

// The components of a part, with Sequences (whose list is under `list`) taken apart.
std::vector<JsonNode> components(const std::optional<JsonNode>& part, std::string_view list) {
  std::vector<JsonNode> flat, open;
  if (part) open.push_back(*part);
  while (!open.empty()) {
    const JsonNode node = open.back();
    open.pop_back();
    if (node.at("type").string() != "Sequence") {
      flat.push_back(node);
      if (flat.size() > kSteps) part->refuse("more than the {} steps allowed", kSteps);
      continue;
    }
    const auto inner = node.at(list).elements();
    open.insert(open.end(), inner.rbegin(), inner.rend());
  }
  return flat;
}

template <class Step>
using Readers = std::vector<std::pair<std::string_view, std::function<Step(const JsonNode&)>>>;

// Reads one component by its type; an unknown one is refused with the list of those that are known.
template <class Step>
Step read_component(const JsonNode& node, std::string_view part, const Readers<Step>& readers) {
  const std::string& type = node.at("type").string();
  for (const auto& [name, read] : readers)
    if (name == type) return read(node);
  std::string known;
  for (const auto& reader : readers) known += fmt::format("{}{}", known.empty() ? "" : ", ", reader.first);
  node.refuse("the {} {} is not supported; supported are {}, Sequence", part, quoted(type), known);
}

template <class Step>
std::vector<Step> read_all(const JsonNode& root, std::string_view key, std::string_view part,
                           std::string_view list, const Readers<Step>& readers) {
  std::vector<Step> steps;
  for (const JsonNode& node : components(root.find(key), list))
    steps.push_back(read_component(node, part, readers));
  return steps;
}

// The literal text of a {"String": ...}; the pattern itself of a {"Regex": ...} goes to `regex`.
std::optional<std::string> literal(const JsonNode& pattern, std::string* regex) {
  if (const auto text = pattern.find("String")) {
    if (text->string().empty()) text->refuse("an empty pattern is found everywhere and nowhere");
    return text->string();
  }
  const std::string& expression = pattern.at("Regex").string();
  if (!regex) pattern.refuse("regular expressions are not supported here, found {}", quoted(expression));
  *regex = expression;
  return std::nullopt;
}

// ---- normalizers

Normalizer read_normalizer(const JsonNode& root) {
  using namespace normalizer;
  const auto unicode = [](Normalization form) {
    return [form](const JsonNode&) -> Step { return Unicode{form}; };
  };
  const Readers<Step> readers = {
      {"NFC", unicode(Normalization::nfc)},
      {"NFD", unicode(Normalization::nfd)},
      {"NFKC", unicode(Normalization::nfkc)},
      {"NFKD", unicode(Normalization::nfkd)},
      {"Lowercase", [](const JsonNode&) -> Step { return Lowercase{}; }},
      {"Strip",
       [](const JsonNode& n) -> Step {
         return Strip{n.at("strip_left").boolean(), n.at("strip_right").boolean()};
       }},
      {"StripAccents", [](const JsonNode&) -> Step { return StripAccents{}; }},
      {"Replace",
       [](const JsonNode& n) -> Step {
         return Replace{*literal(n.at("pattern"), nullptr), n.at("content").string()};
       }},
      {"Prepend", [](const JsonNode& n) -> Step { return Prepend{n.at("prepend").string()}; }},
      {"BertNormalizer",
       [](const JsonNode& n) -> Step {
         Bert bert{n.at("clean_text").boolean(), n.at("handle_chinese_chars").boolean(), std::nullopt,
                   n.at("lowercase").boolean()};
         if (const auto accents = n.find("strip_accents")) bert.strip_accents = accents->boolean();
         return bert;
       }},
      {"ByteLevel", [](const JsonNode&) -> Step { return ByteLevel{}; }},
  };
  return read_all(root, "normalizer", "normalizer", "normalizers", readers);
}

// ---- pre-tokenizers

pre_tokenizer::Behavior read_behavior(const JsonNode& node) {
  using pre_tokenizer::Behavior;
  const std::string& name = node.string();
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  node.wrong("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

template <class ByteLevel>
ByteLevel read_byte_level(const JsonNode& n) {
  return {n.at("add_prefix_space").boolean(), n.at("trim_offsets").boolean(), n.boolean("use_regex", true)};
}

// Shared by the pre-tokenizer and the decoder. Files before 2024 say add_prefix_space in the place of
// prepend_scheme.
std::string read_prepend_scheme(const JsonNode& n) {
  std::string scheme = "always";
  if (const auto given = n.find("prepend_scheme")) {
    scheme = given->string();
    if (scheme != "first" && scheme != "never" && scheme != "always") given->wrong("first, never or always");
  }
  const bool prefix = n.boolean("add_prefix_space", true);
  if (!prefix && n.find("prepend_scheme") && scheme != "never")
    n.refuse("add_prefix_space is false and prepend_scheme is {}", quoted(scheme));
  return prefix ? scheme : "never";
}

pre_tokenizer::Step read_metaspace(const JsonNode& n) {
  const std::string scheme = read_prepend_scheme(n);
  using pre_tokenizer::Prepend;
  return pre_tokenizer::Metaspace{n.at("replacement").character(),
                                  scheme == "first"   ? Prepend::first
                                  : scheme == "never" ? Prepend::never
                                                      : Prepend::always,
                                  n.boolean("split", true)};
}

pre_tokenizer::Step read_split(const JsonNode& n) {
  pre_tokenizer::Split split{"", read_behavior(n.at("behavior")), n.at("invert").boolean()};
  std::string expression;
  if (auto text = literal(n.at("pattern"), &expression)) {
    split.pattern = *text;
    return split;
  }
  std::string known;
  for (const WordPattern pattern : {WordPattern::gpt2, WordPattern::cl100k, WordPattern::qwen2}) {
    if (expression == expression_of(pattern)) {
      split.pattern = pattern;
      return split;
    }
    known += fmt::format("{}{}", known.empty() ? "" : "  or  ", expression_of(pattern));
  }
  n.at("pattern").refuse("the regular expression {} is not supported; supported are  {}", quoted(expression),
                         known);
}

PreTokenizer read_pre_tokenizer(const JsonNode& root) {
  using namespace pre_tokenizer;
  const Readers<Step> readers = {
      {"ByteLevel", [](const JsonNode& n) -> Step { return read_byte_level<ByteLevel>(n); }},
      {"Metaspace", read_metaspace},
      {"Whitespace", [](const JsonNode&) -> Step { return Whitespace{}; }},
      {"WhitespaceSplit", [](const JsonNode&) -> Step { return WhitespaceSplit{}; }},
      {"Punctuation",
       [](const JsonNode& n) -> Step {
         const auto behavior = n.find("behavior");
         return Punctuation{behavior ? read_behavior(*behavior) : Behavior::isolated};
       }},
      {"Digits", [](const JsonNode& n) -> Step { return Digits{n.at("individual_digits").boolean()}; }},
      {"CharDelimiterSplit",
       [](const JsonNode& n) -> Step { return CharDelimiterSplit{n.at("delimiter").character()}; }},
      {"BertPreTokenizer", [](const JsonNode&) -> Step { return Bert{}; }},
      {"Split", read_split},
  };
  return read_all(root, "pre_tokenizer", "pre-tokenizer", "pretokenizers", readers);
}

// ---- post-processors

post_processor::Piece read_piece(const JsonNode& node) {
  using post_processor::Piece;
  if (const auto sequence = node.find("Sequence")) {
    const std::string& id = sequence->at("id").string();
    if (id != "A" && id != "B") sequence->at("id").wrong("A or B");
    return {id == "A" ? Piece::Kind::first : Piece::Kind::second, "",
            sequence->at("type_id").natural(kMostTokens)};
  }
  const JsonNode special = node.at("SpecialToken");
  return {Piece::Kind::special, special.at("id").string(), special.at("type_id").natural(kMostTokens)};
}

std::vector<post_processor::Piece> read_template(const JsonNode& node) {
  std::vector<post_processor::Piece> pieces;
  if (node.json().is_array() && node.json().size() > kTemplatePieces)
    node.refuse("{} pieces, at most {} are allowed", node.json().size(), kTemplatePieces);
  for (const JsonNode& piece : node.elements()) pieces.push_back(read_piece(piece));
  return pieces;
}

post_processor::Step read_template_processing(const JsonNode& n) {
  post_processor::Template made;
  const JsonNode specials = n.at("special_tokens");
  if (!specials.json().is_object()) specials.wrong("an object");
  for (const auto& [name, value] : specials.json().items()) {
    const JsonNode node(value, fmt::format("special_tokens.{}", quoted(name)), n.origin());
    post_processor::Special special;
    for (const JsonNode& id : node.at("ids").elements())
      special.ids.push_back(static_cast<Token>(id.natural(kMostTokens)));
    for (const JsonNode& token : node.at("tokens").elements()) special.tokens.push_back(token.string());
    if (special.ids.size() != special.tokens.size())
      node.refuse("{} ids and {} tokens", special.ids.size(), special.tokens.size());
    if (special.ids.size() > kTemplatePieces)
      node.refuse("{} ids, at most {} are allowed", special.ids.size(), kTemplatePieces);
    made.special_tokens[name] = std::move(special);
  }
  made.single = read_template(n.at("single"));
  made.pair = read_template(n.at("pair"));
  for (const auto* pieces : {&made.single, &made.pair})
    for (const auto& piece : *pieces)
      if (piece.kind == post_processor::Piece::Kind::special && !made.special_tokens.contains(piece.special))
        n.refuse("the template names {}, which special_tokens does not have", quoted(piece.special));
  using Kind = post_processor::Piece::Kind;
  const auto count = [&](Kind kind) {
    return std::count_if(made.single.begin(), made.single.end(),
                         [&](const auto& p) { return p.kind == kind; });
  };
  if (count(Kind::first) != 1 || count(Kind::second) != 0)
    n.at("single").refuse("a template for one text must have sequence A once, and no other");
  return made;
}

std::pair<std::string, Token> read_named_id(const JsonNode& node) {
  const auto two = node.elements();
  if (two.size() != 2) node.wrong("a token and its id");
  return {two[0].string(), static_cast<Token>(two[1].natural(kMostTokens))};
}

PostProcessor read_post_processor(const JsonNode& root) {
  using namespace post_processor;
  const Readers<Step> readers = {
      {"TemplateProcessing", read_template_processing},
      {"ByteLevel", [](const JsonNode& n) -> Step { return read_byte_level<ByteLevel>(n); }},
      {"BertProcessing",
       [](const JsonNode& n) -> Step {
         return Bert{read_named_id(n.at("sep")), read_named_id(n.at("cls"))};
       }},
      {"RobertaProcessing",
       [](const JsonNode& n) -> Step {
         return Roberta{read_named_id(n.at("sep")), read_named_id(n.at("cls")),
                        n.at("trim_offsets").boolean(), n.at("add_prefix_space").boolean()};
       }},
  };
  return read_all(root, "post_processor", "post-processor", "processors", readers);
}

// ---- decoders

Decoder read_decoder(const JsonNode& root) {
  using namespace decoder;
  const Readers<Step> readers = {
      {"ByteLevel", [](const JsonNode& n) -> Step { return read_byte_level<ByteLevel>(n); }},
      {"Metaspace",
       [](const JsonNode& n) -> Step {
         return Metaspace{n.at("replacement").character(), read_prepend_scheme(n), n.boolean("split", true)};
       }},
      {"BPEDecoder", [](const JsonNode& n) -> Step { return decoder::Bpe{n.at("suffix").string()}; }},
      {"ByteFallback", [](const JsonNode&) -> Step { return ByteFallback{}; }},
      {"Fuse", [](const JsonNode&) -> Step { return Fuse{}; }},
      {"Strip",
       [](const JsonNode& n) -> Step {
         return Strip{n.at("content").character(),
                      static_cast<std::size_t>(n.at("start").natural(kMostTokens)),
                      static_cast<std::size_t>(n.at("stop").natural(kMostTokens))};
       }},
      {"Replace",
       [](const JsonNode& n) -> Step {
         return Replace{*literal(n.at("pattern"), nullptr), n.at("content").string()};
       }},
  };
  return read_all(root, "decoder", "decoder", "decoders", readers);
}

// ---- models

Vocabulary read_vocabulary(const JsonNode& node, const Limits& limits) {
  const Json& json = node.json();
  if (!json.is_object()) node.wrong("an object of pieces and ids");
  check(json.size() <= limits.vocabulary, Code::count,
        "{}: model.vocab has {} pieces, at most {} are allowed", node.origin(), json.size(),
        limits.vocabulary);
  std::vector<const std::string*> by_id(json.size());
  for (auto entry = json.begin(); entry != json.end(); ++entry) {
    const JsonNode id(*entry, fmt::format("model.vocab[{}]", quoted(entry.key())), node.origin());
    const auto place = static_cast<std::size_t>(id.natural(kMostTokens));
    if (place >= by_id.size())
      id.refuse("the id {} leaves a gap: with {} pieces ids go from 0 to {}", place, by_id.size(),
                by_id.size() - 1);
    if (by_id[place]) id.refuse("the id {} is also that of {}", place, quoted(*by_id[place]));
    by_id[place] = &entry.key();
  }
  Vocabulary vocabulary;
  for (const std::string* piece : by_id) vocabulary.add(*piece);
  return vocabulary;
}

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

std::variant<BpeModel, WordLevelModel> read_model(const JsonNode& node, const Limits& limits) {
  const auto type = node.find("type");
  if (type ? type->string() == "BPE" : node.find("merges").has_value()) return read_bpe(node, limits);
  if (type && type->string() == "WordLevel")
    return WordLevelModel{read_vocabulary(node.at("vocab"), limits), node.at("unk_token").string()};
  node.refuse("the model {} is not supported; supported are BPE, WordLevel",
              type ? quoted(type->string()) : "without a type");
}

// ---- the rest

std::vector<AddedToken> read_added_tokens(const JsonNode& root, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  const auto list = root.find("added_tokens");
  if (!list) return tokens;
  Vocabulary seen;
  Token next = vocabulary.size();
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
    if (token.id != wanted)
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
  // Other files of tokenizers get a word of their own; what is wrong with JSON is for its parser to say.
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  check(first == text.npos || text[first] == '{' || text.starts_with("\xEF\xBB\xBF"), Code::tokenizer,
        "{}: byte {}: found {}, and a tokenizer.json begins with {{; other files of tokenizers (sentencepiece "
        "models, vocab.txt, merges.txt) are not supported",
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
