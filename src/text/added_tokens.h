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

// Finds added tokens: of those that begin first, the longest. Reads the text once from its end, by the automaton of Aho
// and Corasick (1975) for the patterns reversed, so that the longest token which begins at a byte is known there however
// far it reaches; then takes the tokens from front to back. Time is linear in the text.
class AddedTokenFinder {
 public:
  struct Pattern {
    const AddedToken* token;  // read only while the finder is made
    std::string text;         // an empty one is never found; of equal ones the last counts
  };
  AddedTokenFinder() = default;
  explicit AddedTokenFinder(const std::vector<Pattern>& patterns);
  bool empty() const { return tokens_.empty(); }
  // The tokens in `text`, from front to back.
  void find(std::string_view text, std::vector<FoundToken>& found) const;

 private:
  struct Entry {
    Token id;
    std::uint32_t size;  // bytes
    bool single_word, lstrip, rstrip;
  };
  struct Node {  // the end of a token, read backwards
    std::uint32_t parent, depth;
    std::uint32_t shorter = 0;  // the longest node that this one's text ends with
    std::int32_t token = -1;    // the longest one that has been read
    unsigned char byte;
  };
  void add(const Pattern& pattern);
  std::uint32_t next(std::uint32_t node, unsigned char byte) const;
  void find_all(std::string_view text, std::vector<FoundToken>& found) const;

  std::vector<Entry> tokens_;
  std::vector<Node> nodes_;                                    // [0]: nothing read
  std::unordered_map<std::uint64_t, std::uint32_t> children_;  // node << 8 | byte -> node
  std::string last_bytes_;                                     // of tokens, each once
  bool ends_[256] = {};
};

}  // namespace glossa
