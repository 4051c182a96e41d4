// added_tokens.h -- tokens that are found in the text before the model sees it, such as </s> and [MASK].
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/vocabulary.h"

namespace glossa {

struct AddedToken {  // as tokenizer.json has it
  Token id = -1;
  std::string content;
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // takes the spaces before it along
  bool rstrip = false;       // and those after it
  bool normalized = true;    // looked for in the text after the normalizer
  bool special = false;      // left out by a decoder that skips special tokens
};

struct FoundToken {
  Token id;
  std::uint32_t begin, end;  // bytes of the text
};

// Finds added tokens: of those that begin first, the longest. At every byte it reads no further than the
// longest token.
class AddedTokenFinder {
 public:
  void add(const AddedToken& token, std::string_view pattern);  // of a pattern added twice, the last counts
  bool empty() const { return tokens_.empty(); }
  // The tokens in `text`, from front to back.
  void find(std::string_view text, std::vector<FoundToken>& found) const;

 private:
  struct Entry {
    Token id;
    bool single_word, lstrip, rstrip;
  };
  std::size_t next_candidate(std::string_view text, std::size_t at) const;
  bool longest_at(std::string_view text, std::size_t at, std::size_t& end, const Entry*& entry) const;

  std::vector<Entry> tokens_;
  std::vector<std::int32_t> ends_;                             // [nodes] the token that ends there, or -1
  std::unordered_map<std::uint64_t, std::uint32_t> children_;  // node << 8 | byte -> node
  std::string first_bytes_;                                    // each once
  bool begins_[256] = {};
};

}  // namespace glossa
