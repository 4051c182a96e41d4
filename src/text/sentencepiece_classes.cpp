// The classes of SentencePiece models.
#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"
#include "text/class_parts.h"
#include "text/tokenizer_classes.h"

namespace glossa {
namespace {


normalizer::Step replace_text(const std::string& pattern, const std::string& content) {
  return normalizer::Replace{pattern, content};
}

// Those of the configuration, and what the model calls control and user-defined.
std::vector<AddedToken> tokens_of(const SentencePieceModel& model, const TokenizerConfig& config) {
  using Kind = SentencePieceModel::Kind;
  std::vector<AddedToken> tokens = config.added_tokens;
  for (const auto& piece : model.pieces)
    if (piece.kind == Kind::control || piece.kind == Kind::user_defined)
      tokens.push_back({.content = piece.text, .normalized = false, .special = piece.kind == Kind::control});
  return tokens;
}

UnigramModel unigram_of(const SentencePieceModel& model) {
  UnigramModel made;
  for (const auto& piece : model.pieces) {
    check(piece.score <= 0, Code::tokenizer,
          "{}: the score {} of {}: scores of a unigram model are logarithms of probabilities, 0 at most",
          model.origin, piece.score, quoted(piece.text));
    made.vocabulary.append(piece.text);
    made.scores.push_back(piece.score);
  }
  made.unk_id = static_cast<Token>(model.unk_id);
  made.byte_fallback = model.byte_fallback;
  return made;
}

BpeModel bpe_of(const SentencePieceModel& model) {
  BpeModel made;
  std::vector<double> scores;
  for (const auto& piece : model.pieces) {
    const Token known = made.vocabulary.find(piece.text);
    check(known < 0, Code::tokenizer, "{}: the piece {} is there twice, as {} and as {}", model.origin,
          quoted(piece.text), known, scores.size());
    made.vocabulary.append(piece.text);
    scores.push_back(piece.score);
  }
  made.merges = merges_of_scores(made.vocabulary, scores);
  made.unk_token = model.pieces[static_cast<std::size_t>(model.unk_id)].text;
  made.fuse_unk = true;
  made.byte_fallback = model.byte_fallback;
  return made;
}

void put_charsmap(const SentencePieceModel& model, Normalizer& normalizer) {
  if (!model.precompiled_charsmap.empty())
    normalizer.push_back(normalizer::Precompiled{
        Charsmap(model.precompiled_charsmap, model.origin + ": normalizer_spec.precompiled_charsmap")});
}

void put_words_at_marks(TokenizerParts& parts, bool prefix) {
  using pre_tokenizer::Prepend;
  parts.pre_tokenizer = {pre_tokenizer::WhitespaceSplit{},
                         pre_tokenizer::Metaspace{kWordMark, prefix ? Prepend::always : Prepend::never, true}};
  parts.decoder = {decoder::Metaspace{kWordMark, prefix ? "always" : "never", true}};
}

void put_byte_fallback_decoder(TokenizerParts& parts, bool prefix) {
  parts.decoder = {decoder::Replace{kWordMark, " "}, decoder::ByteFallback{}, decoder::Fuse{}};
  if (prefix) parts.decoder.push_back(decoder::Strip{" ", 1, 0});
}

// What the file itself says, step by step as SentencePiece does it.
void make_plain(const SentencePieceModel& model, const TokenizerConfig& config, TokenizerParts& parts) {
  check(!model.treat_whitespace_as_suffix, Code::tokenizer,
        "{}: trainer_spec.treat_whitespace_as_suffix: marks behind words are not supported", model.origin);
  const std::string unk = model.pieces[static_cast<std::size_t>(model.unk_id)].text;
  parts.special_tokens = with_defaults(config.special, {.unk = unk});
  put_charsmap(model, parts.normalizer);
  if (model.remove_extra_whitespaces) {
    parts.normalizer.push_back(normalizer::Replace{Regex("\\A +| +\\z", model.origin), ""});
    parts.normalizer.push_back(normalizer::Replace{Regex(" {2,}", model.origin), " "});
  }
  const std::string space = model.escape_whitespaces ? kWordMark : " ";
  if (model.add_dummy_prefix) parts.normalizer.push_back(normalizer::Prepend{space});
  if (model.escape_whitespaces) parts.normalizer.push_back(replace_text(" ", kWordMark));
  put_byte_fallback_decoder(parts, model.add_dummy_prefix);
}

void make_llama(const SentencePieceModel&, const TokenizerConfig& config, TokenizerParts& parts) {
  using pre_tokenizer::Prepend;
  parts.special_tokens = with_defaults(config.special, {.bos = "<s>", .eos = "</s>", .unk = "<unk>"});
  const bool prefix = config.add_prefix_space.value_or(true);
  const Prepend prepend = !prefix                         ? Prepend::never
                          : config.legacy.value_or(false) ? Prepend::always
                                                          : Prepend::first;
  parts.pre_tokenizer = {pre_tokenizer::Metaspace{kWordMark, prepend, false}};
  put_byte_fallback_decoder(parts, prefix);
  auto& model = std::get<BpeModel>(parts.model);
  model.byte_fallback = true;
  model.unk_token.reset();
}

void make_gemma(const SentencePieceModel&, const TokenizerConfig& config, TokenizerParts& parts) {
  parts.special_tokens = with_defaults(
      config.special, {.bos = "<bos>", .eos = "<eos>", .unk = "<unk>", .pad = "<pad>", .mask = "<mask>"});
  parts.normalizer = {replace_text(" ", kWordMark)};
  parts.pre_tokenizer = {
      pre_tokenizer::Split{std::string(" "), pre_tokenizer::Behavior::merged_with_previous, false}};
  put_byte_fallback_decoder(parts, false);
  auto& model = std::get<BpeModel>(parts.model);
  model.byte_fallback = true;
  model.unk_token = parts.special_tokens.unk;
}

// The pieces, and after them <extra_id_99> to <extra_id_0>.
void make_t5(const SentencePieceModel& model, const TokenizerConfig& config, TokenizerParts& parts) {
  parts.special_tokens = with_defaults(config.special, {.eos = "</s>", .unk = "<unk>", .pad = "<pad>"});
  auto& unigram = std::get<UnigramModel>(parts.model);
  std::vector<std::string> extra;
  for (std::int64_t i = config.extra_ids; i-- > 0;) {
    extra.push_back(fmt::format("<extra_id_{}>", i));
    unigram.vocabulary.append(extra.back());
    unigram.scores.push_back(0);
  }
  unigram.byte_fallback = false;
  unigram.unk_id = 2;
  check(unigram.vocabulary.size() > 2, Code::tokenizer, "{}: T5Tokenizer needs at least 3 pieces",
        parts.origin);
  put_charsmap(model, parts.normalizer);
  put_words_at_marks(parts, true);
  add_tokens(parts, {}, extra);
}

// The ids of fairseq: four special tokens, the pieces from the third on, the mask.
void make_xlm_roberta(const SentencePieceModel& model, const TokenizerConfig& config, TokenizerParts& parts) {
  parts.special_tokens = with_defaults(config.special, fairseq_tokens());
  const SpecialTokens& s = parts.special_tokens;
  UnigramModel unigram;
  const auto put = [&](const std::string& piece, double score) {
    unigram.vocabulary.append(piece);
    unigram.scores.push_back(score);
  };
  for (const std::string* token : {&s.bos, &s.pad, &s.eos, &s.unk}) put(*token, 0);
  for (std::size_t i = 3; i < model.pieces.size(); ++i) put(model.pieces[i].text, model.pieces[i].score);
  put(s.mask, 0);
  unigram.unk_id = 3;
  parts.model = std::move(unigram);
  put_charsmap(model, parts.normalizer);
  put_words_at_marks(parts, config.add_prefix_space.value_or(true));
}

void make_albert(const SentencePieceModel& model, const TokenizerConfig& config, TokenizerParts& parts) {
  parts.special_tokens = with_defaults(config.special, {.bos = "[CLS]",
                                                        .eos = "[SEP]",
                                                        .unk = "<unk>",
                                                        .pad = "<pad>",
                                                        .sep = "[SEP]",
                                                        .cls = "[CLS]",
                                                        .mask = "[MASK]"});
  parts.normalizer = {replace_text("``", "\""), replace_text("''", "\"")};
  if (!config.keep_accents.value_or(false)) {
    parts.normalizer.push_back(normalizer::Unicode{Normalization::nfkd});
    parts.normalizer.push_back(normalizer::StripAccents{});
  }
  if (config.do_lower_case) parts.normalizer.push_back(normalizer::Lowercase{});
  put_charsmap(model, parts.normalizer);
  put_words_at_marks(parts, config.add_prefix_space.value_or(true));
  auto& unigram = std::get<UnigramModel>(parts.model);
  unigram.byte_fallback = false;
  check(unigram.vocabulary.size() > 1, Code::tokenizer, "{}: AlbertTokenizer needs at least 2 pieces",
        parts.origin);
  unigram.unk_id = 1;
}

struct SentencePieceClass {
  std::string_view name;
  SentencePieceModel::Type type;
  void (*make)(const SentencePieceModel&, const TokenizerConfig&, TokenizerParts&);
};
constexpr SentencePieceClass kSentencePieceClasses[] = {
    {"LlamaTokenizer", SentencePieceModel::Type::bpe, make_llama},
    {"GemmaTokenizer", SentencePieceModel::Type::bpe, make_gemma},
    {"T5Tokenizer", SentencePieceModel::Type::unigram, make_t5},
    {"XLMRobertaTokenizer", SentencePieceModel::Type::unigram, make_xlm_roberta},
    {"AlbertTokenizer", SentencePieceModel::Type::unigram, make_albert},
};

}  // namespace

std::vector<std::pair<Token, Token>> merges_of_scores(const Vocabulary& vocabulary,
                                                      const std::vector<double>& scores) {
  struct Way {
    double score;
    Token made, left, right;
    std::uint32_t left_size;
  };
  std::vector<Way> ways;
  for (Token id = 0; id < vocabulary.size(); ++id) {
    const std::string_view piece = vocabulary[id];
    for (std::size_t at = 0; at < piece.size();) {
      utf8_next(piece, at);
      if (at == piece.size()) break;
      const Token right = vocabulary.find(piece.substr(at));
      if (right < 0) continue;
      if (const Token left = vocabulary.find(piece.substr(0, at)); left >= 0)
        ways.push_back(
            {scores[static_cast<std::size_t>(id)], id, left, right, static_cast<std::uint32_t>(at)});
    }
  }
  std::sort(ways.begin(), ways.end(), [](const Way& a, const Way& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.made != b.made ? a.made < b.made : a.left_size < b.left_size;
  });
  std::vector<std::pair<Token, Token>> merges;
  merges.reserve(ways.size());
  for (const Way& way : ways) merges.emplace_back(way.left, way.right);
  return merges;
}

TokenizerParts tokenizer_of_sentencepiece(SentencePieceModel model, const TokenizerConfig& config) {
  using Type = SentencePieceModel::Type;
  check(model.type == Type::unigram || model.type == Type::bpe, Code::tokenizer,
        "{}: a model of type {}; supported are unigram and bpe", model.origin,
        model.type == Type::word ? "word" : "char");
  TokenizerParts parts;
  parts.origin = model.origin;
  if (model.type == Type::bpe) {
    parts.model = bpe_of(model);
  } else {
    parts.model = unigram_of(model);
  }
  const std::vector<AddedToken> given = tokens_of(model, config);
  if (says_nothing(config.tokenizer_class)) {
    make_plain(model, config, parts);
    add_tokens(parts, given, names_of(parts.special_tokens));
    put_asked_around(parts);
    return parts;
  }
  std::string supported;
  for (const SentencePieceClass& known : kSentencePieceClasses) {
    supported += fmt::format("{}{}", supported.empty() ? "" : ", ", known.name);
    if (known.name != config.tokenizer_class) continue;
    check(known.type == model.type, Code::tokenizer, "{}: a model of type {}, and {} names {}, which has {}",
          model.origin, model.type == Type::bpe ? "bpe" : "unigram", config.origin, known.name,
          known.type == Type::bpe ? "bpe" : "unigram");
    known.make(model, config, parts);
    add_tokens(parts, given, names_of(parts.special_tokens));
    const SpecialTokens& s = parts.special_tokens;
    if (known.make == make_albert) {
      put_bert_template(parts);
    } else if (known.make == make_t5) {
      put_around(parts, "", s.eos);
    } else if (known.make == make_xlm_roberta) {
      const auto bos = special_piece(s.bos, 0), eos = special_piece(s.eos, 0);
      put_template(parts, {bos, first_piece(), eos}, {bos, first_piece(), eos, eos, second_piece(0), eos});
    } else {
      put_asked_around(parts);
    }
    return parts;
  }
  refuse_class(config, "a SentencePiece model", supported);
}

}  // namespace glossa
