#include "tensor/blocks.h"

#include <cmath>
#include <cstring>

namespace glossa {
namespace {

// The fields of `bits` bits at `shift` in neighbouring bytes, as neighbouring integers.
void take(const std::uint8_t* bytes, int shift, int bits, int count, std::int8_t* q) {
  const int mask = (1 << bits) - 1;
  for (int i = 0; i < count; ++i) q[i] = static_cast<std::int8_t>(bytes[i] >> shift & mask);
}
// The same as further bits of integers that have their lower ones: `at` says where.
void take_upper(const std::uint8_t* bytes, int shift, int bits, int at, int count, std::int8_t* q) {
  const int mask = (1 << bits) - 1;
  for (int i = 0; i < count; ++i) q[i] = static_cast<std::int8_t>(q[i] | (bytes[i] >> shift & mask) << at);
}
void take_halves(const std::uint8_t (&qs)[16], std::int8_t* q) {
  take(qs, 0, 4, 16, q);
  take(qs, 4, 4, 16, q + 16);
}
void take_fifth_bits(const std::uint8_t (&qh)[4], std::int8_t* q) {
  for (int i = 0; i < 32; ++i) q[i] = static_cast<std::int8_t>(q[i] | (qh[i / 8] >> i % 8 & 1) << 4);
}
// Runs of 32 elements in 256, each `bits` wide: 8 / bits runs in the same 32 bytes.
void take_runs(const std::uint8_t* qs, int bits, std::int8_t* q) {
  const int together = 8 / bits;
  for (int run = 0; run < 8; ++run)
    take(qs + run / together * 32, run % together * bits, bits, 32, q + 32 * run);
}
void take_upper_runs(const std::uint8_t* qs, int bits, int at, std::int8_t* q) {
  const int together = 8 / bits;
  for (int run = 0; run < 8; ++run)
    take_upper(qs + run / together * 32, run % together * bits, bits, at, 32, q + 32 * run);
}
template <int count>
void subtract(std::int8_t (&q)[count], int zero) {
  for (std::int8_t& x : q) x = static_cast<std::int8_t>(x - zero);
}

}  // namespace

void unpack(const BlockQ4_0& block, Unpacked<BlockQ4_0>& out) {
  take_halves(block.qs, out.q);
  subtract(out.q, 8);
  out.scale[0] = block.d;
  out.min[0] = 0;
}

void unpack(const BlockQ4_1& block, Unpacked<BlockQ4_1>& out) {
  take_halves(block.qs, out.q);
  out.scale[0] = block.d;
  out.min[0] = -block.m;
}

void unpack(const BlockQ5_0& block, Unpacked<BlockQ5_0>& out) {
  take_halves(block.qs, out.q);
  take_fifth_bits(block.qh, out.q);
  subtract(out.q, 16);
  out.scale[0] = block.d;
  out.min[0] = 0;
}

void unpack(const BlockQ5_1& block, Unpacked<BlockQ5_1>& out) {
  take_halves(block.qs, out.q);
  take_fifth_bits(block.qh, out.q);
  out.scale[0] = block.d;
  out.min[0] = -block.m;
}

void unpack(const BlockQ8_0& block, Unpacked<BlockQ8_0>& out) {
  std::memcpy(out.q, block.qs, sizeof block.qs);
  out.scale[0] = block.d;
  out.min[0] = 0;
}

void unpack(const BlockIQ4_NL& block, Unpacked<BlockIQ4_NL>& out) {
  take_halves(block.qs, out.q);
  for (std::int8_t& q : out.q) q = kIq4Values[q];
  out.scale[0] = block.d;
  out.min[0] = 0;
}

void unpack(const BlockQ2_K& block, Unpacked<BlockQ2_K>& out) {
  take_runs(block.qs, 2, out.q);
  const float d = block.d, dmin = block.dmin;
  for (int g = 0; g < 16; ++g) {
    out.scale[g] = d * static_cast<float>(block.scales[g] & 15);
    out.min[g] = dmin * static_cast<float>(block.scales[g] >> 4);
  }
}

void unpack(const BlockQ3_K& block, Unpacked<BlockQ3_K>& out) {
  take_runs(block.qs, 2, out.q);
  take_upper_runs(block.hmask, 1, 2, out.q);
  subtract(out.q, 4);
  const float d = block.d;
  for (int g = 0; g < 16; ++g) {
    out.scale[g] = d * static_cast<float>(scale_of(block, g));
    out.min[g] = 0;
  }
}

void unpack(const BlockQ4_K& block, Unpacked<BlockQ4_K>& out) {
  take_runs(block.qs, 4, out.q);
  const float d = block.d, dmin = block.dmin;
  for (int g = 0; g < 8; ++g) {
    const auto [scale, min] = scale_and_min(block.scales, g);
    out.scale[g] = d * static_cast<float>(scale);
    out.min[g] = dmin * static_cast<float>(min);
  }
}

void unpack(const BlockQ5_K& block, Unpacked<BlockQ5_K>& out) {
  take_runs(block.qs, 4, out.q);
  take_upper_runs(block.qh, 1, 4, out.q);
  const float d = block.d, dmin = block.dmin;
  for (int g = 0; g < 8; ++g) {
    const auto [scale, min] = scale_and_min(block.scales, g);
    out.scale[g] = d * static_cast<float>(scale);
    out.min[g] = dmin * static_cast<float>(min);
  }
}

void unpack(const BlockQ6_K& block, Unpacked<BlockQ6_K>& out) {
  for (int half = 0; half < 2; ++half) {
    take(block.ql + 64 * half, 0, 4, 64, out.q + 128 * half);
    take(block.ql + 64 * half, 4, 4, 64, out.q + 128 * half + 64);
  }
  take_upper_runs(block.qh, 2, 4, out.q);
  subtract(out.q, 32);
  const float d = block.d;
  for (int g = 0; g < 16; ++g) {
    out.scale[g] = d * static_cast<float>(block.scales[g]);
    out.min[g] = 0;
  }
}

void decode(DType type, const void* blocks, float* values, std::int64_t elements) {
  with_block(type, [&]<class Block>(Block) {
    using Parts = Unpacked<Block>;
    const auto* block = static_cast<const Block*>(blocks);
    Parts parts;
    for (const float* const end = values + elements; values < end; values += Parts::kElements) {
      unpack(*block++, parts);
      for (int g = 0; g < Parts::kGroups; ++g)
        for (int i = g * Parts::kGroup; i < (g + 1) * Parts::kGroup; ++i)
          values[i] = parts.scale[g] * static_cast<float>(parts.q[i]) - parts.min[g];
    }
  });
}

std::int64_t nonfinite_block(DType type, const void* blocks, std::int64_t elements) {
  return with_block(type, [&]<class Block>(Block) -> std::int64_t {
    constexpr std::int64_t kElements = Unpacked<Block>::kElements;
    const auto* const all = static_cast<const Block*>(blocks);
    for (std::int64_t b = 0; b < elements / kElements; ++b) {
      bool finite = std::isfinite(static_cast<float>(all[b].d));
      if constexpr (requires { all[b].m; }) finite = finite && std::isfinite(static_cast<float>(all[b].m));
      if constexpr (requires { all[b].dmin; })
        finite = finite && std::isfinite(static_cast<float>(all[b].dmin));
      if (!finite) return b * kElements;
    }
    return -1;
  });
}

}  // namespace glossa
