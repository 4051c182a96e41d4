// regex_syntax.h -- a regular expression in Oniguruma's syntax, taken apart.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/char_set.h"

namespace glossa {

// Conditions on the characters before and after a place.
enum class RegexEdge : std::uint8_t {
  text_begin,     // \A
  text_end,       // \z
  line_begin,     // ^: also after a newline that does not end the text
  line_end,       // $: also before every newline
  word_boundary,  // \b
  no_word_boundary,
  after,      // (?<=x): the character before is of a set
  not_after,  // (?<!x)
};

struct RegexNode {
  enum class Kind : std::uint8_t {
    set,       // one character
    sequence,  // of parts
    choice,    // the first of the parts that lets all the rest match
    repeat,    // of the only part
    ahead,     // the only part follows, or does not
    edge,
  };
  static constexpr std::uint32_t kNoEnd = UINT32_MAX;

  Kind kind = Kind::sequence;
  CharSet set = {};  // also of the edges `after`
  std::vector<RegexNode> parts = {};
  std::uint32_t least = 0, most = kNoEnd;  // times
  bool greedy = true, negated = false;
  RegexEdge edge = RegexEdge::text_begin;
};

// Error(tokenizer) for what is wrong or not supported: `where`, the place in the expression, what is there.
RegexNode parse_regex(std::string_view expression, std::string_view where);

}  // namespace glossa
