// unigram.h -- the unigram language model of SentencePiece (Kudo, 2018): of all ways to cut a word into
// pieces the one whose scores, logarithms of probabilities, have the greatest sum.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/piece_trie.h"
#include "text/symbol.h"

namespace glossa {

struct UnigramModel {  // as tokenizer.json has it; of equal pieces the last one counts
  Vocabulary vocabulary;
  std::vector<double> scores;   // by id
  bool scores_of_json = false;  // were decimal numbers; they mean what the library's parser makes of them
  std::optional<Token> unk_id;  // stands for what no piece has
  bool byte_fallback = false;   // the bytes of what is unknown, where all of them are pieces <0x00>...
};

// A model made ready to encode. Immutable; the scratch memory is the caller's.
class Unigram {
 public:
  // The model and `origin`, the file for messages, must outlive this.
  Unigram(const UnigramModel& model, std::string_view origin);

  class Scratch {
    friend class Unigram;
    struct Best {  // way to get to a place
      double score;
      std::uint32_t begin;  // of its last piece; kNowhere: none is known
      Token id;
    };
    std::vector<Best> best_;
    std::vector<Symbol> backwards_;
  };
  // The symbols of a word of UTF-8. Of characters in a row that are unknown there is one, or one for each
  // byte: then the first has the size of all, and the others none. Error(tokenizer) if nothing stands for the
  // unknown.
  void encode(std::string_view word, Scratch& scratch, std::vector<Symbol>& symbols) const;

 private:
  static constexpr std::uint32_t kNowhere = UINT32_MAX;
  Token unknown() const;
  void find_best(std::string_view word, std::vector<Scratch::Best>& best) const;
  void put_unknown(std::string_view text, std::vector<Symbol>& symbols) const;

  const UnigramModel& model_;
  const std::string_view origin_;
  PieceTrie pieces_;
  std::vector<double> scores_;    // by id
  double unknown_score_;          // of a character that is no piece
  std::array<Token, 256> bytes_;  // ids of <0x00>..., or -1
};

}  // namespace glossa
