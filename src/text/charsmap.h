// charsmap.h -- the normalization rules of a SentencePiece model, compiled to a double-array trie (Aoe, 1989;
// the layout of Darts-clone): strings of bytes, and what each becomes.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace glossa {

// Immutable; copies share it.
class Charsmap {
 public:
  // The bytes of `precompiled_charsmap`. Error(tokenizer) names `where` and what is wrong; afterwards nothing
  // can be.
  Charsmap(std::string_view bytes, std::string_view where);

  const std::string& bytes() const;
  // What the shortest rule that `text` begins with makes of it; nothing if there is none. Good while this
  // lives.
  std::optional<std::string_view> shortest(std::string_view text) const;
  // Whether a character of ASCII alone stays as it is.
  bool keeps(unsigned char c) const;

 private:
  struct Rules;
  std::shared_ptr<const Rules> rules_;
};

}  // namespace glossa
