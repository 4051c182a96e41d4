// train_bpe.h -- learning the merges of byte-pair encoding from counted words (Sennrich et al., 2016).
#pragma once
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocabulary.h"

namespace glossa {

struct CountedWord {
  std::string_view text;
  std::uint64_t count;
};

struct BpeLearner {
  std::int64_t vocab_size;
  std::uint64_t min_frequency;
};

// Adds pieces to a vocabulary that holds the alphabet, and returns the merges that make them. Characters that
// the vocabulary does not have are left out of their words. Pairs with the highest count go first, of equal
// ones those of lower ids. `bytes`: words are bytes, and the vocabulary has GPT-2's names for them.
std::vector<std::pair<Token, Token>> learn_merges(const std::vector<CountedWord>& words, bool bytes,
                                                  const BpeLearner& how, Vocabulary& vocabulary);

}  // namespace glossa
