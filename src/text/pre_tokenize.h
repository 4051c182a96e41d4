// pre_tokenize.h -- the pre-tokenizers of a tokenizer.json: text cut into the pieces that the model sees one
// by one.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "text/aligned_text.h"
#include "text/cut_words.h"
#include "text/regex.h"

namespace glossa {

namespace pre_tokenizer {

// What becomes of a delimiter that was found.
enum class Behavior : std::uint8_t { removed, isolated, merged_with_previous, merged_with_next, contiguous };
enum class Prepend : std::uint8_t { first, never, always };

struct ByteLevel {
  bool add_prefix_space = true, trim_offsets = true, use_regex = true;
};
struct Metaspace {
  std::string replacement = "\xE2\x96\x81";  // one character, in the place of spaces
  Prepend prepend_scheme = Prepend::always;
  bool split = true;
};
struct Whitespace {};  // \w+|[^\w\s]+
struct WhitespaceSplit {};
struct Punctuation {
  Behavior behavior = Behavior::isolated;
};
struct Digits {
  bool individual_digits = false;
};
struct CharDelimiterSplit {
  std::string delimiter;  // one character
};
struct Bert {};  // at spaces and around punctuation
struct Split {
  std::variant<std::string, WordPattern, Regex> pattern;  // a text, never empty, or a regular expression
  Behavior behavior = Behavior::removed;
  bool invert = false;
};
struct UnicodeScripts {};  // where the script changes; Kana goes with Han, and spaces with anything
struct FixedLength {
  std::int64_t length = 5;  // characters, at least one
};

using Step = std::variant<ByteLevel, Metaspace, Whitespace, WhitespaceSplit, Punctuation, Digits,
                          CharDelimiterSplit, Bert, Split, UnicodeScripts, FixedLength>;

}  // namespace pre_tokenizer

using PreTokenizer = std::vector<pre_tokenizer::Step>;

// Whether the model gets bytes under GPT-2's names for them. They stay bytes until then: the last step's
// renaming is left to who looks up the pieces.
bool gives_bytes(const PreTokenizer& pre_tokenizer);

class PieceCutter {
 public:
  // Cuts `text`, which may change; the pieces are good until the next call. None is empty.
  const std::vector<Piece>& cut(const PreTokenizer& pre_tokenizer, AlignedText& text);

 private:
  friend struct CutStep;
  struct Match {
    std::uint32_t begin, end;
    bool found;
  };
  void apply(const std::vector<Match>& matches, pre_tokenizer::Behavior behavior);
  template <class F>
  void at_characters(pre_tokenizer::Behavior behavior, F&& is_delimiter);

  AlignedText* text_ = nullptr;
  std::vector<Piece> pieces_, next_, words_;
  std::vector<Match> matches_;
  std::vector<Regex::Match> found_;
};

}  // namespace glossa
