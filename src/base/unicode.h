// unicode.h -- UTF-8 as the Unicode Standard (chapter 3, table 3-7) defines it, and the few properties we need.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace glossa {

// Length in bytes (1 to 4) of the well-formed character at byte `at`, or 0 if there is none: overlong forms,
// surrogates, code points past U+10FFFF and truncated characters are not well formed.
std::size_t utf8_length_at(std::string_view text, std::size_t at);

// The byte at which `text` stops being well-formed UTF-8, or nothing.
std::optional<std::size_t> utf8_error(std::string_view text);

// The character at byte `at`, which must be well formed; advances `at` past it.
char32_t utf8_next(std::string_view text, std::size_t& at);
void utf8_append(std::string& out, char32_t c);

// Every ill-formed byte replaced by U+FFFD, one for each maximal ill-formed part (as browsers and Python do).
std::string utf8_repaired(std::string_view text);

enum class Normalization : std::uint8_t { nfc, nfd, nfkc, nfkd };
std::string normalized(std::string_view text, Normalization form);
std::string lower_cased(std::string_view text);  // full mapping, one character may become several; no locale
// Of one character to one: the few that become several (as sharp s does) stay as they are.
char32_t to_upper(char32_t c);
char32_t to_title(char32_t c);
char32_t to_lower(char32_t c);

// General categories as tests on one character. `is_letter`: L*; `is_number`: N*; `is_space`: White_Space property;
// `is_punctuation`: P*; `is_mark`: M*; `is_control`: Cc, Cf, Cn, Co (BERT's notion is in text/).
bool is_letter(char32_t c);
bool is_number(char32_t c);
bool is_space(char32_t c);
bool is_punctuation(char32_t c);
bool is_mark(char32_t c);
bool is_symbol(char32_t c);
int general_category(char32_t c);  // utf8proc's category number

}  // namespace glossa
