// hash.h -- hashing of bytes and pairs for tables that live as long as the process. The seed is drawn at
// start, so that no file can be made to collide.
#pragma once
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace glossa {

inline std::uint64_t hash_seed() {
  static const std::uint64_t seed = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  }();
  return seed;
}

// The two halves of the 128-bit product, folded.
inline std::uint64_t hash_mix(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD1B54A32D192ED03u);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t h = seed ^ bytes.size();
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t a, b;
  for (; left >= 16; left -= 16, p += 16) {
    std::memcpy(&a, p, 8);
    std::memcpy(&b, p + 8, 8);
    h = hash_mix(a ^ h, b);
  }
  a = b = 0;
  if (left > 8) std::memcpy(&b, p + 8, left - 8);
  std::memcpy(&a, p, left < 8 ? left : 8);
  return hash_mix(a ^ h, b ^ seed);
}

}  // namespace glossa
