#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "backend/backend.h"
#include "backend/cpu/cpu_features.h"
#include "base/parallel.h"
#include "base/random.h"

// Products with frozen weights of 16 bits against those with the same weights in f32.
namespace glossa::test {
namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  Tensor x = Tensor::empty(shape);
  const Philox random(seed, Purpose::noise);
  for (std::int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
  return x;
}

Tensor frozen(const Tensor& x) {
  x.storage()->frozen = true;
  return x;
}

Tensor product(const Tensor& x, const Tensor& weight, bool transposed, bool bf16) {
  Tensor y = Tensor::empty({x.rows(), weight.size(transposed ? 0 : 1)});
  Backend::of({Device::cpu}).gemm({.a = x, .b = weight, .y = y, .transpose_b = transposed, .bf16 = bf16});
  return y;
}

class Narrow : public testing::TestWithParam<DType> {
 protected:
  Narrow() : before_(cpu::instruction_set()) {}
  ~Narrow() override { cpu::set_instruction_set(before_); }
  cpu::InstructionSet before_;
};

TEST_P(Narrow, ProductsAreThoseOfTheSameWeightsInF32) {
  for (const auto set : cpu::supported_instruction_sets()) {
    cpu::set_instruction_set(set);
    SCOPED_TRACE(cpu::name_of(set));
    // bf16 weights make bf16 products, where there are such; then f32 weights are asked for them too.
    const bool bf16 = GetParam() == DType::bf16 && set == cpu::InstructionSet::avx512_bf16;
    for (const auto& [rows, out, in] : {std::array<std::int64_t, 3>{1, 16, 256}, {1, 200, 577}, {2, 33, 1}, {3, 65, 900}, {40, 100, 1600}, {200, 130, 64}})
      for (const bool transposed : {true, false}) {
        SCOPED_TRACE(fmt::format("{} x {} x {}{}", rows, in, out, transposed ? ", transposed" : ""));
        const Tensor x = normal({rows, in}, 1);
        const Tensor weight = frozen(normal(transposed ? Shape{out, in} : Shape{in, out}, 2).to(GetParam()));
        const Tensor same = frozen(weight.to(DType::f32));
        const Tensor found = product(x, weight, transposed, false), right = product(x, same, transposed, bf16);
        EXPECT_EQ(std::memcmp(found.raw(), right.raw(), right.bytes()), 0);
      }
  }
}

TEST_P(Narrow, BitsDependOnTheRowAlone) {
  const Tensor x = normal({23, 512}, 1), weight = frozen(normal({170, 512}, 2).to(GetParam()));
  const int before = thread_count();
  set_thread_count(1);
  const Tensor all = product(x, weight, true, false);
  set_thread_count(2);
  EXPECT_EQ(std::memcmp(product(x, weight, true, false).raw(), all.raw(), all.bytes()), 0);
  set_thread_count(before);
  for (std::int64_t r = 0; r < x.rows(); ++r)
    EXPECT_EQ(std::memcmp(product(x.slice(0, r, r + 1), weight, true, false).raw(), all.slice(0, r, r + 1).raw(), 170 * sizeof(float)), 0)
        << "row " << r;
}

TEST_P(Narrow, OnlyFrozenWeightsMayBe) {
  const Tensor weight = normal({4, 8}, 1).to(GetParam());
  EXPECT_THROW(product(normal({2, 8}, 2), weight, true, false), Error);
}

INSTANTIATE_TEST_SUITE_P(Types, Narrow, testing::Values(DType::f16, DType::bf16), [](const auto& of) { return std::string(name_of(of.param)); });

}  // namespace
}  // namespace glossa::test
