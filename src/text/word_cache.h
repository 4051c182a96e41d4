// word_cache.h -- what a model made of words it has met: most words of a text have been seen before. Of fixed
// size; a new word takes the place of an old one. Not thread-safe.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "text/hash.h"
#include "text/vocabulary.h"

namespace glossa {

class WordCache {
 public:
  static constexpr std::size_t kShortWord = 15, kLongWord = 256;  // in bytes
  static constexpr std::uint32_t kShortTokens = 3;

  // A word of at most kShortWord bytes and kShortTokens tokens, in half a cache line.
  struct Short {
    std::uint64_t low, high;  // the bytes, and their number in the last one
    Token ids[kShortTokens];
    std::uint32_t count;
  };

  WordCache() : shorts_(kShorts), longs_(kLongs) {}

  // The key of `size` bytes at `word`, at most kShortWord. `readable`: 16 bytes may be read there.
  static Short short_key(const char* word, std::size_t size, bool readable) {
    std::uint64_t half[2] = {0, 0};
    if (readable) {
      std::memcpy(half, word, 16);
      if (size < 8) {
        half[0] &= (std::uint64_t{1} << 8 * size) - 1;
        half[1] = 0;
      } else {
        half[1] &= (std::uint64_t{1} << 8 * (size - 8)) - 1;
      }
    } else {
      std::memcpy(half, word, size);
    }
    return {half[0], half[1] | std::uint64_t{size} << 56, {}, 0};
  }
  const Short* find(const Short& key) const {
    const std::size_t home = home_of(key);
    for (std::size_t i = 0; i < kProbes; ++i) {
      const Short& s = shorts_[(home + i) & (kShorts - 1)];
      if (s.low == key.low && s.high == key.high) return &s;
    }
    return nullptr;
  }
  void put(Short key, std::span<const Token> ids) {
    if (ids.size() > kShortTokens) return;
    std::memcpy(key.ids, ids.data(), ids.size_bytes());
    key.count = static_cast<std::uint32_t>(ids.size());
    const std::size_t home = home_of(key);
    std::size_t place = home;
    for (std::size_t i = kProbes; i-- > 0;)
      if (const std::size_t at = (home + i) & (kShorts - 1); shorts_[at].high == 0) place = at;
    shorts_[place] = key;
  }

  // Longer words, and those of more tokens.
  bool find(std::string_view word, std::span<const Token>& ids) const {
    const std::uint64_t hash = hash_bytes(word, seed_);
    const Long& l = longs_[hash & (kLongs - 1)];
    if (l.hash != hash || bytes(l) != word) return false;
    ids = {tokens_.data() + l.tokens, l.count};
    return true;
  }
  void put(std::string_view word, std::span<const Token> ids) {
    if (bytes_.size() + word.size() > kLongBytes || tokens_.size() + ids.size() > kLongBytes) clear_longs();
    const std::uint64_t hash = hash_bytes(word, seed_);
    longs_[hash & (kLongs - 1)] = {
        hash, static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(word.size()),
        static_cast<std::uint32_t>(tokens_.size()), static_cast<std::uint32_t>(ids.size())};
    bytes_ += word;
    tokens_.insert(tokens_.end(), ids.begin(), ids.end());
  }

 private:
  static constexpr std::size_t kShorts = 1 << 16, kLongs = 1 << 14, kProbes = 4, kLongBytes = 1 << 20;

  struct Long {
    std::uint64_t hash = 0;
    std::uint32_t at = 0, size = 0, tokens = 0, count = 0;
  };

  std::size_t home_of(const Short& key) const { return hash_mix(key.low ^ seed_, key.high) & (kShorts - 1); }
  std::string_view bytes(const Long& l) const { return std::string_view(bytes_).substr(l.at, l.size); }
  void clear_longs() {
    longs_.assign(kLongs, {});
    bytes_.clear();
    tokens_.clear();
  }

  const std::uint64_t seed_ = hash_seed();
  std::vector<Short> shorts_;
  std::vector<Long> longs_;
  std::string bytes_;
  std::vector<Token> tokens_;
};

}  // namespace glossa
