#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/norm.cpp"
#include "hwy/foreach_target.h"
//
#include <cmath>

#include "backend/cpu/norm.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/rows.h"
#include "hwy/highway.h"

#ifndef GLOSSA_BACKEND_CPU_NORM_ONCE
#define GLOSSA_BACKEND_CPU_NORM_ONCE
namespace glossa::cpu {
namespace {

struct NormRows {
  Rows x, y, stats;  // stats: no data where it is not kept
  const float *gain, *bias;
  float eps, offset;
  bool centre;
};

struct NormBackwardRows {
  Rows x, stats, dy, dx;
  const float* gain;
  float offset;
  bool centre, add;
  float *gain_sums, *bias_sums;  // of columns
};

}  // namespace
}  // namespace glossa::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Sum over a row of f(i, left), each a vector whose lanes past `left` are 0; four sums hide the latency of adding.
template <class F>
HWY_INLINE float row_sum(std::int64_t cols, F&& f) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  std::int64_t i = 0;
  for (; i + 4 * lanes <= cols; i += 4 * lanes) {
    sum[0] = hn::Add(sum[0], f(i, lanes));
    sum[1] = hn::Add(sum[1], f(i + lanes, lanes));
    sum[2] = hn::Add(sum[2], f(i + 2 * lanes, lanes));
    sum[3] = hn::Add(sum[3], f(i + 3 * lanes, lanes));
  }
  for (; i < cols; i += lanes) sum[0] = hn::Add(sum[0], f(i, cols - i));
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]))));
}

// Lanes past `left` of x, where these must not count.
HWY_INLINE V only(D d, V x, std::int64_t left) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  return left >= lanes ? x : hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(left)), x);
}

void norm_range(const NormRows& n, std::int64_t begin, std::int64_t end) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t cols = n.y.cols;
  const float share = 1.0f / static_cast<float>(cols);
  const V offset = hn::Set(d, n.offset);
  for (std::int64_t r = begin; r < end; ++r) {
    const float* x = n.x[r];
    float mean = 0;
    if (n.centre)
      mean = share * row_sum(cols, [&](std::int64_t i, std::int64_t left) HWY_ATTR { return load_partial(d, x + i, left); });
    const V middle = hn::Set(d, mean);
    const float variance = share * row_sum(cols, [&](std::int64_t i, std::int64_t left) HWY_ATTR {
                             const V apart = only(d, hn::Sub(load_partial(d, x + i, left), middle), left);
                             return hn::Mul(apart, apart);
                           });
    const float reciprocal = 1.0f / std::sqrt(variance + n.eps);
    const V factor = hn::Set(d, reciprocal);
    float* y = n.y[r];
    for (std::int64_t i = 0; i < cols; i += lanes) {
      const std::int64_t left = cols - i;
      const V gain = hn::Add(load_partial(d, n.gain + i, left), offset);
      V v = hn::Mul(hn::Mul(hn::Sub(load_partial(d, x + i, left), middle), factor), gain);
      if (n.bias) v = hn::Add(v, load_partial(d, n.bias + i, left));
      store_partial(v, d, y + i, left);
    }
    if (n.stats.data) n.stats[r][0] = mean, n.stats[r][1] = reciprocal;
  }
}

// With n = (x - mean) / deviation and g = dy * (gain + offset):  dx = (g - mean(g) - n mean(g n)) / deviation; without `centre` the
// mean of g stays.
void norm_backward_range(const NormBackwardRows& b, std::int64_t begin, std::int64_t end) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t cols = b.x.cols;
  const float share = 1.0f / static_cast<float>(cols);
  const V offset = hn::Set(d, b.offset);
  for (std::int64_t r = begin; r < end; ++r) {
    const float *x = b.x[r], *dy = b.dy[r];
    const V mean = hn::Set(d, b.stats[r][0]), reciprocal = hn::Set(d, b.stats[r][1]);
    V sum_g = hn::Zero(d), sum_gn = hn::Zero(d);
    for (std::int64_t i = 0; i < cols; i += lanes) {
      const std::int64_t left = cols - i;
      const V n = hn::Mul(hn::Sub(load_partial(d, x + i, left), mean), reciprocal);
      const V upper = load_partial(d, dy + i, left), g = hn::Mul(upper, hn::Add(load_partial(d, b.gain + i, left), offset));
      sum_g = hn::Add(sum_g, g);
      sum_gn = hn::MulAdd(g, n, sum_gn);
      store_partial(hn::MulAdd(upper, n, load_partial(d, b.gain_sums + i, left)), d, b.gain_sums + i, left);
      store_partial(hn::Add(upper, load_partial(d, b.bias_sums + i, left)), d, b.bias_sums + i, left);
    }
    const V mean_g = hn::Set(d, b.centre ? share * hn::GetLane(hn::SumOfLanes(d, sum_g)) : 0.0f);
    const V mean_gn = hn::Set(d, share * hn::GetLane(hn::SumOfLanes(d, sum_gn)));
    float* dx = b.dx[r];
    for (std::int64_t i = 0; i < cols; i += lanes) {
      const std::int64_t left = cols - i;
      const V n = hn::Mul(hn::Sub(load_partial(d, x + i, left), mean), reciprocal);
      const V g = hn::Mul(load_partial(d, dy + i, left), hn::Add(load_partial(d, b.gain + i, left), offset));
      V lower = hn::Mul(hn::NegMulAdd(n, mean_gn, hn::Sub(g, mean_g)), reciprocal);
      if (b.add) lower = hn::Add(lower, load_partial(d, dx + i, left));
      store_partial(lower, d, dx + i, left);
    }
  }
}

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(norm_range);
HWY_EXPORT(norm_backward_range);

void norm(const Norm& kind, const Tensor& x, const Tensor& gain, const Tensor& bias, Tensor& y, Tensor* stats) {
  const NormRows n{.x = Rows(x),
                   .y = Rows(y),
                   .stats = stats ? Rows(*stats) : Rows(),
                   .gain = gain.data<float>(),
                   .bias = bias ? bias.data<float>() : nullptr,
                   .eps = static_cast<float>(kind.eps),
                   .offset = kind.offset,
                   .centre = kind.centre};
  for_rows(n.y.count, n.y.cols, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(norm_range)(n, begin, end); });
}

void norm_backward(const NormBackward& b) {
  const NormBackwardRows rows{.x = Rows(b.x),
                              .stats = Rows(b.stats),
                              .dy = Rows(b.dy),
                              .dx = Rows(b.dx),
                              .gain = b.gain.data<float>(),
                              .offset = b.kind.offset,
                              .centre = b.kind.centre,
                              .add = b.add,
                              .gain_sums = nullptr,
                              .bias_sums = nullptr};
  const std::int64_t cols = rows.x.cols;
  RowSums sums(rows.x.count, 2 * cols);
  sums.run([&](float* into, std::int64_t begin, std::int64_t end) {
    NormBackwardRows part = rows;
    part.gain_sums = into, part.bias_sums = into + cols;
    HWY_DYNAMIC_DISPATCH(norm_backward_range)(part, begin, end);
  });
  if (b.dgain) sums.add_to(b.dgain->data<float>(), 0, cols);
  if (b.dbias) sums.add_to(b.dbias->data<float>(), cols, cols);
}

}  // namespace glossa::cpu
#endif
