#include "evaluate/ngram_matches.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;  // 2^64 / the golden ratio: multiplicative hashing
constexpr std::size_t kFewSlots = 1024, kManyEntries = 1 << 16;

}  // namespace

void WordNumbers::clear() {
  if (slots_.size() == kFewSlots) {
    std::fill(slots_.begin(), slots_.end(), 0u);
  } else {
    slots_.assign(kFewSlots, 0u);
  }
  words_.clear();
}

std::size_t WordNumbers::slot_of(std::string_view word, std::uint64_t hash) const {
  std::size_t slot = (hash * kGolden) >> 32 & (slots_.size() - 1);
  while (slots_[slot] != 0) {
    const Word& known = words_[slots_[slot] - 1];
    if (known.hash == hash && known.text == word) break;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

std::uint32_t WordNumbers::add(std::string_view word) {
  if (2 * (words_.size() + 1) > slots_.size()) grow();
  const std::uint64_t hash = std::hash<std::string_view>{}(word);
  const std::size_t slot = slot_of(word, hash);
  if (slots_[slot] == 0) {
    words_.push_back({word, hash});
    slots_[slot] = static_cast<std::uint32_t>(words_.size());
  }
  return slots_[slot] - 1;
}

std::uint32_t WordNumbers::find(std::string_view word) const {
  return slots_[slot_of(word, std::hash<std::string_view>{}(word))] - 1;  // 0 - 1 is kUnknownSymbol
}

void WordNumbers::grow() {
  slots_.assign(std::max(kFewSlots, 2 * slots_.size()), 0u);
  for (std::size_t i = 0; i < words_.size(); ++i)
    slots_[slot_of(words_[i].text, words_[i].hash)] = static_cast<std::uint32_t>(i + 1);
}

void NgramMatches::count(std::span<const std::uint32_t> hypothesis,
                         std::span<const std::vector<std::uint32_t>> references, int max_order) {
  check(hypothesis.size() < (std::size_t{1} << 30), Code::size,
        "a segment of {} symbols is too long to score", hypothesis.size());
  references_ = references.size();
  matches_.assign(static_cast<std::size_t>(max_order) * references_, 0u);
  merged_.assign(static_cast<std::size_t>(max_order), 0u);
  const std::size_t needed = std::bit_ceil(std::max<std::size_t>(2 * hypothesis.size(), 64));
  // A table once grown for a long segment would cost every short one after it the nearness of its cache.
  if (needed > entries_.size() || entries_.size() > std::max(needed, kManyEntries)) {
    entries_.assign(needed, Entry{});
    entries_.shrink_to_fit();
  }
  mask_ = needed - 1;
  shift_ = 64 - std::countr_zero(needed);

  hypothesis_grams_.assign(hypothesis.size(), 0u);
  reference_grams_.resize(references_);
  for (std::size_t r = 0; r < references_; ++r) reference_grams_[r].assign(references[r].size(), 0u);
  for (int n = 1; n <= max_order && static_cast<std::size_t>(n) <= hypothesis.size(); ++n) {
    ++epoch_;
    extend_hypothesis(hypothesis, n);
    for (std::size_t r = 0; r < references_; ++r) match_reference(references[r], n, r);
  }
}

std::size_t NgramMatches::entry_of(std::uint64_t key) const {
  std::size_t at = (key * kGolden) >> shift_;
  while (entries_[at].epoch == epoch_ && entries_[at].key != key) at = (at + 1) & mask_;
  return at;
}

void NgramMatches::extend_hypothesis(std::span<const std::uint32_t> symbols, int n) {
  const std::size_t last = static_cast<std::size_t>(n - 1);
  for (std::size_t i = 0; i + last < symbols.size(); ++i) {
    const std::uint64_t key = std::uint64_t{hypothesis_grams_[i]} << 32 | symbols[i + last];
    const std::size_t at = entry_of(key);
    Entry& entry = entries_[at];
    if (entry.epoch != epoch_) {
      entry.key = key, entry.epoch = epoch_;
      entry.in_hypothesis = 0, entry.most_matched = 0;
    }
    ++entry.in_hypothesis;
    hypothesis_grams_[i] = static_cast<std::uint32_t>(at);
  }
}

void NgramMatches::match_reference(std::span<const std::uint32_t> symbols, int n, std::size_t reference) {
  const std::size_t last = static_cast<std::size_t>(n - 1);
  ++reference_epoch_;
  std::uint32_t matched = 0, newly_matched = 0;
  for (std::size_t i = 0; i + last < symbols.size(); ++i) {
    std::uint32_t& gram = reference_grams_[reference][i];
    if (gram == kUnknownSymbol) continue;
    const std::size_t at = entry_of(std::uint64_t{gram} << 32 | symbols[i + last]);
    Entry& entry = entries_[at];
    if (entry.epoch != epoch_) {  // what the hypothesis has not, it has with nothing appended
      gram = kUnknownSymbol;
      continue;
    }
    gram = static_cast<std::uint32_t>(at);
    if (entry.reference_epoch != reference_epoch_)
      entry.reference_epoch = reference_epoch_, entry.in_reference = 0;
    if (++entry.in_reference > entry.in_hypothesis) continue;
    ++matched;
    if (entry.in_reference > entry.most_matched) ++entry.most_matched, ++newly_matched;
  }
  matches_[static_cast<std::size_t>(n - 1) * references_ + reference] = matched;
  merged_[static_cast<std::size_t>(n - 1)] += newly_matched;
}

}  // namespace glossa
