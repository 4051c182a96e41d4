// fuzz.h -- what fuzz targets share: input as text, a trap for what must never be, and how a parser may
// refuse.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace glossa {

inline std::string_view fuzz_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Ends the program, so that libFuzzer keeps the input.
inline void require(bool holds) {
  if (!holds) std::abort();
}

// What a parser reads, or nothing if it refuses by an Error of exit status 3 or 5.
template <class Parser>
auto read_or_refused(Parser parser) -> std::optional<decltype(parser())> {
  try {
    return parser();
  } catch (const Error& error) {
    require(error.exit() == Exit::input || error.exit() == Exit::limit);
    return std::nullopt;
  }
}

}  // namespace glossa
