// sentencepiece.h -- the file of a SentencePiece model (Kudo and Richardson, 2018): pieces with scores and
// kinds, and how texts are normalized. It is a protobuf; the fields that matter are read by hand.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace glossa {

struct SentencePieceModel {
  enum class Type : std::uint8_t { unigram = 1, bpe = 2, word = 3, chars = 4 };
  enum class Kind : std::uint8_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
  };
  struct Piece {
    std::string text;
    double score = 0;
    Kind kind = Kind::normal;
  };

  std::string origin = "the model";  // for messages
  std::vector<Piece> pieces = {};    // by id
  Type type = Type::unigram;
  std::int64_t unk_id = 0;
  bool byte_fallback = false, treat_whitespace_as_suffix = false;
  std::string precompiled_charsmap = {};
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

// Error(tokenizer) with the byte where something is wrong.
SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view origin,
                                       const Limits& limits = {});

}  // namespace glossa
