#include "text/gguf_vocabulary.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/unicode.h"
#include "text/class_parts.h"
#include "text/gguf_word_patterns.h"
#include "text/tokenizer_classes.h"

namespace glossa {
namespace {

constexpr std::size_t kPieceBytes = 1024;

class Maker {
 public:
  explicit Maker(const GgufVocabulary& from) : from_(from) {
    parts_.origin = from.origin;
    parts_.special_tokens.chat_template = from.chat_template;
    check_counts();
  }

  TokenizerParts make() {
    if (from_.model == "gpt2") return byte_bpe();
    if (from_.model == "llama") return sentencepiece_bpe();
    if (from_.model == "gemma4") return gemma4();
    if (from_.model == "t5") return unigram();
    if (from_.model == "bert") return word_piece();
    fail(Code::tokenizer,
         "{}: tokenizer.ggml.model {} is not supported; supported: gpt2, llama, gemma4, t5, bert",
         from_.origin, quoted(from_.model));
  }

 private:
  void check_counts() const {
    const std::size_t count = from_.tokens.size();
    check(count > 0 && count <= INT32_MAX, Code::tokenizer, "{}: tokenizer.ggml.tokens: {} tokens",
          from_.origin, count);
    check((from_.scores.empty() || from_.scores.size() == count) &&
              (from_.token_types.empty() || from_.token_types.size() == count),
          Code::tokenizer,
          "{}: {} tokenizer.ggml.tokens, {} scores and {} token_type; there must be as many of each",
          from_.origin, count, from_.scores.size(), from_.token_types.size());
    for (std::size_t i = 0; i < count; ++i) {
      if (utf8_error(from_.tokens[i]))
        fail(Code::tokenizer, "{}: tokenizer.ggml.tokens[{}]: {} is not UTF-8", from_.origin, i, quoted(from_.tokens[i]));
      check(from_.tokens[i].size() <= kPieceBytes, Code::tokenizer,
            "{}: tokenizer.ggml.tokens[{}]: {} bytes, at most {} are allowed", from_.origin, i,
            from_.tokens[i].size(), kPieceBytes);
    }
    for (std::size_t i = 0; i < from_.scores.size(); ++i)
      check(std::isfinite(from_.scores[i]), Code::tokenizer, "{}: tokenizer.ggml.scores[{}]: {}",
            from_.origin, i, from_.scores[i]);
  }

  std::int32_t type_of(std::size_t i) const {
    return from_.token_types.empty() ? gguf_token_type::normal : from_.token_types[i];
  }
  bool has_bytes() const { return std::count(from_.token_types.begin(), from_.token_types.end(), gguf_token_type::byte) > 0; }

  // The text of a token as the file has it; one without a text stands for nothing. For the runs of marks that
  // the models of Gemma have files hold as many spaces.
  std::string text_of(std::size_t i) const {
    const std::string_view text = from_.tokens[i];
    if (text.empty()) return fmt::format("[EMPTY_{}]", i);
    if (!is_run_of_spaces(i)) return std::string(text);
    std::string marks;
    for (std::size_t at = 0; at < text.size(); at += text[at] == ' ' ? 1 : kWordMark.size())
      marks += kWordMark;
    return marks;
  }

  bool is_run_of_spaces(std::size_t i) const {
    if (from_.model != "llama" || type_of(i) != gguf_token_type::user_defined) return false;
    std::string_view rest = from_.tokens[i];
    while (rest.starts_with(' ') || rest.starts_with(kWordMark))
      rest.remove_prefix(rest.starts_with(' ') ? 1 : kWordMark.size());
    return rest.empty();
  }

  // Runs of spaces are not scored: they are merged before all else, longer ones first.
  std::vector<double> scores_of_pieces() const {
    std::vector<double> scores(from_.scores.begin(), from_.scores.end());
    const double most = *std::max_element(scores.begin(), scores.end());
    for (std::size_t i = 0; i < scores.size(); ++i)
      if (is_run_of_spaces(i)) scores[i] = most + static_cast<double>(text_of(i).size());
    return scores;
  }

  std::string special(const char* key, std::optional<std::int64_t> given,
                      std::optional<std::int64_t> otherwise) const {
    if (!given && otherwise && *otherwise < static_cast<std::int64_t>(from_.tokens.size())) given = otherwise;
    if (!given) return "";
    check(*given >= 0 && *given < static_cast<std::int64_t>(from_.tokens.size()), Code::tokenizer,
          "{}: tokenizer.ggml.{}_token_id is {}; there are {} tokens", from_.origin, key, *given,
          from_.tokens.size());
    return text_of(static_cast<std::size_t>(*given));
  }

  struct Defaults {  // ids for keys that the file does not have
    std::optional<std::int64_t> bos = {}, eos = {}, unk = {}, sep = {}, pad = {}, cls = {}, mask = {};
  };
  void read_special(const Defaults& d) {
    SpecialTokens& s = parts_.special_tokens;
    s.bos = special("bos", from_.bos_token_id, d.bos);
    s.eos = special("eos", from_.eos_token_id, d.eos);
    s.unk = special("unknown", from_.unknown_token_id, d.unk);
    s.sep = special("seperator", from_.seperator_token_id, d.sep);
    s.pad = special("padding", from_.padding_token_id, d.pad);
    s.cls = special("cls", from_.cls_token_id, d.cls);
    s.mask = special("mask", from_.mask_token_id, d.mask);
  }

  // What is found in texts, and what stands around them.
  TokenizerParts finish(bool bos, bool eos) {
    std::vector<AddedToken> tokens;
    for (std::size_t i = 0; i < from_.tokens.size(); ++i) {
      const std::int32_t type = type_of(i);
      // Other unknown ones are rows of the embedding that have no token.
      const bool special = type == gguf_token_type::control ||
                           (type == gguf_token_type::unknown && from_.tokens[i] == parts_.special_tokens.unk);
      if (special || type == gguf_token_type::user_defined)
        tokens.push_back(
            {.id = static_cast<Token>(i), .content = text_of(i), .normalized = false, .special = special});
    }
    add_tokens(parts_, tokens, {});
    SpecialTokens& s = parts_.special_tokens;
    s.add_bos = from_.add_bos_token.value_or(bos && !s.bos.empty());
    s.add_eos = from_.add_eos_token.value_or(eos && !s.eos.empty());
    check(!(s.add_bos && s.bos.empty()) && !(s.add_eos && s.eos.empty()), Code::tokenizer,
          "{}: tokenizer.ggml.add_bos_token or add_eos_token without the id of that token", from_.origin);
    put_around(parts_, s.add_bos ? s.bos : "", s.add_eos ? s.eos : "");
    return std::move(parts_);
  }

  Vocabulary vocabulary() const {
    Vocabulary made;
    made.reserve(from_.tokens.size());
    for (std::size_t i = 0; i < from_.tokens.size(); ++i) {
      const std::string text = text_of(i);
      if (made.add(text) < 0)
        fail(Code::tokenizer, "{}: tokenizer.ggml.tokens[{}] and [{}] are the same, {}", from_.origin,
             made.find(text), i, quoted(text));
    }
    return made;
  }

  std::vector<std::pair<Token, Token>> merges(const Vocabulary& pieces) const {
    std::vector<std::pair<Token, Token>> made;
    made.reserve(from_.merges.size());
    for (const std::string_view merge : from_.merges) {
      const std::size_t space = merge.find(' ', 1);
      const auto refuse = [&](std::string_view what) {
        fail(Code::tokenizer, "{}: tokenizer.ggml.merges[{}]: {} {}", from_.origin, made.size(),
             quoted(merge), what);
      };
      if (space == merge.npos) refuse("is not two pieces with a space between");
      const Token left = pieces.find(merge.substr(0, space)), right = pieces.find(merge.substr(space + 1));
      if (left < 0 || right < 0) refuse("names a piece that is not among the tokens");
      made.emplace_back(left, right);
    }
    return made;
  }

  TokenizerParts byte_bpe() {
    const GgufWordPattern pattern = gguf_word_pattern(from_.pre, from_.origin);
    read_special({});
    BpeModel model;
    model.vocabulary = vocabulary();
    model.merges = merges(model.vocabulary);
    model.ignore_merges = pattern.ignore_merges;
    parts_.model = std::move(model);
    parts_.normalizer = pattern.normalizer;
    parts_.pre_tokenizer = pattern.pre_tokenizer;
    parts_.decoder = {decoder::ByteLevel{}};
    const SpecialTokens& s = parts_.special_tokens;
    const bool framed = from_.add_sep_token.value_or(pattern.add_sep) && !s.cls.empty() && !s.sep.empty();
    if (!framed) return finish(pattern.add_bos, false);
    parts_ = finish(false, false);
    put_around(parts_, s.cls, s.sep);
    return std::move(parts_);
  }

  void put_marks() {
    if (from_.add_space_prefix.value_or(from_.model == "llama"))
      parts_.normalizer.push_back(normalizer::Prepend{kWordMark});
    parts_.normalizer.push_back(normalizer::Replace{std::string(" "), kWordMark});
    parts_.decoder = {decoder::Replace{kWordMark, " "}, decoder::ByteFallback{}, decoder::Fuse{}};
    if (from_.add_space_prefix.value_or(from_.model == "llama"))
      parts_.decoder.push_back(decoder::Strip{" ", 1, 0});
  }

  BpeModel bpe_with_bytes() const {
    BpeModel model;
    model.vocabulary = vocabulary();
    if (!parts_.special_tokens.unk.empty()) model.unk_token = parts_.special_tokens.unk;
    model.fuse_unk = true;
    model.byte_fallback = has_bytes();
    return model;
  }

  void remove_extra_spaces() {
    if (!from_.remove_extra_whitespaces.value_or(false)) return;
    parts_.normalizer.push_back(normalizer::Replace{Regex("\\A +| +\\z", from_.origin), ""});
    parts_.normalizer.push_back(normalizer::Replace{Regex(" {2,}", from_.origin), " "});
  }

  TokenizerParts sentencepiece_bpe() {
    check(!from_.scores.empty(), Code::tokenizer,
          "{}: tokenizer.ggml.scores is missing, which model llama needs", from_.origin);
    read_special({.bos = 1, .eos = 2, .unk = 0});
    BpeModel model = bpe_with_bytes();
    model.merges = merges_of_scores(model.vocabulary, scores_of_pieces());
    parts_.model = std::move(model);
    remove_extra_spaces();
    put_marks();
    return finish(true, false);
  }

  TokenizerParts gemma4() {
    read_special({});
    BpeModel model = bpe_with_bytes();
    model.merges = merges(model.vocabulary);
    parts_.model = std::move(model);
    put_marks();
    return finish(true, false);
  }

  TokenizerParts unigram() {
    check(!from_.scores.empty(), Code::tokenizer,
          "{}: tokenizer.ggml.scores is missing, which model t5 needs", from_.origin);
    read_special({.eos = 1, .unk = 2, .pad = 0});
    UnigramModel model;
    for (std::size_t i = 0; i < from_.tokens.size(); ++i) {
      check(
          from_.scores[i] <= 0, Code::tokenizer,
          "{}: tokenizer.ggml.scores[{}]: {}; scores of model t5 are logarithms of probabilities, 0 at most",
          from_.origin, i, from_.scores[i]);
      model.vocabulary.append(text_of(i));
      model.scores.push_back(from_.scores[i]);
    }
    model.unk_id = static_cast<Token>(from_.unknown_token_id.value_or(2));
    check(*model.unk_id < model.vocabulary.size(), Code::tokenizer, "{}: model t5 needs an unknown_token_id",
          from_.origin);
    model.byte_fallback = has_bytes();
    parts_.model = std::move(model);
    if (!from_.precompiled_charsmap.empty())
      parts_.normalizer.push_back(normalizer::Precompiled{
          Charsmap(from_.precompiled_charsmap, from_.origin + ": tokenizer.ggml.precompiled_charsmap")});
    if (from_.add_space_prefix.value_or(true) && from_.remove_extra_whitespaces.value_or(true)) {
      parts_.pre_tokenizer = {pre_tokenizer::WhitespaceSplit{}, pre_tokenizer::Metaspace{}};
      parts_.decoder = {decoder::Metaspace{}};
    } else {
      remove_extra_spaces();
      put_marks();
    }
    return finish(false, true);
  }

  // In the file a word has U+2581 in front, and what continues a word has nothing.
  TokenizerParts word_piece() {
    read_special({.unk = 100, .sep = 102, .pad = 0, .cls = from_.bos_token_id.value_or(101), .mask = 103});
    const SpecialTokens& s = parts_.special_tokens;
    WordPieceModel model;
    for (std::size_t i = 0; i < from_.tokens.size(); ++i) {
      const std::string text = text_of(i);
      const bool named = text.starts_with('[') && text.ends_with(']');
      model.vocabulary.append(text.starts_with(kWordMark) ? text.substr(kWordMark.size())
                              : named || type_of(i) == gguf_token_type::control || type_of(i) == gguf_token_type::unknown ? text
                                                                                          : "##" + text);
    }
    check(!s.unk.empty() && !s.cls.empty() && !s.sep.empty(), Code::tokenizer,
          "{}: model bert needs unknown_token_id, cls_token_id and seperator_token_id", from_.origin);
    model.unk_token = s.unk;
    parts_.model = std::move(model);
    parts_.normalizer = {normalizer::Bert{.clean_text = true,
                                          .handle_chinese_chars = true,
                                          .strip_accents = from_.normalizer_strip_accents,
                                          .lowercase = from_.normalizer_lowercase.value_or(true)}};
    parts_.pre_tokenizer = {pre_tokenizer::Bert{}};
    parts_.decoder = {decoder::WordPiece{}};
    add_tokens(parts_, {}, {s.unk, s.sep, s.pad, s.cls, s.mask});
    if (from_.add_bos_token.value_or(true))
      put_around(parts_, s.cls, from_.add_sep_token.value_or(true) ? s.sep : "");
    return std::move(parts_);
  }

  const GgufVocabulary& from_;
  TokenizerParts parts_;
};

}  // namespace

TokenizerParts tokenizer_of_gguf(const GgufVocabulary& vocabulary) {
  return Maker(vocabulary).make();
}

}  // namespace glossa
