// numpy.h -- the parts of NumPy that resampled scores depend on to the bit: the generator behind default_rng
// (PCG64, O'Neill 2014, seeded through SeedSequence), its bounded integers (Lemire, "Fast Random Integer
// Generation in an Interval", 2019), pairwise sums, and which arithmetic is done in single precision.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace glossa {

// numpy.random.default_rng(seed).
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint64_t seed);

  std::uint64_t next64();
  std::uint32_t next32();  // two from each 64 bits, the low half first

  // integers(0, n) for each of `out`, as one call fills an array; n is 1 to 2^32.
  void below(std::uint64_t n, std::span<std::uint32_t> out);

 private:
  __extension__ using Uint128 = unsigned __int128;
  void step();
  Uint128 state_ = 0, increment_ = 0;
  std::optional<std::uint32_t> high_half_;
};

// integers(2, size=..., dtype=bool) of one call that may fill its array piece by piece.
class NumpyCoins {
 public:
  explicit NumpyCoins(NumpyRandom& random) : random_(random) {}
  void fill(std::span<std::uint8_t> out);  // 0 or 1

 private:
  NumpyRandom& random_;
  std::uint32_t bits_ = 0;
  int left_ = 0;
};

// A Python float or a numpy.float32, and their arithmetic: a Python number takes part in single precision
// (NEP 50).
struct NumpyNumber {
  double value = 0;
  bool single = false;

  NumpyNumber(double python_float = 0) : value(python_float) {}  // NOLINT(google-explicit-constructor)
  static NumpyNumber float32(double v) { return {static_cast<float>(v), true}; }

  friend NumpyNumber operator+(NumpyNumber a, NumpyNumber b) {
    return a.single || b.single ? float32(a.as_float() + b.as_float()) : NumpyNumber(a.value + b.value);
  }
  friend NumpyNumber operator*(NumpyNumber a, NumpyNumber b) {
    return a.single || b.single ? float32(a.as_float() * b.as_float()) : NumpyNumber(a.value * b.value);
  }
  friend NumpyNumber operator/(NumpyNumber a, NumpyNumber b) {
    return a.single || b.single ? float32(a.as_float() / b.as_float()) : NumpyNumber(a.value / b.value);
  }
  friend bool operator>(NumpyNumber a, NumpyNumber b) {
    return a.single || b.single ? a.as_float() > b.as_float() : a.value > b.value;
  }

 private:
  NumpyNumber(double v, bool is_single) : value(v), single(is_single) {}
  float as_float() const { return static_cast<float>(value); }
};

// numpy.array of such numbers: of single precision if all of them are.
struct NumpyArray {
  explicit NumpyArray(std::span<const NumpyNumber> numbers);
  double mean() const;
  std::vector<double> values;
  bool single;
};

// statistics.mean of non-negative numbers: their sum without any rounding, divided, and rounded once.
double exact_mean(std::span<const double> numbers);

}  // namespace glossa
