#include "text/vocabulary.h"

#include <algorithm>

#include "text/hash.h"

namespace glossa {

Vocabulary::Vocabulary() : ends_{0}, slots_(16, -1) {}

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
    slots_[slot_of(piece)] = id;
  }
  return id;
}

void Vocabulary::skip() {
  skipped_.push_back(size());
  ends_.push_back(bytes_.size());
}

Token Vocabulary::find(std::string_view piece) const {
  return slots_[slot_of(piece)];
}

bool Vocabulary::has(Token id) const {
  return id >= 0 && id < size() && !std::binary_search(skipped_.begin(), skipped_.end(), id);
}

std::size_t Vocabulary::slot_of(std::string_view piece) const {
  for (std::size_t slot = hash_bytes(piece, hash_seed());; ++slot) {
    const Token id = slots_[slot &= slots_.size() - 1];
    if (id < 0 || (*this)[id] == piece) return slot;
  }
}

void Vocabulary::grow() {
  while (2 * ends_.size() > slots_.size()) slots_.resize(slots_.size() * 2);
  std::fill(slots_.begin(), slots_.end(), -1);
  auto skipped = skipped_.begin();
  for (Token id = 0; id < size(); ++id) {
    if (skipped != skipped_.end() && *skipped == id) {
      ++skipped;
    } else {
      slots_[slot_of((*this)[id])] = id;
    }
  }
}

}  // namespace glossa
