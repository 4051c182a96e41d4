// regex_class.h -- classes of characters in regular expressions: [...] and what a backslash begins.
#pragma once
#include <optional>

#include "text/char_set.h"
#include "text/regex_input.h"

namespace glossa {

struct RegexEscape {
  std::optional<CharSet> set = {};
  char32_t character = 0;  // without a set
};

// After the backslash at `begin`: what means the same within a class and outside.
RegexEscape parse_escape(RegexInput& in, std::size_t begin);
// After the [ at `begin`, up to and with its ].
CharSet parse_class(RegexInput& in, const RegexOptions& options, std::size_t begin);
// What \w and \b of Oniguruma have beyond the class word: some numbers of Latin-1.
CharSet regex_latin_words();

}  // namespace glossa
