#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/logits.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/cpu/activation-inl.h"
#include "backend/cpu/logits.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/rows.h"
#include "hwy/highway.h"

#ifndef GLOSSA_BACKEND_CPU_LOGITS_ONCE
#define GLOSSA_BACKEND_CPU_LOGITS_ONCE
namespace glossa::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct CrossEntropyRows {
  Rows logits;
  const std::int32_t* labels;
  float smoothing, scale;
  bool gradient;
  float* loss;
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

// Vectors at the end of a row: lanes past it are `otherwise`.
HWY_INLINE V load_or(D d, const float* x, std::int64_t left, V otherwise) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V v = load_partial(d, x, left);
  return left >= lanes ? v : hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(left)), v, otherwise);
}

// The larger, or `a` where b is not a number.
HWY_INLINE V larger(V a, V b) { return hn::IfThenElse(hn::Gt(b, a), b, a); }

struct MostAndSum {
  float most, sum;
};

MostAndSum most_and_sum(const float* x, std::int64_t cols) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V lowest = hn::Set(d, -kInfinity);
  V most = lowest, other = lowest, sum = hn::Zero(d), more = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= cols; i += 2 * lanes) {
    const V a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + i + lanes);
    most = larger(most, a), other = larger(other, b);
    sum = hn::Add(sum, a), more = hn::Add(more, b);
  }
  for (; i < cols; i += lanes) {
    most = larger(most, load_or(d, x + i, cols - i, lowest));
    sum = hn::Add(sum, load_partial(d, x + i, cols - i));
  }
  return {hn::GetLane(hn::MaxOfLanes(d, larger(most, other))), hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, more)))};
}

// The sum of exp(x - shift); `keep`: each stays in the place of x.
template <bool keep>
float exp_sum(float* x, std::int64_t cols, float shift) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V s = hn::Set(d, shift);
  V sum = hn::Zero(d), more = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= cols; i += 2 * lanes) {
    const V a = exp(d, hn::Sub(hn::LoadU(d, x + i), s)), b = exp(d, hn::Sub(hn::LoadU(d, x + i + lanes), s));
    if constexpr (keep) hn::StoreU(a, d, x + i), hn::StoreU(b, d, x + i + lanes);
    sum = hn::Add(sum, a), more = hn::Add(more, b);
  }
  for (; i < cols; i += lanes) {
    const V a = exp(d, hn::Sub(load_or(d, x + i, cols - i, hn::Set(d, -kInfinity)), s));
    if constexpr (keep) store_partial(a, d, x + i, cols - i);
    sum = hn::Add(sum, a);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, more)));
}

// y = factor * y - less
void scale_and_shift(float* y, std::int64_t cols, float factor, float less) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V f = hn::Set(d, factor), l = hn::Set(d, less);
  for (std::int64_t i = 0; i < cols; i += lanes)
    store_partial(hn::Sub(hn::Mul(f, load_partial(d, y + i, cols - i)), l), d, y + i, cols - i);
}

// loss = log sum exp(logits) - sum over c of target[c] * logits[c]; its gradient is softmax(logits) - target.
void cross_entropy_range(const CrossEntropyRows& e, std::int64_t begin, std::int64_t end) {
  const std::int64_t cols = e.logits.cols;
  const float everywhere = e.smoothing / static_cast<float>(cols);
  for (std::int64_t r = begin; r < end; ++r) {
    float* x = e.logits[r];
    const std::int32_t label = e.labels[r];
    if (label == -100) {
      e.loss[r] = 0;
      if (e.gradient) std::fill_n(x, cols, 0.0f);
      continue;
    }
    const MostAndSum row = most_and_sum(x, cols);
    const float shift = std::isinf(row.most) ? 0 : row.most, of_label = x[label];
    const float sum = e.gradient ? exp_sum<true>(x, cols, shift) : exp_sum<false>(x, cols, shift);
    const float smoothed = e.smoothing > 0 ? everywhere * row.sum : 0;
    e.loss[r] = shift + std::log(sum) - (1 - e.smoothing) * of_label - smoothed;
    if (!e.gradient) continue;
    scale_and_shift(x, cols, e.scale / sum, e.scale * everywhere);
    x[label] -= e.scale * (1 - e.smoothing);
  }
}

// Fills best[0, k) and where[0, k) from one row, largest first. The k-th is kept as a threshold, so that nearly all
// vectors are done with after one comparison.
void largest(const float* x, std::int64_t cols, std::int64_t k, float* best, std::int32_t* where) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t found = 0;
  const auto insert = [&](std::int64_t c) {
    const float value = x[c];
    std::int64_t at = std::min(found, k - 1);
    for (; at > 0 && best[at - 1] < value; --at) best[at] = best[at - 1], where[at] = where[at - 1];
    best[at] = value, where[at] = static_cast<std::int32_t>(c);
    found = std::min(found + 1, k);
  };
  std::int64_t i = 0;
  for (; i < cols && found < k; ++i)
    if (!std::isnan(x[i])) insert(i);
  while (i < cols) {
    const V threshold = hn::Set(d, best[k - 1]);
    if (i + 4 * lanes <= cols) {
      const V most = larger(larger(hn::LoadU(d, x + i), hn::LoadU(d, x + i + lanes)),
                            larger(hn::LoadU(d, x + i + 2 * lanes), hn::LoadU(d, x + i + 3 * lanes)));
      // A not-a-number that came first hides its lane's others.
      const auto unsure = hn::Or(hn::Gt(most, threshold), hn::IsNaN(most));
      if (hn::AllFalse(d, unsure)) {
        i += 4 * lanes;
        continue;
      }
    }
    for (const std::int64_t stop = std::min(cols, i + 4 * lanes); i < stop; ++i)
      if (x[i] > best[k - 1]) insert(i);
  }
  if (found == k) return;
  for (std::int64_t c = 0; c < cols && found < k; ++c)  // not-a-numbers rank last
    if (std::isnan(x[c])) best[found] = x[c], where[found++] = static_cast<std::int32_t>(c);
}

float log_sum_exp(const float* x, std::int64_t cols, float most) {
  const float shift = std::isinf(most) ? 0 : most;
  return shift + std::log(exp_sum<false>(const_cast<float*>(x), cols, shift));
}

float row_maximum(const float* x, std::int64_t cols) { return most_and_sum(x, cols).most; }

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(cross_entropy_range);
HWY_EXPORT(largest);
HWY_EXPORT(log_sum_exp);
HWY_EXPORT(row_maximum);

namespace {

// Beyond this many, insertion into a sorted list costs more than sorting.
constexpr std::int64_t kMostInserted = 64;

void largest_by_sorting(const float* x, std::int64_t cols, std::int64_t k, float* best, std::int32_t* where) {
  thread_local std::vector<std::int32_t> order;
  order.resize(static_cast<std::size_t>(cols));
  std::iota(order.begin(), order.end(), 0);
  const auto before = [x](std::int32_t a, std::int32_t b) {
    if (std::isnan(x[a]) || std::isnan(x[b])) return std::isnan(x[a]) && std::isnan(x[b]) ? a < b : std::isnan(x[b]);
    return x[a] != x[b] ? x[a] > x[b] : a < b;
  };
  if (k < cols) std::nth_element(order.begin(), order.begin() + k, order.end(), before);
  std::sort(order.begin(), order.begin() + k, before);
  for (std::int64_t i = 0; i < k; ++i) where[i] = order[static_cast<std::size_t>(i)], best[i] = x[where[i]];
}

}  // namespace

void cross_entropy(const CrossEntropy& e) {
  const CrossEntropyRows rows{.logits = Rows(e.logits),
                              .labels = e.labels.data<std::int32_t>(),
                              .smoothing = static_cast<float>(e.smoothing),
                              .scale = static_cast<float>(e.gradient_scale),
                              .gradient = e.gradient,
                              .loss = e.loss.data<float>()};
  for_rows(rows.logits.count, rows.logits.cols,
           [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(cross_entropy_range)(rows, begin, end); });
}

void top_k(const Tensor& x, std::int64_t k, Tensor& values, Tensor& indices, Tensor& logsumexp) {
  const Rows in(x), best(values);
  auto* where = indices.data<std::int32_t>();
  const std::int64_t where_stride = indices.row_stride();
  for_rows(in.count, in.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      if (k > kMostInserted)
        largest_by_sorting(in[r], in.cols, k, best[r], where + r * where_stride);
      else if (k > 0)
        HWY_DYNAMIC_DISPATCH(largest)(in[r], in.cols, k, best[r], where + r * where_stride);
      const bool known = k > 0 && !std::isnan(best[r][0]);
      const float most = known ? best[r][0] : HWY_DYNAMIC_DISPATCH(row_maximum)(in[r], in.cols);
      logsumexp.data<float>()[r] = HWY_DYNAMIC_DISPATCH(log_sum_exp)(in[r], in.cols, most);
    }
  });
}

}  // namespace glossa::cpu
#endif
