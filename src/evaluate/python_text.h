// python_text.h -- what Python's str does with white space and case, where it differs from the Unicode
// properties of base/unicode.h. The reference implementations of the scores are Python, so their numbers rest
// on these.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

// str.isspace: White_Space, and the information separators U+001C to U+001F.
bool is_python_space(char32_t c);

// str.rstrip() and str.strip() of well-formed UTF-8.
std::string_view python_rstrip(std::string_view text);
std::string_view python_strip(std::string_view text);

// str.split(): the words between runs of white space; views into `text`, none of them empty.
void python_split(std::string_view text, std::vector<std::string_view>& words);

// str.lower(): the full mapping, with a capital sigma at the end of a word made final.
std::string python_lower(std::string_view text);

std::u32string decoded(std::string_view text);  // well-formed UTF-8

}  // namespace glossa
