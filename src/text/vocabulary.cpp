#include "text/vocabulary.h"

#include "text/hash.h"

namespace glossa {

Vocabulary::Vocabulary() : ends_{0}, slots_(16, -1) {}

Token Vocabulary::add(std::string_view piece) {
  if (find(piece) >= 0) return -1;
  const Token id = size();
  bytes_ += piece;
  ends_.push_back(bytes_.size());
  if (2 * ends_.size() > slots_.size()) {
    grow();
  } else {
    std::size_t slot = hash_bytes(piece, hash_seed());
    while (slots_[slot &= slots_.size() - 1] >= 0) ++slot;
    slots_[slot] = id;
  }
  return id;
}

Token Vocabulary::find(std::string_view piece) const {
  for (std::size_t slot = hash_bytes(piece, hash_seed());; ++slot) {
    const Token id = slots_[slot &= slots_.size() - 1];
    if (id < 0 || (*this)[id] == piece) return id;
  }
}

void Vocabulary::grow() {
  slots_.assign(slots_.size() * 2, -1);
  for (Token id = 0; id < size(); ++id) {
    std::size_t slot = hash_bytes((*this)[id], hash_seed());
    while (slots_[slot &= slots_.size() - 1] >= 0) ++slot;
    slots_[slot] = id;
  }
}

}  // namespace glossa
