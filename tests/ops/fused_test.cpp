#include <gtest/gtest.h>

#include <cmath>

#include "autograd/recompute.h"
#include "cases.h"

// What one op does at once equals the same in steps, in results and in every gradient.
namespace glossa::test {
namespace {

constexpr Device kCpu{Device::cpu}, kReference{Device::reference};

struct On {
  Device device;
  DType dtype;
  double tolerance;
};

class Fused : public testing::TestWithParam<On> {
 protected:
  using F = std::function<Tensor(const std::vector<Tensor>&)>;

  Tensor make(const Shape& shape, std::uint64_t seed) const {
    return random(shape, GetParam().dtype, GetParam().device, seed);
  }
  Tensor i32(const std::vector<std::int32_t>& values) const { return Tensor::of(values, GetParam().device); }

  // That f and g agree, dropout included.
  void expect_equal(const F& f, const F& g, const std::vector<Shape>& shapes, double tolerance) const {
    const std::vector<Tensor> a = results(f, shapes), b = results(g, shapes);
    for (std::size_t i = 0; i < a.size(); ++i)
      EXPECT_LE(relative_error(a[i], b[i]), tolerance)
          << (i ? "gradient of input " + std::to_string(i - 1) : "result");
  }

 private:
  std::vector<Tensor> results(const F& f, const std::vector<Shape>& shapes) const {
    std::vector<Tensor> inputs;
    for (const Shape& s : shapes) inputs.push_back(make(s, 50 + inputs.size()));
    Tape tape({.seed = 9, .step = 1});
    for (Tensor& x : inputs) tape.watch(x);
    const Tensor y = f(inputs);
    tape.backward_from(y, make(y.shape(), 80));
    std::vector<Tensor> all{y.detach()};
    for (const Tensor& x : inputs) all.push_back(tape.gradient(x));
    return all;
  }
};

TEST_P(Fused, EpilogueIsItsSteps) {
  Tensor identity = make({11, 11}, 0);
  for (std::int64_t i = 0; i < 11; ++i) {
    Tensor row = identity.slice(0, i, i + 1), element = row.slice(1, i, i + 1);
    Backend::of(GetParam().device).fill(row, 0);
    Backend::of(GetParam().device).fill(element, 1);
  }
  for (Unary act :
       {Unary::none, Unary::relu, Unary::gelu, Unary::gelu_tanh, Unary::silu, Unary::tanh, Unary::sigmoid}) {
    expect_equal(
        [&](const std::vector<Tensor>& in) {
          return linear(in[0], in[1], in[2], {.act = act, .dropout = 0.3f, .residual = in[3]});
        },
        [&](const std::vector<Tensor>& in) {
          const Tensor product = linear(in[0], in[1], {});
          const Tensor sum = linear(product, identity, in[2]);
          const Tensor activated = linear(sum, identity, {}, {.act = act});
          return linear(dropout(activated, 0.3f), identity, {}, {.residual = in[3]});
        },
        {{9, 7}, {11, 7}, {11}, {9, 11}}, GetParam().tolerance);
  }
}

TEST_P(Fused, EmbeddingIsItsSteps) {
  const Tensor ids = i32({3, 1, 1, 0, 4}), at = i32({0, 1, 2, 0, 1});
  expect_equal(
      [&](const std::vector<Tensor>& in) {
        return embed(ids, in[0], {.scale = 2, .positions = in[1], .position = at, .dropout = 0.4f});
      },
      [&](const std::vector<Tensor>& in) {
        Tensor twice = make({9, 9}, 0);
        for (std::int64_t i = 0; i < 9; ++i) {
          Tensor row = twice.slice(0, i, i + 1), element = row.slice(1, i, i + 1);
          Backend::of(GetParam().device).fill(row, 0);
          Backend::of(GetParam().device).fill(element, 2);
        }
        return dropout(linear(gather_rows(in[0], ids), twice, {}, {.residual = gather_rows(in[1], at)}),
                       0.4f);
      },
      {{5, 9}, {3, 9}}, GetParam().tolerance);
}

// -log softmax, spelled out in f64, and its sum over three thousand rows, which are several blocks.
TEST_P(Fused, CrossEntropyIsItsFormula) {
  const std::int64_t rows = 2100, width = 5, vocabulary = 23;
  const Tensor hidden = make({rows, width}, 1), head = make({vocabulary, width}, 2),
               bias = make({vocabulary}, 3);
  std::vector<std::int32_t> labels;
  for (std::int32_t i = 0; i < rows; ++i) labels.push_back(i % 11 == 0 ? -100 : i * i % 23);
  const auto at = [](const Tensor& x, std::int64_t i) {
    return x.dtype() == DType::f64 ? x.data<double>()[i] : x.data<float>()[i];
  };
  double sum = 0, counted = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    if (labels[static_cast<std::size_t>(r)] == -100) continue;
    std::vector<double> logits;
    double normalizer = 0, all = 0;
    for (std::int64_t c = 0; c < vocabulary; ++c) {
      double logit = at(bias, c);
      for (std::int64_t i = 0; i < width; ++i) logit += at(hidden, r * width + i) * at(head, c * width + i);
      logits.push_back(logit);
      normalizer += std::exp(logit);
    }
    for (double l : logits) all += std::log(normalizer) - l;
    sum +=
        0.9 * (std::log(normalizer) - logits[static_cast<std::size_t>(labels[static_cast<std::size_t>(r)])]) +
        0.1 * all / 23;
    counted += 1;
  }
  const Tensor loss = cross_entropy(hidden, head, bias, i32(labels), {.smoothing = 0.1f});
  EXPECT_NEAR(at(loss, 0), sum / counted, 1e-6 * sum / counted);  // the smoothing is a float
}

TEST_P(Fused, CrossEntropyOfBlocksIsThatOfParts) {
  const std::int64_t rows = 1500;
  std::vector<std::int32_t> labels;
  for (std::int32_t i = 0; i < rows; ++i) labels.push_back(i % 7 == 0 ? -100 : i % 19);
  const auto part = [&](const std::vector<Tensor>& in, std::int64_t begin, std::int64_t end) {
    return cross_entropy(in[0].slice(0, begin, end), in[1], in[2],
                         i32({labels.begin() + begin, labels.begin() + end}),
                         {.smoothing = 0.1f, .denominator = 1000});
  };
  const Tensor one = Tensor::of(std::vector<float>{1}, GetParam().device).to(GetParam().dtype).view({1, 1});
  expect_equal(
      [&](const std::vector<Tensor>& in) { return part(in, 0, rows); },
      [&](const std::vector<Tensor>& in) {
        const Tensor first = part(in, 0, 400).view({1, 1}), second = part(in, 400, rows).view({1, 1});
        return linear(first, one, {}, {.residual = second}).view({1});
      },
      {{rows, 6}, {19, 6}, {19}}, GetParam().tolerance);
}

// Layers of a Transformer with every kind of dropout: the second pass draws the same masks, and so does what
// follows.
TEST_P(Fused, RecomputationIsThePlainPass) {
  const Sequences sequences = Sequences::of_lengths({4, 1, 6}, GetParam().device);
  const auto layer = [&](const std::vector<Tensor>& in) {
    const auto [q, k, v] = split<3>(linear(in[0], in[1], {}));
    const Tensor a = attention(heads(q, 2), heads(k, 2), heads(v, 2), sequences, sequences,
                               {.mask = {.causal = true}, .dropout = 0.3f});
    const Tensor h =
        layer_norm(linear(a, in[2], {}, {.dropout = 0.2f, .residual = in[0]}), in[3], in[4], 1e-5);
    return linear(h, in[2], {}, {.act = Unary::gelu, .dropout = 0.1f, .residual = h});
  };
  const std::vector<Shape> shapes{{11, 8}, {24, 8}, {8, 8}, {8}, {8}};
  const auto stack = [&](bool again) {
    return [&, again](const std::vector<Tensor>& in) {
      std::vector<Tensor> x = in;
      for (int i = 0; i < 3; ++i) x[0] = again ? recompute(layer, x) : layer(x);
      return dropout(x[0], 0.5f);
    };
  };
  expect_equal(stack(true), stack(false), shapes, GetParam().dtype == DType::f64 ? 1e-13 : 1e-6);
}

TEST(Recomputation, RemembersThatProductsWereInBf16) {
  const auto gradient = [](bool again) {
    Tensor x = random({9, 16}, DType::f32, kReference, 1), w = random({16, 16}, DType::f32, kReference, 2);
    Tape tape;
    tape.watch(x);
    tape.watch(w);
    Tensor y;
    {
      const Bf16Products on(true);
      const auto f = [](const std::vector<Tensor>& in) {
        return linear(linear(in[0], in[1], {}, {.act = Unary::gelu}), in[1], {});
      };
      y = again ? recompute(f, {x, w}) : f({x, w});
    }
    tape.backward_from(y, random(y.shape(), DType::f32, kReference, 3));
    return std::pair{tape.gradient(x), tape.gradient(w)};
  };
  const auto [x, w] = gradient(false);
  const auto [x_again, w_again] = gradient(true);
  EXPECT_LE(relative_error(x_again, x), 1e-6);
  EXPECT_LE(relative_error(w_again, w), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Devices, Fused,
                         testing::Values(On{kReference, DType::f64, 1e-12}, On{kReference, DType::f32, 2e-6},
                                         On{kCpu, DType::f32, 3e-6}),
                         [](const auto& of) {
                           return std::string(of.param.device == kCpu ? "cpu_" : "reference_") +
                                  std::string(name_of(of.param.dtype));
                         });

}  // namespace
}  // namespace glossa::test
