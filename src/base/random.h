// random.h -- counter-based random numbers: Philox4x32-10 of Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3" (2011). A number is a pure function of (seed, stream, counter), so nothing is saved to resume, and nothing
// depends on which thread asks first.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace glossa {

// What the numbers are for. Each purpose has streams of its own under the same seed.
enum class Purpose : std::uint32_t { init = 1, shuffle = 2, dropout = 3, sample = 4, noise = 5, bootstrap = 6 };

class Philox {
 public:
  using Block = std::array<std::uint32_t, 4>;

  // The key of the generator: `seed` mixed with the purpose, and 64 bits that name the stream (say, a step).
  Philox(std::uint64_t seed, Purpose purpose, std::uint64_t stream = 0)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32) ^ static_cast<std::uint32_t>(purpose) * 0x9E3779B9u},
        stream_(stream) {}

  Block operator()(std::uint64_t counter) const {
    return philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                   static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                  key_[0], key_[1]);
  }

  std::uint64_t bits(std::uint64_t counter) const {
    const Block b = (*this)(counter);
    return std::uint64_t{b[1]} << 32 | b[0];
  }
  double uniform(std::uint64_t counter) const { return static_cast<double>(bits(counter) >> 11) * 0x1p-53; }  // [0, 1)
  double normal(std::uint64_t counter) const {  // Box-Muller
    const Block b = (*this)(counter);
    const double u = (b[0] + 1.0) * 0x1p-32, v = b[1] * 0x1p-32;
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
  }
  // A whole number in [0, n), without bias worth naming: 64 bits scaled.
  std::uint64_t below(std::uint64_t counter, std::uint64_t n) const {
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(bits(counter)) * n >> 64);
  }

  std::uint32_t key(int i) const { return key_[i]; }
  std::uint64_t stream() const { return stream_; }

  static Block philox(Block x, std::uint32_t key0, std::uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t a = std::uint64_t{0xD2511F53u} * x[0], b = std::uint64_t{0xCD9E8D57u} * x[2];
      x = {static_cast<std::uint32_t>(b >> 32) ^ x[1] ^ key0, static_cast<std::uint32_t>(b),
           static_cast<std::uint32_t>(a >> 32) ^ x[3] ^ key1, static_cast<std::uint32_t>(a)};
      key0 += 0x9E3779B9u, key1 += 0xBB67AE85u;
    }
    return x;
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
};

// A permutation of [0, size) as a function: Feistel network of four rounds over the next even power of two, walking
// cycles until the image is in range. Position i of epoch e is known without any of the others.
class KeyedPermutation {
 public:
  KeyedPermutation(std::uint64_t size, std::uint64_t seed, std::uint64_t epoch)
      : size_(size), random_(seed, Purpose::shuffle, epoch) {
    while (half_ < 32 && (std::uint64_t{1} << 2 * half_) < size) ++half_;
  }
  std::uint64_t operator()(std::uint64_t index) const {
    do {
      const std::uint64_t mask = (std::uint64_t{1} << half_) - 1;
      std::uint64_t left = index >> half_, right = index & mask;
      for (std::uint64_t round = 0; round < 4; ++round) {
        const std::uint64_t next = left ^ (random_.bits(right << 2 | round) & mask);
        left = right, right = next;
      }
      index = left << half_ | right;
    } while (index >= size_);
    return index;
  }

 private:
  std::uint64_t size_;
  int half_ = 1;
  Philox random_;
};

}  // namespace glossa
