// reverse_digits.h -- a task made of nothing: a sequence of digits, and the same digits backwards. A model
// that cannot learn it in a minute is broken.
#pragma once
#include <cstdint>
#include <string>

#include "data/pair_reader.h"

namespace glossa {

struct ReverseDigits {
  std::uint64_t examples = 50'000;
  std::uint64_t min_digits = 1, max_digits = 25;  // lengths are equally likely
  std::uint64_t seed = 42;
  // Training, validation and test are parts 0, 1 and 2: different examples under one seed.
  std::uint64_t part = 0;

  std::string source(
      std::uint64_t index) const;  // "3 1 4"; a pure function of the seed, the part and the index
  PairStream pairs() const;        // "3 1 4", "4 1 3"; lines count from 1
  std::string identity() const;    // for the cache
};

std::string reversed_words(std::string_view words);  // words between single spaces, last first

}  // namespace glossa
