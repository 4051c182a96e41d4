// byte_level.h -- GPT-2's printable names of the 256 bytes: a byte that is a printable character of Latin-1
// is itself, the others follow from U+0100 on (Radford et al., 2019; encoder.py of the release).
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace glossa {

// The name of each byte, in UTF-8.
const std::array<std::string, 256>& byte_names();
// The byte that a character names, or -1.
int named_byte(char32_t c);
std::string to_byte_names(std::string_view bytes);
// The bytes that `piece` names, or nothing if it has another character.
std::optional<std::string> from_byte_names(std::string_view piece);

}  // namespace glossa
