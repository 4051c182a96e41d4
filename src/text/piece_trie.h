// piece_trie.h -- pieces by their beginnings: all those that a text begins with, found in one walk along it.
#pragma once
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocabulary.h"

namespace glossa {

// Immutable once made.
class PieceTrie {
 public:
  using Entry = std::pair<std::string_view, Token>;
  PieceTrie() = default;
  // Entries in any order; of equal pieces the last one counts. Empty ones are never found.
  explicit PieceTrie(std::vector<Entry> entries);

  // Calls found(size, id) for each piece that `text` begins with, from the shortest on.
  template <class F>
  void each_prefix(std::string_view text, F&& found) const {
    if (nodes_.empty()) return;
    std::uint32_t node = 0;
    for (std::size_t size = 1; size <= text.size(); ++size) {
      node = child(node, static_cast<unsigned char>(text[size - 1]));
      if (node == 0) return;
      if (nodes_[node].token >= 0) found(size, nodes_[node].token);
    }
  }

 private:
  struct Node {
    std::uint32_t first = 0;  // child; the others follow it
    std::uint32_t dense = 0;  // place in dense_ of a table of 256, if not 0
    Token token = -1;
    std::uint16_t children = 0;
    std::uint8_t byte = 0;  // that leads here
  };
  // More children than this get a table: looking at them all costs more than one read.
  static constexpr std::uint16_t kDense = 8;

  std::uint32_t child(std::uint32_t node, unsigned char byte) const {  // 0: there is none
    const Node& n = nodes_[node];
    if (n.dense) return dense_[n.dense + byte];
    for (std::uint32_t c = n.first; c < n.first + n.children; ++c)
      if (nodes_[c].byte == byte) return c;
    return 0;
  }

  std::vector<Node> nodes_;  // [0]: the root; level by level
  std::vector<std::uint32_t> dense_;
};

}  // namespace glossa
