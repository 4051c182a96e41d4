#include "autograd/recompute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "square.h"

// What is drawn or computed a second time in the backward pass: dropout masks, and whole layers.
namespace glossa::test {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::Pointwise;

// ---- dropout ----

TEST(Dropout, IsOfTrainingAlone) {
  const Tensor x = ones({1, 8});
  EXPECT_EQ(dropout(x, 0.5f).storage(), x.storage());
  const Tape evaluation({.mode = Tape::Mode::evaluate});
  EXPECT_EQ(dropout(x, 0.5f).storage(), x.storage());
  const Tape training;
  EXPECT_NE(dropout(x, 0.5f).storage(), x.storage());
  EXPECT_THROW(dropout(x, 1), Error);
  EXPECT_THROW(dropout(x, -0.1f), Error);
}

TEST(Dropout, DependsOnSeedStepAndPlace) {
  const Tensor x = ones({1, 64});
  const auto masks = [&](std::uint64_t seed, std::uint64_t step) {
    const Tape tape({.seed = seed, .step = step});
    const auto first = values(dropout(x, 0.5f));
    return std::pair{first, values(dropout(x, 0.5f))};
  };
  const auto [a, b] = masks(1, 1);
  EXPECT_NE(a, b);
  EXPECT_EQ(masks(1, 1), (std::pair{a, b}));
  EXPECT_NE(masks(2, 1).first, a);
  EXPECT_NE(masks(1, 2).first, a);
}

// ---- recomputation ----

TEST(Recompute, PassesThroughWithoutATape) {
  EXPECT_THAT(values(recompute([](const auto& in) { return through(in[0], 3); }, {ones({1, 2})})), Each(3));
}

TEST(Recompute, GivesGradientsToInputsAndParameters) {
  Square p(2);
  Tensor x = counting({1, 2}), unused = counting({1, 2});
  Tape tape;
  tape.watch(x);
  tape.watch(unused);
  int runs = 0;
  const Tensor y = recompute(
      [&](const std::vector<Tensor>& in) {
        ++runs;
        return linear(in[0], p.w, {}, {.residual = in[0]});
      },
      {x, unused, Tensor()});
  EXPECT_EQ(runs, 1);
  tape.backward_from(y, ones({1, 2}));
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(values(p.gradient()), ElementsAre(1, 2, 1, 2));
  const auto w = values(p.w.value());
  EXPECT_THAT(values(tape.gradient(x)), Pointwise(DoubleNear(1e-12), {1 + w[0] + w[2], 1 + w[1] + w[3]}));
  EXPECT_FALSE(tape.gradient(unused));
}

TEST(Recompute, TakesAndGivesParts) {
  Tensor x = counting({2, 4});
  Tape tape;
  tape.watch(x);
  const Tensor y = recompute([](const std::vector<Tensor>& in) { return through(in[0], 3).slice(1, 0, 1); },
                             {x.slice(1, 1, 3)});
  EXPECT_THAT(values(y.detach()), ElementsAre(6, 18));
  tape.backward_from(through(y, 2), ones({2, 1}));
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(0, 6, 0, 0, 0, 6, 0, 0));
}

TEST(Recompute, OfTheSameTensorTwiceAdds) {
  Tensor x = counting({1, 2});
  Tape tape;
  tape.watch(x);
  tape.backward_from(recompute([](const auto& in) { return plus(in[0], through(in[1], 4)); }, {x, x}),
                     ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), Each(5));
}

TEST(Recompute, OfTheIdentityAndOfConstants) {
  Tensor x = counting({1, 2});
  const Tensor other = counting({1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor same = recompute([](const auto& in) { return in[0]; }, {x});
  const Tensor constant = recompute([&](const auto&) { return through(other); }, {x});
  const Tensor unknown = recompute([](const auto& in) { return through(in[0]); }, {other});
  EXPECT_EQ(unknown.slot(), -1);
  tape.backward_from(plus(through(same, 2), plus(constant, unknown)), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), Each(2));
}

TEST(Recompute, CapturedTensorsAreConstants) {
  Tensor x = counting({1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor h = through(x, 2);
  const Tensor y = recompute([&](const auto& in) { return plus(through(in[0], 3), h); }, {x});
  tape.backward_from(y, ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), Each(3));
}

TEST(Recompute, Nests) {
  Tensor x = counting({1, 16});
  Tape tape({.seed = 3});
  tape.watch(x);
  const auto inner = [](const std::vector<Tensor>& in) { return dropout(through(in[0], 2), 0.5f); };
  const auto outer = [&](const std::vector<Tensor>& in) { return dropout(recompute(inner, in), 0.5f); };
  const Tensor y = recompute(outer, {x});
  tape.backward_from(y, ones({1, 16}));
  const auto out = values(y.detach()), gradient = values(tape.gradient(x));
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(gradient[i], out[i] == 0 ? 0 : 8) << i;
}

}  // namespace
}  // namespace glossa::test
