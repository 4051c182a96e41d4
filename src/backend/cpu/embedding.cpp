#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/embedding.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <cstring>

#include "backend/cpu/embedding.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/philox-inl.h"
#include "backend/cpu/rows.h"
#include "hwy/highway.h"

#ifndef GLOSSA_BACKEND_CPU_EMBEDDING_ONCE
#define GLOSSA_BACKEND_CPU_EMBEDDING_ONCE
namespace glossa::cpu {
namespace {

struct EmbedRows {
  const std::int32_t *ids, *position;  // position: null if there are none
  Rows table, positions, y;
  float scale;
  Dropout mask;
};

// y[rows[t]] += factor * dropout'(x[t])
struct ScatterAdd {
  Rows x, y;
  const std::int32_t* rows;
  float factor;
  Dropout mask;
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
constexpr auto kRun = static_cast<std::int64_t>(DropoutRun::kRun);

void embed_range(const EmbedRows& e, std::int64_t begin, std::int64_t end) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V scale = hn::Set(d, e.scale);
  const std::int64_t cols = e.y.cols;
  DropoutRun run(e.mask);
  for (std::int64_t t = begin; t < end; ++t) {
    const float* word = e.table[e.ids[t]];
    const float* place = e.position ? e.positions[e.position[t]] : nullptr;
    for (std::int64_t piece = 0; piece < cols; piece += kRun) {
      const std::int64_t stop = std::min(cols, piece + kRun);
      if (e.mask) run.fill(static_cast<std::uint64_t>(t * cols + piece), static_cast<std::size_t>(stop - piece));
      for (std::int64_t i = piece; i < stop; i += lanes) {
        const std::int64_t left = stop - i;
        V v = hn::Mul(scale, load_partial(d, word + i, left));
        if (place) v = hn::Add(v, load_partial(d, place + i, left));
        if (e.mask) v = run.apply(d, v, static_cast<std::size_t>(i - piece));
        store_partial(v, d, e.y[t] + i, left);
      }
    }
  }
}

// Columns [begin, end), at most a run of dropout, of all rows in order.
void scatter_add_columns(const ScatterAdd& s, std::int64_t begin, std::int64_t end) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V factor = hn::Set(d, s.factor);
  DropoutRun run(s.mask);
  for (std::int64_t t = 0; t < s.x.count; ++t) {
    if (s.mask) run.fill(static_cast<std::uint64_t>(t * s.x.cols + begin), static_cast<std::size_t>(end - begin));
    const float* from = s.x[t];
    float* to = s.y[s.rows[t]];
    for (std::int64_t i = begin; i < end; i += lanes) {
      const std::int64_t left = end - i;
      V v = load_partial(d, from + i, left);
      if (s.mask) v = run.apply(d, v, static_cast<std::size_t>(i - begin));
      store_partial(hn::MulAdd(factor, v, load_partial(d, to + i, left)), d, to + i, left);
    }
  }
}

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(embed_range);
HWY_EXPORT(scatter_add_columns);

namespace {

// Rows may come several times, so a thread takes some columns of all rows: sums are in the order of the rows.
void scatter_add(const ScatterAdd& s) {
  constexpr std::int64_t kColumns = 64;
  const std::int64_t most = s.x.count * s.x.cols > kTaskElements ? kColumns : 512;
  parallel_for(s.x.cols, most, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(scatter_add_columns)(s, begin, end);
  });
}

// Copies rows of any type: row to(i) of y becomes row from(i) of x, for i < count.
template <class From, class To>
void copy(const Tensor& x, const Tensor& y, std::int64_t count, From from, To to) {
  const std::int64_t x_stride = bytes_of(x.dtype(), x.row_stride()),
                     y_stride = bytes_of(x.dtype(), y.row_stride());
  const auto* source = static_cast<const char*>(x.raw());
  auto* target = static_cast<char*>(y.raw());
  const std::int64_t bytes = bytes_of(x.dtype(), x.cols());
  for_rows(count, bytes / 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(target + to(i) * y_stride, source + from(i) * x_stride, static_cast<std::size_t>(bytes));
  });
}

std::int64_t same(std::int64_t i) { return i; }

}  // namespace

void embed(const Embed& e) {
  const EmbedRows rows{.ids = e.ids.data<std::int32_t>(),
                       .position = e.positions ? e.position.data<std::int32_t>() : nullptr,
                       .table = Rows(e.table),
                       .positions = e.positions ? Rows(e.positions) : Rows(),
                       .y = Rows(e.y),
                       .scale = static_cast<float>(e.scale),
                       .mask = e.dropout};
  for_rows(rows.y.count, rows.y.cols,
           [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(embed_range)(rows, begin, end); });
}

void embed_backward(const EmbedBackward& e) {
  if (e.dtable)
    scatter_add({.x = Rows(e.dy), .y = Rows(*e.dtable), .rows = e.ids.data<std::int32_t>(), .factor = static_cast<float>(e.scale), .mask = e.dropout});
  if (e.dpositions)
    scatter_add({.x = Rows(e.dy), .y = Rows(*e.dpositions), .rows = e.position.data<std::int32_t>(), .factor = 1, .mask = e.dropout});
}

void copy_rows(const Tensor& x, const Tensor& y) { copy(x, y, x.rows(), same, same); }

void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y) {
  const auto* row = rows.data<std::int32_t>();
  copy(x, y, rows.elements(), [&](std::int64_t i) { return std::int64_t{row[i]}; }, same);
}

void scatter_rows(const Tensor& x, const Tensor& rows, Tensor& y) {
  const auto* row = rows.data<std::int32_t>();
  copy(x, y, rows.elements(), same, [&](std::int64_t i) { return std::int64_t{row[i]}; });
}

void scatter_add_rows(const Tensor& x, const Tensor& rows, Tensor& y) {
  scatter_add({.x = Rows(x), .y = Rows(y), .rows = rows.data<std::int32_t>(), .factor = 1, .mask = {}});
}

}  // namespace glossa::cpu
#endif
