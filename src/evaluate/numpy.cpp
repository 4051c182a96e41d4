#include "evaluate/numpy.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace glossa {
namespace {

// numpy.random.SeedSequence(seed): entropy mixed into a pool of four words (after O'Neill's seed_seq_fe).
class SeedSequence {
 public:
  explicit SeedSequence(std::uint64_t seed) {
    const std::array<std::uint32_t, 4> entropy = {static_cast<std::uint32_t>(seed),
                                                  static_cast<std::uint32_t>(seed >> 32)};
    std::uint32_t constant = 0x43B0D7E5u;
    const auto hashed = [&](std::uint32_t value) {
      value ^= constant;
      constant *= 0x931E8875u;
      value *= constant;
      return value ^ value >> 16;
    };
    for (std::size_t i = 0; i < pool_.size(); ++i) pool_[i] = hashed(entropy[i]);
    for (std::size_t from = 0; from < pool_.size(); ++from)
      for (std::size_t to = 0; to < pool_.size(); ++to)
        if (from != to) pool_[to] = mixed(pool_[to], hashed(pool_[from]));
  }

  std::array<std::uint64_t, 4> state() const {
    std::array<std::uint32_t, 8> words;
    std::uint32_t constant = 0x8B51F9DDu;
    for (std::size_t i = 0; i < words.size(); ++i) {
      std::uint32_t value = pool_[i % pool_.size()] ^ constant;
      constant *= 0x58F38DEDu;
      value *= constant;
      words[i] = value ^ value >> 16;
    }
    std::array<std::uint64_t, 4> state;
    for (std::size_t i = 0; i < state.size(); ++i)
      state[i] = std::uint64_t{words[2 * i + 1]} << 32 | words[2 * i];
    return state;
  }

 private:
  static std::uint32_t mixed(std::uint32_t x, std::uint32_t y) {
    const std::uint32_t value = 0xCA01F9DDu * x - 0x4973F715u * y;
    return value ^ value >> 16;
  }
  std::array<std::uint32_t, 4> pool_;
};

// numpy's add.reduce of contiguous numbers: halves down to blocks of 128, which eight sums share.
template <class T>
T pairwise_sum(std::span<const T> x) {
  if (x.size() < 8) {
    T sum = T(-0.0);
    for (const T v : x) sum += v;
    return sum;
  }
  if (x.size() <= 128) {
    std::array<T, 8> sums;
    std::copy_n(x.begin(), 8, sums.begin());
    std::size_t i = 8;
    for (; i < x.size() - x.size() % 8; i += 8)
      for (std::size_t k = 0; k < 8; ++k) sums[k] += x[i + k];
    T sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < x.size(); ++i) sum += x[i];
    return sum;
  }
  const std::size_t half = x.size() / 2 - x.size() / 2 % 8;
  return pairwise_sum(x.first(half)) + pairwise_sum(x.subspan(half));  // as deep as the logarithm of the size
}

// A fixed-point number wide enough for every finite sum of doubles: its unit is the smallest of them,
// 2^-1074.
class WideSum {
 public:
  void add(double x) {
    int exponent;
    const auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(x, &exponent), 53));
    const int shift = std::max(exponent - 53 + 1074, 0);
    const int lost = std::max(-(exponent - 53 + 1074), 0);  // zeros at the end of a subnormal's mantissa
    add_words(mantissa >> lost, static_cast<std::size_t>(shift));
  }

  double divided_by(std::uint32_t n) {
    std::uint64_t remainder = 0;
    for (std::size_t i = words_.size(); i-- > 0;) {
      const std::uint64_t value = remainder << 32 | words_[i];
      words_[i] = static_cast<std::uint32_t>(value / n);
      remainder = value % n;
    }
    std::size_t top = words_.size();
    while (top > 0 && words_[top - 1] == 0) --top;
    if (top == 0) return 0;  // less than the smallest double
    return rounded(32 * (top - 1) + static_cast<std::size_t>(std::bit_width(words_[top - 1])),
                   remainder != 0);
  }

 private:
  void add_words(std::uint64_t value, std::size_t shift) {
    std::size_t at = shift / 32;
    const std::uint64_t parts[3] = {value << shift % 32 & 0xFFFFFFFFu,
                                    value >> (32 - shift % 32) & 0xFFFFFFFFu,
                                    shift % 32 ? value >> (64 - shift % 32) : 0};
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < 3 || carry; ++i, ++at) {
      carry += words_[at] + (i < 3 ? parts[i] : 0);
      words_[at] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }
  bool bit(std::size_t i) const { return words_[i / 32] >> i % 32 & 1; }
  // The double nearest to the lowest `width` bits, ties to even; `sticky`: there is more below them.
  double rounded(std::size_t width, bool sticky) const {
    const std::size_t dropped = width > 53 ? width - 53 : 0;
    std::uint64_t mantissa = 0;
    for (std::size_t i = width; i-- > dropped;) mantissa = mantissa << 1 | bit(i);
    for (std::size_t i = 0; i + 1 < dropped; ++i) sticky |= bit(i);
    if (dropped > 0 && bit(dropped - 1) && (sticky || (mantissa & 1))) ++mantissa;
    return std::ldexp(static_cast<double>(mantissa), static_cast<int>(dropped) - 1074);
  }
  std::array<std::uint32_t, 70> words_{};  // 1074 + 1024 bits, and 2^32 terms
};

}  // namespace

NumpyRandom::NumpyRandom(std::uint64_t seed) {
  const std::array<std::uint64_t, 4> words = SeedSequence(seed).state();
  increment_ = (Uint128{words[2]} << 64 | words[3]) << 1 | 1;
  step();
  state_ += Uint128{words[0]} << 64 | words[1];
  step();
}

void NumpyRandom::step() {
  constexpr Uint128 kMultiplier = Uint128{0x2360ED051FC65DA4u} << 64 | 0x4385DF649FCCF645u;
  state_ = state_ * kMultiplier + increment_;
}

std::uint64_t NumpyRandom::next64() {
  step();
  const auto high = static_cast<std::uint64_t>(state_ >> 64), low = static_cast<std::uint64_t>(state_);
  return std::rotr(high ^ low, static_cast<int>(high >> 58));
}

std::uint32_t NumpyRandom::next32() {
  if (high_half_) {
    const std::uint32_t half = *high_half_;
    high_half_.reset();
    return half;
  }
  const std::uint64_t both = next64();
  high_half_ = static_cast<std::uint32_t>(both >> 32);
  return static_cast<std::uint32_t>(both);
}

void NumpyRandom::below(std::uint64_t n, std::span<std::uint32_t> out) {
  if (n == 1) {  // nothing to draw
    std::fill(out.begin(), out.end(), 0u);
    return;
  }
  const auto threshold = static_cast<std::uint32_t>((std::uint64_t{1} << 32) % n);
  for (std::uint32_t& value : out) {
    std::uint64_t product;
    do product = next32() * n;
    while (static_cast<std::uint32_t>(product) < threshold);
    value = static_cast<std::uint32_t>(product >> 32);
  }
}

void NumpyCoins::fill(std::span<std::uint8_t> out) {
  for (std::uint8_t& coin : out) {
    if (left_ == 0) {
      bits_ = random_.next32();
      left_ = 32;
    }
    coin = bits_ & 1;
    bits_ >>= 1;
    --left_;
  }
}

NumpyArray::NumpyArray(std::span<const NumpyNumber> numbers)
    : single(std::all_of(numbers.begin(), numbers.end(), [](NumpyNumber n) { return n.single; })) {
  values.reserve(numbers.size());
  for (const NumpyNumber n : numbers) values.push_back(n.value);
}

double NumpyArray::mean() const {
  const auto n = static_cast<double>(values.size());
  if (!single) return pairwise_sum<double>(values) / n;
  const std::vector<float> floats(values.begin(), values.end());
  return static_cast<float>(pairwise_sum<float>(floats) / n);
}

double exact_mean(std::span<const double> numbers) {
  WideSum sum;
  for (const double x : numbers) sum.add(x);
  return sum.divided_by(static_cast<std::uint32_t>(numbers.size()));
}

}  // namespace glossa
