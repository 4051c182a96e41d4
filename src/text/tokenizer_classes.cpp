#include "text/tokenizer_classes.h"

#include "text/class_parts.h"

namespace glossa {

TokenizerParts tokenizer_of_byte_bpe(BpeModel model, std::string_view origin, const TokenizerConfig& config) {
  const std::string_view name = config.tokenizer_class;
  TokenizerParts parts;
  parts.origin = origin;
  model.unk_token.reset();
  parts.decoder = {decoder::ByteLevel{}};
  const bool prefix = config.add_prefix_space.value_or(false);
  const pre_tokenizer::ByteLevel bytes{.add_prefix_space = prefix, .trim_offsets = true, .use_regex = true};
  if (says_nothing(name) || is_one_of(name, {"GPT2Tokenizer", "CodeGenTokenizer"})) {
    const std::string end = "<|endoftext|>";
    parts.special_tokens = config.special;
    if (!says_nothing(name))
      parts.special_tokens = with_defaults(config.special, {.bos = end, .eos = end, .unk = end});
    parts.pre_tokenizer = {bytes};
    parts.model = std::move(model);
    add_tokens(parts, config.added_tokens, names_of(parts.special_tokens));
    put_asked_around(parts);
    return parts;
  }
  if (is_one_of(name, {"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer"})) {
    parts.special_tokens = with_defaults(config.special, fairseq_tokens());
    parts.pre_tokenizer = {bytes};
    parts.model = std::move(model);
    add_tokens(parts, config.added_tokens, names_of(parts.special_tokens));
    const SpecialTokens& s = parts.special_tokens;
    parts.post_processor = {
        post_processor::Roberta{{s.sep, id_of(parts, s.sep)}, {s.cls, id_of(parts, s.cls)}, true, prefix}};
    return parts;
  }
  if (name == "Qwen2Tokenizer") {
    const std::string end = "<|endoftext|>";
    parts.special_tokens = with_defaults(config.special, {.eos = end, .unk = end, .pad = end});
    parts.normalizer = {normalizer::Unicode{Normalization::nfc}};
    parts.pre_tokenizer = {
        pre_tokenizer::Split{WordPattern::qwen2, pre_tokenizer::Behavior::isolated, false},
        pre_tokenizer::ByteLevel{.add_prefix_space = prefix, .trim_offsets = true, .use_regex = false}};
    parts.model = std::move(model);
    add_tokens(parts, config.added_tokens, names_of(parts.special_tokens));
    put_asked_around(parts);
    return parts;
  }
  refuse_class(
      config, "vocab.json",
      "GPT2Tokenizer, CodeGenTokenizer, RobertaTokenizer, BartTokenizer, LongformerTokenizer, LEDTokenizer, "
      "Qwen2Tokenizer");
}

TokenizerParts tokenizer_of_word_piece(WordPieceModel model, std::string_view origin,
                                       const TokenizerConfig& config) {
  if (!says_nothing(config.tokenizer_class) &&
      !is_one_of(config.tokenizer_class,
                 {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer",
                  "SqueezeBertTokenizer", "ConvBertTokenizer"}))
    refuse_class(
        config, "vocab.txt",
        "BertTokenizer, DistilBertTokenizer, ElectraTokenizer, MobileBertTokenizer, SqueezeBertTokenizer, "
        "ConvBertTokenizer");
  TokenizerParts parts;
  parts.origin = origin;
  parts.special_tokens = with_defaults(
      config.special, {.unk = "[UNK]", .pad = "[PAD]", .sep = "[SEP]", .cls = "[CLS]", .mask = "[MASK]"});
  model.unk_token = parts.special_tokens.unk;
  parts.model = std::move(model);
  parts.normalizer = {normalizer::Bert{.clean_text = true,
                                       .handle_chinese_chars = config.tokenize_chinese_chars,
                                       .strip_accents = config.strip_accents,
                                       .lowercase = config.do_lower_case}};
  parts.pre_tokenizer = {pre_tokenizer::Bert{}};
  parts.decoder = {decoder::WordPiece{}};
  add_tokens(parts, config.added_tokens, names_of(parts.special_tokens));
  put_bert_template(parts);
  return parts;
}

}  // namespace glossa
