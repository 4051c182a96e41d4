#include "text/encoder.h"

#include "base/error.h"
#include "base/unicode.h"
#include "text/byte_level.h"

namespace glossa {
namespace {

// From bytes of names to the bytes that they name: a character for each.
void count_characters(std::string_view names, std::vector<Symbol>& symbols) {
  std::size_t at = 0;
  for (Symbol& s : symbols) {
    const std::size_t end = at + s.size;
    for (s.size = 0; at < end; ++s.size) utf8_next(names, at);
  }
}

}  // namespace

Encoder::Ready Encoder::ready(const Model& model, bool bytes, std::string_view origin) {
  struct Make {
    bool bytes;
    std::string_view origin;
    Ready operator()(const BpeModel& m) const { return Ready(std::in_place_type<Bpe>, m, bytes, origin); }
    Ready operator()(const WordPieceModel& m) const {
      return Ready(std::in_place_type<WordPiece>, m, origin);
    }
    Ready operator()(const WordLevelModel& m) const { return WordLevel{m, origin}; }
    Ready operator()(const UnigramModel& m) const { return Ready(std::in_place_type<Unigram>, m, origin); }
  };
  return std::visit(Make{bytes, origin}, model);
}

Encoder::Encoder(const Model& model, bool bytes, std::string_view origin)
    : model_(ready(model, bytes, origin)), named_(bytes && !std::holds_alternative<Bpe>(model_)) {}

Token Encoder::WordLevel::id_of(std::string_view word) const {
  if (const Token id = model.vocabulary.find(word); id >= 0) return id;
  const Token id = model.vocabulary.find(model.unk_token);
  check(id >= 0, Code::tokenizer, "{}: the word {} is not in the vocabulary, and neither is the unk_token {}",
        origin, quoted(word), quoted(model.unk_token));
  return id;
}

struct Encoder::Encode {
  std::string_view word;
  Scratch& scratch;
  DropoutNumbers* dropout;
  using Symbols = const std::vector<Symbol>&;

  Symbols operator()(const Bpe& model) const { return model.encode(word, scratch.bpe_, dropout); }
  Symbols operator()(const WordPiece& model) const {
    model.encode(word, scratch.symbols_);
    return scratch.symbols_;
  }
  Symbols operator()(const WordLevel& model) const {
    scratch.symbols_.assign(1, {model.id_of(word), static_cast<std::uint32_t>(word.size())});
    return scratch.symbols_;
  }
  Symbols operator()(const Unigram& model) const {
    model.encode(word, scratch.unigram_, scratch.symbols_);
    return scratch.symbols_;
  }
};

const std::vector<Symbol>& Encoder::encode(std::string_view word, Scratch& scratch,
                                           DropoutNumbers* dropout) const {
  if (named_) word = scratch.name_ = to_byte_names(word);
  const auto& symbols = std::visit(Encode{word, scratch, dropout}, model_);
  if (named_) count_characters(word, scratch.symbols_);
  return symbols;
}

}  // namespace glossa
