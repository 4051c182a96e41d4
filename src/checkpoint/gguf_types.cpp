#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "checkpoint/gguf.h"

namespace glossa {
namespace {

struct TypeRow {
  std::uint32_t number;
  std::string_view name;
  BlockSize block;
  std::optional<DType> dtype = {};
  bool widened = false;
};

constexpr TypeRow ours(std::uint32_t number, std::string_view name, DType dtype) {
  return {number, name, block_of(dtype), dtype};
}

// Numbers, names and sizes as ggml 0.25 has them.
constexpr TypeRow kTypes[] = {
    ours(0, "F32", DType::f32),
    ours(1, "F16", DType::f16),
    ours(2, "Q4_0", DType::q4_0),
    ours(3, "Q4_1", DType::q4_1),
    ours(6, "Q5_0", DType::q5_0),
    ours(7, "Q5_1", DType::q5_1),
    ours(8, "Q8_0", DType::q8_0),
    {9, "Q8_1", {32, 36}},
    ours(10, "Q2_K", DType::q2_k),
    ours(11, "Q3_K", DType::q3_k),
    ours(12, "Q4_K", DType::q4_k),
    ours(13, "Q5_K", DType::q5_k),
    ours(14, "Q6_K", DType::q6_k),
    {15, "Q8_K", {256, 292}},
    {16, "IQ2_XXS", {256, 66}},
    {17, "IQ2_XS", {256, 74}},
    {18, "IQ3_XXS", {256, 98}},
    {19, "IQ1_S", {256, 50}},
    ours(20, "IQ4_NL", DType::iq4_nl),
    {21, "IQ3_S", {256, 110}},
    {22, "IQ2_S", {256, 82}},
    {23, "IQ4_XS", {256, 136}},
    {24, "I8", {1, 1}, DType::i32, true},
    {25, "I16", {1, 2}, DType::i32, true},
    ours(26, "I32", DType::i32),
    ours(27, "I64", DType::i64),
    ours(28, "F64", DType::f64),
    {29, "IQ1_M", {256, 56}},
    ours(30, "BF16", DType::bf16),
    {34, "TQ1_0", {256, 54}},
    {35, "TQ2_0", {256, 66}},
    {39, "MXFP4", {32, 17}},
    {40, "NVFP4", {64, 36}},
    {41, "Q1_0", {128, 18}},
    {42, "Q2_0", {64, 18}},
};

constexpr struct {
  std::uint32_t number;
  std::string_view name;
} kRemoved[] = {
    {4, "Q4_2"},      {5, "Q4_3"},        {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
    {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
};

const TypeRow* row_of(std::uint32_t number) {
  const auto* const row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                       [&](const TypeRow& r) { return r.number == number; });
  return row == std::end(kTypes) ? nullptr : row;
}
const TypeRow& row_of(GgmlType type) {
  return *row_of(static_cast<std::uint32_t>(type));
}

}  // namespace

std::string_view name_of(GgmlType type) {
  return row_of(type).name;
}
BlockSize block_of(GgmlType type) {
  return row_of(type).block;
}
std::optional<DType> dtype_of(GgmlType type) {
  return row_of(type).dtype;
}

GgmlType ggml_type_of(DType type) {
  for (const TypeRow& row : kTypes)
    if (row.dtype == type && !row.widened) return static_cast<GgmlType>(row.number);
  fail(Code::gguf, "GGUF files have no type for tensors of {}", name_of(type));
}

GgmlType ggml_type(std::uint32_t number, std::string_view place) {
  if (row_of(number)) return static_cast<GgmlType>(number);
  for (const auto& [removed, name] : kRemoved)
    check(removed != number, Code::gguf, "{}: has type {} ({}), which was removed from the format", place,
          number, name);
  fail(Code::gguf, "{}: has type {}, and ggml's go from 0 to {}", place, number, std::end(kTypes)[-1].number);
}

}  // namespace glossa
