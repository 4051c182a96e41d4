#include "backend/cpu/gemm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"

namespace glossa::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A matrix whose rows are longer than what is used of them, the rest being NaN: reading it would show.
struct Matrix {
  Matrix(std::int64_t rows, std::int64_t columns, std::int64_t slack = 0)
      : rows(rows), columns(columns), ld(columns + slack), data(rows * ld, kNan) {}
  static Matrix random(std::int64_t rows, std::int64_t columns, std::int64_t slack, std::uint64_t seed) {
    Matrix x(rows, columns, slack);
    const Philox philox(seed, Purpose::init);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c)
        x(r, c) = static_cast<float>(philox.uniform(static_cast<std::uint64_t>(r * columns + c)) * 2 - 1);
    return x;
  }
  float& operator()(std::int64_t r, std::int64_t c) { return data[r * ld + c]; }
  float operator()(std::int64_t r, std::int64_t c) const { return data[r * ld + c]; }

  std::int64_t rows, columns, ld;
  std::vector<float> data;
};

double activate(Unary act, double x) {
  switch (act) {
    case Unary::none: return x;
    case Unary::relu: return x < 0 ? 0 : x;
    case Unary::gelu: return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Unary::gelu_tanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Unary::silu: return x / (1 + std::exp(-x));
    case Unary::tanh: return std::tanh(x);
    case Unary::sigmoid: return 1 / (1 + std::exp(-x));
  }
  return x;
}

bool kept(const Dropout& dropout, std::uint64_t element) {
  const Philox::Block block = Philox(dropout.seed, Purpose::dropout, dropout.stream)(element / 8);
  const std::uint32_t number = block[element % 8 / 2] >> 16 * (element % 2) & 0xFFFF;
  return number >= std::lround(dropout.p * 65536.0);
}

struct Case {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false, add = false, packed = false, bf16 = false;
  float alpha = 1;
  std::int64_t slack = 0;
  bool bias = false, residual = false, before_act = false;
  Unary act = Unary::none;
  Dropout dropout = {};
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.m << " x " << c.n << " x " << c.k << (c.transpose_a ? " A'" : "") << (c.transpose_b ? " B'" : "")
             << (c.add ? " add" : "") << (c.packed ? " packed" : "") << (c.bf16 ? " bf16" : "") << " alpha " << c.alpha
             << " slack " << c.slack << " act " << static_cast<int>(c.act) << " p " << c.dropout.p;
}

struct Operands {
  explicit Operands(const Case& c)
      : a(Matrix::random(c.transpose_a ? c.k : c.m, c.transpose_a ? c.m : c.k, c.slack, 1)),
        b(Matrix::random(c.transpose_b ? c.n : c.k, c.transpose_b ? c.k : c.n, c.slack, 2)),
        c(Matrix::random(c.m, c.n, c.slack, 3)),
        residual(Matrix::random(c.m, c.n, c.slack, 4)),
        bias(Matrix::random(1, c.n, 0, 5)),
        before(c.m, c.n, c.slack) {}
  Matrix a, b, c, residual, bias, before;
};

// Memory for a packed B, aligned as it must be.
struct Packed {
  Packed(const Case& c, const Matrix& b) : memory(packed_b_bytes(c.k, c.n, c.bf16) + 64) {
    void* at = memory.data();
    std::size_t space = memory.size();
    std::align(64, space - 64, at, space);
    packed = pack_b(b.data.data(), b.ld, c.transpose_b, c.k, c.n, c.bf16, at);
  }
  std::vector<char> memory;
  PackedB packed;
};

void run(const Case& c, Operands& x) {
  std::unique_ptr<Packed> packed;
  if (c.packed) packed = std::make_unique<Packed>(c, x.b);
  gemm({.m = c.m, .n = c.n, .k = c.k,
        .a = x.a.data.data(), .lda = x.a.ld, .transpose_a = c.transpose_a,
        .b = c.packed ? nullptr : x.b.data.data(), .ldb = x.b.ld, .transpose_b = c.transpose_b,
        .packed = packed ? &packed->packed : nullptr,
        .c = x.c.data.data(), .ldc = x.c.ld, .add = c.add, .alpha = c.alpha,
        .bias = c.bias ? x.bias.data.data() : nullptr, .act = c.act,
        .before_act = c.before_act ? x.before.data.data() : nullptr, .dropout = c.dropout,
        .residual = c.residual ? x.residual.data.data() : nullptr, .ldr = x.residual.ld, .bf16 = c.bf16});
}

// Against plain loops in f64. The tolerance is that of a sum of k products of numbers up to 1 in f32, or of their
// rounding to bf16 (relative error 2^-8 each, of which the sum averages most).
void compare(const Case& c) {
  SCOPED_TRACE(testing::Message() << c << " on " << name_of(instruction_set()));
  Operands x(c);
  const Operands before = x;
  run(c, x);
  const double per_product = c.bf16 && instruction_set() == InstructionSet::avx512_bf16 ? 0x1p-7 : 0x1p-22;
  const double tolerance = std::fabs(c.alpha) * per_product * (2 + 2 * std::sqrt(static_cast<double>(c.k))) + 4e-6;
  int wrong = 0;
  for (std::int64_t i = 0; i < c.m; ++i) {
    for (std::int64_t j = 0; j < c.n; ++j) {
      double sum = 0;
      for (std::int64_t p = 0; p < c.k; ++p)
        sum += static_cast<double>(c.transpose_a ? x.a(p, i) : x.a(i, p)) * (c.transpose_b ? x.b(j, p) : x.b(p, j));
      double y = c.alpha * sum + (c.add ? before.c(i, j) : 0.0);
      if (c.bias) y += x.bias(0, j);
      if (c.before_act && !(std::fabs(x.before(i, j) - y) <= tolerance) && ++wrong < 5)
        ADD_FAILURE() << "before the activation, at " << i << ", " << j << ": " << x.before(i, j) << ", not " << y;
      y = activate(c.act, y);
      if (c.dropout) y = kept(c.dropout, static_cast<std::uint64_t>(i * c.n + j)) ? y / (1 - c.dropout.p) : 0;
      if (c.residual) y += x.residual(i, j);
      if (!(std::fabs(x.c(i, j) - y) <= 2 * tolerance) && ++wrong < 5)
        ADD_FAILURE() << "at " << i << ", " << j << ": " << x.c(i, j) << ", not " << y;
    }
    for (std::int64_t j = c.n; j < x.c.ld; ++j)
      ASSERT_TRUE(std::isnan(x.c(i, j)) && std::isnan(x.before(i, j))) << "wrote past the end of row " << i;
  }
  ASSERT_EQ(wrong, 0);
}

bool same_bits(const Matrix& a, const Matrix& b) {
  return a.data.size() == b.data.size() && std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(float)) == 0;
}

class OnEachInstructionSet : public testing::TestWithParam<InstructionSet> {
 protected:
  void SetUp() override { set_instruction_set(GetParam()); }
  void TearDown() override {
    set_instruction_set(best_instruction_set());
    set_thread_count(hardware_threads());
  }
};

INSTANTIATE_TEST_SUITE_P(Gemm, OnEachInstructionSet, testing::ValuesIn(supported_instruction_sets()),
                         [](const auto& set) { return std::string(name_of(set.param)); });

TEST_P(OnEachInstructionSet, RandomShapesAgreeWithPlainLoops) {
  std::mt19937_64 random(7);
  const auto upto = [&](std::int64_t most) { return static_cast<std::int64_t>(random() % most) + 1; };
  const std::int64_t limits[] = {3, 20, 70, 200};
  for (int i = 0; i < 160; ++i) {
    compare({.m = upto(limits[random() % 4]), .n = upto(limits[random() % 4]), .k = upto(limits[random() % 4]),
             .transpose_a = random() % 2 == 0, .transpose_b = random() % 2 == 0, .add = random() % 2 == 0,
             .packed = random() % 2 == 0, .bf16 = random() % 2 == 0,
             .alpha = random() % 2 == 0 ? 1.0f : -0.37f, .slack = upto(3) == 1 ? 0 : upto(9)});
    if (HasFatalFailure()) return;
  }
}

TEST_P(OnEachInstructionSet, SeveralBlocksAlongEveryDimension) {
  for (const bool bf16 : {false, true}) {
    for (const bool transpose : {false, true}) {
      compare({.m = 131, .n = 67, .k = 1411, .transpose_a = transpose, .transpose_b = !transpose, .add = true, .bf16 = bf16});
      compare({.m = 9, .n = 1100, .k = 391, .transpose_a = transpose, .transpose_b = transpose, .bf16 = bf16});
      compare({.m = 3, .n = 40, .k = 9001, .transpose_a = transpose, .transpose_b = transpose, .bf16 = bf16, .alpha = 0.5f});
    }
  }
}

TEST_P(OnEachInstructionSet, EveryEpilogueAlone) {
  for (const auto act : {Unary::none, Unary::relu, Unary::gelu, Unary::gelu_tanh, Unary::silu, Unary::tanh, Unary::sigmoid})
    compare({.m = 17, .n = 45, .k = 33, .alpha = 3, .slack = 2, .before_act = true, .act = act});
  compare({.m = 17, .n = 45, .k = 33, .bias = true});
  compare({.m = 17, .n = 45, .k = 33, .slack = 1, .residual = true});
  compare({.m = 17, .n = 45, .k = 33, .slack = 1, .dropout = {0.3f, 11, 5}});
}

TEST_P(OnEachInstructionSet, EpiloguesTogether) {
  for (const std::int64_t n : {1, 7, 8, 64, 77, 515, 1030}) {
    for (const bool packed : {false, true})
      compare({.m = 19, .n = n, .k = 401, .transpose_b = true, .packed = packed, .alpha = 0.25f, .slack = 3, .bias = true,
               .residual = true, .before_act = true, .act = Unary::gelu, .dropout = {0.1f, 0x123456789ABCDEFu, 1u}});
  }
}

TEST_P(OnEachInstructionSet, DropoutKeepsWhatScalarPhiloxKeeps) {
  for (const float p : {0.1f, 0.5f, 0.999f, 1e-5f}) {
    const Dropout dropout{p, 0xFEDCBA9876543210u, 0xAAAABBBBCCCCDDDDu};
    const std::int64_t m = 37, n = 203;
    std::vector<float> y(m * n), bias(n, 1.0f), a(1), b(1);
    gemm({.m = m, .n = n, .k = 0, .a = a.data(), .lda = 1, .b = b.data(), .ldb = n, .c = y.data(), .ldc = n,
          .bias = bias.data(), .dropout = dropout});
    for (std::int64_t e = 0; e < m * n; ++e)
      ASSERT_EQ(y[e], kept(dropout, e) ? static_cast<float>(1 / (1 - static_cast<double>(p))) : 0.0f) << "element " << e;
  }
}

TEST_P(OnEachInstructionSet, EmptyProducts) {
  for (const bool add : {false, true}) {
    compare({.m = 5, .n = 9, .k = 0, .add = add, .slack = 2, .bias = true, .act = Unary::tanh});
    compare({.m = 5, .n = 9, .k = 0, .add = add, .packed = true});
    compare({.m = 0, .n = 9, .k = 4, .add = add});
    compare({.m = 5, .n = 0, .k = 4, .add = add, .packed = true});
  }
}

TEST_P(OnEachInstructionSet, BitsDoNotDependOnThreads) {
  for (const Case& c : {Case{.m = 301, .n = 520, .k = 801, .transpose_b = true, .add = true},
                        Case{.m = 301, .n = 520, .k = 801, .transpose_a = true, .bf16 = true, .alpha = 1.5f},
                        Case{.m = 1, .n = 5000, .k = 512, .packed = true, .bias = true, .act = Unary::silu},
                        Case{.m = 400, .n = 300, .k = 64, .bias = true, .residual = true, .act = Unary::gelu,
                             .dropout = {0.2f, 3, 4}}}) {
    Operands once(c);
    set_thread_count(1);
    run(c, once);
    for (const int threads : {2, 3}) {
      set_thread_count(threads);
      Operands again(c);
      run(c, again);
      EXPECT_TRUE(same_bits(once.c, again.c)) << c << " with " << threads << " threads";
    }
  }
}

// What batching relies on: a row's result is the same alone, among others, and with B packed beforehand or not.
TEST_P(OnEachInstructionSet, BitsDoNotDependOnNeighbours) {
  for (const bool bf16 : {false, true}) {
    const Case all{.m = 61, .n = 333, .k = 900, .transpose_b = true, .bf16 = bf16, .bias = true, .act = Unary::gelu};
    Operands x(all);
    run(all, x);
    for (const std::int64_t m : {1, 2, 3, 5, 8, 15, 32}) {
      Case some = all;
      some.m = m, some.packed = m % 2 == 1;
      Operands y(some);  // the first m rows of the same numbers
      run(some, y);
      for (std::int64_t i = 0; i < m * all.n; ++i)
        ASSERT_EQ(std::bit_cast<std::uint32_t>(y.c.data[i]), std::bit_cast<std::uint32_t>(x.c.data[i])) << some << " at " << i;
    }
  }
}

TEST_P(OnEachInstructionSet, NanAndInfinityPropagate) {
  for (const auto act : {Unary::none, Unary::relu, Unary::gelu, Unary::gelu_tanh, Unary::silu, Unary::tanh, Unary::sigmoid}) {
    for (const bool bf16 : {false, true}) {
      const Case c{.m = 20, .n = 50, .k = 35, .bf16 = bf16, .act = act};
      Operands x(c);
      x.a(3, 34) = kNan;
      x.b(7, 41) = kNan;
      run(c, x);
      for (std::int64_t i = 0; i < c.m; ++i)
        for (std::int64_t j = 0; j < c.n; ++j) ASSERT_EQ(std::isnan(x.c(i, j)), i == 3 || j == 41) << c << i << ", " << j;
    }
  }
  const Case c{.m = 20, .n = 50, .k = 35};
  Operands x(c);
  x.a(3, 34) = kInfinity;
  run(c, x);
  for (std::int64_t j = 0; j < c.n; ++j) ASSERT_EQ(x.c(3, j), std::copysign(kInfinity, x.b(34, j)));
}

TEST_P(OnEachInstructionSet, ActivationsFromEndToEnd) {
  std::vector<float> x;
  for (float v = -100; v <= 100; v += 0.0137f) x.push_back(v);
  for (const float v : {0.0f, -0.0f, 1e-30f, -1e-30f, 88.7f, -87.4f, 700.0f, -700.0f, kInfinity}) x.push_back(v);
  const std::int64_t n = static_cast<std::int64_t>(x.size());
  for (const auto act : {Unary::relu, Unary::gelu, Unary::gelu_tanh, Unary::silu, Unary::tanh, Unary::sigmoid}) {
    std::vector<float> y(n);
    gemm({.m = 1, .n = n, .k = 0, .ldb = n, .c = y.data(), .ldc = n, .bias = x.data(), .act = act});
    for (std::int64_t i = 0; i < n; ++i) {
      const double wanted = activate(act, x[i]);
      if (std::isinf(wanted)) {
        ASSERT_EQ(y[i], wanted);
        continue;
      }
      ASSERT_NEAR(y[i], wanted, 3e-6 * std::fabs(wanted) + (x[i] < -5 ? 3e-9 : 1e-9))
          << "activation " << static_cast<int>(act) << " of " << x[i];
    }
  }
}

TEST_P(OnEachInstructionSet, AlphaAndAddAreExact) {
  // Small whole numbers have exact products and sums.
  const std::int64_t m = 29, n = 83, k = 700;
  std::vector<float> a(m * k), b(k * n), c(m * n);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(static_cast<int>(i * 7 % 11) - 5);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(static_cast<int>(i * 5 % 13) - 6);
  for (const bool bf16 : {false, true}) {
    for (std::size_t i = 0; i < c.size(); ++i) c[i] = static_cast<float>(i % 17);
    gemm({.m = m, .n = n, .k = k, .a = a.data(), .lda = k, .b = b.data(), .ldb = n, .c = c.data(), .ldc = n, .add = true,
          .alpha = -2, .bf16 = bf16});
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (std::int64_t p = 0; p < k; ++p) sum += a[i * k + p] * b[p * n + j];
        ASSERT_EQ(c[i * n + j], static_cast<float>((i * n + j) % 17) - 2 * sum);
      }
    }
  }
}

TEST_P(OnEachInstructionSet, MeasuresItsLimits) {
  EXPECT_GT(measure_peak_flops(false, 1), 1e8);
  EXPECT_GT(measure_peak_flops(true, 1), 1e8);
}

TEST(Gemm, MeasuresMemory) { EXPECT_GT(measure_read_bandwidth(1), 1e8); }

TEST(Gemm, RefusesWhatDoesNotFit) {
  std::vector<float> x(100);
  const MatrixProduct good{.m = 5, .n = 4, .k = 3, .a = x.data(), .lda = 3, .b = x.data(), .ldb = 4, .c = x.data() + 50, .ldc = 4};
  const auto refused = [](MatrixProduct p, const char* part) {
    try {
      gemm(p);
      ADD_FAILURE() << "not refused: " << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::shape);
      EXPECT_THAT(e.what(), testing::HasSubstr(part));
    }
  };
  MatrixProduct p = good;
  p.lda = 2, refused(p, "rows of A are 2 apart, but 3 long");
  p = good, p.ldb = 3, refused(p, "rows of B are 3 apart, but 4 long");
  p = good, p.ldc = 3, refused(p, "rows of C are 3 apart, but 4 long");
  p = good, p.m = -1, refused(p, "-1 x 3");
  p = good, p.residual = p.c, p.ldr = 4, refused(p, "residual");
  const PackedB other{.k = 3, .n = 5};
  p = good, p.packed = &other, refused(p, "B was packed as 3 x 5, wanted 3 x 4");
}

TEST(CpuFeatures, KnowsItsInstructionSets) {
  const auto& sets = supported_instruction_sets();
  ASSERT_FALSE(sets.empty());
  EXPECT_EQ(sets.front(), InstructionSet::portable);
  EXPECT_EQ(best_instruction_set(), sets.back());
  if (best_instruction_set() != InstructionSet::avx512_bf16) {
    EXPECT_THROW(set_instruction_set(InstructionSet::avx512_bf16), Error);
  }
}

}  // namespace
}  // namespace glossa::cpu
