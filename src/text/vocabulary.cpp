#include "text/vocabulary.h"

#include <algorithm>
#include <bit>

#include "text/hash.h"

namespace glossa {
namespace {

std::uint8_t tag_of(std::uint64_t hash) {
  return static_cast<std::uint8_t>(hash >> 56 | 1);
}

}  // namespace

Vocabulary::Vocabulary() : ends_{0}, tags_(16), ids_(16) {}

void Vocabulary::reserve(std::size_t pieces) {
  ends_.reserve(pieces + 1);
  const std::size_t slots = std::bit_ceil(2 * (pieces + 1));
  if (slots > tags_.size()) resize_table(slots);
}

Token Vocabulary::add(std::string_view piece) {
  return find(piece) >= 0 ? -1 : append(piece);
}

Token Vocabulary::append(std::string_view piece) {
  const Token id = size();
  bytes_ += piece;
  ends_.push_back(bytes_.size());
  if (2 * ends_.size() > tags_.size()) {
    resize_table(2 * tags_.size());
  } else {
    put(piece, id);
  }
  return id;
}

void Vocabulary::skip() {
  skipped_.push_back(size());
  ends_.push_back(bytes_.size());
}

Token Vocabulary::find(std::string_view piece) const {
  const std::size_t slot = slot_of(piece, hash_bytes(piece, hash_seed()));
  return tags_[slot] ? ids_[slot] : -1;
}

bool Vocabulary::has(Token id) const {
  return id >= 0 && id < size() && !std::binary_search(skipped_.begin(), skipped_.end(), id);
}

std::size_t Vocabulary::slot_of(std::string_view piece, std::uint64_t hash) const {
  const std::uint8_t tag = tag_of(hash);
  for (std::size_t slot = hash;; ++slot) {
    slot &= tags_.size() - 1;
    if (!tags_[slot] || (tags_[slot] == tag && (*this)[ids_[slot]] == piece)) return slot;
  }
}

void Vocabulary::put(std::string_view piece, Token id) {
  const std::uint64_t hash = hash_bytes(piece, hash_seed());
  const std::size_t slot = slot_of(piece, hash);
  tags_[slot] = tag_of(hash), ids_[slot] = id;
}

void Vocabulary::resize_table(std::size_t slots) {
  while (slots < 2 * ends_.size()) slots *= 2;
  tags_.assign(slots, 0), ids_.assign(slots, -1);
  auto skipped = skipped_.begin();
  for (Token id = 0; id < size(); ++id) {
    if (skipped != skipped_.end() && *skipped == id) {
      ++skipped;
    } else {
      put((*this)[id], id);
    }
  }
}

}  // namespace glossa
