#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <array>
#include <atomic>

#include "backend/cpu/activation-inl.h"
#include "backend/cpu/elementwise.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/philox-inl.h"
#include "backend/cpu/rows.h"
#include "hwy/highway.h"

#ifndef GLOSSA_BACKEND_CPU_ELEMENTWISE_ONCE
#define GLOSSA_BACKEND_CPU_ELEMENTWISE_ONCE
namespace glossa::cpu {
namespace {

struct EpilogueBackward {
  Rows dy, z, dz;
  Dropout mask;
  float* sums;  // of columns; null: not wanted
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

// Calls f(i, left) for each vector of `count` elements.
template <class F>
HWY_INLINE void by_vectors(std::int64_t count, F&& f) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
  for (std::int64_t i = 0; i < count; i += lanes) f(i, count - i);
}

void add_range(const Rows& a, const Rows& b, const Rows& y, std::int64_t begin, std::int64_t end) {
  const D d;
  for (std::int64_t r = begin; r < end; ++r) {
    by_vectors(y.cols, [&](std::int64_t i, std::int64_t left) HWY_ATTR {
      store_partial(hn::Add(load_partial(d, a[r] + i, left), load_partial(d, b[r] + i, left)), d, y[r] + i, left);
    });
  }
}

void scale_range(const Rows& x, float factor, const Rows& y, std::int64_t begin, std::int64_t end) {
  const D d;
  const V f = hn::Set(d, factor);
  for (std::int64_t r = begin; r < end; ++r) {
    by_vectors(y.cols, [&](std::int64_t i, std::int64_t left) HWY_ATTR {
      store_partial(hn::Mul(load_partial(d, x[r] + i, left), f), d, y[r] + i, left);
    });
  }
}

void interpolate_range(const Rows& y, const Rows& x, float share, std::int64_t begin, std::int64_t end) {
  const D d;
  const V s = hn::Set(d, share);
  for (std::int64_t r = begin; r < end; ++r) {
    by_vectors(y.cols, [&](std::int64_t i, std::int64_t left) HWY_ATTR {
      const V before = load_partial(d, y[r] + i, left);
      store_partial(hn::MulAdd(s, hn::Sub(load_partial(d, x[r] + i, left), before), before), d, y[r] + i, left);
    });
  }
}

double squares_of_range(const Rows& x, std::int64_t begin, std::int64_t end) {
#if HWY_TARGET == HWY_SCALAR
  double sum = 0;
  for (std::int64_t r = begin; r < end; ++r)
    for (std::int64_t i = 0; i < x.cols; ++i) sum += static_cast<double>(x[r][i]) * static_cast<double>(x[r][i]);
  return sum;
#else
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d), other = hn::Zero(d);
  for (std::int64_t r = begin; r < end; ++r) {
    std::int64_t i = 0;
    for (; i + 2 * lanes <= x.cols; i += 2 * lanes) {
      const auto a = hn::PromoteTo(d, hn::LoadU(half, x[r] + i)), b = hn::PromoteTo(d, hn::LoadU(half, x[r] + i + lanes));
      sum = hn::MulAdd(a, a, sum);
      other = hn::MulAdd(b, b, other);
    }
    for (; i < x.cols; i += lanes) {
      const auto a = hn::PromoteTo(d, load_partial(half, x[r] + i, x.cols - i));
      sum = hn::MulAdd(a, a, sum);
    }
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum, other)));
#endif
}

bool finite_range(const Rows& x, std::int64_t begin, std::int64_t end) {
  const D d;
  V sum = hn::Zero(d);  // 0 x is 0 for every number, and nothing else gives 0 again
  for (std::int64_t r = begin; r < end; ++r) {
    by_vectors(x.cols, [&](std::int64_t i, std::int64_t left) HWY_ATTR {
      sum = hn::MulAdd(load_partial(d, x[r] + i, left), hn::Zero(d), sum);
    });
  }
  return hn::AllTrue(d, hn::Eq(sum, hn::Zero(d)));
}

void dropout_range(const Rows& x, const Dropout& mask, const Rows& y, std::int64_t begin, std::int64_t end) {
  const D d;
  DropoutRun run(mask);
  constexpr auto kRun = static_cast<std::int64_t>(DropoutRun::kRun);
  for (std::int64_t r = begin; r < end; ++r) {
    for (std::int64_t piece = 0; piece < y.cols; piece += kRun) {
      const std::int64_t count = std::min(y.cols - piece, kRun);
      run.fill(static_cast<std::uint64_t>(r * y.cols + piece), static_cast<std::size_t>(count));
      by_vectors(count, [&](std::int64_t i, std::int64_t left) HWY_ATTR {
        const V kept = run.apply(d, load_partial(d, x[r] + piece + i, left), static_cast<std::size_t>(i));
        store_partial(kept, d, y[r] + piece + i, left);
      });
    }
  }
}

template <Unary U>
void epilogue_range(const EpilogueBackward& e, std::int64_t begin, std::int64_t end) {
  const D d;
  DropoutRun run(e.mask);
  constexpr auto kRun = static_cast<std::int64_t>(DropoutRun::kRun);
  for (std::int64_t piece = 0; piece < e.dz.cols; piece += kRun) {
    const std::int64_t count = std::min(e.dz.cols - piece, kRun);
    for (std::int64_t r = begin; r < end; ++r) {
      if (e.mask) run.fill(static_cast<std::uint64_t>(r * e.dz.cols + piece), static_cast<std::size_t>(count));
      by_vectors(count, [&](std::int64_t i, std::int64_t left) HWY_ATTR {
        const std::int64_t c = piece + i;
        V g = load_partial(d, e.dy[r] + c, left);
        if (e.mask) g = run.apply(d, g, static_cast<std::size_t>(i));
        if constexpr (U != Unary::none) g = hn::Mul(g, derivative<U>(d, load_partial(d, e.z[r] + c, left)));
        store_partial(g, d, e.dz[r] + c, left);
        if (e.sums) store_partial(hn::Add(load_partial(d, e.sums + c, left), g), d, e.sums + c, left);
      });
    }
  }
}

void epilogue_backward_range(const EpilogueBackward& e, Unary act, std::int64_t begin, std::int64_t end) {
  switch (act) {
    case Unary::none: return epilogue_range<Unary::none>(e, begin, end);
    case Unary::relu: return epilogue_range<Unary::relu>(e, begin, end);
    case Unary::gelu: return epilogue_range<Unary::gelu>(e, begin, end);
    case Unary::gelu_tanh: return epilogue_range<Unary::gelu_tanh>(e, begin, end);
    case Unary::silu: return epilogue_range<Unary::silu>(e, begin, end);
    case Unary::tanh: return epilogue_range<Unary::tanh>(e, begin, end);
    case Unary::sigmoid: return epilogue_range<Unary::sigmoid>(e, begin, end);
  }
}

}  // namespace

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(add_range);
HWY_EXPORT(scale_range);
HWY_EXPORT(interpolate_range);
HWY_EXPORT(squares_of_range);
HWY_EXPORT(finite_range);
HWY_EXPORT(dropout_range);
HWY_EXPORT(epilogue_backward_range);

namespace {

// A dense tensor as rows of equal length, so that long vectors are shared out among threads as matrices are.
Rows flattened(const Tensor& x, bool dense) {
  Rows rows(x);
  if (!dense) return rows;
  const std::int64_t elements = x.elements();
  std::int64_t cols = 4096;
  while (elements % cols != 0) cols /= 2;
  if (cols < 64) return rows;
  rows.count = elements / cols, rows.cols = rows.stride = cols;
  return rows;
}

}  // namespace

void add(const Tensor& a, const Tensor& b, Tensor& y) {
  const bool dense = a.dense() && b.dense() && y.dense();
  const Rows left = flattened(a, dense), right = flattened(b, dense), out = flattened(y, dense);
  for_rows(out.count, out.cols, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_range)(left, right, out, begin, end);
  });
}

void scale(const Tensor& x, double factor, Tensor& y) {
  const bool dense = x.dense() && y.dense();
  const Rows in = flattened(x, dense), out = flattened(y, dense);
  for_rows(out.count, out.cols, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(scale_range)(in, static_cast<float>(factor), out, begin, end);
  });
}

void interpolate(Tensor& y, const Tensor& x, double share) {
  const bool dense = x.dense() && y.dense();
  const Rows in = flattened(x, dense), out = flattened(y, dense);
  for_rows(out.count, out.cols, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(interpolate_range)(out, in, static_cast<float>(share), begin, end);
  });
}

double sum_of_squares(const Tensor& x) {
  const Rows in = flattened(x, x.dense());
  // One sum for each of a number of shards that the size alone decides.
  constexpr std::int64_t kShards = 16;
  const std::int64_t shards = std::clamp<std::int64_t>(in.count * in.cols / kTaskElements, 1, kShards);
  std::array<double, kShards> sums = {};
  parallel_tasks(shards, [&](std::int64_t s) {
    sums[static_cast<std::size_t>(s)] =
        HWY_DYNAMIC_DISPATCH(squares_of_range)(in, in.count * s / shards, in.count * (s + 1) / shards);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

bool all_finite(const Tensor& x) {
  const Rows in = flattened(x, x.dense());
  std::atomic<bool> finite = true;
  for_rows(in.count, in.cols, [&](std::int64_t begin, std::int64_t end) {
    if (!HWY_DYNAMIC_DISPATCH(finite_range)(in, begin, end)) finite = false;
  });
  return finite;
}

void dropout(const Tensor& x, const Dropout& mask, Tensor& y) {
  const Rows in(x), out(y);
  for_rows(out.count, out.cols, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(dropout_range)(in, mask, out, begin, end);
  });
}

void epilogue_backward(const Tensor& dy, const Tensor& z, Unary act, const Dropout& mask, Tensor& dz, Tensor* dbias) {
  EpilogueBackward e{.dy = Rows(dy), .z = act == Unary::none ? Rows() : Rows(z), .dz = Rows(dz), .mask = mask, .sums = nullptr};
  if (!dbias) {
    return for_rows(e.dz.count, e.dz.cols, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(epilogue_backward_range)(e, act, begin, end);
    });
  }
  RowSums sums(e.dz.count, e.dz.cols);
  sums.run([&](float* into, std::int64_t begin, std::int64_t end) {
    EpilogueBackward part = e;
    part.sums = into;
    HWY_DYNAMIC_DISPATCH(epilogue_backward_range)(part, act, begin, end);
  });
  sums.add_to(dbias->data<float>(), 0, e.dz.cols);
}

}  // namespace glossa::cpu
#endif
