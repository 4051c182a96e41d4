// graphemes.h -- extended grapheme clusters (Unicode Standard Annex #29): what readers take for one
// character.
#pragma once
#include <cstddef>
#include <string_view>

namespace glossa {

// Where the cluster that begins at byte `at` of well-formed text ends.
std::size_t grapheme_end(std::string_view text, std::size_t at);

}  // namespace glossa
