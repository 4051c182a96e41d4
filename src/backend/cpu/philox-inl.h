// philox-inl.h -- the 16-bit random numbers of dropout by vectors: the same bits as Philox::philox in base/random.h, for
// any instruction set. Per-target header: include it after highway.h within a foreach_target translation unit.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "backend/cpu/partial-inl.h"
#include "base/random.h"

#if defined(GLOSSA_BACKEND_CPU_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GLOSSA_BACKEND_CPU_PHILOX_INL_H_
#undef GLOSSA_BACKEND_CPU_PHILOX_INL_H_
#else
#define GLOSSA_BACKEND_CPU_PHILOX_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The 16-bit numbers of elements [8 * first_block, 8 * (first_block + blocks)) in order: bits[i] belongs to element
// 8 * first_block + i. Stores exactly 8 * blocks numbers.
inline void philox_bits(const Philox& random, std::uint64_t first_block, std::size_t blocks, std::uint16_t* bits) {
  std::size_t done = 0;
#if HWY_TARGET != HWY_SCALAR
  // Each word of the state sits in the lower half of a 64-bit lane. The upper halves hold rubbish that never reaches a
  // lower half: products read lower halves only, and shifts move downwards what a product put there.
  const hn::ScalableTag<std::uint64_t> d;
  const hn::Repartition<std::uint32_t, decltype(d)> d32;
  const auto multiply = [&](auto x, auto constant) HWY_ATTR {
    return hn::MulEven(hn::BitCast(d32, x), hn::BitCast(d32, constant));
  };
  const auto multiplier0 = hn::Set(d, 0xD2511F53u), multiplier1 = hn::Set(d, 0xCD9E8D57u);
  const auto low = hn::Set(d, 0xFFFFFFFFu);
  const std::size_t lanes = hn::Lanes(d);
  for (; done + lanes <= blocks; done += lanes) {
    const auto counter = hn::Iota(d, first_block + done);
    auto x0 = counter, x1 = hn::ShiftRight<32>(counter);
    auto x2 = hn::Set(d, random.stream()), x3 = hn::Set(d, random.stream() >> 32);
    std::uint32_t key0 = random.key(0), key1 = random.key(1);
    for (int round = 0; round < 10; ++round) {
      const auto a = multiply(x0, multiplier0), b = multiply(x2, multiplier1);
      x0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(b), x1), hn::Set(d, key0));
      x2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(a), x3), hn::Set(d, key1));
      x1 = b, x3 = a;
      key0 += 0x9E3779B9u, key1 += 0xBB67AE85u;
    }
    hn::StoreInterleaved2(hn::Or(hn::And(x0, low), hn::ShiftLeft<32>(x1)),
                          hn::Or(hn::And(x2, low), hn::ShiftLeft<32>(x3)), d,
                          reinterpret_cast<std::uint64_t*>(bits + 8 * done));
  }
#endif
  for (; done < blocks; ++done) {
    const Philox::Block block = random(first_block + done);
    for (std::size_t i = 0; i < 8; ++i)
      bits[8 * done + i] = static_cast<std::uint16_t>(block[i / 2] >> 16 * (i % 2));
  }
}

// One run of consecutive elements under dropout, for kernels that work by rows: fill() draws the numbers of up to
// kRun elements, apply() scales a vector of them by 1 / (1 - p) or makes them zero.
class DropoutRun {
 public:
  static constexpr std::size_t kRun = 512;

  explicit DropoutRun(const Dropout& dropout)
      : random_(dropout.seed, Purpose::dropout, dropout.stream),
        threshold_(static_cast<std::int32_t>(dropout.p * 65536.0 + 0.5)),
        scale_(static_cast<float>(1.0 / (1.0 - static_cast<double>(dropout.p)))) {}

  // Element indices [first, first + count) of the logical tensor; count <= kRun.
  void fill(std::uint64_t first, std::size_t count) {
    offset_ = first % 8;
    philox_bits(random_, first / 8, (offset_ + count + 7) / 8, bits_);
  }

  // The vector x of elements first + index ... A dropped element is 0 whatever x holds. May be asked for lanes past
  // the run's end, whose results mean nothing.
  template <class D>
  hn::VFromD<D> apply(D d, hn::VFromD<D> x, std::size_t index) const {
    const hn::RebindToSigned<D> di;
    const hn::Rebind<std::uint16_t, D> d16;
    const auto number = hn::PromoteTo(di, hn::LoadU(d16, bits_ + offset_ + index));
    const auto drop = hn::RebindMask(d, hn::Lt(number, hn::Set(di, threshold_)));
    return hn::IfThenZeroElse(drop, hn::Mul(x, hn::Set(d, scale_)));
  }

  // Elements [begin, end) of a row, in place; `first`: the number of the row's element 0.
  void drop(float* row, std::uint64_t first, std::int64_t begin, std::int64_t end) {
    const hn::ScalableTag<float> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t piece = begin; piece < end; piece += static_cast<std::int64_t>(kRun)) {
      const std::int64_t count = std::min(end - piece, static_cast<std::int64_t>(kRun));
      fill(first + static_cast<std::uint64_t>(piece), static_cast<std::size_t>(count));
      for (std::int64_t i = 0; i < count; i += lanes)
        store_partial(apply(d, load_partial(d, row + piece + i, count - i), static_cast<std::size_t>(i)), d, row + piece + i, count - i);
    }
  }

 private:
  Philox random_;
  std::int32_t threshold_;
  float scale_;
  std::size_t offset_ = 0;
  alignas(64) std::uint16_t bits_[kRun + 16 + 64] = {};  // a misaligned run's ends, and the lanes past them
};

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
