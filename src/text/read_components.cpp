#include <algorithm>
#include <functional>

#include "base/base64.h"
#include "base/error.h"
#include "text/read_components.h"

namespace glossa {
namespace {

// Templates put a handful of tokens around a text.
constexpr std::size_t kTemplatePieces = 1024;
// Every step is a pass over the text; real files have up to six.
constexpr std::size_t kSteps = 64;

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

// A {"String": ...} or {"Regex": ...}. A regular expression that `known` takes is that.
template <class Pattern, class Known>
Pattern read_pattern(const JsonNode& node, Known&& known) {
  if (const auto text = node.find("String")) {
    if (text->string().empty()) text->refuse("an empty pattern is found everywhere and nowhere");
    return text->string();
  }
  const JsonNode regex = node.at("Regex");
  if (auto pattern = known(regex.string())) return *pattern;
  return Regex(regex.string(), fmt::format("{}: {}", regex.origin(), regex.path()));
}

template <class Replace>
Replace read_replace(const JsonNode& n) {
  using Pattern = decltype(Replace::pattern);
  const auto nothing = [](const std::string&) -> std::optional<Pattern> { return std::nullopt; };
  return {read_pattern<Pattern>(n.at("pattern"), nothing), n.at("content").string()};
}

// ---- normalizers

}  // namespace

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
      {"Replace", [](const JsonNode& n) -> Step { return read_replace<Replace>(n); }},
      {"Prepend", [](const JsonNode& n) -> Step { return Prepend{n.at("prepend").string()}; }},
      {"BertNormalizer",
       [](const JsonNode& n) -> Step {
         Bert bert{n.at("clean_text").boolean(), n.at("handle_chinese_chars").boolean(), std::nullopt,
                   n.at("lowercase").boolean()};
         if (const auto accents = n.find("strip_accents")) bert.strip_accents = accents->boolean();
         return bert;
       }},
      {"ByteLevel", [](const JsonNode&) -> Step { return ByteLevel{}; }},
      {"Nmt", [](const JsonNode&) -> Step { return Nmt{}; }},
      {"Precompiled",
       [](const JsonNode& n) -> Step {
         const JsonNode map = n.at("precompiled_charsmap");
         const auto bytes = from_base64(map.string());
         if (!bytes) map.refuse("not base64");
         return Precompiled{Charsmap(*bytes, fmt::format("{}: {}", map.origin(), map.path()))};
       }},
  };
  return read_all(root, "normalizer", "normalizer", "normalizers", readers);
}

namespace {
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
  using pre_tokenizer::Split;
  using Pattern = decltype(Split::pattern);
  return Split{read_pattern<Pattern>(n.at("pattern"), known_pattern), read_behavior(n.at("behavior")),
               n.at("invert").boolean()};
}

}  // namespace

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
      {"UnicodeScripts", [](const JsonNode&) -> Step { return UnicodeScripts{}; }},
      {"FixedLength",
       [](const JsonNode& n) -> Step {
         const auto length = n.find("length");
         FixedLength fixed{length ? length->natural(kMostTokens) : 5};
         if (fixed.length == 0) length->wrong("a whole number from 1 on");
         return fixed;
       }},
  };
  return read_all(root, "pre_tokenizer", "pre-tokenizer", "pretokenizers", readers);
}

namespace {
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

}  // namespace

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

namespace {
// ---- decoders

}  // namespace

Decoder read_decoder(const JsonNode& root) {
  using namespace decoder;
  const Readers<Step> readers = {
      {"ByteLevel", [](const JsonNode& n) -> Step { return read_byte_level<ByteLevel>(n); }},
      {"Metaspace",
       [](const JsonNode& n) -> Step {
         return Metaspace{n.at("replacement").character(), read_prepend_scheme(n), n.boolean("split", true)};
       }},
      {"WordPiece",
       [](const JsonNode& n) -> Step {
         return decoder::WordPiece{n.at("prefix").string(), n.at("cleanup").boolean()};
       }},
      {"CTC",
       [](const JsonNode& n) -> Step {
         return Ctc{n.at("pad_token").string(), n.at("word_delimiter_token").string(),
                    n.at("cleanup").boolean()};
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
      {"Replace", [](const JsonNode& n) -> Step { return read_replace<Replace>(n); }},
  };
  return read_all(root, "decoder", "decoder", "decoders", readers);
}

}  // namespace glossa
