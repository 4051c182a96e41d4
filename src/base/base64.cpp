#include "base/base64.h"

#include <cstdint>

namespace glossa {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t three = 0;
    for (std::size_t i = 0; i < 3; ++i)
      three = three << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0);
    for (std::size_t i = 0; i < 4; ++i)
      text += at + i <= bytes.size() ? kDigits[three >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t three = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const bool padded = at + i >= text.size() - padding;
      const std::size_t digit = padded ? 0 : kDigits.find(text[at + i]);
      if (digit == kDigits.npos) return std::nullopt;
      three = three << 6 | static_cast<std::uint32_t>(digit);
    }
    for (int shift = 16; shift >= 0; shift -= 8) bytes += static_cast<char>(three >> shift & 255);
  }
  const bool unused_bits =
      padding > 0 && (bytes[bytes.size() - 1] || (padding == 2 && bytes[bytes.size() - 2]));
  if (unused_bits) return std::nullopt;
  bytes.resize(bytes.size() - padding);
  return bytes;
}

}  // namespace glossa
