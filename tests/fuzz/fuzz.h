// fuzz.h -- what fuzz targets share: input as text, and a trap for what must never be.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace glossa {

inline std::string_view fuzz_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Ends the program, so that libFuzzer keeps the input.
inline void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace glossa
