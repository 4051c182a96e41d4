#include "text/piece_trie.h"

#include <algorithm>

namespace glossa {

PieceTrie::PieceTrie(std::vector<Entry> entries) : nodes_(1), dense_(1) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  struct Range {  // entries with the same first bytes
    std::uint32_t node;
    std::size_t begin, end;
  };
  std::vector<Range> level{{0, 0, entries.size()}}, next;
  for (std::size_t depth = 0; !level.empty(); ++depth, level.swap(next)) {
    next.clear();
    for (auto [node, begin, end] : level) {
      for (; begin < end && entries[begin].first.size() == depth; ++begin)
        if (depth > 0) nodes_[node].token = entries[begin].second;
      const auto first = static_cast<std::uint32_t>(nodes_.size());
      while (begin < end) {
        const auto byte = static_cast<unsigned char>(entries[begin].first[depth]);
        const std::size_t same = begin;
        while (begin < end && static_cast<unsigned char>(entries[begin].first[depth]) == byte) ++begin;
        next.push_back({static_cast<std::uint32_t>(nodes_.size()), same, begin});
        nodes_.push_back({.byte = byte});
      }
      Node& parent = nodes_[node];
      parent.first = first;
      parent.children = static_cast<std::uint16_t>(nodes_.size() - first);
      if (parent.children <= kDense) continue;
      parent.dense = static_cast<std::uint32_t>(dense_.size());
      dense_.resize(dense_.size() + 256);
      for (std::uint32_t c = first; c < nodes_.size(); ++c) dense_[parent.dense + nodes_[c].byte] = c;
    }
  }
}

}  // namespace glossa
