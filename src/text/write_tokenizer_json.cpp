#include "base/base64.h"
#include "base/json.h"
#include "text/tokenizer_json.h"

namespace glossa {
namespace {

template <class T>
OrderedJson or_null(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

struct WritePattern {
  OrderedJson operator()(const std::string& text) const { return {{"String", text}}; }
  OrderedJson operator()(WordPattern words) const { return {{"Regex", expression_of(words)}}; }
  OrderedJson operator()(const Regex& regex) const { return {{"Regex", regex.expression()}}; }
};

template <class Pattern>
OrderedJson pattern_json(const Pattern& pattern) {
  return std::visit(WritePattern{}, pattern);
}

template <class ByteLevel>
OrderedJson byte_level(const ByteLevel& s) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", s.add_prefix_space},
          {"trim_offsets", s.trim_offsets},
          {"use_regex", s.use_regex}};
}

struct WriteNormalizer {
  OrderedJson operator()(const normalizer::Unicode& s) const {
    static constexpr const char* kNames[] = {"NFC", "NFD", "NFKC", "NFKD"};
    return {{"type", kNames[static_cast<int>(s.form)]}};
  }
  OrderedJson operator()(const normalizer::Lowercase&) const { return {{"type", "Lowercase"}}; }
  OrderedJson operator()(const normalizer::Strip& s) const {
    return {{"type", "Strip"}, {"strip_left", s.left}, {"strip_right", s.right}};
  }
  OrderedJson operator()(const normalizer::StripAccents&) const { return {{"type", "StripAccents"}}; }
  OrderedJson operator()(const normalizer::Replace& s) const {
    return {{"type", "Replace"}, {"pattern", pattern_json(s.pattern)}, {"content", s.content}};
  }
  OrderedJson operator()(const normalizer::Prepend& s) const {
    return {{"type", "Prepend"}, {"prepend", s.text}};
  }
  OrderedJson operator()(const normalizer::Bert& s) const {
    return {{"type", "BertNormalizer"},
            {"clean_text", s.clean_text},
            {"handle_chinese_chars", s.handle_chinese_chars},
            {"strip_accents", or_null(s.strip_accents)},
            {"lowercase", s.lowercase}};
  }
  OrderedJson operator()(const normalizer::ByteLevel&) const { return {{"type", "ByteLevel"}}; }
  OrderedJson operator()(const normalizer::Nmt&) const { return {{"type", "Nmt"}}; }
  OrderedJson operator()(const normalizer::Precompiled& s) const {
    return {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(s.charsmap.bytes())}};
  }
};

const char* name_of(pre_tokenizer::Behavior behavior) {
  static constexpr const char* kNames[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                           "Contiguous"};
  return kNames[static_cast<int>(behavior)];
}

struct WritePreTokenizer {
  OrderedJson operator()(const pre_tokenizer::ByteLevel& s) const { return byte_level(s); }
  OrderedJson operator()(const pre_tokenizer::Metaspace& s) const {
    static constexpr const char* kSchemes[] = {"first", "never", "always"};
    return {{"type", "Metaspace"},
            {"replacement", s.replacement},
            {"prepend_scheme", kSchemes[static_cast<int>(s.prepend_scheme)]},
            {"split", s.split}};
  }
  OrderedJson operator()(const pre_tokenizer::Whitespace&) const { return {{"type", "Whitespace"}}; }
  OrderedJson operator()(const pre_tokenizer::WhitespaceSplit&) const {
    return {{"type", "WhitespaceSplit"}};
  }
  OrderedJson operator()(const pre_tokenizer::Punctuation& s) const {
    return {{"type", "Punctuation"}, {"behavior", name_of(s.behavior)}};
  }
  OrderedJson operator()(const pre_tokenizer::Digits& s) const {
    return {{"type", "Digits"}, {"individual_digits", s.individual_digits}};
  }
  OrderedJson operator()(const pre_tokenizer::CharDelimiterSplit& s) const {
    return {{"type", "CharDelimiterSplit"}, {"delimiter", s.delimiter}};
  }
  OrderedJson operator()(const pre_tokenizer::Bert&) const { return {{"type", "BertPreTokenizer"}}; }
  OrderedJson operator()(const pre_tokenizer::Split& s) const {
    return {{"type", "Split"},
            {"pattern", pattern_json(s.pattern)},
            {"behavior", name_of(s.behavior)},
            {"invert", s.invert}};
  }
  OrderedJson operator()(const pre_tokenizer::UnicodeScripts&) const { return {{"type", "UnicodeScripts"}}; }
  OrderedJson operator()(const pre_tokenizer::FixedLength& s) const {
    return {{"type", "FixedLength"}, {"length", s.length}};
  }
};

struct WritePostProcessor {
  static OrderedJson pieces(const std::vector<post_processor::Piece>& pieces) {
    using Kind = post_processor::Piece::Kind;
    OrderedJson list = OrderedJson::array();
    for (const auto& p : pieces) {
      if (p.kind == Kind::special) {
        list.push_back({{"SpecialToken", {{"id", p.special}, {"type_id", p.type_id}}}});
      } else {
        list.push_back({{"Sequence", {{"id", p.kind == Kind::first ? "A" : "B"}, {"type_id", p.type_id}}}});
      }
    }
    return list;
  }
  static OrderedJson named_id(const std::pair<std::string, Token>& p) {
    return OrderedJson::array({p.first, p.second});
  }

  OrderedJson operator()(const post_processor::Template& s) const {
    OrderedJson specials = OrderedJson::object();
    for (const auto& [name, special] : s.special_tokens)
      specials[name] = {{"id", name}, {"ids", special.ids}, {"tokens", special.tokens}};
    return {{"type", "TemplateProcessing"},
            {"single", pieces(s.single)},
            {"pair", pieces(s.pair)},
            {"special_tokens", specials}};
  }
  OrderedJson operator()(const post_processor::ByteLevel& s) const { return byte_level(s); }
  OrderedJson operator()(const post_processor::Bert& s) const {
    return {{"type", "BertProcessing"}, {"sep", named_id(s.sep)}, {"cls", named_id(s.cls)}};
  }
  OrderedJson operator()(const post_processor::Roberta& s) const {
    return {{"type", "RobertaProcessing"},
            {"sep", named_id(s.sep)},
            {"cls", named_id(s.cls)},
            {"trim_offsets", s.trim_offsets},
            {"add_prefix_space", s.add_prefix_space}};
  }
};

struct WriteDecoder {
  OrderedJson operator()(const decoder::WordPiece& s) const {
    return {{"type", "WordPiece"}, {"prefix", s.prefix}, {"cleanup", s.cleanup}};
  }
  OrderedJson operator()(const decoder::Ctc& s) const {
    return {{"type", "CTC"},
            {"pad_token", s.pad_token},
            {"word_delimiter_token", s.word_delimiter_token},
            {"cleanup", s.cleanup}};
  }
  OrderedJson operator()(const decoder::ByteLevel& s) const { return byte_level(s); }
  OrderedJson operator()(const decoder::Metaspace& s) const {
    return {{"type", "Metaspace"},
            {"replacement", s.replacement},
            {"prepend_scheme", s.prepend_scheme},
            {"split", s.split}};
  }
  OrderedJson operator()(const decoder::Bpe& s) const {
    return {{"type", "BPEDecoder"}, {"suffix", s.suffix}};
  }
  OrderedJson operator()(const decoder::ByteFallback&) const { return {{"type", "ByteFallback"}}; }
  OrderedJson operator()(const decoder::Fuse&) const { return {{"type", "Fuse"}}; }
  OrderedJson operator()(const decoder::Strip& s) const {
    return {{"type", "Strip"}, {"content", s.content}, {"start", s.start}, {"stop", s.stop}};
  }
  OrderedJson operator()(const decoder::Replace& s) const {
    return {{"type", "Replace"}, {"pattern", pattern_json(s.pattern)}, {"content", s.content}};
  }
};

// One step as it is, several as a Sequence with its list under `list`, none as null.
template <class Write, class Step>
OrderedJson sequence(const std::vector<Step>& steps, const char* list) {
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return std::visit(Write{}, steps[0]);
  OrderedJson all = OrderedJson::array();
  for (const Step& s : steps) all.push_back(std::visit(Write{}, s));
  return {{"type", "Sequence"}, {list, all}};
}

OrderedJson vocabulary_json(const Vocabulary& vocabulary) {
  OrderedJson::object_t pieces;  // appended without the look-up for equal keys that the document would make
  pieces.reserve(static_cast<std::size_t>(vocabulary.size()));
  for (Token id = 0; id < vocabulary.size(); ++id)
    if (vocabulary.has(id))
      static_cast<std::vector<std::pair<const std::string, OrderedJson>>&>(pieces).emplace_back(
          vocabulary[id], id);
  return pieces;
}

struct WriteModel {
  OrderedJson operator()(const BpeModel& m) const {
    OrderedJson merges = OrderedJson::array();
    for (const auto& [a, b] : m.merges)
      merges.push_back(OrderedJson::array({m.vocabulary[a], m.vocabulary[b]}));
    return {{"type", "BPE"},
            {"dropout", or_null(m.dropout)},
            {"unk_token", or_null(m.unk_token)},
            {"continuing_subword_prefix", or_null(m.continuing_subword_prefix)},
            {"end_of_word_suffix", or_null(m.end_of_word_suffix)},
            {"fuse_unk", m.fuse_unk},
            {"byte_fallback", m.byte_fallback},
            {"ignore_merges", m.ignore_merges},
            {"vocab", vocabulary_json(m.vocabulary)},
            {"merges", std::move(merges)}};
  }
  OrderedJson operator()(const WordPieceModel& m) const {
    return {{"type", "WordPiece"},
            {"unk_token", m.unk_token},
            {"continuing_subword_prefix", m.continuing_subword_prefix},
            {"max_input_chars_per_word", m.max_input_chars_per_word},
            {"vocab", vocabulary_json(m.vocabulary)}};
  }
  OrderedJson operator()(const UnigramModel& m) const {
    OrderedJson pieces = OrderedJson::array();
    for (Token id = 0; id < m.vocabulary.size(); ++id)
      pieces.push_back(OrderedJson::array({m.vocabulary[id], m.scores[static_cast<std::size_t>(id)]}));
    return {{"type", "Unigram"},
            {"unk_id", or_null(m.unk_id)},
            {"vocab", std::move(pieces)},
            {"byte_fallback", m.byte_fallback}};
  }
  OrderedJson operator()(const WordLevelModel& m) const {
    return {{"type", "WordLevel"}, {"vocab", vocabulary_json(m.vocabulary)}, {"unk_token", m.unk_token}};
  }
};

OrderedJson added_tokens_json(const std::vector<AddedToken>& tokens) {
  OrderedJson list = OrderedJson::array();
  for (const AddedToken& t : tokens)
    list.push_back({{"id", t.id},
                    {"content", t.content},
                    {"single_word", t.single_word},
                    {"lstrip", t.lstrip},
                    {"rstrip", t.rstrip},
                    {"normalized", t.normalized},
                    {"special", t.special}});
  return list;
}

OrderedJson truncation_json(const std::optional<Truncation>& t) {
  if (!t) return nullptr;
  return {{"direction", t->direction},
          {"max_length", t->max_length},
          {"strategy", t->strategy},
          {"stride", t->stride}};
}

OrderedJson padding_json(const std::optional<Padding>& p) {
  if (!p) return nullptr;
  return {
      {"strategy", p->fixed_length ? OrderedJson{{"Fixed", *p->fixed_length}} : OrderedJson("BatchLongest")},
      {"direction", p->direction},
      {"pad_to_multiple_of", or_null(p->pad_to_multiple_of)},
      {"pad_id", p->pad_id},
      {"pad_type_id", p->pad_type_id},
      {"pad_token", p->pad_token}};
}

}  // namespace

std::string to_tokenizer_json(const TokenizerParts& parts) {
  const OrderedJson json = {
      {"version", "1.0"},
      {"truncation", truncation_json(parts.truncation)},
      {"padding", padding_json(parts.padding)},
      {"added_tokens", added_tokens_json(parts.added_tokens)},
      {"normalizer", sequence<WriteNormalizer>(parts.normalizer, "normalizers")},
      {"pre_tokenizer", sequence<WritePreTokenizer>(parts.pre_tokenizer, "pretokenizers")},
      {"post_processor", sequence<WritePostProcessor>(parts.post_processor, "processors")},
      {"decoder", sequence<WriteDecoder>(parts.decoder, "decoders")},
      {"model", std::visit(WriteModel{}, parts.model)}};
  return to_text(json);
}

}  // namespace glossa
