// Encoding into block types. The scales of a group are searched for as ggml's quantisers do (the same
// candidates in the same order, sums in f32 from the first element to the last), since then the same values
// give the same bits: a file made here is the file made there.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/blocks.h"

namespace glossa {
namespace {

constexpr float kNoExtent = 1e-15f;  // groups whose largest value is smaller have the scale 0

// To the nearest integer, ties to even, by adding 1.5 * 2^23; for |x| < 2^22. The bits are taken as they come
// from any other x, which callers bring into range.
int nearest(float x) {
  return static_cast<int>(std::bit_cast<std::uint32_t>(x + 12582912.f) & 0x007FFFFF) - 0x00400000;
}
int nearest(float x, int least, int most) {
  return std::clamp(nearest(x), least, most);
}

// Towards zero; 0 for what no int can hold (an infinite inverse of a tiny scale).
int truncated(float x) {
  return x > -2147483648.f && x < 2147483648.f ? static_cast<int>(x) : 0;
}

float inverse(float x) {
  return x != 0 ? 1 / x : 0;
}

// The value that is largest without its sign; the first of equals.
float extreme(const float* x, int count) {
  float largest = 0;
  for (int i = 0; i < count; ++i)
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  return largest;
}

// ---- bits ----

// The reverse of what unpack reads.
void put_halves(const std::uint8_t* q, std::uint8_t (&qs)[16]) {
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<std::uint8_t>((q[i] & 15) | (q[i + 16] & 15) << 4);
}
void put_fifth_bits(const std::uint8_t* q, std::uint8_t (&qh)[4]) {
  std::memset(qh, 0, sizeof qh);
  for (int i = 0; i < 32; ++i) qh[i / 8] = static_cast<std::uint8_t>(qh[i / 8] | (q[i] >> 4 & 1) << i % 8);
}
// 256 fields of `bits` bits from bit `from` of q, in runs of 32.
template <std::size_t count>
void put_runs(const std::uint8_t* q, int from, int bits, std::uint8_t (&bytes)[count]) {
  std::memset(bytes, 0, sizeof bytes);
  const int together = 8 / bits, mask = (1 << bits) - 1;
  for (int run = 0; run < 8; ++run)
    for (int i = 0; i < 32; ++i) {
      std::uint8_t& byte = bytes[run / together * 32 + i];
      byte = static_cast<std::uint8_t>(byte | (q[32 * run + i] >> from & mask) << run % together * bits);
    }
}
void put_scale_and_min(int g, int scale, int min, std::uint8_t (&scales)[12]) {
  if (g < 4) {
    scales[g] = static_cast<std::uint8_t>(scale);
    scales[g + 4] = static_cast<std::uint8_t>(min);
    return;
  }
  scales[g + 4] = static_cast<std::uint8_t>((scale & 15) | (min & 15) << 4);
  scales[g - 4] = static_cast<std::uint8_t>(scales[g - 4] | scale >> 4 << 6);
  scales[g] = static_cast<std::uint8_t>(scales[g] | min >> 4 << 6);
}

// ---- legacy types: the scale by the range alone ----

// x / d + zero, rounded, at most `most`; d is in f32 here and rounded to 16 bits in the block only.
void levels(const float* x, float d, float least, float half_up, int most, std::uint8_t* q) {
  const float id = inverse(d);
  for (int i = 0; i < 32; ++i) {
    const auto level = static_cast<std::int8_t>(truncated((x[i] - least) * id + half_up));
    q[i] = static_cast<std::uint8_t>(std::min<int>(most, level));
  }
}

void encode(const float* x, BlockQ4_0& block) {
  std::uint8_t q[32];
  const float d = extreme(x, 32) / -8;
  block.d = float16::from(d);
  levels(x, d, 0, 8.5f, 15, q);
  put_halves(q, block.qs);
}

void encode(const float* x, BlockQ5_0& block) {
  std::uint8_t q[32];
  const float d = extreme(x, 32) / -16;
  block.d = float16::from(d);
  levels(x, d, 0, 16.5f, 31, q);
  put_halves(q, block.qs);
  put_fifth_bits(q, block.qh);
}

void encode(const float* x, BlockQ4_1& block) {
  std::uint8_t q[32];
  const float min = *std::min_element(x, x + 32), d = (*std::max_element(x, x + 32) - min) / 15;
  block.d = float16::from(d);
  block.m = float16::from(min);
  levels(x, d, min, 0.5f, 15, q);
  put_halves(q, block.qs);
}

void encode(const float* x, BlockQ5_1& block) {
  std::uint8_t q[32];
  const float min = *std::min_element(x, x + 32), d = (*std::max_element(x, x + 32) - min) / 31;
  block.d = float16::from(d);
  block.m = float16::from(min);
  levels(x, d, min, 0.5f, 255, q);
  put_halves(q, block.qs);
  put_fifth_bits(q, block.qh);
}

void encode(const float* x, BlockQ8_0& block) {
  const float d = std::fabs(extreme(x, 32)) / 127, id = inverse(d);
  block.d = float16::from(d);
  for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<std::int8_t>(truncated(std::round(x[i] * id)));
}

// ---- searches ----

// How well levels q can stand for x: with w = x^2, the scale sum(w x q) / sum(w q^2) leaves an error that is
// the smaller the larger sum(w x q)^2 / sum(w q^2) is.
struct Fit {
  float xq = 0, qq = 0;

  void add(float x, float q) {
    const float w = x * x;
    xq += w * x * q;
    qq += w * q * q;
  }
  void add_level_first(float x, float q) {  // another order of the product rounds otherwise
    const float w = x * x;
    xq += w * q * x;
    qq += w * q * q;
  }
  float scale() const { return xq / qq; }
  float gain() const { return scale() * xq; }
  bool better_than(float gain) const { return qq > 0 && xq * xq > gain * qq; }
};

// q6_k: the scale of a group with levels of [-32, 31], of 19 candidates around the one by which the extreme
// value becomes -32. Levels come with 32 added.
float search_scale(const float* x, std::uint8_t* q) {
  constexpr int kMost = 32;
  const float largest = extreme(x, 16);
  if (std::fabs(largest) < kNoExtent) {
    std::memset(q, 0, 16);
    return 0;
  }
  const auto fit_by = [&](float inverse_scale) {
    Fit fit;
    for (int i = 0; i < 16; ++i)
      fit.add(x[i], static_cast<float>(nearest(inverse_scale * x[i], -kMost, kMost - 1)));
    return fit;
  };
  const auto take = [&](float inverse_scale) {
    for (int i = 0; i < 16; ++i)
      q[i] = static_cast<std::uint8_t>(kMost + nearest(inverse_scale * x[i], -kMost, kMost - 1));
  };
  float inverse_scale = -kMost / largest;
  take(inverse_scale);
  const Fit first = fit_by(inverse_scale);
  float scale = first.qq != 0 ? first.scale() : 0, gain = scale * first.xq;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    inverse_scale = -(kMost + 0.1f * static_cast<float>(step)) / largest;
    const Fit fit = fit_by(inverse_scale);
    if (!fit.better_than(gain)) continue;
    take(inverse_scale);
    scale = fit.scale();
    gain = fit.gain();
  }
  return scale;
}

// q3_k: the scale of a group with levels of [-4, 3]: from the levels by the extreme value on, each level in
// turn is set to what is best for the others, five times or until none changes. Levels come with 4 added.
float refine_scale(const float* x, std::uint8_t* levels) {
  constexpr int kMost = 4;
  const float largest = extreme(x, 16);
  if (std::fabs(largest) < kNoExtent) {
    std::memset(levels, 0, 16);
    return 0;
  }
  const float inverse_scale = -kMost / largest;
  int q[16];
  Fit fit;
  for (int i = 0; i < 16; ++i) {
    q[i] = nearest(inverse_scale * x[i], -kMost, kMost - 1);
    fit.add(x[i], static_cast<float>(q[i]));
  }
  bool changed = true;
  for (int round = 0; round < 5 && changed; ++round) {
    changed = false;
    for (int i = 0; i < 16; ++i) {
      const float w = x[i] * x[i], level = static_cast<float>(q[i]);
      Fit others{fit.xq - w * x[i] * level, fit.qq - w * level * level};
      if (!(others.xq > 0)) continue;
      const int best = nearest(x[i] * others.qq / others.xq, -kMost, kMost - 1);
      if (best == q[i]) continue;
      others.add(x[i], static_cast<float>(best));
      if (!(others.qq > 0 && others.xq * others.xq * fit.qq > fit.xq * fit.xq * others.qq)) continue;
      q[i] = best;
      fit = others;
      changed = true;
    }
  }
  for (int i = 0; i < 16; ++i) levels[i] = static_cast<std::uint8_t>(q[i] + kMost);
  return fit.qq > 0 ? fit.scale() : 0;
}

// The index of the value of kIq4Values that is nearest to x; of two that are as near, the upper one.
int nearest_iq4(float x) {
  if (x <= kIq4Values[0]) return 0;
  if (x >= kIq4Values[15]) return 15;
  int below = 0;
  while (below + 1 < 15 && !(x < kIq4Values[below + 1])) ++below;
  return x - kIq4Values[below] < kIq4Values[below + 1] - x ? below : below + 1;
}

void encode(const float* x, BlockIQ4_NL& block) {
  constexpr int kSteps = 7;
  const float largest = extreme(x, 32);
  float scale = 0;
  if (std::fabs(largest) >= kNoExtent) {
    const auto fit_by = [&](float inverse_scale) {
      Fit fit;
      for (int i = 0; i < 32; ++i) fit.add_level_first(x[i], kIq4Values[nearest_iq4(inverse_scale * x[i])]);
      return fit;
    };
    const Fit first = fit_by(1 / (-largest / kIq4Values[0]));
    scale = first.scale();
    float gain = first.gain();
    for (int step = -kSteps; step <= kSteps; ++step) {
      const Fit fit = fit_by(static_cast<float>(step + kIq4Values[0]) / largest);
      if (!fit.better_than(gain)) continue;
      scale = fit.scale();
      gain = fit.gain();
    }
  }
  block.d = float16::from(scale);
  const float id = inverse(scale);
  std::uint8_t q[32];
  for (int i = 0; i < 32; ++i) q[i] = static_cast<std::uint8_t>(nearest_iq4(id * x[i]));
  put_halves(q, block.qs);
}

// The search for a scale and a minimum of a group: levels [0, most], the first by the range of x, then
// `steps + 1` others by (most + first + 0.1 * step) / range, each with the scale and minimum that fit its
// levels best in least squares. The range begins at the best minimum so far.
struct Search {
  int count, most;
  float first;
  int steps;
  bool absolute;  // the error of an element counts by its size, not by its square
};

struct Affine {
  float scale, min;
};

Affine search_scale_and_min(const Search& s, const float* x, const float* weights, std::uint8_t* q) {
  float least = std::min(x[0], 0.f), largest = x[0], sum_w = weights[0], sum_x = weights[0] * x[0];
  for (int i = 1; i < s.count; ++i) {
    least = std::min(least, x[i]);
    largest = std::max(largest, x[i]);
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  if (largest == least) {
    std::memset(q, 0, static_cast<std::size_t>(s.count));
    return {0, -least};
  }
  Affine best{0, least};
  std::uint8_t tried[32];
  const auto try_levels = [&](float widening) {  // gives the scale
    const float inverse_scale = (widening + static_cast<float>(s.most)) / (largest - best.min);
    for (int i = 0; i < s.count; ++i)
      tried[i] = static_cast<std::uint8_t>(nearest(inverse_scale * (x[i] - best.min), 0, s.most));
    return 1 / inverse_scale;
  };
  const auto error_of = [&](float scale, float min) {
    float error = 0;
    for (int i = 0; i < s.count; ++i) {
      const float off = scale * tried[i] + min - x[i];
      error += weights[i] * (s.absolute ? std::fabs(off) : off * off);
    }
    return error;
  };
  best.scale = try_levels(0);
  std::copy_n(tried, s.count, q);
  float least_error = error_of(best.scale, best.min);
  for (int step = 0; step <= s.steps; ++step) {
    try_levels(s.first + 0.1f * static_cast<float>(step));
    float sum_q = 0, sum_qq = 0, sum_xq = 0;
    for (int i = 0; i < s.count; ++i) {
      const float level = tried[i];
      sum_q += weights[i] * level;
      sum_qq += weights[i] * level * level;
      sum_xq += weights[i] * level * x[i];
    }
    const float determinant = sum_w * sum_qq - sum_q * sum_q;
    if (!(determinant > 0)) continue;
    Affine fit{(sum_w * sum_xq - sum_x * sum_q) / determinant,
               (sum_qq * sum_x - sum_q * sum_xq) / determinant};
    if (fit.min > 0) fit = {sum_xq / sum_qq, 0};
    const float error = error_of(fit.scale, fit.min);
    if (!(error < least_error)) continue;
    std::copy_n(tried, s.count, q);
    least_error = error;
    best = fit;
  }
  return {best.scale, -best.min};
}

// ---- K types: the scales of groups in units of their largest ----

float positive_extreme(const float* x, int count) {
  float largest = 0;
  for (int i = 0; i < count; ++i) largest = std::max(largest, x[i]);
  return largest;
}

// Levels by the scales as the block holds them now; those of a group whose scale became 0 stay as they are.
template <class Block>
void set_levels(const float* x, const Block& block, int least, int most, std::uint8_t* q) {
  Unpacked<Block> parts;
  unpack(block, parts);
  for (int g = 0; g < parts.kGroups; ++g) {
    if (parts.scale[g] == 0) continue;
    for (int i = g * parts.kGroup; i < (g + 1) * parts.kGroup; ++i)
      q[i] = static_cast<std::uint8_t>(nearest((x[i] + parts.min[g]) / parts.scale[g], least, most) - least);
  }
}

void encode(const float* x, BlockQ2_K& block) {
  std::uint8_t q[256];
  float scale[16], min[16], weights[16];
  for (int g = 0; g < 16; ++g) {
    for (int i = 0; i < 16; ++i) weights[i] = std::fabs(x[16 * g + i]);
    const auto fit = search_scale_and_min({16, 3, -0.5f, 15, true}, x + 16 * g, weights, q + 16 * g);
    scale[g] = fit.scale;
    min[g] = fit.min;
  }
  block = {};
  const auto set = [&](const float* values, int shift, float16& unit) {
    const float largest = positive_extreme(values, 16);
    if (!(largest > 0)) return;
    const float inverse_unit = 15 / largest;
    for (int g = 0; g < 16; ++g)
      block.scales[g] =
          static_cast<std::uint8_t>(block.scales[g] | nearest(inverse_unit * values[g]) << shift);
    unit = float16::from(largest / 15);
  };
  set(scale, 0, block.d);
  set(min, 4, block.dmin);
  set_levels(x, block, 0, 3, q);
  put_runs(q, 0, 2, block.qs);
}

void encode(const float* x, BlockQ3_K& block) {
  std::uint8_t q[256];
  float scale[16];
  for (int g = 0; g < 16; ++g) scale[g] = refine_scale(x + 16 * g, q + 16 * g);
  block = {};
  if (const float largest = extreme(scale, 16); largest != 0) {
    const float inverse_unit = -32 / largest;
    for (int g = 0; g < 16; ++g) {
      const int level = nearest(inverse_unit * scale[g], -32, 31) + 32;
      std::uint8_t &low = block.scales[g % 8], &high = block.scales[8 + g % 4];
      low = static_cast<std::uint8_t>(low | (level & 15) << 4 * (g / 8));
      high = static_cast<std::uint8_t>(high | level >> 4 << 2 * (g / 4));
    }
    block.d = float16::from(1 / inverse_unit);
  }
  set_levels(x, block, -4, 3, q);
  put_runs(q, 2, 1, block.hmask);
  put_runs(q, 0, 2, block.qs);
}

// What q4_k and q5_k have in common: all but the levels' bits.
template <class Block>
void encode_groups(const float* x, const Search& search, Block& block, std::uint8_t* q) {
  float scale[8], min[8], weights[32];
  for (int g = 0; g < 8; ++g) {
    const float* const group = x + 32 * g;
    float squares = 0;
    for (int i = 0; i < 32; ++i) squares += group[i] * group[i];
    const float mean = std::sqrt(squares / 32);
    for (int i = 0; i < 32; ++i) weights[i] = mean + std::fabs(group[i]);
    const auto fit = search_scale_and_min(search, group, weights, q + 32 * g);
    scale[g] = fit.scale;
    min[g] = fit.min;
  }
  const float largest_scale = positive_extreme(scale, 8), largest_min = positive_extreme(min, 8);
  const float inverse_scale = largest_scale > 0 ? 63 / largest_scale : 0;
  const float inverse_min = largest_min > 0 ? 63 / largest_min : 0;
  block = {};
  for (int g = 0; g < 8; ++g)
    put_scale_and_min(g, std::min(63, nearest(inverse_scale * scale[g])),
                      std::min(63, nearest(inverse_min * min[g])), block.scales);
  block.d = float16::from(largest_scale / 63);
  block.dmin = float16::from(largest_min / 63);
  set_levels(x, block, 0, search.most, q);
}

void encode(const float* x, BlockQ4_K& block) {
  std::uint8_t q[256];
  encode_groups(x, {32, 15, -1, 20, false}, block, q);
  put_runs(q, 0, 4, block.qs);
}

void encode(const float* x, BlockQ5_K& block) {
  std::uint8_t q[256];
  encode_groups(x, {32, 31, -0.5f, 15, false}, block, q);
  put_runs(q, 0, 4, block.qs);
  put_runs(q, 4, 1, block.qh);
}

void encode(const float* x, BlockQ6_K& block) {
  std::uint8_t q[256];
  float scale[16];
  for (int g = 0; g < 16; ++g) scale[g] = search_scale(x + 16 * g, q + 16 * g);
  block = {};
  const float largest = extreme(scale, 16);
  if (std::fabs(largest) < kNoExtent) return;
  const float inverse_unit = -128 / largest;
  for (int g = 0; g < 16; ++g)
    block.scales[g] = static_cast<std::int8_t>(std::min(127, nearest(inverse_unit * scale[g])));
  block.d = float16::from(1 / inverse_unit);
  set_levels(x, block, -32, 31, q);
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 64; ++i) {
      const std::uint8_t* const run = q + 128 * half;
      block.ql[64 * half + i] = static_cast<std::uint8_t>((run[i] & 15) | (run[i + 64] & 15) << 4);
    }
  put_runs(q, 4, 2, block.qh);
}

}  // namespace

void encode(DType type, const float* values, void* blocks, std::int64_t elements) {
  with_block(type, [&]<class Block>(Block) {
    constexpr std::int64_t kElements = Unpacked<Block>::kElements;
    auto* const all = static_cast<Block*>(blocks);
    for (std::int64_t b = 0; b < elements / kElements; ++b) encode(values + b * kElements, all[b]);
  });
}

}  // namespace glossa
