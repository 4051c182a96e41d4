// encoder.h -- the model of a tokenizer made ready, whichever it is: words to tokens.
#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/bpe.h"
#include "text/unigram.h"
#include "text/word_piece.h"

namespace glossa {

struct WordLevelModel {  // each piece a word
  Vocabulary vocabulary;
  std::string unk_token = "<unk>";
};

using Model = std::variant<BpeModel, WordPieceModel, WordLevelModel, UnigramModel>;

// Immutable; the scratch memory is the caller's.
class Encoder {
 public:
  // `bytes`: words come as bytes that stand for their GPT-2 names. The model and `origin`, the file for
  // messages, must outlive this.
  Encoder(const Model& model, bool bytes, std::string_view origin);

  class Scratch {
    friend class Encoder;
    Bpe::Scratch bpe_;
    Unigram::Scratch unigram_;
    std::vector<Symbol> symbols_;
    std::string name_;
  };
  // The symbols of a word, good until the scratch memory is used again. `dropout`, of BPE alone, may be null.
  const std::vector<Symbol>& encode(std::string_view word, Scratch& scratch,
                                    DropoutNumbers* dropout = nullptr) const;
  // The bytes of a first part of a word that has the same tokens alone.
  std::size_t part_of(std::string_view word) const {
    const auto* bpe = std::get_if<Bpe>(&model_);
    return bpe ? bpe->part_of(word) : word.size();
  }

 private:
  struct WordLevel {
    const WordLevelModel& model;
    std::string_view origin;
    Token id_of(std::string_view word) const;
  };
  struct Encode;

  using Ready = std::variant<Bpe, WordPiece, WordLevel, Unigram>;
  static Ready ready(const Model& model, bool bytes, std::string_view origin);

  const Ready model_;
  const bool named_;  // words must be renamed here
};

}  // namespace glossa
