#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention.cpp"
#include "hwy/foreach_target.h"
//
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/attention.h"
#include "backend/cpu/attention_rows.h"
#include "backend/cpu/decode_attention.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/philox-inl.h"
#include "backend/cpu/small_gemm-inl.h"
#include "backend/cpu/softmax-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr std::int64_t kLanes = HWY_LANES(float);
constexpr std::int64_t kQueryBlock = 32;  // queries whose probabilities lie in the cache together

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

// Rows of `x` transposed into panels of kSmallPanel of them: element (row j, column c) goes to
// to[j / panel * dim * panel + c * panel + j % panel]; rows past `count`, up to a whole panel, are 0. `buffer`: [4, dim].
void transpose_into_panels(const Item& item, const KeyRows& x, std::int64_t count, float* to, float* buffer) {
  const std::int64_t dim = x.dim;
  constexpr std::int64_t panel = kSmallPanel, rows = std::min<std::int64_t>(4, panel);
  for (std::int64_t j = 0; j < round_up(count, panel); j += rows) {
    float* out = to + j / panel * dim * panel + j % panel;
    const float* row[rows];
    const std::int64_t there = std::min(rows, count - j);
    for (std::int64_t r = 0; r < there; ++r) row[r] = x.floats(item.key_row(j + r), item.kv_head, buffer + r * dim);
    std::int64_t c = 0;
#if HWY_TARGET != HWY_SCALAR
    if (there == rows) {
      const hn::FixedTag<float, 4> d4;
      const hn::Repartition<double, decltype(d4)> d2;
      for (; c + 4 <= dim; c += 4) {
        const auto a = hn::LoadU(d4, row[0] + c), b = hn::LoadU(d4, row[1] + c), e = hn::LoadU(d4, row[2] + c),
                   f = hn::LoadU(d4, row[3] + c);
        const auto ab = hn::BitCast(d2, hn::InterleaveLower(d4, a, b)), ab2 = hn::BitCast(d2, hn::InterleaveUpper(d4, a, b));
        const auto ef = hn::BitCast(d2, hn::InterleaveLower(d4, e, f)), ef2 = hn::BitCast(d2, hn::InterleaveUpper(d4, e, f));
        hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, ab, ef)), d4, out + c * panel);
        hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, ab, ef)), d4, out + (c + 1) * panel);
        hn::StoreU(hn::BitCast(d4, hn::InterleaveLower(d2, ab2, ef2)), d4, out + (c + 2) * panel);
        hn::StoreU(hn::BitCast(d4, hn::InterleaveUpper(d2, ab2, ef2)), d4, out + (c + 3) * panel);
      }
    }
#endif
    for (; c < dim; ++c)
      for (std::int64_t r = 0; r < rows; ++r) out[c * panel + r] = r < there ? row[r][c] : 0;
  }
}

// A row-major matrix whose rows are one head of the keys: as it lies in memory, or copied where keys are scattered.
struct Dense {
  const float* data;
  std::int64_t stride;
};
Dense dense_keys(const Item& item, const KeyRows& x, float* scratch) {
  if (!item.a.key_rows && x.type == DType::f32)
    return {static_cast<const float*>(x.at(item.keys.begin, item.kv_head)), x.stride / static_cast<std::int64_t>(sizeof(float))};
  for (std::int64_t j = 0; j < item.keys.size(); ++j) {
    float* const to = scratch + j * x.dim;
    const float* from = x.floats(item.key_row(j), item.kv_head, to);
    if (from != to) std::copy_n(from, x.dim, to);
  }
  return {scratch, x.dim};
}

// Scores to probabilities, in place, for the keys in `range`; all others of [0, width) become 0. The log-sum-exp.
float softmax_row(float* row, Range range, std::int64_t width, const AttentionRows& a) {
  const D d;
  std::fill(row, row + range.begin, 0.0f);
  std::fill(row + range.end, row + width, 0.0f);
  if (range.size() == 0) return -std::numeric_limits<float>::infinity();
  const Exponentials all = exponentials(row + range.begin, range.size(), a.scale, a.softcap);
  const V share = hn::Set(d, 1 / all.sum);
  for (std::int64_t i = range.begin; i < range.end; i += kLanes)
    store_partial(hn::Mul(share, load_partial(d, row + i, range.end - i)), d, row + i, range.end - i);
  return all.logsumexp();
}

// The keys that any query of a block sees, from the beginning of a panel on.
Range seen_by_block(const Item& item, std::int64_t first, std::int64_t count) {
  Range all = item.seen_by(first);
  for (std::int64_t i = 1; i < count; ++i) {
    const Range one = item.seen_by(first + i);
    if (one.size() == 0) continue;
    if (all.size() == 0) all = one;
    all = {std::min(all.begin, one.begin), std::max(all.end, one.end)};
  }
  all.begin -= all.begin % kSmallPanel;
  return all;
}

// scores [count, width] = x [count, dim] times the keys' (or values') transpose, for the keys in `range`.
void multiply_panels(const HeadRows& x, const Item& item, std::int64_t first, std::int64_t count, Range range, const float* panels,
                     float* scores, std::int64_t width) {
  small_gemm({.m = count,
              .n = range.size(),
              .k = x.dim,
              .a = x.at(item.queries.begin + first, item.head),
              .a_row = x.stride,
              .a_column = 1,
              .b = panels + range.begin * x.dim,
              .b_row = kSmallPanel,
              .b_panel = x.dim * kSmallPanel,
              .c = scores + range.begin,
              .c_row = width,
              .add = false});
}

void attend(const Item& item) {
  thread_local ScratchFloats scratch;
  const AttentionRows& a = item.a;
  const std::int64_t dim = a.q.dim, keys = item.keys.size(), width = round_up(keys, kSmallPanel) + kSmallPanel;
  float* panels = scratch.get(width * (2 * dim + kQueryBlock) + 4 * dim);
  float *copied = panels + width * dim, *p = copied + width * dim;
  transpose_into_panels(item, a.k, keys, panels, p + width * kQueryBlock);
  const Dense values = dense_keys(item, a.v, copied);
  DropoutRun run(a.dropout);
  for (std::int64_t first = 0; first < item.queries.size(); first += kQueryBlock) {
    const std::int64_t count = std::min(item.queries.size() - first, kQueryBlock);
    const Range range = seen_by_block(item, first, count);
    if (range.size() > 0) multiply_panels(a.q, item, first, count, range, panels, p, width);
    for (std::int64_t i = 0; i < count; ++i) {
      const Range visible = item.seen_by(first + i);
      const float logsumexp = softmax_row(p + i * width, visible, range.end, a);
      if (a.logsumexp.data) a.logsumexp[item.queries.begin + first + i][item.head] = logsumexp;
      if (a.dropout) run.drop(p + i * width, item.element(first + i), visible.begin, visible.end);
    }
    small_gemm({.m = count,
                .n = dim,
                .k = range.size(),
                .a = p + range.begin,
                .a_row = width,
                .a_column = 1,
                .b = values.data + range.begin * values.stride,
                .b_row = values.stride,
                .b_panel = kSmallPanel,
                .c = a.out.at(item.queries.begin + first, item.head),
                .c_row = a.out.stride,
                .add = false});
  }
}

// Scores to tanh(factor * score), in place.
void tangents_row(float* row, Range range, float factor) {
  const D d;
  const V f = hn::Set(d, factor);
  for (std::int64_t i = range.begin; i < range.end; i += kLanes)
    store_partial(tanh(d, hn::Mul(f, load_partial(d, row + i, range.end - i))), d, row + i, range.end - i);
}

// Probabilities from scores, given their log-sum-exp; 0 outside of `range`, up to `width`.
void probabilities_row(float* row, Range range, std::int64_t width, float scale, float logsumexp) {
  const D d;
  const V factor = hn::Set(d, scale), shift = hn::Set(d, logsumexp);
  std::fill(row, row + range.begin, 0.0f);
  std::fill(row + range.end, row + width, 0.0f);
  for (std::int64_t i = range.begin; i < range.end; i += kLanes) {
    const std::int64_t left = range.end - i;
    store_partial(exp(d, hn::MulSub(factor, load_partial(d, row + i, left), shift)), d, row + i, left);
  }
}

// ds = scale * p (g - sum p g), into g.
void gradient_row(const float* p, float* g, Range range, std::int64_t width, float scale) {
  const D d;
  if (range.size() <= 1) {  // one probability is 1 whatever the score, and rounding must not say otherwise
    std::fill_n(g, width, 0.0f);
    return;
  }
  V sum = hn::Zero(d);
  for (std::int64_t i = range.begin; i < range.end; i += kLanes) {
    const std::int64_t left = range.end - i;
    sum = hn::MulAdd(load_partial(d, p + i, left), load_partial(d, g + i, left), sum);
  }
  const V mean = hn::Set(d, hn::GetLane(hn::SumOfLanes(d, sum))), factor = hn::Set(d, scale);
  std::fill(g, g + range.begin, 0.0f);
  std::fill(g + range.end, g + width, 0.0f);
  for (std::int64_t i = range.begin; i < range.end; i += kLanes) {
    const std::int64_t left = range.end - i;
    const V ds = hn::Mul(hn::Mul(factor, load_partial(d, p + i, left)), hn::Sub(load_partial(d, g + i, left), mean));
    store_partial(ds, d, g + i, left);
  }
}

// g *= 1 - tangents^2.
void slope_row(const float* tangents, float* g, Range range) {
  const D d;
  for (std::int64_t i = range.begin; i < range.end; i += kLanes) {
    const std::int64_t left = range.end - i;
    const V t = load_partial(d, tangents + i, left), x = load_partial(d, g + i, left);
    store_partial(hn::NegMulAdd(hn::Mul(t, t), x, x), d, g + i, left);
  }
}

// With p = softmax(s), s = scale * q . k, o = dropout(p) v and g = dropout'(do . v):
//   dv = dropout(p)^T do,  ds = p (g - sum p g),  dq = scale * ds k,  dk = scale * ds^T q;
// with a cap ds is multiplied by the slope of the cap, 1 - tanh^2.
// `sum`: there is something in dk and dv to add to.
void attend_backward(const Item& item, bool sum) {
  thread_local ScratchFloats scratch;
  const AttentionRows& a = item.a;
  const std::int64_t dim = a.q.dim, keys = item.keys.size(), width = round_up(keys, kSmallPanel) + kSmallPanel;
  float* k_panels = scratch.get(width * (3 * dim + 2 * kQueryBlock + 1) + 4 * dim);
  float *v_panels = k_panels + width * dim, *copied = v_panels + width * dim;
  float *p = copied + width * dim, *g = p + width * kQueryBlock, *tangents = g + width * kQueryBlock, *rows = tangents + width;
  transpose_into_panels(item, a.k, keys, k_panels, rows);
  transpose_into_panels(item, a.v, keys, v_panels, rows);
  const Dense k = dense_keys(item, a.k, copied);
  DropoutRun run(a.dropout);
  if (!sum) {
    for (std::int64_t j = 0; j < keys; ++j) {
      std::fill_n(a.dk.at(item.keys.begin + j, item.kv_head), dim, 0.0f);
      std::fill_n(a.dv.at(item.keys.begin + j, item.kv_head), dim, 0.0f);
    }
  }
  for (std::int64_t first = 0; first < item.queries.size(); first += kQueryBlock) {
    const std::int64_t count = std::min(item.queries.size() - first, kQueryBlock);
    const std::int64_t token = item.queries.begin + first;
    const Range range = seen_by_block(item, first, count);
    if (range.size() > 0) {
      multiply_panels(a.q, item, first, count, range, k_panels, p, width);
      multiply_panels(a.dout, item, first, count, range, v_panels, g, width);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const Range visible = item.seen_by(first + i);
      float *pi = p + i * width, *gi = g + i * width;
      if (a.softcap > 0) {
        tangents_row(pi, visible, a.scale / a.softcap);
        std::copy(pi + visible.begin, pi + visible.end, tangents + visible.begin);
      }
      probabilities_row(pi, visible, range.end, a.softcap > 0 ? a.softcap : a.scale, a.logsumexp[token + i][item.head]);
      if (a.dropout) run.drop(gi, item.element(first + i), visible.begin, visible.end);
      gradient_row(pi, gi, visible, range.end, a.scale);
      if (a.softcap > 0) slope_row(tangents, gi, visible);
      if (a.dropout) run.drop(pi, item.element(first + i), visible.begin, visible.end);
    }
    small_gemm({.m = count, .n = dim, .k = range.size(), .a = g + range.begin, .a_row = width, .a_column = 1,
                .b = k.data + range.begin * k.stride, .b_row = k.stride, .b_panel = kSmallPanel,
                .c = a.dq.at(token, item.head), .c_row = a.dq.stride, .add = a.add});
    if (range.size() == 0) continue;
    small_gemm({.m = range.size(), .n = dim, .k = count, .a = g + range.begin, .a_row = 1, .a_column = width,
                .b = a.q.at(token, item.head), .b_row = a.q.stride, .b_panel = kSmallPanel,
                .c = a.dk.at(item.keys.begin + range.begin, item.kv_head), .c_row = a.dk.stride, .add = true});
    small_gemm({.m = range.size(), .n = dim, .k = count, .a = p + range.begin, .a_row = 1, .a_column = width,
                .b = a.dout.at(token, item.head), .b_row = a.dout.stride, .b_panel = kSmallPanel,
                .c = a.dv.at(item.keys.begin + range.begin, item.kv_head), .c_row = a.dv.stride, .add = true});
  }
}

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(attend);
HWY_EXPORT(attend_backward);

namespace {

AttentionRows rows_of(const Attention& a) {
  AttentionRows r;
  r.q = HeadRows(a.q), r.k = KeyRows(a.k), r.v = KeyRows(a.v);
  r.queries = a.queries.starts.data<std::int32_t>(), r.keys = a.keys.starts.data<std::int32_t>();
  r.key_rows = a.key_rows ? a.key_rows.data<std::int32_t>() : nullptr;
  r.mask = a.mask;
  r.scale = a.scale, r.softcap = a.softcap;
  r.dropout = a.dropout;
  if (a.logsumexp) r.logsumexp = Rows(*a.logsumexp);
  return r;
}

// How many (sequence, head) pairs are worth a task: some 20 us of arithmetic.
std::int64_t grain(const Attention& a, double operations_per_score) {
  constexpr double kTaskOperations = 1e6;
  const auto count = static_cast<double>(std::max(a.queries.count, 1));
  const double each = operations_per_score * static_cast<double>(a.q.size(2)) * static_cast<double>(a.q.size(0)) / count *
                      (static_cast<double>(a.key_rows ? a.key_rows.elements() : a.k.size(0)) / count);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(kTaskOperations / std::max(each, 1.0)), 1, 1 << 20);
}

}  // namespace

void attention(const Attention& a, Tensor& out) {
  AttentionRows r = rows_of(a);
  r.out = HeadRows(out);
  const std::int64_t heads = r.q.heads;
  std::vector<std::int64_t> single, others;
  for (std::int64_t s = 0; s < a.queries.count; ++s) {
    const std::int64_t count = r.queries[s + 1] - r.queries[s];
    if (count > 0) (count == 1 ? single : others).push_back(s);
  }
  decode_attention(r, single);
  parallel_for(static_cast<std::int64_t>(others.size()) * heads, grain(a, 4), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) HWY_DYNAMIC_DISPATCH(attend)(item_of(r, others[static_cast<std::size_t>(i / heads)], i % heads));
  });
}

void attention_backward(const Attention& a, const Tensor&, const Tensor& dout, Tensor& dq, Tensor& dk, Tensor& dv,
                        bool add) {
  AttentionRows r = rows_of(a);
  r.dout = HeadRows(dout);
  r.dq = HeadRows(dq), r.dk = HeadRows(dk), r.dv = HeadRows(dv);
  r.add = add;
  check(a.logsumexp != nullptr, Code::shape, "the backward pass of attention needs the log-sum-exp of the forward pass");
  check(!a.key_rows, Code::shape, "attention over scattered keys has no backward pass");
  // The heads that share keys add to the same gradients: one thread takes them in order.
  const std::int64_t kv_heads = r.k.heads, group = r.q.heads / kv_heads;
  parallel_for(a.queries.count * kv_heads, grain(a, 10 * static_cast<double>(group)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      for (std::int64_t h = 0; h < group; ++h)
        HWY_DYNAMIC_DISPATCH(attend_backward)(item_of(r, i / kv_heads, i % kv_heads * group + h), add || h > 0);
  });
}

}  // namespace glossa::cpu
#endif
