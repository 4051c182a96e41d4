#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/optimizers.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "backend/cpu/optimizers.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/rows.h"
#include "hwy/highway.h"

#ifndef GLOSSA_BACKEND_CPU_OPTIMIZERS_ONCE
#define GLOSSA_BACKEND_CPU_OPTIMIZERS_ONCE
namespace glossa::cpu {
namespace {

struct AdamWRows {
  Rows w, g, m, v;
  float rate, beta1, beta2, epsilon, keep, gradient_scale;  // keep: 1 - rate * weight decay
  float unbias1, unbias2;                                   // 1 / (1 - beta^step)
};

struct SgdRows {
  Rows w, g, velocity;  // velocity: no data without momentum
  float rate, momentum, keep, gradient_scale;
  bool nesterov;
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

void adamw_range(const AdamWRows& a, std::int64_t begin, std::int64_t end) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V beta1 = hn::Set(d, a.beta1), beta2 = hn::Set(d, a.beta2), new1 = hn::Set(d, 1 - a.beta1), new2 = hn::Set(d, 1 - a.beta2);
  const V unbias1 = hn::Set(d, a.unbias1 * a.rate), unbias2 = hn::Set(d, a.unbias2), epsilon = hn::Set(d, a.epsilon);
  const V keep = hn::Set(d, a.keep), scale = hn::Set(d, a.gradient_scale);
  for (std::int64_t r = begin; r < end; ++r) {
    for (std::int64_t i = 0; i < a.w.cols; i += lanes) {
      const std::int64_t left = a.w.cols - i;
      const V g = hn::Mul(scale, load_partial(d, a.g[r] + i, left));
      const V m = hn::MulAdd(beta1, load_partial(d, a.m[r] + i, left), hn::Mul(new1, g));
      const V v = hn::MulAdd(beta2, load_partial(d, a.v[r] + i, left), hn::Mul(new2, hn::Mul(g, g)));
      const V update = hn::Div(hn::Mul(unbias1, m), hn::Add(hn::Sqrt(hn::Mul(unbias2, v)), epsilon));
      store_partial(m, d, a.m[r] + i, left);
      store_partial(v, d, a.v[r] + i, left);
      store_partial(hn::MulSub(keep, load_partial(d, a.w[r] + i, left), update), d, a.w[r] + i, left);
    }
  }
}

void sgd_range(const SgdRows& s, std::int64_t begin, std::int64_t end) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V rate = hn::Set(d, s.rate), momentum = hn::Set(d, s.momentum), keep = hn::Set(d, s.keep), scale = hn::Set(d, s.gradient_scale);
  for (std::int64_t r = begin; r < end; ++r) {
    for (std::int64_t i = 0; i < s.w.cols; i += lanes) {
      const std::int64_t left = s.w.cols - i;
      const V g = hn::Mul(scale, load_partial(d, s.g[r] + i, left));
      V update = g;
      if (s.velocity.data) {
        const V next = hn::MulAdd(momentum, load_partial(d, s.velocity[r] + i, left), g);
        store_partial(next, d, s.velocity[r] + i, left);
        update = s.nesterov ? hn::MulAdd(momentum, next, g) : next;
      }
      store_partial(hn::NegMulAdd(rate, update, hn::Mul(keep, load_partial(d, s.w[r] + i, left))), d, s.w[r] + i, left);
    }
  }
}

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(adamw_range);
HWY_EXPORT(sgd_range);

void adamw(Tensor& weight, const Tensor& gradient, Tensor& m, Tensor& v, const AdamW& o) {
  const auto step = static_cast<double>(o.step);
  const AdamWRows a{.w = Rows(weight),
                    .g = Rows(gradient),
                    .m = Rows(m),
                    .v = Rows(v),
                    .rate = o.learning_rate,
                    .beta1 = o.beta1,
                    .beta2 = o.beta2,
                    .epsilon = o.epsilon,
                    .keep = 1 - o.learning_rate * o.weight_decay,
                    .gradient_scale = o.gradient_scale,
                    .unbias1 = static_cast<float>(1 / (1 - std::pow(static_cast<double>(o.beta1), step))),
                    .unbias2 = static_cast<float>(1 / (1 - std::pow(static_cast<double>(o.beta2), step)))};
  for_rows(a.w.count, a.w.cols, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(adamw_range)(a, begin, end); });
}

void sgd(Tensor& weight, const Tensor& gradient, Tensor& momentum, const Sgd& o) {
  const SgdRows s{.w = Rows(weight),
                  .g = Rows(gradient),
                  .velocity = o.momentum != 0 ? Rows(momentum) : Rows(),
                  .rate = o.learning_rate,
                  .momentum = o.momentum,
                  .keep = 1 - o.learning_rate * o.weight_decay,
                  .gradient_scale = o.gradient_scale,
                  .nesterov = o.nesterov};
  for_rows(s.w.count, s.w.cols, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(sgd_range)(s, begin, end); });
}

namespace {

// Sums in f64 over shards of rows, in a fixed order.
template <class F>
double sum_over_rows(std::int64_t rows, F&& of_range) {
  constexpr std::int64_t kShards = 16;
  const std::int64_t shards = std::clamp<std::int64_t>(rows / 32, 1, kShards);
  std::array<double, kShards> sums = {};
  parallel_tasks(shards, [&](std::int64_t s) {
    sums[static_cast<std::size_t>(s)] = of_range(rows * s / shards, rows * (s + 1) / shards);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace

// The moments of rows and columns are means of squares, not sums: V[i, j] = row[i] column[j] / mean(row) is the same, and
// moments of matrices of any width are of one size. It passes over the gradient three times; f64 where sums are long.
void adafactor(Tensor& weight, const Tensor& gradient, Tensor& row, Tensor& column, const Adafactor& o) {
  const Rows w(weight), g(gradient);
  const auto beta2 = static_cast<float>(1 - std::pow(static_cast<double>(o.step), -static_cast<double>(o.decay)));
  const auto square = [&](std::int64_t r, std::int64_t c) {
    const float x = o.gradient_scale * g[r][c];
    return x * x + o.epsilon1;
  };
  const auto mix = [&](float& moment, double now) { moment = beta2 * moment + (1 - beta2) * static_cast<float>(now); };
  float* by_row = row.data<float>();
  float* by_column = column ? column.data<float>() : nullptr;
  float mean_row = 0;
  if (by_column) {
    RowSums columns(w.count, w.cols);
    columns.run([&](float* sums, std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        double sum = 0;
        for (std::int64_t c = 0; c < w.cols; ++c) {
          const float s = square(r, c);
          sum += static_cast<double>(s);
          sums[c] += s / static_cast<float>(w.count);
        }
        mix(by_row[r], sum / static_cast<double>(w.cols));
      }
    });
    double sum = 0;
    for (std::int64_t r = 0; r < w.count; ++r) sum += static_cast<double>(by_row[r]);
    mean_row = static_cast<float>(sum / static_cast<double>(w.count));
    std::vector<float> means(static_cast<std::size_t>(w.cols));
    columns.add_to(means.data(), 0, w.cols);
    for (std::int64_t c = 0; c < w.cols; ++c) mix(by_column[c], static_cast<double>(means[static_cast<std::size_t>(c)]));
  } else {
    for (std::int64_t r = 0; r < w.count; ++r)
      for (std::int64_t c = 0; c < w.cols; ++c) mix(by_row[r * w.cols + c], static_cast<double>(square(r, c)));
  }
  const auto update = [&](std::int64_t r, std::int64_t c) {
    const float v = by_column ? by_row[r] * (by_column[c] / mean_row) : by_row[r * w.cols + c];
    return o.gradient_scale * g[r][c] / std::sqrt(v);
  };
  const auto squares = [&](auto&& of) {
    return sum_over_rows(w.count, [&](std::int64_t begin, std::int64_t end) {
      double sum = 0;
      for (std::int64_t r = begin; r < end; ++r)
        for (std::int64_t c = 0; c < w.cols; ++c) sum += static_cast<double>(of(r, c)) * static_cast<double>(of(r, c));
      return sum;
    });
  };
  const auto count = static_cast<double>(w.count * w.cols);
  const double clip = std::max(1.0, std::sqrt(squares(update) / count) / static_cast<double>(o.clip));
  const double size = std::sqrt(squares([&](std::int64_t r, std::int64_t c) { return w[r][c]; }) / count);
  const auto rate = static_cast<float>(static_cast<double>(o.learning_rate) * std::max(static_cast<double>(o.epsilon2), size) / clip);
  const float keep = 1 - o.learning_rate * o.weight_decay;
  for_rows(w.count, w.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t c = 0; c < w.cols; ++c) w[r][c] = keep * w[r][c] - rate * update(r, c);
  });
}

}  // namespace glossa::cpu
#endif
