// jinja_strings.h -- what Python's str does, on UTF-8. Positions and lengths count characters.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace glossa::jinja {

bool is_python_space(char32_t c);  // White_Space, and the four separators of ASCII

struct Sides {
  bool left = true, right = true;
};
std::string_view stripped(std::string_view text, Sides sides = {});  // of white space
std::string_view stripped(std::string_view text, std::string_view characters,
                          Sides sides);  // of any of these

// At runs of white space, or at a separator, which must not be empty; at most `most` times if that is not
// negative, from the left or from the right.
std::vector<std::string_view> split(std::string_view text, std::int64_t most, bool from_right);
std::vector<std::string_view> split(std::string_view text, std::string_view separator, std::int64_t most,
                                    bool from_right);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

std::string upper_cased(std::string_view text);
std::string python_lower_cased(std::string_view text);  // with the other sigma at the end of a word
std::string capitalized(std::string_view text);
std::string title_cased(std::string_view text);
std::string swap_cased(std::string_view text);

// Occurrences replaced, from the left, at most `most` if that is not negative. Nothing if the result would
// have more than `limit` bytes.
std::optional<std::string> replaced(std::string_view text, std::string_view old, std::string_view with,
                                    std::int64_t most, std::uint64_t limit);
std::int64_t occurrences(std::string_view text, std::string_view part);
// The number of the character at which the part begins, or -1.
std::int64_t found_at(std::string_view text, std::string_view part, bool last);

std::int64_t characters_in(std::string_view text);
std::size_t byte_of(std::string_view text, std::int64_t character);  // its first byte, or the text's end

bool is_upper_cased(std::string_view text);
bool is_lower_cased(std::string_view text);
// Not empty, and each character of the class.
bool all_of_class(std::string_view text, bool (*is)(char32_t));

}  // namespace glossa::jinja
