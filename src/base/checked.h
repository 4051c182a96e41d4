// checked.h -- arithmetic on sizes that come from files: an overflow is an Error, never a small number.
#pragma once
#include <cstdint>
#include <span>

#include "base/error.h"

namespace glossa {

inline std::uint64_t checked_mul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t r;
  check(!__builtin_mul_overflow(a, b, &r), Code::size, "size {} x {} exceeds 64 bits", a, b);
  return r;
}

inline std::uint64_t checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t r;
  check(!__builtin_add_overflow(a, b, &r), Code::size, "size {} + {} exceeds 64 bits", a, b);
  return r;
}

}  // namespace glossa
