// blocks.h -- the block types of tensors: how numbers of a few bits lie in memory beside the scales that they
// share.
//
// The layouts and the fields' names are those of GGUF files, little-endian. Every type says the same in its
// own way: a block is cut into groups of 16 or 32 neighbours, and an element is scale * q - min, with a
// small integer q of its own and a scale and a minimum of its group. So `unpack` has one result for all of
// them.
#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace glossa {

// Legacy types: 32 elements. Of four-bit fields, byte i holds element i in its lower and element i + 16 in
// its upper half; fifth bits are the 32 bits of qh, element by element.
struct BlockQ4_0 {
  float16 d;            // x = d * (q - 8)
  std::uint8_t qs[16];
};
struct BlockQ4_1 {
  float16 d, m;         // x = d * q + m
  std::uint8_t qs[16];
};
struct BlockQ5_0 {
  float16 d;            // x = d * (q - 16)
  std::uint8_t qh[4], qs[16];
};
struct BlockQ5_1 {
  float16 d, m;         // x = d * q + m
  std::uint8_t qh[4], qs[16];
};
struct BlockQ8_0 {
  float16 d;            // x = d * q
  std::int8_t qs[32];
};
// Like q4_0, but q counts into kIq4Values, whose steps are finer around zero.
struct BlockIQ4_NL {
  float16 d;
  std::uint8_t qs[16];
};
inline constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

// K types: 256 elements, and scales of the groups that are small integers themselves, in units of d and
// dmin. Runs of 32 elements lie beside each other in the bits of the same 32 bytes: four runs of two bits
// (the first lowest; 128 elements in 32 bytes), two runs of four (64 elements in 32 bytes), eight of single
// bits.
struct BlockQ2_K {          // 16 groups of 16
  std::uint8_t scales[16];  // lower half: scale, upper half: minimum
  std::uint8_t qs[64];
  float16 d, dmin;
};
struct BlockQ3_K {          // 16 groups of 16; x = d * (scale - 32) * (q - 4)
  std::uint8_t hmask[32];   // the third bits
  std::uint8_t qs[64];
  std::uint8_t scales[12];  // six bits each: see scale_of
  float16 d;
};
struct BlockQ4_K {          // 8 groups of 32
  float16 d, dmin;
  std::uint8_t scales[12];  // six bits each: see scale_and_min
  std::uint8_t qs[128];
};
struct BlockQ5_K {          // 8 groups of 32
  float16 d, dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32], qs[128];
};
struct BlockQ6_K {          // 16 groups of 16; x = d * scale * (q - 32)
  std::uint8_t ql[128];     // four bits: of 128 elements, i and i + 64 share byte i
  std::uint8_t qh[64];      // two bits
  std::int8_t scales[16];
  float16 d;
};

template <> struct DTypeOf<BlockQ4_0> { static constexpr DType value = DType::q4_0; };
template <> struct DTypeOf<BlockQ4_1> { static constexpr DType value = DType::q4_1; };
template <> struct DTypeOf<BlockQ5_0> { static constexpr DType value = DType::q5_0; };
template <> struct DTypeOf<BlockQ5_1> { static constexpr DType value = DType::q5_1; };
template <> struct DTypeOf<BlockQ8_0> { static constexpr DType value = DType::q8_0; };
template <> struct DTypeOf<BlockQ2_K> { static constexpr DType value = DType::q2_k; };
template <> struct DTypeOf<BlockQ3_K> { static constexpr DType value = DType::q3_k; };
template <> struct DTypeOf<BlockQ4_K> { static constexpr DType value = DType::q4_k; };
template <> struct DTypeOf<BlockQ5_K> { static constexpr DType value = DType::q5_k; };
template <> struct DTypeOf<BlockQ6_K> { static constexpr DType value = DType::q6_k; };
template <> struct DTypeOf<BlockIQ4_NL> { static constexpr DType value = DType::iq4_nl; };

// Calls f with a block of the type, for code that is written once for all of them.
template <class F>
auto with_block(DType type, F&& f) {
  switch (type) {
    case DType::q4_0: return f(BlockQ4_0{});
    case DType::q4_1: return f(BlockQ4_1{});
    case DType::q5_0: return f(BlockQ5_0{});
    case DType::q5_1: return f(BlockQ5_1{});
    case DType::q8_0: return f(BlockQ8_0{});
    case DType::q2_k: return f(BlockQ2_K{});
    case DType::q3_k: return f(BlockQ3_K{});
    case DType::q4_k: return f(BlockQ4_K{});
    case DType::q5_k: return f(BlockQ5_K{});
    case DType::q6_k: return f(BlockQ6_K{});
    case DType::iq4_nl: return f(BlockIQ4_NL{});
    default: fail(Code::internal, "{} is no block type", name_of(type));
  }
}

// The six-bit scale and minimum of group g of q4_k and q5_k. Those of groups 0 to 3 are the lower bits of
// bytes 0 to 7; groups 4 to 7 have their lower four bits in bytes 8 to 11 and the others on top of those.
struct ScaleAndMin {
  int scale, min;
};
inline ScaleAndMin scale_and_min(const std::uint8_t (&scales)[12], int g) {
  if (g < 4) return {scales[g] & 63, scales[g + 4] & 63};
  return {(scales[g + 4] & 15) | scales[g - 4] >> 6 << 4, scales[g + 4] >> 4 | scales[g] >> 6 << 4};
}
// The scale of group g of q3_k: lower four bits in the halves of bytes 0 to 7, upper two in bytes 8 to 11.
inline int scale_of(const BlockQ3_K& b, int g) {
  return ((b.scales[g % 8] >> 4 * (g / 8) & 15) | (b.scales[8 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32;
}

// The elements of a block as small integers: x[i] = scale[i / kGroup] * q[i] - min[i / kGroup], in f32.
template <class Block>
struct Unpacked {
  static constexpr DType kType = DTypeOf<Block>::value;
  static constexpr int kElements = static_cast<int>(block_of(kType).elements);
  static constexpr bool kSmall = kType == DType::q2_k || kType == DType::q3_k || kType == DType::q6_k;
  static constexpr int kGroup = kSmall ? 16 : 32;
  static constexpr int kGroups = kElements / kGroup;
  static_assert(sizeof(Block) == block_of(kType).bytes);

  std::int8_t q[kElements];
  float scale[kGroups], min[kGroups];
};

void unpack(const BlockQ4_0& block, Unpacked<BlockQ4_0>& out);
void unpack(const BlockQ4_1& block, Unpacked<BlockQ4_1>& out);
void unpack(const BlockQ5_0& block, Unpacked<BlockQ5_0>& out);
void unpack(const BlockQ5_1& block, Unpacked<BlockQ5_1>& out);
void unpack(const BlockQ8_0& block, Unpacked<BlockQ8_0>& out);
void unpack(const BlockQ2_K& block, Unpacked<BlockQ2_K>& out);
void unpack(const BlockQ3_K& block, Unpacked<BlockQ3_K>& out);
void unpack(const BlockQ4_K& block, Unpacked<BlockQ4_K>& out);
void unpack(const BlockQ5_K& block, Unpacked<BlockQ5_K>& out);
void unpack(const BlockQ6_K& block, Unpacked<BlockQ6_K>& out);
void unpack(const BlockIQ4_NL& block, Unpacked<BlockIQ4_NL>& out);

// The values of whole blocks, bit for bit as ggml's plain dequantisers give them.
void decode(DType type, const void* blocks, float* values, std::int64_t elements);

// Whole blocks of finite values, bit for bit as ggml's quantisers make them without an importance matrix. The
// result depends on each block alone. Values too large for a scale of 16 bits make it infinite.
void encode(DType type, const float* values, void* blocks, std::int64_t elements);

// The element with which the first block begins that has a scale which is no finite number; -1 if there is
// none.
std::int64_t nonfinite_block(DType type, const void* blocks, std::int64_t elements);

}  // namespace glossa
