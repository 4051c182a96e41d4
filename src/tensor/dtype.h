// dtype.h -- the types of elements a tensor may have.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace glossa {

// From q4_0 on, types whose elements lie in blocks with scales of their own (tensor/blocks.h).
enum class DType : std::uint8_t {
  f64, f32, f16, bf16, i64, i32, u8,
  q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl
};

constexpr bool is_quantised(DType t) { return t >= DType::q4_0; }
constexpr bool is_narrow(DType t) { return t == DType::f16 || t == DType::bf16; }
constexpr bool is_floating(DType t) { return t <= DType::bf16; }

// Of one element, which a block type does not have: its sizes are block_of and bytes_of.
constexpr std::size_t size_of(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::f16:
    case DType::bf16: return 2;
    case DType::u8: return 1;
    default: break;
  }
  fail(Code::internal, "the elements of a block type were taken to lie one by one");
}

// `elements` neighbours in a row that take `bytes` together: one element of its size for ordinary types.
struct BlockSize {
  std::int64_t elements, bytes;
};

constexpr BlockSize block_of(DType t) {
  switch (t) {
    case DType::q4_0:
    case DType::iq4_nl: return {32, 18};
    case DType::q4_1: return {32, 20};
    case DType::q5_0: return {32, 22};
    case DType::q5_1: return {32, 24};
    case DType::q8_0: return {32, 34};
    case DType::q2_k: return {256, 84};
    case DType::q3_k: return {256, 110};
    case DType::q4_k: return {256, 144};
    case DType::q5_k: return {256, 176};
    case DType::q6_k: return {256, 210};
    default: return {1, static_cast<std::int64_t>(size_of(t))};
  }
}

// Of so many elements, which must fill whole blocks.
constexpr std::int64_t bytes_of(DType t, std::int64_t elements) {
  if (!is_quantised(t)) [[likely]]
    return elements * static_cast<std::int64_t>(size_of(t));
  const BlockSize block = block_of(t);
  return elements / block.elements * block.bytes;
}

constexpr std::string_view name_of(DType t) {
  switch (t) {
    case DType::f64: return "f64";
    case DType::f32: return "f32";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
    case DType::i64: return "i64";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
    case DType::q4_0: return "q4_0";
    case DType::q4_1: return "q4_1";
    case DType::q5_0: return "q5_0";
    case DType::q5_1: return "q5_1";
    case DType::q8_0: return "q8_0";
    case DType::q2_k: return "q2_k";
    case DType::q3_k: return "q3_k";
    case DType::q4_k: return "q4_k";
    case DType::q5_k: return "q5_k";
    case DType::q6_k: return "q6_k";
    case DType::iq4_nl: return "iq4_nl";
  }
  return "?";
}

// Brain floating point: the upper half of an f32.
struct bfloat16 {
  std::uint16_t bits = 0;
  static constexpr bfloat16 from(float f) {  // round to nearest, ties to even; not-a-numbers stay quiet ones
    const auto u = std::bit_cast<std::uint32_t>(f);
    if ((u & 0x7FFFFFFF) > 0x7F800000) return {static_cast<std::uint16_t>(u >> 16 | 0x40)};
    return {static_cast<std::uint16_t>((u + 0x7FFF + (u >> 16 & 1)) >> 16)};
  }
  constexpr operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

// IEEE 754 binary16.
struct float16 {
  std::uint16_t bits = 0;
  static constexpr float16 from(float f) {
    const auto u = std::bit_cast<std::uint32_t>(f);
    const auto sign = static_cast<std::uint16_t>(u >> 16 & 0x8000);
    const std::uint32_t a = u & 0x7FFFFFFF;
    if (a > 0x7F800000) return {static_cast<std::uint16_t>(sign | 0x7E00 | (a >> 13 & 0x3FF))};
    if (a >= 0x477FF000) return {static_cast<std::uint16_t>(sign | 0x7C00)};  // rounds past 65504
    if (a < 0x38800000) {  // subnormal: units of 2^-24; the addition rounds to even as the hardware does
      const float units = std::bit_cast<float>(a) + 0.5f;
      return {static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(units) - 0x3F000000))};
    }
    const std::uint32_t rounded = a + 0xFFF + (a >> 13 & 1);
    return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000) >> 13))};
  }
  constexpr operator float() const {
    const std::uint32_t sign = std::uint32_t{bits} << 16 & 0x80000000, exponent = bits >> 10 & 31, fraction = bits & 0x3FF;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000 | fraction << 13);
    if (exponent == 0) {
      const float f = static_cast<float>(fraction) * 0x1p-24f;
      return sign ? -f : f;
    }
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  }
};

template <class T>
struct DTypeOf;
template <> struct DTypeOf<double> { static constexpr DType value = DType::f64; };
template <> struct DTypeOf<float> { static constexpr DType value = DType::f32; };
template <> struct DTypeOf<float16> { static constexpr DType value = DType::f16; };
template <> struct DTypeOf<bfloat16> { static constexpr DType value = DType::bf16; };
template <> struct DTypeOf<std::int64_t> { static constexpr DType value = DType::i64; };
template <> struct DTypeOf<std::int32_t> { static constexpr DType value = DType::i32; };
template <> struct DTypeOf<std::uint8_t> { static constexpr DType value = DType::u8; };

}  // namespace glossa
