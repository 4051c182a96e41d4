#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "backend/cpu/cpu_features.h"
#include "base/parallel.h"
#include "kernels.h"

// Kernels called as ops never call them: optimizers, caches, decoding, and every flag that an op leaves
// alone.
namespace glossa::test {
namespace {

constexpr Device kCpu{Device::cpu}, kReference{Device::reference};
constexpr float kInfinity = std::numeric_limits<float>::infinity(),
                kNan = std::numeric_limits<float>::quiet_NaN();

std::ostream& operator<<(std::ostream& out, const Kernel& k) {
  return out << k.name << ", " << k.what;
}

constexpr Dropout kMask{0.3f, 11, 12};

Kernel gemm_kernel(const char* what, std::int64_t m, std::int64_t n, std::int64_t k, bool transpose_a,
                   bool transpose_b, bool add, float alpha, bool bf16 = false) {
  const auto run = [=](const On& on) {
    const Tensor a = transpose_a ? on.part(k, m, 1) : on.part(m, k, 1),
                 b = transpose_b ? on.part(n, k, 2) : on.part(k, n, 2);
    Tensor y = on.part(m, n, 3);
    on.backend().gemm({.a = a,
                       .b = b,
                       .y = y,
                       .transpose_a = transpose_a,
                       .transpose_b = transpose_b,
                       .add = add,
                       .alpha = alpha,
                       .bf16 = bf16});
    return std::vector{y};
  };
  return {"gemm", what, run, bf16 ? 1e-2 : 3e-6};
}

// Three weights under one another; of block types the CPU rounds x to 8 bits.
Kernel stacked_kernel(const char* what, DType type) {
  const auto run = [=](const On& on) {
    const Tensor x = on.numbers({9, 64}, 1), bias = on.numbers({62}, 2), residual = on.numbers({9, 62}, 3);
    const std::vector<Tensor> weights{on.numbers({20, 64}, 4).to(type), on.numbers({7, 64}, 5).to(type),
                                      on.numbers({35, 64}, 6).to(type)};
    Tensor y = on.numbers({9, 62}, 7);
    on.backend().gemm_stacked(
        {.a = x, .b = Gemm::kNone, .y = y, .transpose_b = true, .bias = bias, .residual = residual, .act = Unary::silu},
        weights);
    return std::vector{y};
  };
  return {"gemm_stacked", what, run, is_quantised(type) ? 2e-2 : 3e-6};
}

Kernel activation_kernel(const char* what, Unary act, bool in_place) {
  const auto run = [=](const On& on) {
    const Tensor z = on.numbers({9, 35}, 1);
    Tensor dy = on.numbers({9, 35}, 2), dz = in_place ? dy : on.numbers({9, 35}, 3),
           dbias = on.numbers({35}, 4);
    on.backend().epilogue_backward(dy, z, act, kMask, dz, &dbias);
    return std::vector{dz, dbias};
  };
  return {"epilogue_backward", what, run};
}

Kernel norm_kernel(const char* what, std::int64_t rows, std::int64_t cols, bool centre) {
  const auto run = [=](const On& on) {
    const Tensor x = on.part(rows, cols, 1), gain = on.numbers({cols}, 2),
                 bias = centre ? on.numbers({cols}, 3) : Tensor();
    Tensor y = on.numbers({rows, cols}, 4);
    on.backend().norm({.eps = 1e-6, .centre = centre}, x, gain, bias, y, nullptr);
    return std::vector{y};
  };
  return {"norm", what, run};
}

Kernel norm_gradient(const char* what, bool centre, bool add, bool gains) {
  const auto run = [=](const On& on) {
    const Tensor x = on.part(37, 45, 1), gain = on.numbers({45}, 2),
                 bias = centre ? on.numbers({45}, 3) : Tensor();
    Tensor y = on.numbers({37, 45}, 4), stats = x.like({37, 2});
    on.backend().norm({.eps = 1e-6, .centre = centre}, x, gain, bias, y, &stats);
    Tensor dx = on.part(37, 45, 5), dgain = on.numbers({45}, 6), dbias = on.numbers({45}, 7);
    on.backend().norm_backward({.eps = 1e-6, .centre = centre}, x, gain, stats, on.numbers({37, 45}, 8), dx, add,
                               gains ? &dgain : nullptr, gains && centre ? &dbias : nullptr);
    return std::vector{dx, dgain, dbias};
  };
  return {"norm_backward", what, run};
}

Kernel rotate_kernel(const char* what, bool back, bool add) {
  const auto run = [=](const On& on) {
    const Tensor x = on.part(37, 45, 1).view({37, 3, 15}), angles = on.numbers({37, 12}, 2);
    Tensor y = on.numbers({37, 3, 15}, 3);
    on.backend().rotate(x, angles, back, y, add);
    return std::vector{y};
  };
  return {"rotate", what, run};
}

Kernel gate_kernel(const char* what, Unary act) {
  const auto run = [=](const On& on) {
    Tensor y = on.part(37, 45, 1);
    on.backend().gate(on.part(37, 90, 2), act, y);
    return std::vector{y};
  };
  return {"gate", what, run};
}

Kernel gate_gradient(const char* what, Unary act, bool add) {
  const auto run = [=](const On& on) {
    Tensor dx = on.part(37, 90, 1);
    on.backend().gate_backward(on.part(37, 90, 2), act, on.part(37, 45, 3), dx, add);
    return std::vector{dx};
  };
  return {"gate_backward", what, run};
}

Kernel embed_gradient(const char* what, bool table, bool positions) {
  const auto run = [=](const On& on) {
    std::vector<std::int32_t> ids, at;
    for (int i = 0; i < 90; ++i) ids.push_back(i * i % 13), at.push_back(i % 9);
    Tensor dtable = on.numbers({13, 21}, 1), dpositions = on.numbers({9, 21}, 2);
    on.backend().embed_backward(on.numbers({90, 21}, 3), on.i32(ids), 1.5, on.i32(at), kMask,
                                table ? &dtable : nullptr, positions ? &dpositions : nullptr);
    return std::vector{dtable, dpositions};
  };
  return {"embed_backward", what, run};
}

Kernel loss_kernel(const char* what, bool gradient, double smoothing, float spread) {
  const auto run = [=](const On& on) {
    Tensor logits = on.numbers({6, 77}, 1), loss = on.numbers({6}, 2);
    for (float& x : logits.span<float>()) x *= spread;
    on.backend().cross_entropy(logits, on.i32({0, 76, -100, 5, 5, 33}), smoothing, gradient, 0.25, loss);
    return std::vector{loss, logits};
  };
  return {"cross_entropy", what, run};
}

Kernel top_k_kernel(const char* what, std::int64_t rows, std::int64_t cols, std::int64_t k,
                    std::function<void(Tensor&)> change = {}) {
  const auto run = [=](const On& on) {
    Tensor x = on.numbers({rows, cols}, 1);
    if (change) change(x);
    Tensor values = on.numbers({rows, k}, 2),
           indices = on.i32(std::vector<std::int32_t>(rows * k)).view({rows, k});
    Tensor logsumexp = on.numbers({rows}, 3);
    on.backend().top_k(x, k, values, indices, logsumexp);
    return std::vector{values, indices, logsumexp};
  };
  return {"top_k", what, run};
}

Kernel adamw_kernel(const char* what, const Shape& shape, const AdamW& options) {
  const auto run = [=](const On& on) {
    Tensor w = on.numbers(shape, 1), m = on.numbers(shape, 2), v = on.positive(shape, 3);
    on.backend().adamw(w, on.numbers(shape, 4), m, v, options);
    return std::vector{w, m, v};
  };
  return {"adamw", what, run};
}

Kernel sgd_kernel(const char* what, const Sgd& options) {
  const auto run = [=](const On& on) {
    Tensor w = on.numbers({7, 33}, 1), velocity = on.numbers({7, 33}, 2);
    on.backend().sgd(w, on.numbers({7, 33}, 3), velocity, options);
    return std::vector{w, velocity};
  };
  return {"sgd", what, run};
}

Kernel adafactor_kernel(const char* what, const Shape& shape, const Adafactor& options) {
  const auto run = [=](const On& on) {
    const bool matrix = shape.rank() == 2;
    Tensor w = on.numbers(shape, 1), row = on.positive({shape[0]}, 2),
           column = matrix ? on.positive({shape[1]}, 3) : Tensor();
    on.backend().adafactor(w, on.numbers(shape, 4), row, column, options);
    std::vector<Tensor> out{w, row};
    if (matrix) out.push_back(column);
    return out;
  };
  return {"adafactor", what, run};
}

std::vector<Kernel> make_kernels() {
  const auto set = [](std::vector<std::pair<std::int64_t, float>> values) {
    return [values](Tensor& x) {
      for (auto [i, v] : values) x.data<float>()[i] = v;
    };
  };
  std::vector<Kernel> all = {
      {"fill", "a part",
       [](const On& on) {
         Tensor whole = on.numbers({5, 9}, 1), part = whole.slice(1, 2, 6);
         on.backend().fill(part, -2.5);
         return std::vector{whole};
       }},
      {"fill", "whole numbers",
       [](const On& on) {
         Tensor x = on.i32({1, 2, 3});
         on.backend().fill(x, 7);
         return std::vector{x};
       }},
      {"copy", "parts",
       [](const On& on) {
         Tensor whole = on.numbers({5, 40}, 1), part = whole.slice(1, 2, 35);
         on.backend().copy(on.part(5, 33, 2), part);
         return std::vector{whole};
       }},
      {"add", "parts",
       [](const On& on) {
         Tensor y = on.part(5, 33, 3);
         on.backend().add(on.part(5, 33, 1), on.part(5, 33, 2), y);
         return std::vector{y};
       }},
      {"add", "onto an operand",
       [](const On& on) {
         Tensor y = on.numbers({501, 33}, 3);
         on.backend().add(y, on.numbers({501, 33}, 2), y);
         on.backend().add(on.numbers({501, 33}, 4), y, y);
         return std::vector{y};
       }},
      {"scale", "in place",
       [](const On& on) {
         Tensor y = on.part(5, 33, 3);
         on.backend().scale(y, 0.3, y);
         return std::vector{y};
       }},
      {"sum_of_squares", "large",
       [](const On& on) {
         return std::vector{on.number(on.backend().sum_of_squares(on.numbers({700, 333}, 1)))};
       }},
      {"sum_of_squares", "a part, and nothing",
       [](const On& on) {
         return std::vector{on.number(on.backend().sum_of_squares(on.part(7, 33, 1))),
                            on.number(on.backend().sum_of_squares(on.numbers({0, 4}, 1)))};
       }},
      {"all_finite", "each element tried",
       [](const On& on) {
         std::vector<Tensor> out;
         for (float bad : {kInfinity, -kInfinity, kNan, std::numeric_limits<float>::max()})
           for (std::int64_t i = 0; i < 77; i += 4) {
             Tensor x = on.numbers({77}, 1);
             x.data<float>()[i] = bad;
             out.push_back(on.number(on.backend().all_finite(x)));
           }
         return out;
       }},
      gemm_kernel("a b", 33, 47, 65, false, false, false, 1),
      gemm_kernel("a b'", 5, 47, 19, false, true, false, 0.5f),
      gemm_kernel("a' b", 21, 17, 130, true, false, false, 1),
      gemm_kernel("a' b'", 21, 17, 30, true, true, false, -2),
      gemm_kernel("adding", 21, 17, 30, true, false, true, 1.5f),
      gemm_kernel("no inner dimension", 5, 6, 0, false, false, false, 1),
      gemm_kernel("bf16", 33, 47, 65, false, true, false, 1, true),
      gemm_kernel("bf16, adding", 33, 47, 65, true, false, true, 1, true),
      stacked_kernel("plain", DType::f32),
      stacked_kernel("of 4 bits", DType::q4_1),
      stacked_kernel("of 5 bits", DType::q5_0),
      activation_kernel("none", Unary::none, false),
      activation_kernel("relu", Unary::relu, true),
      activation_kernel("gelu", Unary::gelu, true),
      activation_kernel("silu", Unary::silu, false),
      norm_kernel("centred", 9, 77, true),
      norm_kernel("root mean square", 9, 77, false),
      rotate_kernel("forth", false, false),
      rotate_kernel("back, added", true, true),
      gate_kernel("silu", Unary::silu),
      gate_kernel("gelu_tanh", Unary::gelu_tanh),
      gate_gradient("silu", Unary::silu, false),
      gate_gradient("gelu, added", Unary::gelu, true),
      norm_gradient("overwriting", true, false, true),
      norm_gradient("adding", true, true, true),
      norm_gradient("input alone", true, false, false),
      norm_gradient("root mean square", false, true, true),
      {"embed", "without positions",
       [](const On& on) {
         Tensor y = on.numbers({4, 35}, 1);
         on.backend().embed(on.i32({2, 0, 2, 1}), on.numbers({3, 35}, 2), 2.5, {}, {}, kMask, y);
         return std::vector{y};
       }},
      embed_gradient("both", true, true),
      embed_gradient("table", true, false),
      embed_gradient("positions", false, true),
      {"dropout", "a part, in place",
       [](const On& on) {
         Tensor x = on.part(9, 45, 1);
         on.backend().dropout(x, kMask, x);
         return std::vector{x};
       }},
      {"gather_rows", "whole numbers, a part",
       [](const On& on) {
         const Tensor x = on.i32({1, 2, 3, 4, 5, 6, 7, 8, 9}).view({3, 3});
         Tensor y = on.i32({0, 0, 0, 0}).view({2, 2});
         on.backend().gather_rows(x.slice(1, 1, 3), on.i32({2, 0}), y);
         return std::vector{y};
       }},
      {"scatter_rows", "into a cache",
       [](const On& on) {
         Tensor cache = on.numbers({20, 33}, 1);
         on.backend().scatter_rows(on.part(3, 33, 2), on.i32({19, 0, 7}), cache);
         return std::vector{cache};
       }},
      {"scatter_add_rows", "repeated",
       [](const On& on) {
         Tensor y = on.numbers({20, 33}, 1);
         on.backend().scatter_add_rows(on.part(5, 33, 2), on.i32({19, 0, 19, 7, 19}), y);
         return std::vector{y};
       }},
      loss_kernel("loss alone", false, 0.1, 1),
      loss_kernel("with gradient", true, 0.1, 1),
      loss_kernel("no smoothing", true, 0, 1),
      loss_kernel("large logits", true, 0, 300),
      top_k_kernel("one", 5, 77, 1),
      top_k_kernel("some", 5, 1003, 9),
      top_k_kernel("all", 3, 17, 17),
      top_k_kernel("ties", 1, 60, 8,
                   [](Tensor& x) {
                     for (std::int64_t i = 0; i < 60; ++i) x.data<float>()[i] = static_cast<float>(i % 7);
                   }),
      top_k_kernel("infinities", 1, 40, 5, set({{3, -kInfinity}, {39, -kInfinity}, {0, -kInfinity}})),
      top_k_kernel("nothing but minus infinity and one", 1, 40, 2,
                   [](Tensor& x) {
                     for (std::int64_t i = 0; i < 40; ++i) x.data<float>()[i] = i == 21 ? 2.0f : -kInfinity;
                   }),
      adamw_kernel("first step", {7, 33}, {.learning_rate = 0.01f}),
      adamw_kernel("later, decayed and scaled", {701, 33},
                   {.learning_rate = 0.01f,
                    .beta2 = 0.98f,
                    .epsilon = 1e-9f,
                    .weight_decay = 0.1f,
                    .gradient_scale = 0.3f,
                    .step = 1000}),
      adamw_kernel("a vector", {77}, {.learning_rate = 0.01f, .step = 5}),
      sgd_kernel("plain", {.learning_rate = 0.1f}),
      sgd_kernel("momentum",
                 {.learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f, .gradient_scale = 2}),
      sgd_kernel("nesterov", {.learning_rate = 0.1f, .momentum = 0.9f, .nesterov = true}),
      adafactor_kernel("a matrix", {70, 33},
                       {.learning_rate = 0.05f, .weight_decay = 0.1f, .gradient_scale = 0.5f, .step = 4}),
      adafactor_kernel("a vector", {77}, {.learning_rate = 0.05f, .step = 1}),
      {"interpolate", "a part",
       [](const On& on) {
         Tensor y = on.part(9, 45, 1);
         on.backend().interpolate(y, on.part(9, 45, 2), 0.01);
         return std::vector{y};
       }},
  };
  const std::vector<Kernel> attention = attention_kernels();
  all.insert(all.end(), attention.begin(), attention.end());
  return all;
}

class Kernels : public testing::TestWithParam<Kernel> {};

TEST_P(Kernels, CpuAgreesWithReference) {
  const Kernel& k = GetParam();
  const std::vector<Tensor> wanted = k.run({kReference});
  const auto before = cpu::instruction_set();
  for (const auto set : cpu::supported_instruction_sets()) {
    cpu::set_instruction_set(set);
    const std::vector<Tensor> found = k.run({kCpu});
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_LE(relative_error(found[i], wanted[i]), k.tolerance)
          << "output " << i << " with " << cpu::name_of(set);
  }
  cpu::set_instruction_set(before);
}

TEST_P(Kernels, BitsDoNotDependOnThreads) {
  const int before = thread_count();
  set_thread_count(1);
  const std::vector<Tensor> wanted = GetParam().run({kCpu});
  for (int threads : {2, 3}) {
    set_thread_count(threads);
    const std::vector<Tensor> found = GetParam().run({kCpu});
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_TRUE(same_bits(found[i], wanted[i])) << "output " << i;
  }
  set_thread_count(before);
}

std::string test_name(const testing::TestParamInfo<Kernel>& info) {
  std::string name = info.param.name + "_" + info.param.what;
  for (char& x : name)
    if (!std::isalnum(static_cast<unsigned char>(x))) x = x == '\'' ? 't' : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Table, Kernels, testing::ValuesIn(make_kernels()), test_name);

TEST(Vocabulary, EveryKernelHasALine) {
  std::set<std::string> declared, covered;
  std::ifstream in(std::string(GLOSSA_SOURCE_DIR) + "/src/backend/backend.h");
  for (std::string line; std::getline(in, line);) {
    const std::size_t bracket = line.find('(');
    if (!line.starts_with("  virtual ") || line.find('~') != std::string::npos) continue;
    const std::size_t begin = line.rfind(' ', bracket) + 1;
    declared.insert(line.substr(begin, bracket - begin));
  }
  for (const Kernel& k : make_kernels()) covered.insert(k.name);
  EXPECT_EQ(declared, covered);
}

}  // namespace
}  // namespace glossa::test
