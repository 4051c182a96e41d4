#include "text/vocabulary.h"

#include <algorithm>

#include "text/hash.h"

namespace glossa {

Vocabulary::Vocabulary() : ends_{0}, slots_(16) {}

Token Vocabulary::add(std::string_view piece) {
  return find(piece) >= 0 ? -1 : append(piece);
}

Token Vocabulary::append(std::string_view piece) {
  const Token id = size();
  bytes_ += piece;
  ends_.push_back(bytes_.size());
  if (2 * ends_.size() > slots_.size()) {
    grow();
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
  return slots_[slot_of(piece, hash_bytes(piece, hash_seed()))].id;
}

bool Vocabulary::has(Token id) const {
  return id >= 0 && id < size() && !std::binary_search(skipped_.begin(), skipped_.end(), id);
}

std::size_t Vocabulary::slot_of(std::string_view piece, std::uint64_t hash) const {
  for (std::size_t slot = hash;; ++slot) {
    const Slot& s = slots_[slot &= slots_.size() - 1];
    if (s.id < 0 || (s.hash == hash >> 32 && (*this)[s.id] == piece)) return slot;
  }
}

void Vocabulary::put(std::string_view piece, Token id) {
  const std::uint64_t hash = hash_bytes(piece, hash_seed());
  slots_[slot_of(piece, hash)] = {id, static_cast<std::uint32_t>(hash >> 32)};
}

void Vocabulary::grow() {
  while (2 * ends_.size() > slots_.size()) slots_.resize(slots_.size() * 2);
  std::fill(slots_.begin(), slots_.end(), Slot());
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
