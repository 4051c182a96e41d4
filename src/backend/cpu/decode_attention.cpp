#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)  // x86 without AVX2 is served by the portable code
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/decode_attention.cpp"
#include "hwy/foreach_target.h"
//
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "backend/cpu/decode_attention.h"
#include "backend/cpu/partial-inl.h"
#include "backend/cpu/philox-inl.h"
#include "backend/cpu/softmax-inl.h"
#include "hwy/highway.h"
#include "tensor/blocks.h"

#ifndef GLOSSA_BACKEND_CPU_DECODE_ATTENTION_ONCE
#define GLOSSA_BACKEND_CPU_DECODE_ATTENTION_ONCE
namespace glossa::cpu {
namespace {

constexpr std::int64_t kChunk = 256;  // keys

// The heads that share one head of keys, and a chunk of these.
struct Chunk {
  Item item;           // of the first of the heads
  std::int64_t heads;
  Range range;         // of keys within the sequence
  // Where results go if the sequence has several chunks: for each head the maximum, the sum and the values, dim + 2 numbers.
  float* partial;
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
constexpr std::int64_t kLanes = HWY_LANES(float), kKeys = 4;
constexpr int kHeads = HWY_MAX_BYTES >= 64 ? 4 : 2;  // whose sums find room in registers
constexpr std::int64_t kStride = kChunk + kKeys;  // of a head's scores: the last keys are taken four at a time like all others

// The sums of four vectors.
HWY_INLINE void store_sums([[maybe_unused]] D d, V a, V b, V c, V e, float* to) {
#if HWY_TARGET == HWY_SCALAR
  to[0] = hn::GetLane(a), to[1] = hn::GetLane(b), to[2] = hn::GetLane(c), to[3] = hn::GetLane(e);
#else
  const hn::Repartition<double, D> pairs;
  const auto ab = hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
  const auto ce = hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e)));
  // Four sums in each block of four lanes.
  const V sums = hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, ab, ce)), hn::BitCast(d, hn::InterleaveUpper(pairs, ab, ce)));
  const hn::FixedTag<float, 4> block;
  HWY_ALIGN float lanes[kLanes];
  hn::Store(sums, d, lanes);
  auto total = hn::Load(block, lanes);
  for (std::int64_t i = 4; i < kLanes; i += 4) total = hn::Add(total, hn::Load(block, lanes + i));
  hn::StoreU(total, block, to);
#endif
}

// How numbers of a row are read as floats: from number c on, which begins a vector; `some` of the last ones.
struct Floats {
  static V load(D d, const void* row, std::int64_t c) { return hn::LoadU(d, static_cast<const float*>(row) + c); }
  static V some(D d, const void* row, std::int64_t c, std::int64_t count) {
    return load_partial(d, static_cast<const float*>(row) + c, count);
  }
};
template <class Narrow>
struct HalfFloats {
  static V load(D d, const void* row, std::int64_t c) {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<Narrow, D>(), static_cast<const Narrow*>(row) + c));
  }
  static V some(D d, const void* row, std::int64_t c, std::int64_t count) {
    HWY_ALIGN Narrow buffer[kLanes] = {};
    std::memcpy(buffer, static_cast<const Narrow*>(row) + c, static_cast<std::size_t>(std::min(count, kLanes)) * sizeof(Narrow));
    return load(d, buffer, 0);
  }
};
struct Blocks8 {
  static V load(D d, const void* row, std::int64_t c) {
    const BlockQ8_0& block = static_cast<const BlockQ8_0*>(row)[c / 32];
    const hn::Rebind<std::int8_t, D> bytes;
    const hn::Rebind<std::int32_t, D> words;
    const hn::CappedTag<float, 1> one;
    const hn::Rebind<hwy::float16_t, decltype(one)> half;
    const float scale = hn::GetLane(hn::PromoteTo(one, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(&block.d))));
    return hn::Mul(hn::Set(d, scale), hn::ConvertTo(d, hn::PromoteTo(words, hn::LoadU(bytes, block.qs + c % 32))));
  }
  // Heads are whole blocks.
  static V some(D d, const void* row, std::int64_t c, std::int64_t count) { return count > 0 ? load(d, row, c) : hn::Zero(d); }
};

// p[h, j] = q[h] . k[j]
template <class Keys>
void score(const Chunk& chunk, float* p) {
  const D d;
  const AttentionRows& a = chunk.item.a;
  const std::int64_t dim = a.q.dim;
  for (std::int64_t j = chunk.range.begin; j < chunk.range.end; j += kKeys) {
    const void* k[kKeys];
    for (std::int64_t i = 0; i < kKeys; ++i)
      k[i] = a.k.at(chunk.item.key_row(std::min(j + i, chunk.range.end - 1)), chunk.item.kv_head);
    for (std::int64_t h = 0; h < chunk.heads; ++h) {
      const float* q = a.q.at(chunk.item.queries.begin, chunk.item.head + h);
      V sum[kKeys] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
      std::int64_t c = 0;
      for (; c + kLanes <= dim; c += kLanes) {
        const V x = hn::LoadU(d, q + c);
        HWY_UNROLL(4)
        for (std::int64_t i = 0; i < kKeys; ++i) sum[i] = hn::MulAdd(x, Keys::load(d, k[i], c), sum[i]);
      }
      if (c < dim) {
        const V x = load_partial(d, q + c, dim - c);
        HWY_UNROLL(4)
        for (std::int64_t i = 0; i < kKeys; ++i) sum[i] = hn::MulAdd(x, Keys::some(d, k[i], c, dim - c), sum[i]);
      }
      store_sums(d, sum[0], sum[1], sum[2], sum[3], p + h * kStride + j - chunk.range.begin);
    }
  }
}

// out[h] = factor[h] * sum over keys of p[h, j] v[j], for H heads from `first` on.
template <class Values, int H>
void weigh(const Chunk& chunk, std::int64_t first, const float* p, float* const* out, const float* factor) {
  const D d;
  const AttentionRows& a = chunk.item.a;
  const std::int64_t dim = a.q.dim;
  constexpr std::int64_t kWide = 4 * kLanes;  // columns at a time, in registers
  for (std::int64_t c = 0; c < dim; c += kWide) {
    V sum[H][4];
    HWY_UNROLL(4)
    for (int h = 0; h < H; ++h) {
      HWY_UNROLL(4)
      for (int i = 0; i < 4; ++i) sum[h][i] = hn::Zero(d);
    }
    const std::int64_t left = dim - c;
    for (std::int64_t j = 0; j < chunk.range.size(); ++j) {
      const void* from = a.v.at(chunk.item.key_row(chunk.range.begin + j), chunk.item.kv_head);
      V v[4];
      HWY_UNROLL(4)
      for (int i = 0; i < 4; ++i) {
        const std::int64_t at = c + i * kLanes;
        v[i] = left >= (i + 1) * kLanes ? Values::load(d, from, at) : Values::some(d, from, at, std::max<std::int64_t>(dim - at, 0));
      }
      HWY_UNROLL(4)
      for (int h = 0; h < H; ++h) {
        const V x = hn::Set(d, p[(first + h) * kStride + j]);
        HWY_UNROLL(4)
        for (int i = 0; i < 4; ++i) sum[h][i] = hn::MulAdd(x, v[i], sum[h][i]);
      }
    }
    for (int h = 0; h < H; ++h)
      for (int i = 0; i < 4 && i * kLanes < left; ++i)
        store_partial(hn::Mul(hn::Set(d, factor[h]), sum[h][i]), d, out[h] + c + i * kLanes, left - i * kLanes);
  }
}

// Calls f with how numbers of that type are read.
template <class F>
void with_reader(DType type, F&& f) {
  switch (type) {
    case DType::f32: return f(Floats());
    case DType::bf16: return f(HalfFloats<hwy::bfloat16_t>());
    case DType::f16: return f(HalfFloats<hwy::float16_t>());
    case DType::q8_0: return f(Blocks8());
    default: fail(Code::shape, "attention to keys and values of {}", name_of(type));
  }
}

template <class Values>
void weigh_heads(std::int64_t count, const Chunk& chunk, std::int64_t first, const float* p, float* const* out, const float* factor) {
  switch (count) {
    case 1: return weigh<Values, 1>(chunk, first, p, out, factor);
    case 2: return weigh<Values, 2>(chunk, first, p, out, factor);
    case 3: return weigh<Values, 3>(chunk, first, p, out, factor);
    default: return weigh<Values, kHeads>(chunk, first, p, out, factor);
  }
}

void attend_chunk(const Chunk& chunk) {
  thread_local ScratchFloats scratch;
  const AttentionRows& a = chunk.item.a;
  float* p = scratch.get(chunk.heads * kStride + kLanes);
  DropoutRun run(a.dropout);
  with_reader(a.k.type, [&](auto keys) { score<decltype(keys)>(chunk, p); });
  for (std::int64_t first = 0; first < chunk.heads; first += kHeads) {
    const auto count = static_cast<int>(std::min<std::int64_t>(kHeads, chunk.heads - first));
    float* out[kHeads];
    float factor[kHeads];
    for (int h = 0; h < count; ++h) {
      float* const row = p + (first + h) * kStride;
      const Exponentials all = exponentials(row, chunk.range.size(), a.scale, a.softcap);
      if (a.dropout) {
        Item item = chunk.item;
        item.head += first + h;
        run.drop(row, item.element(0) + static_cast<std::uint64_t>(chunk.range.begin), 0, chunk.range.size());
      }
      if (chunk.partial) {
        float* const to = chunk.partial + (first + h) * (a.q.dim + 2);
        to[0] = all.top, to[1] = all.sum, out[h] = to + 2, factor[h] = 1;
      } else {
        const std::int64_t token = chunk.item.queries.begin, head = chunk.item.head + first + h;
        out[h] = a.out.at(token, head);
        factor[h] = all.sum == 0 ? 0 : 1 / all.sum;
        if (a.logsumexp.data) a.logsumexp[token][head] = all.logsumexp();
      }
    }
    with_reader(a.v.type, [&](auto values) { weigh_heads<decltype(values)>(count, chunk, first, p, out, factor); });
  }
}

}  // namespace
}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace glossa::cpu {

HWY_EXPORT(attend_chunk);

namespace {

// out = the chunks' values, each weighed by exp(its maximum - the largest of these). Returns the log-sum-exp.
float join(const float* partial, std::int64_t chunks, std::int64_t stride, std::int64_t dim, float* out) {
  float top = -std::numeric_limits<float>::infinity(), total = 0;
  for (std::int64_t c = 0; c < chunks; ++c) top = std::max(top, partial[c * stride]);
  std::fill_n(out, dim, 0.0f);
  for (std::int64_t c = 0; c < chunks; ++c) {
    const float weight = std::exp(partial[c * stride] - (std::isinf(top) ? 0 : top));
    total += weight * partial[c * stride + 1];
    for (std::int64_t i = 0; i < dim; ++i) out[i] += weight * partial[c * stride + 2 + i];
  }
  for (std::int64_t i = 0; i < dim; ++i) out[i] /= total;
  return (std::isinf(top) ? 0 : top) + std::log(total);
}

}  // namespace

void decode_attention(const AttentionRows& rows, const std::vector<std::int64_t>& sequences) {
  if (sequences.empty()) return;
  thread_local ScratchFloats scratch;
  const std::int64_t kv_heads = rows.k.heads, group = rows.q.heads / kv_heads, dim = rows.q.dim;
  const std::int64_t stride = group * (dim + 2);  // of the partial results of a chunk
  struct Part {
    std::int64_t sequence, chunk, chunks, partial;  // partial: the number of the sequence's first partial result
  };
  std::vector<Part> parts;
  std::int64_t partials = 0, keys = 0;
  for (const std::int64_t s : sequences) {
    const Range all = item_of(rows, s, 0).seen_by(0);
    const std::int64_t first = all.begin / kChunk, chunks = std::max<std::int64_t>((all.end + kChunk - 1) / kChunk - first, 1);
    for (std::int64_t c = 0; c < chunks; ++c) parts.push_back({s, first + c, chunks, partials});
    if (chunks > 1) partials += chunks * kv_heads;
    keys += all.size();
  }
  float* const memory = scratch.get(partials * stride + 1);
  // What is worth a task: some 20 us of arithmetic.
  const auto items = static_cast<std::int64_t>(parts.size()) * kv_heads;
  const std::int64_t operations = 4 * keys * rows.q.heads * dim / items + 1;
  parallel_for(items, std::max<std::int64_t>(1'000'000 / operations, 1), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Part& part = parts[static_cast<std::size_t>(i / kv_heads)];
      const std::int64_t kv_head = i % kv_heads;
      const Item item = item_of(rows, part.sequence, kv_head * group);
      const Range all = item.seen_by(0);
      const std::int64_t from = part.chunk * kChunk, number = part.chunk - all.begin / kChunk;
      HWY_DYNAMIC_DISPATCH(attend_chunk)({item, group, {std::max(all.begin, from), std::min(all.end, from + kChunk)},
                                          part.chunks > 1 ? memory + (part.partial + kv_head * part.chunks + number) * stride : nullptr});
    }
  });
  for (std::size_t i = 0; i < parts.size(); i += static_cast<std::size_t>(parts[i].chunks)) {
    const Part& part = parts[i];
    if (part.chunks == 1) continue;
    for (std::int64_t head = 0; head < rows.q.heads; ++head) {
      const float* first = memory + (part.partial + head / group * part.chunks) * stride + head % group * (dim + 2);
      const std::int32_t token = rows.queries[part.sequence];
      const float logsumexp = join(first, part.chunks, stride, dim, rows.out.at(token, head));
      if (rows.logsumexp.data) rows.logsumexp[token][head] = logsumexp;
    }
  }
}

}  // namespace glossa::cpu
#endif
