#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "backend/backend.h"
#include "backend/cpu/cpu_features.h"
#include "base/parallel.h"
#include "base/random.h"

// Products with weights of block types against plain sums over what the weights decode to and what 8 bits make of the rows.
namespace glossa::test {
namespace {

constexpr DType kTypes[] = {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::q2_k,
                            DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl};

Tensor normal(const Shape& shape, std::uint64_t seed, float scale = 1) {
  Tensor x = Tensor::empty(shape);
  const Philox random(seed, Purpose::noise);
  for (std::int64_t i = 0; i < x.elements(); ++i)
    x.data<float>()[i] = scale * static_cast<float>(random.normal(static_cast<std::uint64_t>(i)));
  return x;
}

// Rows as the product sees them: of each group of 32, whole multiples of the largest / 127.
Tensor rounded(const Tensor& x) {
  Tensor y = x.like(x.shape());
  for (std::int64_t g = 0; g < x.elements(); g += 32) {
    const float *from = x.data<float>() + g;
    float most = 0;
    for (int i = 0; i < 32; ++i) most = std::max(most, std::fabs(from[i]));
    const float inverse = most > 0 ? 127 / most : 0;
    for (int i = 0; i < 32; ++i) y.data<float>()[g + i] = std::nearbyint(from[i] * inverse) * (most / 127);
  }
  return y;
}

class Quantised : public testing::TestWithParam<DType> {
 protected:
  Quantised() : before_(cpu::instruction_set()) {}
  ~Quantised() override { cpu::set_instruction_set(before_); }

  static Tensor product(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Tensor& residual = {},
                        Unary act = Unary::none) {
    Tensor y = Tensor::empty({x.rows(), weight.size(0)});
    Backend::of({Device::cpu}).gemm({.a = x, .b = weight, .y = y, .transpose_b = true, .bias = bias, .residual = residual, .act = act});
    return y;
  }
  static Tensor wanted(const Tensor& x, const Tensor& weight) {
    const Tensor w = weight.to(DType::f32), q = rounded(x);
    Tensor y = Tensor::empty({x.rows(), weight.size(0)});
    for (std::int64_t r = 0; r < y.rows(); ++r)
      for (std::int64_t c = 0; c < y.cols(); ++c) {
        double sum = 0;
        for (std::int64_t k = 0; k < x.cols(); ++k)
          sum += static_cast<double>(q.data<float>()[r * x.cols() + k]) * w.data<float>()[c * x.cols() + k];
        y.data<float>()[r * y.cols() + c] = static_cast<float>(sum);
      }
    return y;
  }
  // Scales are rounded to 11 bits, each for itself: that is a share of the largest result, or of what results are like.
  static void expect_close(const Tensor& found, const Tensor& right, double usual = 0) {
    double most = usual;
    for (std::int64_t i = 0; i < right.elements(); ++i) most = std::max<double>(most, std::fabs(right.data<float>()[i]));
    for (std::int64_t i = 0; i < right.elements(); ++i)
      ASSERT_NEAR(found.data<float>()[i], right.data<float>()[i], 1e-3 * most) << "element " << i;
  }

  cpu::InstructionSet before_;
};

TEST_P(Quantised, ProductsAreThoseOfWhatTheWeightsDecodeTo) {
  for (const auto set : cpu::supported_instruction_sets()) {
    cpu::set_instruction_set(set);
    SCOPED_TRACE(cpu::name_of(set));
    for (const auto& [rows, out, in] : {std::array<std::int64_t, 3>{1, 16, 256}, {1, 200, 512}, {2, 33, 256}, {3, 64, 768}, {7, 49, 256},
                                        {40, 100, 512}, {1, 1, 256}, {4, 97, 256}, {13, 31, 256}, {32, 130, 256},
                                                                        {1, 130, 512}, {5, 161, 288}, {2, 70, 32}}) {
      if (in % block_of(GetParam()).elements != 0) continue;
      SCOPED_TRACE(fmt::format("{} x {} x {}", rows, in, out));
      const Tensor x = normal({rows, in}, 1), weight = normal({out, in}, 2, 0.05f).to(GetParam());
      expect_close(product(x, weight), wanted(x, weight), 0.05 * std::sqrt(static_cast<double>(in)));
    }
  }
}

TEST_P(Quantised, SmallWeightsKeepTheirDigits) {
  const Tensor x = normal({2, 256}, 1), weight = normal({16, 256}, 2, 1e-5f).to(GetParam());
  expect_close(product(x, weight), wanted(x, weight));
}

TEST_P(Quantised, TheEndOfALinearLayerIsFoldedIn) {
  const Tensor x = normal({5, 256}, 1), weight = normal({40, 256}, 2).to(GetParam()), bias = normal({40}, 3), onto = normal({5, 40}, 4);
  const Tensor plain = product(x, weight), found = product(x, weight, bias, onto, Unary::silu);
  for (std::int64_t i = 0; i < found.elements(); ++i) {
    const double z = plain.data<float>()[i] + bias.data<float>()[i % 40];
    EXPECT_NEAR(found.data<float>()[i], z / (1 + std::exp(-z)) + onto.data<float>()[i], 1e-4 * (1 + std::fabs(z)));
  }
}

// Pairs of panels of neighbours meet within a task, and weights of other types have other forms.
TEST_P(Quantised, WeightsUnderOneAnotherGiveWhatEachGives) {
  for (const auto set : cpu::supported_instruction_sets()) {
    cpu::set_instruction_set(set);
    SCOPED_TRACE(cpu::name_of(set));
    for (const std::int64_t rows : {1, 3, 11}) {
      const Tensor x = normal({rows, 512}, 1), bias = normal({290}, 3), onto = normal({rows, 290}, 4);
      const std::vector<Tensor> weights{normal({100, 512}, 5).to(GetParam()), normal({33, 512}, 6).to(DType::q8_0),
                                        normal({17, 512}, 7).to(GetParam()), normal({140, 512}, 8).to(DType::q4_k)};
      Tensor y = Tensor::empty({rows, 290});
      Backend::of({Device::cpu}).gemm_stacked({.a = x, .b = Gemm::kNone, .y = y, .transpose_b = true, .bias = bias, .residual = onto,
                                               .act = Unary::silu}, weights);
      std::int64_t at = 0;
      for (const Tensor& w : weights) {
        const std::int64_t end = at + w.size(0);
        const Tensor alone = product(x, w, bias.slice(0, at, end), onto.slice(1, at, end), Unary::silu);
        for (std::int64_t r = 0; r < rows; ++r)
          EXPECT_EQ(std::memcmp(y.data<float>() + r * 290 + at, alone.data<float>() + r * alone.cols(), static_cast<std::size_t>(alone.cols()) * 4), 0);
        at = end;
      }
    }
  }
}

// A refused product says what does not fit, before anything is computed.
TEST_P(Quantised, WhatDoesNotFitIsRefused) {
  const Tensor x = normal({2, 512}, 1);
  Tensor y = Tensor::empty({2, 40});
  const std::vector<Tensor> narrow{normal({40, 256}, 2).to(GetParam())}, few{normal({30, 512}, 2).to(GetParam())};
  EXPECT_THROW(Backend::of({Device::cpu}).gemm_stacked({.a = x, .b = Gemm::kNone, .y = y, .transpose_b = true}, narrow), Error);
  EXPECT_THROW(Backend::of({Device::cpu}).gemm_stacked({.a = x, .b = Gemm::kNone, .y = y, .transpose_b = true}, few), Error);
}

TEST_P(Quantised, BitsDependOnTheRowAlone) {
  const Tensor x = normal({23, 512}, 1), weight = normal({170, 512}, 2).to(GetParam());
  const int before = thread_count();
  set_thread_count(1);
  const Tensor all = product(x, weight);
  set_thread_count(2);
  EXPECT_EQ(std::memcmp(product(x, weight).raw(), all.raw(), all.bytes()), 0);
  set_thread_count(before);
  for (std::int64_t r = 0; r < x.rows(); ++r)
    EXPECT_EQ(std::memcmp(product(x.slice(0, r, r + 1), weight).raw(), all.slice(0, r, r + 1).raw(), 170 * sizeof(float)), 0) << "row " << r;
}

TEST_P(Quantised, WhatIsNoNumberShows) {
  const Tensor weight = normal({20, 256}, 2).to(GetParam());
  for (const float bad : {NAN, INFINITY, -INFINITY})
    for (const std::int64_t at : {0, 31, 200}) {
      Tensor x = normal({2, 256}, 1);
      x.data<float>()[at] = bad;
      const Tensor y = product(x, weight);
      for (int c = 0; c < 20; ++c) {
        EXPECT_FALSE(std::isfinite(y.data<float>()[c]));
        EXPECT_TRUE(std::isfinite(y.data<float>()[20 + c]));
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Quantised, testing::ValuesIn(kTypes), [](const auto& of) { return std::string(name_of(of.param)); });

}  // namespace
}  // namespace glossa::test
