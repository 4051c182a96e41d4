#include "text/byte_level.h"

#include "base/unicode.h"

namespace glossa {
namespace {

constexpr bool printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

struct Names {
  std::array<std::string, 256> name;
  std::array<std::int16_t, 0x144> byte;  // of code points; the last name is U+0143

  Names() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const char32_t c = printable(b) ? b : next++;
      utf8_append(name[b], c);
      byte[c] = static_cast<std::int16_t>(b);
    }
  }
};

const Names& names() {
  static const Names all;
  return all;
}

}  // namespace

const std::array<std::string, 256>& byte_names() {
  return names().name;
}

int named_byte(char32_t c) {
  return c < names().byte.size() ? names().byte[c] : -1;
}

std::string to_byte_names(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char b : bytes) out += byte_names()[static_cast<unsigned char>(b)];
  return out;
}

std::optional<std::string> from_byte_names(std::string_view piece) {
  std::string out;
  for (std::size_t at = 0; at < piece.size();) {
    if (utf8_length_at(piece, at) == 0) return std::nullopt;
    const int byte = named_byte(utf8_next(piece, at));
    if (byte < 0) return std::nullopt;
    out += static_cast<char>(byte);
  }
  return out;
}

}  // namespace glossa
