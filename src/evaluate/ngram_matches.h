// ngram_matches.h -- how many n-grams of a hypothesis its references contain. N-grams are interned one order
// after the other, an n-gram being the one a symbol shorter and its last symbol, so that keys are exact, one
// word long, and the table of an order stays in the nearest cache. One object serves many segments; it
// belongs to one thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace glossa {

inline constexpr std::uint32_t kUnknownSymbol = UINT32_MAX;

// Numbers for the words of a hypothesis, in order of appearance.
class WordNumbers {
 public:
  void clear();
  std::uint32_t add(std::string_view word);
  std::uint32_t find(std::string_view word) const;  // kUnknownSymbol if it was not added

 private:
  std::size_t slot_of(std::string_view word, std::uint64_t hash) const;
  void grow();
  struct Word {
    std::string_view text;
    std::uint64_t hash;
  };
  std::vector<Word> words_;
  std::vector<std::uint32_t> slots_;  // number of a word + 1; a power of two of them, at most half full
};

class NgramMatches {
 public:
  // Counts for the orders 1 to `max_order`. Symbols of references that the hypothesis has not may be
  // kUnknownSymbol.
  void count(std::span<const std::uint32_t> hypothesis,
             std::span<const std::vector<std::uint32_t>> references, int max_order);

  // Of order n: sum over its n-grams of min(times in the hypothesis, times in reference r).
  std::uint32_t with(int n, std::size_t reference) const {
    return matches_[static_cast<std::size_t>(n - 1) * references_ + reference];
  }
  // The same with the most times that any one reference has it.
  std::uint32_t with_any(int n) const { return merged_[static_cast<std::size_t>(n - 1)]; }

 private:
  struct Entry {
    std::uint64_t key;
    std::uint64_t epoch = 0;            // of `key` and `in_hypothesis`: an order of a segment
    std::uint64_t reference_epoch = 0;  // of `in_reference`: an order of a reference
    std::uint32_t in_hypothesis, in_reference, most_matched;
  };
  std::size_t entry_of(std::uint64_t key) const;
  void extend_hypothesis(std::span<const std::uint32_t> symbols, int n);
  void match_reference(std::span<const std::uint32_t> symbols, int n, std::size_t reference);

  std::size_t references_ = 0;
  std::vector<std::uint32_t> matches_, merged_;
  std::vector<Entry> entries_;  // open addressing; a power of two of them, at most half full
  std::size_t mask_ = 0;
  int shift_ = 64;
  std::uint64_t epoch_ = 0, reference_epoch_ = 0;
  // The entry of the n-gram that starts at each symbol, as of the order counted last, or kUnknownSymbol.
  std::vector<std::uint32_t> hypothesis_grams_;
  std::vector<std::vector<std::uint32_t>> reference_grams_;
};

}  // namespace glossa
