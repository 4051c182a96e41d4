#include "backend/reference/reference_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/random.h"

// Values small enough to follow by hand, and every gradient against central differences in f64.
namespace glossa {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;

constexpr Device kReference{Device::reference};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Backend& backend() {
  return reference_backend();
}

Tensor f64(std::vector<double> values, const Shape& shape) {
  return Tensor::of<double>(values, shape, kReference);
}
Tensor f32(std::vector<float> values, const Shape& shape) {
  return Tensor::of<float>(values, shape, kReference);
}
Tensor i32(std::vector<std::int32_t> values) {
  return Tensor::of(values, kReference);
}
Tensor zeros(const Shape& shape) {
  return Tensor::zeros(shape, DType::f64, kReference);
}
Tensor random(const Shape& shape, std::uint64_t seed) {
  Tensor x = zeros(shape);
  const Philox numbers(seed, Purpose::init);
  for (std::int64_t i = 0; i < x.elements(); ++i)
    x.data<double>()[i] = numbers.normal(static_cast<std::uint64_t>(i));
  return x;
}

std::vector<double> values(const Tensor& x) {
  const Tensor dense = x.contiguous();
  if (dense.dtype() == DType::f64) return {dense.span<double>().begin(), dense.span<double>().end()};
  return {dense.span<float>().begin(), dense.span<float>().end()};
}

auto near(std::vector<double> wanted, double tolerance = 1e-12) {
  std::vector<testing::Matcher<double>> all;
  for (double w : wanted)
    all.push_back(std::isfinite(w) ? testing::Matcher<double>(DoubleNear(w, tolerance)) : testing::Eq(w));
  return testing::ElementsAreArray(all);
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  const auto x = values(a), y = values(b);
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

// That `gradient` is the derivative of f, a function of the contents of x.
void expect_gradient(const Tensor& x, const Tensor& gradient, const std::function<double()>& f) {
  const auto wanted = values(gradient);
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    double& at = x.data<double>()[i];
    const double before = at, h = 1e-5;
    at = before + h;
    const double above = f();
    at = before - h;
    const double below = f();
    at = before;
    EXPECT_NEAR(wanted[i], (above - below) / (2 * h), 1e-8) << "element " << i;
  }
}

TEST(Reference, FillsCopiesAddsAndScales) {
  Tensor x = zeros({2, 2}), y = zeros({2, 2});
  backend().fill(x, 1.5);
  backend().copy(x, y);
  backend().add(x, y, y);
  backend().scale(y, -2, y);
  EXPECT_THAT(values(y), Each(-6));
  backend().interpolate(y, x, 0.25);
  EXPECT_THAT(values(y), Each(-4.125));
  Tensor n = i32({1, 2});
  backend().fill(n, 7);
  EXPECT_THAT(n.span<std::int32_t>(), ElementsAre(7, 7));
}

TEST(Reference, ReadsAndWritesStridedRows) {
  const Tensor x = f64({1, 2, 3, 4, 5, 6}, {2, 3});
  Tensor y = zeros({2, 4}), part = y.slice(1, 1, 3);
  backend().copy(x.slice(1, 0, 2), part);
  EXPECT_THAT(values(y), ElementsAre(0, 1, 2, 0, 0, 4, 5, 0));
  EXPECT_EQ(backend().sum_of_squares(x.slice(1, 1, 3)), 4 + 9 + 25 + 36);
}

TEST(Reference, FindsWhatIsNotFinite) {
  EXPECT_TRUE(backend().all_finite(f32({1, -1e38f}, {2})));
  EXPECT_FALSE(backend().all_finite(f32({1, std::nanf("")}, {2})));
  EXPECT_FALSE(backend().all_finite(f64({-kInfinity, 1}, {2})));
}

TEST(Reference, MultipliesInAllTranspositions) {
  const Tensor a = f64({1, 2, 3, 4, 5, 6}, {2, 3}), a_transposed = f64({1, 4, 2, 5, 3, 6}, {3, 2});
  const Tensor b = f64({1, 0, 2, 1, 0, -1}, {3, 2}), b_transposed = f64({1, 2, 0, 0, 1, -1}, {2, 3});
  for (bool first : {false, true}) {
    for (bool second : {false, true}) {
      Tensor y = zeros({2, 2});
      backend().gemm({.a = first ? a_transposed : a,
                      .b = second ? b_transposed : b,
                      .y = y,
                      .transpose_a = first,
                      .transpose_b = second});
      EXPECT_THAT(values(y), ElementsAre(5, -1, 14, -1));
      backend().gemm({.a = first ? a_transposed : a,
                      .b = second ? b_transposed : b,
                      .y = y,
                      .transpose_a = first,
                      .transpose_b = second,
                      .add = true,
                      .alpha = 2});
      EXPECT_THAT(values(y), ElementsAre(15, -3, 42, -3));
    }
  }
}

TEST(Reference, FinishesAProductWithBiasActivationAndResidual) {
  const Tensor a = f64({1, 2}, {1, 2}), b = f64({1, 0, 0, 1}, {2, 2}), bias = f64({-3, 1}, {2}),
               rest = f64({10, 20}, {1, 2});
  Tensor y = zeros({1, 2}), before = zeros({1, 2});
  backend().gemm(
      {.a = a, .b = b, .y = y, .bias = bias, .residual = rest, .act = Unary::relu, .before_act = &before});
  EXPECT_THAT(values(before), ElementsAre(-2, 3));
  EXPECT_THAT(values(y), ElementsAre(10, 23));
}

TEST(Reference, RoundsOperandsToBfloat16WhenAsked) {
  const Tensor a = f32({1 + 0x1p-9f}, {1, 1}), b = f32({3}, {1, 1});
  Tensor y = f32({0}, {1, 1});
  backend().gemm({.a = a, .b = b, .y = y, .bf16 = true});
  EXPECT_EQ(y.item<float>(), 3);
  backend().gemm({.a = a, .b = b, .y = y});
  EXPECT_EQ(y.item<float>(), 3 + 3 * 0x1p-9f);
}

TEST(Reference, ActivationsHaveTheirKnownValuesAndDerivatives) {
  struct Known {
    Unary act;
    double at_one;
  };
  for (const Known& k : {Known{Unary::none, 1},
                         {Unary::relu, 1},
                         {Unary::gelu, 0.84134474606854293},
                         {Unary::gelu_tanh, 0.84119199060827676},
                         {Unary::silu, 0.73105857863000490},
                         {Unary::tanh, 0.76159415595576485},
                         {Unary::sigmoid, 0.73105857863000490}}) {
    const Tensor one = f64({1}, {1, 1}), z = f64({1, -0.7, 2.5}, {1, 3}), dy = f64({1, 2, -3}, {1, 3});
    const auto forward = [&](const Tensor& x) {
      Tensor y = zeros(x.shape());
      backend().gemm({.a = one, .b = x, .y = y, .act = k.act});
      return y;
    };
    EXPECT_NEAR(values(forward(z))[0], k.at_one, 1e-12);
    Tensor dz = zeros({1, 3}), dbias = f64({1, 1, 1}, {3});
    backend().epilogue_backward(dy, z, k.act, {}, dz, &dbias);
    expect_gradient(z, dz, [&] { return dot(forward(z), dy); });
    for (int c = 0; c < 3; ++c) EXPECT_EQ(values(dbias)[c], 1 + values(dz)[c]);
  }
}

TEST(Reference, DropoutFollowsItsBits) {
  const Dropout mask{0.5f, 7, 9};
  Tensor x = f64(std::vector<double>(20, 3), {4, 5}), y = zeros({4, 5});
  x.data<double>()[3] = kInfinity;
  backend().dropout(x, mask, y);
  int kept = 0;
  for (std::uint64_t e = 0; e < 20; ++e) {
    const Philox::Block block = Philox(7, Purpose::dropout, 9)(e / 8);
    const bool keeps = (block[e % 8 / 2] >> 16 * (e % 2) & 0xFFFF) >= 32768;
    EXPECT_EQ(values(y)[e], !keeps ? 0 : e == 3 ? kInfinity : 6);
    kept += keeps;
  }
  EXPECT_GT(kept, 4);
  EXPECT_LT(kept, 16);
  Tensor dz = zeros({4, 5});
  backend().epilogue_backward(x, {}, Unary::none, mask, dz, nullptr);
  EXPECT_EQ(values(dz), values(y));
}

TEST(Reference, MovesRows) {
  const Tensor x = f64({1, 2, 3, 4, 5, 6}, {3, 2}), rows = i32({2, 0});
  Tensor y = zeros({2, 2}), z = zeros({3, 2});
  backend().gather_rows(x, rows, y);
  EXPECT_THAT(values(y), ElementsAre(5, 6, 1, 2));
  backend().scatter_rows(y, rows, z);
  EXPECT_THAT(values(z), ElementsAre(1, 2, 0, 0, 5, 6));
  backend().scatter_add_rows(y, i32({2, 2}), z);
  EXPECT_THAT(values(z), ElementsAre(1, 2, 0, 0, 11, 14));
}

// Two sequences: two queries to three keys, and one query to two keys; two heads that share one pair of k and
// v.
struct AttentionCase {
  Tensor q = random({3, 2, 4}, 1), k = random({5, 1, 4}, 2), v = random({5, 1, 4}, 3);
  Sequences queries{i32({0, 2, 3}), 2, 2}, keys{i32({0, 3, 5}), 2, 3};
  Mask mask;
  Dropout dropout;
  Tensor key_rows = {}, logsumexp = zeros({3, 2});
  Attention call() {
    return {.q = q,
            .k = k,
            .v = v,
            .queries = queries,
            .keys = keys,
            .mask = mask,
            .scale = 0.5f,
            .key_rows = key_rows,
            .dropout = dropout,
            .logsumexp = &logsumexp};
  }
  Tensor forward() {
    Tensor out = zeros({3, 2, 4});
    backend().attention(call(), out);
    return out;
  }
};

TEST(Reference, AttentionIsTheMeanOfValuesWhereScoresAreEqual) {
  AttentionCase c;
  backend().fill(c.q, 0);
  const auto out = values(c.forward()), v = values(c.v);
  for (int d = 0; d < 4; ++d) {
    EXPECT_NEAR(out[d], (v[d] + v[4 + d] + v[8 + d]) / 3, 1e-12);
    EXPECT_NEAR(out[16 + d], (v[12 + d] + v[16 + d]) / 2, 1e-12);
  }
  EXPECT_NEAR(values(c.logsumexp)[0], std::log(3), 1e-12);
  EXPECT_NEAR(values(c.logsumexp)[4], std::log(2), 1e-12);
}

TEST(Reference, AttentionWeighsByTheExponentOfTheScore) {
  AttentionCase c;
  c.q = f64({2, 0, 0, 0, 0, 0, 0, 0}, {1, 2, 4});
  c.k = f64({1, 5, 0, 0, 3, 0, 7, 0}, {2, 1, 4});
  c.v = f64({1, 0, 0, 0, 0, 1, 0, 0}, {2, 1, 4});
  c.queries = {i32({0, 1}), 1, 1}, c.keys = {i32({0, 2}), 1, 2};
  c.logsumexp = zeros({1, 2});
  Tensor out = zeros({1, 2, 4});
  backend().attention(c.call(), out);
  const double first = 1 / (1 + std::exp(2));  // scores 1 and 3
  EXPECT_THAT(values(out), near({first, 1 - first, 0, 0, 0.5, 0.5, 0, 0}));
}

TEST(Reference, MasksAlignQueriesWithTheEndOfTheKeys) {
  AttentionCase c;
  backend().fill(c.q, 0);
  c.mask = {.causal = true};
  EXPECT_THAT(values((c.forward(), c.logsumexp)),
              near({std::log(2), std::log(2), std::log(3), std::log(3), std::log(2), std::log(2)}));
  c.mask = {.causal = true, .window = 2};
  EXPECT_THAT(values((c.forward(), c.logsumexp)), near(std::vector(6, std::log(2))));
  c.mask = {.window = 1};
  EXPECT_THAT(values((c.forward(), c.logsumexp)), near(std::vector(6, 0.0)));
}

TEST(Reference, AQueryThatSeesNothingGetsZeros) {
  AttentionCase c;
  c.queries = {i32({0, 3}), 1, 3}, c.keys = {i32({0, 1}), 1, 1};
  c.mask = {.causal = true};  // queries 0 and 1 stand before the only key
  const auto out = values(c.forward());
  EXPECT_THAT(std::vector(out.begin(), out.begin() + 16), Each(0));
  EXPECT_THAT(values(c.logsumexp)[0], -kInfinity);
  EXPECT_THAT(std::vector(out.begin() + 16, out.begin() + 20),
              near({values(c.v)[0], values(c.v)[1], values(c.v)[2], values(c.v)[3]}));
}

TEST(Reference, KeyRowsSayWhereKeysLie) {
  AttentionCase plain, paged;
  const Tensor rows = i32({4, 2, 0, 1, 3});
  backend().scatter_rows(plain.k, rows, paged.k);
  backend().scatter_rows(plain.v, rows, paged.v);
  paged.key_rows = rows;
  EXPECT_THAT(values(paged.forward()), near(values(plain.forward()), 0));
}

TEST(Reference, AttentionHasItsGradient) {
  for (const Mask& mask : {Mask{}, Mask{.causal = true}, Mask{.causal = true, .window = 2}}) {
    for (const float p : {0.0f, 0.4f}) {
      AttentionCase c;
      c.mask = mask;
      c.dropout = {p, 5, 6};
      const Tensor dout = random({3, 2, 4}, 4), out = c.forward();
      Tensor dq = zeros({3, 2, 4}), dk = zeros({5, 1, 4}), dv = zeros({5, 1, 4});
      backend().attention_backward(c.call(), out, dout, dq, dk, dv, false);
      const auto loss = [&] { return dot(c.forward(), dout); };
      expect_gradient(c.q, dq, loss);
      expect_gradient(c.k, dk, loss);
      expect_gradient(c.v, dv, loss);
      const double before = dot(dq, dq);
      backend().attention_backward(c.call(), out, dout, dq, dk, dv, true);
      EXPECT_NEAR(dot(dq, dq), 4 * before, 1e-9);
    }
  }
}

TEST(Reference, NormalizesRows) {
  const Tensor x = f64({1, 3, 3, 4}, {2, 2}), gain = f64({2, 10}, {2}), bias = f64({1, -1}, {2});
  Tensor y = zeros({2, 2}), stats = zeros({2, 2});
  backend().norm({.eps = 0}, x, gain, bias, y, &stats);
  EXPECT_THAT(values(y), near({-1, 9, -1, 9}));
  EXPECT_THAT(values(stats), near({2, 1, 3.5, 2}));
  backend().norm({.eps = 0, .centre = false}, x, gain, {}, y, &stats);
  EXPECT_THAT(values(stats), near({0, 1 / std::sqrt(5), 0, 1 / std::sqrt(12.5)}));
  EXPECT_THAT(values(y),
              near({2 / std::sqrt(5), 30 / std::sqrt(5), 6 / std::sqrt(12.5), 40 / std::sqrt(12.5)}));
}

TEST(Reference, NormsHaveTheirGradients) {
  for (bool centre : {true, false}) {
    const Tensor x = random({3, 5}, 1), gain = random({5}, 2), bias = centre ? random({5}, 3) : Tensor(),
                 dy = random({3, 5}, 4);
    Tensor stats = zeros({3, 2});
    const auto loss = [&] {
      Tensor y = zeros({3, 5});
      backend().norm({.eps = 1e-5, .centre = centre}, x, gain, bias, y, &stats);
      return dot(y, dy);
    };
    loss();
    Tensor dx = random({3, 5}, 5), before = dx.like(dx.shape()), dgain = zeros({5}), dbias = zeros({5});
    backend().copy(dx, before);
    backend().norm_backward({.eps = 1e-5, .centre = centre}, x, gain, stats, dy, dx, true, &dgain, centre ? &dbias : nullptr);
    backend().scale(before, -1, before);
    backend().add(dx, before, dx);
    expect_gradient(x, dx, loss);
    expect_gradient(gain, dgain, loss);
    if (centre) expect_gradient(bias, dbias, loss);
  }
}

TEST(Reference, EmbedsAndHasTheGradient) {
  const Tensor ids = i32({2, 0, 2}), position = i32({0, 1, 0});
  const Tensor table = f64({1, 2, 3, 4, 5, 6}, {3, 2}), positions = f64({10, 20, 30, 40}, {2, 2});
  Tensor y = zeros({3, 2});
  backend().embed(ids, table, 2, positions, position, {}, y);
  EXPECT_THAT(values(y), ElementsAre(20, 32, 32, 44, 20, 32));
  backend().embed(ids, table, 1, {}, {}, {}, y);
  EXPECT_THAT(values(y), ElementsAre(5, 6, 1, 2, 5, 6));

  const Dropout mask{0.3f, 1, 2};
  const Tensor dy = random({3, 2}, 1);
  Tensor dtable = zeros({3, 2}), dpositions = zeros({2, 2});
  backend().embed_backward(dy, ids, 2, position, mask, &dtable, &dpositions);
  const auto loss = [&] {
    backend().embed(ids, table, 2, positions, position, mask, y);
    return dot(y, dy);
  };
  expect_gradient(table, dtable, loss);
  expect_gradient(positions, dpositions, loss);
}

TEST(Reference, CrossEntropyOfEqualLogitsIsTheLogarithmOfTheirNumber) {
  Tensor logits = zeros({2, 4}), loss = zeros({2});
  backend().cross_entropy(logits, i32({1, -100}), 0, true, 3, loss);
  EXPECT_THAT(values(loss), near({std::log(4), 0}));
  EXPECT_THAT(values(logits), near({0.75, -2.25, 0.75, 0.75, 0, 0, 0, 0}));
}

TEST(Reference, SmoothedCrossEntropyHasItsGradient) {
  const Tensor x = random({3, 5}, 1), labels = i32({4, -100, 0});
  const auto run = [&](bool gradient, Tensor& logits) {
    Tensor loss = zeros({3});
    backend().copy(x, logits);
    backend().cross_entropy(logits, labels, 0.1, gradient, 0.5, loss);
    return 0.5 * (values(loss)[0] + values(loss)[2]);
  };
  Tensor gradient = zeros({3, 5}), scratch = zeros({3, 5});
  run(true, gradient);
  expect_gradient(x, gradient, [&] { return run(false, scratch); });
  // By hand: smoothing s moves s of the mass from the label to the mean of all.
  Tensor two = f64({1, 3}, {1, 2}), loss = zeros({1});
  backend().cross_entropy(two, i32({1}), 0.2, false, 1, loss);
  EXPECT_NEAR(values(loss)[0], std::log(std::exp(1) + std::exp(3)) - 0.8 * 3 - 0.1 * (1 + 3), 1e-12);
}

TEST(Reference, ImpossibleTokensCostNothingUnlessSmoothed) {
  Tensor logits = f64({0, -kInfinity, 0}, {1, 3}), loss = zeros({1});
  backend().cross_entropy(logits, i32({0}), 0, true, 1, loss);
  EXPECT_NEAR(values(loss)[0], std::log(2), 1e-12);
  EXPECT_THAT(values(logits), near({-0.5, 0, 0.5}));
}

TEST(Reference, TopKPutsTheLowerIndexFirstAmongEquals) {
  const Tensor x = f64({1, 3, 3, 2, -kInfinity, std::nan(""), 0, 1}, {2, 4});
  Tensor best = zeros({2, 3}), where = Tensor::zeros({2, 3}, DType::i32, kReference), total = zeros({2});
  backend().top_k(x, 3, best, where, total);
  EXPECT_THAT(where.span<std::int32_t>(), ElementsAre(1, 2, 3, 3, 2, 0));
  EXPECT_THAT(values(best), ElementsAre(3, 3, 2, 1, 0, -kInfinity));
  EXPECT_NEAR(values(total)[0], std::log(std::exp(1) + 2 * std::exp(3) + std::exp(2)), 1e-12);
  EXPECT_TRUE(std::isnan(values(total)[1]));
}

TEST(Reference, AdamwTakesItsFirstStepOfOneLearningRate) {
  Tensor w = f64({1, -2}, {2}), m = zeros({2}), v = zeros({2});
  const Tensor g = f64({4, -0.5}, {2});
  backend().adamw(w, g, m, v,
                  {.learning_rate = 0.5f,
                   .beta1 = 0.5f,
                   .beta2 = 0.75f,
                   .epsilon = 0,
                   .weight_decay = 0.25f,
                   .gradient_scale = 0.5f,
                   .step = 1});
  EXPECT_THAT(values(m), near({1, -0.125}));
  EXPECT_THAT(values(v), near({1, 0.015625}));
  EXPECT_THAT(values(w), near({1 - 0.5 - 0.125, -2 + 0.5 + 0.25}));
  backend().adamw(w, g, m, v,
                  {.learning_rate = 0.5f,
                   .beta1 = 0.5f,
                   .beta2 = 0.75f,
                   .epsilon = 0,
                   .gradient_scale = 0.5f,
                   .step = 2});
  EXPECT_THAT(values(w),
              near({-0.125, -0.75}));  // a constant gradient: the corrected moments are g and g squared
}

TEST(Reference, SgdKeepsAVelocity) {
  Tensor w = f64({1}, {1}), velocity = f64({2}, {1}), none;
  const Tensor g = f64({3}, {1});
  backend().sgd(w, g, velocity, {.learning_rate = 0.5f, .momentum = 0.5f});
  EXPECT_EQ(values(velocity)[0], 4);
  EXPECT_EQ(values(w)[0], -1);
  backend().sgd(w, g, velocity,
                {.learning_rate = 0.5f, .momentum = 0.5f, .weight_decay = 0.5f, .nesterov = true});
  EXPECT_EQ(values(velocity)[0], 5);
  EXPECT_EQ(values(w)[0], -1 - 0.5 * (3 + 2.5 - 0.5));
  backend().sgd(w, g, none, {.learning_rate = 1});
  EXPECT_EQ(values(w)[0], -3.5 - 3);
}

TEST(Reference, AdafactorFactorsTheSquares) {
  // A gradient whose square has rank one is divided by exactly its own size: the update is the sign, clipped
  // to RMS 1.
  Tensor w = f64({2, 2, 2, 2}, {2, 2}), row = zeros({2}), column = zeros({2});
  const Tensor g = f64({1, -2, 3, 6}, {2, 2});
  backend().adafactor(w, g, row, column, {.learning_rate = 0.25f, .epsilon1 = 0, .step = 1});
  EXPECT_THAT(values(row), near({2.5, 22.5}));
  EXPECT_THAT(values(column), near({5, 20}));
  EXPECT_THAT(values(w), near({1.5, 2.5, 1.5, 1.5}));
  // A vector keeps every square. Weights of RMS below epsilon2 move as if it were epsilon2.
  Tensor bias = zeros({2}), square = zeros({2}), none;
  backend().adafactor(bias, f64({3, -4}, {2}), square, none,
                      {.learning_rate = 1, .epsilon1 = 0, .epsilon2 = 0.5f, .clip = 0.5f, .step = 1});
  EXPECT_THAT(values(square), near({9, 16}));
  EXPECT_THAT(values(bias), near({-0.25, 0.25}));
}

TEST(Reference, RefusesOtherTypes) {
  Tensor x = Tensor::zeros({2}, DType::f16, kReference);
  EXPECT_THROW(backend().scale(x, 1, x), Error);
}

}  // namespace
}  // namespace glossa
