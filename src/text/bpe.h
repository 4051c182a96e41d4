// bpe.h -- byte-pair encoding (Sennrich et al., 2016): a word's characters, or bytes, joined pair by pair in
// the order in which the pairs were learned.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "text/symbol.h"

namespace glossa {

struct BpeModel {  // as tokenizer.json has it
  Vocabulary vocabulary;
  std::vector<std::pair<Token, Token>> merges;  // by rank
  std::optional<double> dropout;                // of the file; used only where dropout is asked for
  std::optional<std::string> unk_token, continuing_subword_prefix, end_of_word_suffix;
  bool fuse_unk = false, byte_fallback = false, ignore_merges = false;
};

// Decides for BPE-dropout (Provilkov et al., 2020), question by question.
class DropoutNumbers {
 public:
  // 0 <= probability <= 1. The same (seed, sample) gives the same answers.
  DropoutNumbers(double probability, std::uint64_t seed, std::uint64_t sample);
  bool passes_over() {
    if (used_ == 4) block_ = random_(counter_++), used_ = 0;
    return block_[used_++] < threshold_;
  }

 private:
  Philox random_;
  std::uint64_t threshold_, counter_ = 0;  // threshold_: of 2^32
  Philox::Block block_{};
  int used_ = 4;
};

// A model made ready to encode. Immutable; the scratch memory is the caller's.
class Bpe {
 public:
  // `bytes`: words come as bytes that stand for their GPT-2 names. Error(tokenizer) for merges that name what
  // is not there; `origin` names the file, and must outlive this as the model must.
  Bpe(const BpeModel& model, bool bytes, std::string_view origin);

  class Scratch {
    friend class Bpe;
    std::vector<Symbol> symbols_;
    std::vector<std::uint32_t> ranks_;
    std::vector<std::uint32_t> next_, previous_;
    std::vector<std::vector<std::uint32_t>> waiting_;  // by rank: where the pair of that rank may be
    std::vector<std::uint32_t> active_;                // heap of ranks with places waiting
    std::vector<std::uint64_t> early_;  // heap of rank << 32 | place, of ranks that seemed done
    std::string name_;
  };

  // The symbols of a word, good until the scratch memory is used again. `dropout`: may be null.
  const std::vector<Symbol>& encode(std::string_view word, Scratch& scratch,
                                    DropoutNumbers* dropout = nullptr) const;

  // The bytes of a first part of a word that has the same tokens alone: up to a U+2581, SentencePiece's mark
  // of words, if it and the character before are pieces and no merge joins them. Where nothing cuts texts
  // into words, they are found so.
  std::size_t part_of(std::string_view word) const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Slot {
    Token left, right;
    std::uint32_t rank;
  };

  class LongWord;

  void add_merge(std::uint32_t rank, std::string& joined);
  void note_marks(std::string_view joined);
  bool cuts_after(std::string_view text) const;
  bool joins_a_mark(char last) const;
  Token character_id(std::string_view character) const;
  std::uint32_t rank_of(Token left, Token right) const;
  bool begin_plain_bytes(std::string_view word, std::vector<Symbol>& symbols) const;
  void begin(std::string_view word, Scratch& scratch) const;
  Token unknown() const;
  void merge_short(Scratch& scratch) const;
  void merge_with_dropout(Scratch& scratch, DropoutNumbers& dropout) const;
  void join(std::vector<Symbol>& symbols, std::vector<std::uint32_t>& ranks, std::size_t at) const;

  const BpeModel& model_;
  const std::string_view origin_;
  const bool bytes_, plain_;  // plain_: no affixes
  Token unk_ = -1;
  std::array<Token, 256> byte_ids_;      // of a byte's name, or -1
  std::array<Token, 256> fallback_ids_;  // of <0x00>..., or -1
  std::array<Token, 128> ascii_ids_;     // of characters, or -1
  std::vector<Slot> slots_;              // pairs of merges, open addressing, at most half full
  std::vector<Token> merged_;            // by rank
  bool marked_;                          // U+2581 is a piece, and words may be cut before it
  std::vector<char> before_mark_;  // last bytes of characters that some merged piece has before a U+2581
};

}  // namespace glossa
