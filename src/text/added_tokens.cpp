#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/unicode.h"
#include "text/unicode_classes.h"

namespace glossa {
namespace {

// The character that ends before byte `at` of well-formed text.
std::size_t character_before(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

std::uint16_t classes_at(std::string_view text, std::size_t at, std::size_t* end = nullptr) {
  const std::size_t size = utf8_length_at(text, at);
  if (end) *end = at + std::max<std::size_t>(size, 1);
  return size == 0 ? std::uint16_t{0} : CharClasses::get()[utf8_next(text, at)];
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<Pattern>& patterns)
    : nodes_{{.parent = 0, .depth = 0, .byte = 0}} {
  for (const Pattern& pattern : patterns)
    if (!pattern.text.empty()) add(pattern);
  // A node's shorter one is less deep than it is.
  std::vector<std::uint32_t> by_depth(nodes_.size());
  std::iota(by_depth.begin(), by_depth.end(), 0);
  std::stable_sort(by_depth.begin(), by_depth.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return nodes_[a].depth < nodes_[b].depth; });
  for (const std::uint32_t n : by_depth) {
    Node& node = nodes_[n];
    if (node.depth > 1) node.shorter = next(nodes_[node.parent].shorter, node.byte);
    if (node.token < 0) node.token = nodes_[node.shorter].token;
  }
}

void AddedTokenFinder::add(const Pattern& pattern) {
  std::uint32_t node = 0;
  for (auto c = pattern.text.rbegin(); c != pattern.text.rend(); ++c) {
    const auto byte = static_cast<unsigned char>(*c);
    const auto [child, made] =
        children_.try_emplace(std::uint64_t{node} << 8 | byte, static_cast<std::uint32_t>(nodes_.size()));
    if (made) nodes_.push_back({.parent = node, .depth = nodes_[node].depth + 1, .byte = byte});
    node = child->second;
  }
  nodes_[node].token = static_cast<std::int32_t>(tokens_.size());
  const AddedToken& token = *pattern.token;
  tokens_.push_back({token.id, static_cast<std::uint32_t>(pattern.text.size()), token.single_word, token.lstrip,
                     token.rstrip});
  bool& ends = ends_[static_cast<unsigned char>(pattern.text.back())];
  if (!ends) last_bytes_ += pattern.text.back();
  ends = true;
}

std::uint32_t AddedTokenFinder::next(std::uint32_t node, unsigned char byte) const {
  for (;; node = nodes_[node].shorter) {
    if (node == 0 && !ends_[byte]) return 0;
    const auto child = children_.find(std::uint64_t{node} << 8 | byte);
    if (child != children_.end()) return child->second;
  }
}

// At every byte where tokens begin the longest of them, from front to back; in the place of its id its number.
void AddedTokenFinder::find_all(std::string_view text, std::vector<FoundToken>& found) const {
  found.clear();
  std::uint32_t node = 0;
  for (std::size_t at = text.size(); at > 0;) {
    if (node == 0 && last_bytes_.size() == 1) {
      const void* last = memrchr(text.data(), last_bytes_[0], at);
      if (!last) break;
      at = static_cast<std::size_t>(static_cast<const char*>(last) - text.data()) + 1;
    }
    node = next(node, static_cast<unsigned char>(text[--at]));
    if (const std::int32_t token = nodes_[node].token; token >= 0)
      found.push_back({token, static_cast<std::uint32_t>(at),
                       static_cast<std::uint32_t>(at) + tokens_[static_cast<std::size_t>(token)].size});
  }
  std::reverse(found.begin(), found.end());
}

void AddedTokenFinder::find(std::string_view text, std::vector<FoundToken>& found) const {
  found.clear();
  if (empty()) return;
  find_all(text, found);
  std::size_t kept = 0, at = 0;
  std::size_t done = 0;  // up to here the text belongs to tokens
  for (const FoundToken candidate : found) {
    std::size_t begin = candidate.begin, end = candidate.end;
    if (begin < at) continue;
    at = end;
    const Entry& token = tokens_[static_cast<std::size_t>(candidate.id)];
    if (token.single_word) {
      const bool word_before =
          begin > 0 && (classes_at(text, character_before(text, begin)) & char_class::word);
      const bool word_after = end < text.size() && (classes_at(text, end) & char_class::word);
      if (word_before || word_after) continue;
    }
    if (token.lstrip)
      while (begin > done) {
        const std::size_t before = character_before(text, begin);
        if (!(classes_at(text, before) & char_class::space)) break;
        begin = before;
      }
    if (token.rstrip) {
      end = std::max(end, done);  // what the token before took after its end were spaces
      for (std::size_t next = end; end < text.size() && (classes_at(text, end, &next) & char_class::space);)
        end = next;
    }
    begin = std::min(std::max(begin, done), end);
    found[kept++] = {token.id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
    done = std::max(done, end);
  }
  found.resize(kept);
}

}  // namespace glossa
