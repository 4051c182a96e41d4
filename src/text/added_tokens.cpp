#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>

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

void AddedTokenFinder::add(const AddedToken& token, std::string_view pattern) {
  if (pattern.empty()) return;  // what a normalizer leaves nothing of cannot be found
  if (ends_.empty()) ends_.push_back(-1);
  std::uint32_t node = 0;
  for (const char c : pattern) {
    const auto [child, made] = children_.try_emplace(std::uint64_t{node} << 8 | static_cast<unsigned char>(c),
                                                     static_cast<std::uint32_t>(ends_.size()));
    if (made) ends_.push_back(-1);
    node = child->second;
  }
  ends_[node] = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back({token.id, token.single_word, token.lstrip, token.rstrip});
  bool& begins = begins_[static_cast<unsigned char>(pattern[0])];
  if (!begins) first_bytes_ += pattern[0];
  begins = true;
}

std::size_t AddedTokenFinder::next_candidate(std::string_view text, std::size_t at) const {
  if (first_bytes_.size() == 1) return std::min(text.find(first_bytes_[0], at), text.size());
  while (at < text.size() && !begins_[static_cast<unsigned char>(text[at])]) ++at;
  return at;
}

bool AddedTokenFinder::longest_at(std::string_view text, std::size_t at, std::size_t& end,
                                  const Entry*& entry) const {
  std::uint32_t node = 0;
  std::int32_t last = -1;
  for (; at < text.size(); ++at) {
    const auto child = children_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[at]));
    if (child == children_.end()) break;
    node = child->second;
    if (ends_[node] >= 0) last = ends_[node], end = at + 1;
  }
  if (last >= 0) entry = &tokens_[static_cast<std::size_t>(last)];
  return last >= 0;
}

void AddedTokenFinder::find(std::string_view text, std::vector<FoundToken>& found) const {
  found.clear();
  if (empty()) return;
  std::size_t done = 0;  // up to here the text belongs to tokens
  for (std::size_t at = 0; (at = next_candidate(text, at)) < text.size();) {
    std::size_t begin = at, end = 0;
    const Entry* token = nullptr;
    if (!longest_at(text, at, end, token)) {
      ++at;
      continue;
    }
    at = end;
    if (token->single_word) {
      const bool word_before =
          begin > 0 && (classes_at(text, character_before(text, begin)) & char_class::word);
      const bool word_after = end < text.size() && (classes_at(text, end) & char_class::word);
      if (word_before || word_after) continue;
    }
    if (token->lstrip)
      while (begin > done) {
        const std::size_t before = character_before(text, begin);
        if (!(classes_at(text, before) & char_class::space)) break;
        begin = before;
      }
    if (token->rstrip)
      for (std::size_t next = end; end < text.size() && (classes_at(text, end, &next) & char_class::space);)
        end = next;
    begin = std::min(std::max(begin, done), end);
    found.push_back({token->id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    done = std::max(done, end);
  }
}

}  // namespace glossa
