#include "autograd/tape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "square.h"

// What the tape does with gradients between ops: who shares them, who adds to them, when they go.
namespace glossa::test {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

// ---- views ----

TEST(Tape, PartsShareOneGradient) {
  Tensor x = counting({2, 6});
  Tape tape;
  tape.watch(x);
  const auto [a, b, c] = split<3>(x);
  tape.backward_from(plus(through(a, 2), through(c, 5)), counting({2, 2}));
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(2, 4, 0, 0, 5, 10, 6, 8, 0, 0, 15, 20));
}

TEST(Tape, OverlappingPartsAdd) {
  Tensor x = counting({1, 3});
  Tape tape;
  tape.watch(x);
  tape.backward_from(plus(through(x.slice(1, 0, 2)), through(x.slice(1, 1, 3), 10)), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(1, 11, 10));
}

TEST(Tape, PartsByRowsAndOtherShapes) {
  Tensor x = counting({4, 2});
  Tape tape;
  tape.watch(x);
  const Tensor whole = through(x.view({2, 4}), 3), part = through(x.slice(0, 1, 3).view({1, 4}), 100);
  tape.backward_from(plus(whole.slice(0, 1, 2), part), ones({1, 4}));
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(0, 0, 100, 100, 103, 103, 3, 3));
}

TEST(Tape, ResultsArePartlyUsed) {
  Tensor x = counting({2, 2});
  Tape tape;
  tape.watch(x);
  const Tensor h = through(x, 2);
  tape.backward_from(through(h.slice(1, 1, 2), 3), ones({2, 1}));
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(0, 6, 0, 6));
}

TEST(Tape, HeadsOfAPartTakeGradients) {
  Tensor x = counting({2, 6});
  Tape tape;
  tape.watch(x);
  const Tensor part = heads(x.slice(1, 1, 5), 2);
  const Sequences each = Sequences::of_lengths({1, 1}, kReference);  // one key: attention gives the value
  const Tensor y = attention(part, part, part, each, each);
  tape.backward_from(plus(through(x.slice(1, 0, 4)), y), ones({2, 4}));
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(1, 2, 2, 2, 1, 0, 1, 2, 2, 2, 1, 0));
}

// Queries have a gradient already, keys and values have none: the kernel adds for all.
TEST(Tape, AttentionAddsToSomeOfItsInputs) {
  Tensor q = counting({1, 2}), kv = counting({1, 4});
  Tape tape;
  tape.watch(q);
  tape.watch(kv);
  const Sequences each = Sequences::of_lengths({1}, kReference);
  const Tensor a =
      attention(heads(q, 1), heads(kv.slice(1, 0, 2), 1), heads(kv.slice(1, 2, 4), 1), each, each);
  tape.backward_from(plus(a, through(q, 7)), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(q)), ElementsAre(7, 7));
  EXPECT_THAT(values(tape.gradient(kv)), ElementsAre(0, 0, 1, 1));
}

// ---- several uses ----

TEST(Tape, TwoUsesAdd) {
  Tensor x = counting({1, 2});
  Tape tape;
  tape.watch(x);
  tape.backward_from(plus(through(x, 2), through(x, 3)), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), Each(5));
}

TEST(Tape, InputAndResidualAtOnce) {
  Tensor x = counting({2, 2});
  Tape tape;
  tape.watch(x);
  tape.backward_from(plus(x, x), counting({2, 2}));
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(2, 4, 6, 8));
}

// The residual adopts the incoming gradient; who else adds to it afterwards must not write into what others
// read.
TEST(Tape, AdoptedGradientsAreNotWrittenByNeighbours) {
  Tensor x = counting({1, 2}), z = counting({1, 2});
  const Tensor dy = ones({1, 2});
  {
    Tape tape;
    tape.watch(x);
    tape.watch(z);
    Tensor h = through(x, 3);
    tape.watch(h);
    const Tensor first = linear(z, identity(2), {}, {.residual = h});
    const Tensor second = linear(first, identity(2), {}, {.residual = h});
    tape.backward_from(second, dy);
    EXPECT_THAT(values(tape.gradient(h)), Each(2));
    EXPECT_THAT(values(tape.gradient(z)), Each(1));
    EXPECT_THAT(values(tape.gradient(x)), Each(6));
  }
  EXPECT_THAT(values(dy), Each(1));
}

TEST(Tape, GradientsOfOneResidualChainStayApart) {
  Tensor a = counting({1, 2}), b = counting({1, 2}), c = counting({1, 2});
  Tape tape;
  for (Tensor* x : {&a, &b, &c}) tape.watch(*x);
  // b and c receive the very same gradient by adoption; b is used before, and adds.
  const Tensor used = through(b, 10);
  const Tensor y = linear(linear(used, identity(2), {}, {.residual = c}), identity(2), {}, {.residual = b});
  tape.backward_from(linear(a, identity(2), {}, {.residual = y}), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(a)), Each(1));
  EXPECT_THAT(values(tape.gradient(b)), Each(11));
  EXPECT_THAT(values(tape.gradient(c)), Each(1));
}

TEST(Tape, UnusedResultsCostNothing) {
  Tensor x = counting({1, 2}), other = counting({1, 2});
  Tape tape;
  tape.watch(x);
  tape.watch(other);
  through(x, 100);
  through(other, 3);
  tape.backward_from(through(x, 2), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), Each(2));
  EXPECT_FALSE(tape.gradient(other));
}

// ---- parameters ----

TEST(Tape, TiedParametersAdd) {
  Square p(2);
  const Tensor ids = Tensor::of(rows(2), kReference);
  Tape tape;
  const Tensor x = embed(ids, p.w);  // the identity of rows
  tape.backward_from(linear(x, p.w, {}), ones({2, 2}));
  // d/dw of sum(w w'): twice the column sums.
  const auto w = values(p.w.value());
  EXPECT_THAT(values(p.gradient()), Pointwise(DoubleNear(1e-12), {2 * (w[0] + w[2]), 2 * (w[1] + w[3]),
                                                                  2 * (w[0] + w[2]), 2 * (w[1] + w[3])}));
}

TEST(Tape, PartsOfAParameterLeaveTheRestZero) {
  Square p(3);
  p.w.leaf().gradient = ones({3, 3});  // of an earlier step
  p.list.clear_gradients();
  Tape tape;
  tape.backward_from(linear(ones({1, 3}), p.w.value().slice(0, 1, 2), {}), ones({1, 1}));
  EXPECT_THAT(values(p.gradient()), ElementsAre(0, 0, 0, 1, 1, 1, 0, 0, 0));
}

TEST(Tape, GradientsOfParametersAddUpUntilCleared) {
  Square p(2);
  for (int step = 1; step <= 3; ++step) {
    Tape tape({.step = static_cast<std::uint64_t>(step)});
    tape.backward_from(linear(ones({1, 2}), p.w, {}), ones({1, 2}));
    EXPECT_THAT(values(p.gradient()), Each(step));
  }
  EXPECT_TRUE(p.w.leaf().gradient);
  p.list.clear_gradients();
  EXPECT_FALSE(p.w.leaf().gradient);
  Tape tape;
  tape.backward_from(linear(ones({1, 2}), p.w, {}), ones({1, 2}));
  EXPECT_THAT(values(p.gradient()), Each(1));
}

TEST(Tape, ParametersNotReachedHaveNoGradient) {
  Square p(2), q(2);
  Tape tape;
  linear(ones({1, 2}), q.w, {});
  tape.backward_from(linear(ones({1, 2}), p.w, {}), ones({1, 2}));
  EXPECT_TRUE(p.w.leaf().gradient);
  EXPECT_FALSE(q.w.leaf().gradient);
}

TEST(Tape, FrozenParametersAreConstants) {
  Square p(2);
  p.w.leaf().trainable = false;
  Tape tape;
  EXPECT_FALSE(recording({p.w}));
  EXPECT_EQ(linear(ones({1, 2}), p.w, {}).slot(), -1);
  EXPECT_FALSE(p.w.leaf().gradient);
}

// ---- watching ----

TEST(Tape, ResultsCanBeWatched) {
  Tensor x = counting({1, 2});
  Tape tape;
  tape.watch(x);
  Tensor h = through(x, 2);
  tape.watch(h);
  tape.backward_from(through(h, 5), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(h)), Each(5));
  EXPECT_THAT(values(tape.gradient(x)), Each(10));
}

TEST(Tape, OnlyWholesAreWatched) {
  Tensor x = counting({2, 4});
  Tape tape;
  tape.watch(x);
  Tensor strided = x.slice(1, 0, 2), part = x.slice(0, 0, 1);
  EXPECT_THAT(message([&] { tape.watch(strided); }), HasSubstr("only whole and dense tensors"));
  EXPECT_THAT(message([&] { tape.watch(part); }), HasSubstr("only whole and dense tensors"));
  EXPECT_THAT(message([&] { tape.gradient(ones({1})); }), HasSubstr("not watched"));
}

// ---- what belongs to which tape ----

TEST(Tape, NoTapeNoRecord) {
  Square p(2);
  EXPECT_EQ(linear(ones({1, 2}), p.w, {}).slot(), -1);
}

TEST(Tape, TapesNest) {
  Tensor x = counting({1, 2});
  Tape outer;
  outer.watch(x);
  const Tensor before = through(x, 2);
  {
    Tape inner;
    EXPECT_EQ(Tape::current(), &inner);
    EXPECT_EQ(through(before, 3).slot(), -1);  // a constant in here
    Tensor own = counting({1, 2});
    inner.watch(own);
    inner.backward_from(plus(through(own, 4), before), ones({1, 2}));
    EXPECT_THAT(values(inner.gradient(own)), Each(4));
  }
  EXPECT_EQ(Tape::current(), &outer);
  outer.backward_from(through(before, 5), ones({1, 2}));
  EXPECT_THAT(values(outer.gradient(x)), Each(10));
}

TEST(Tape, WhatADeadTapeRecordedIsConstant) {
  Tensor x = counting({1, 2}), kept;
  {
    Tape tape;
    tape.watch(x);
    kept = through(x);
  }
  Tape tape;
  EXPECT_FALSE(recording({kept, x}));
  Tensor own = counting({1, 2});
  tape.watch(own);
  tape.backward_from(plus(through(own, 2), kept), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(own)), Each(2));
  EXPECT_THAT(message([&] {
                tape.backward_from(kept, ones({1, 2}));
              }),
              HasSubstr("this tape did not record"));
}

TEST(Tape, NothingIsWalkedTwice) {
  Tensor x = counting({1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor h = through(x), y = through(h);
  tape.backward_from(y, ones({1, 2}));
  EXPECT_THAT(message([&] { tape.backward_from(y, ones({1, 2})); }), HasSubstr("after backward()"));
  EXPECT_THAT(message([&] { through(h); }), HasSubstr("after backward()"));
  // What was watched may be used again, and its gradient adds up.
  tape.backward_from(through(x, 3), ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), Each(4));
}

TEST(Tape, SeedsAndShapesAreChecked) {
  Tensor x = counting({2, 2});
  Tape tape;
  tape.watch(x);
  const Tensor y = through(x);
  EXPECT_THAT(message([&] { tape.backward(y); }), HasSubstr("only one number has a gradient"));
  EXPECT_THAT(message([&] { tape.backward_from(y, ones({4})); }),
              HasSubstr("shape [2, 2] with a gradient of shape [4]"));
  const Tensor loss = through(y.slice(0, 0, 1)).slice(1, 0, 1);
  tape.backward(loss, 0.5);
  EXPECT_THAT(values(tape.gradient(x)), ElementsAre(0.5, 0, 0, 0));
}

// ---- faults ----

TEST(Tape, AnExceptionLeavesNoTapeBehind) {
  try {
    const Tape tape;
    throw std::runtime_error("in the middle of a step");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(Tape::current(), nullptr);
}

TEST(Tape, AnExceptionInAnOpLeavesTheTapeUsable) {
  Tensor x = counting({1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor h = through(x, 2);
  EXPECT_THROW(linear(h, identity(3), {}), Error);
  tape.backward_from(h, ones({1, 2}));
  EXPECT_THAT(values(tape.gradient(x)), Each(2));
}

TEST(Tape, AnExceptionInTheWalkRestoresTheTapeAndTheNextStepIsRight) {
  Square p(2);
  Tensor x = counting({1, 2});
  {
    Tape tape;
    tape.watch(x);
    const Tensor y = tape.record("fails", ones({1, 2}), std::vector{linear(x, p.w, {})},
                                 [](const Tensor&, Grads&) { fail(Code::nonfinite, "no such gradient"); });
    EXPECT_THROW(tape.backward_from(linear(y, p.w, {}), ones({1, 2})), Error);
    EXPECT_EQ(Tape::current(), &tape);
  }
  EXPECT_EQ(Tape::current(), nullptr);
  p.list.clear_gradients();
  Tape tape;
  tape.backward_from(linear(ones({1, 2}), p.w, {}), ones({1, 2}));
  EXPECT_THAT(values(p.gradient()), Each(1));
}

TEST(Tape, TheWalkItselfIsNotRecorded) {
  Tensor x = counting({1, 2});
  Tape tape;
  tape.watch(x);
  bool seen = false;
  const Tensor y = tape.record("looks", ones({1, 2}), std::vector{x},
                               [&](const Tensor&, Grads&) { seen = Tape::current() == nullptr; });
  tape.backward_from(y, ones({1, 2}));
  EXPECT_TRUE(seen);
  EXPECT_EQ(Tape::current(), &tape);
}

TEST(Tape, OpsWithoutGradientRefuse) {
  Square p(2);
  refuse_gradient("sort", {p.w});
  Tape tape;
  EXPECT_THAT(message([&] { refuse_gradient("sort", {p.w}); }), HasSubstr("sort has no gradient"));
  refuse_gradient("sort", {ones({1})});
  const Tensor cache = heads(linear(ones({2, 2}), p.w, {}), 1);
  const Sequences two = Sequences::of_lengths({2}, kReference);
  EXPECT_THAT(message([&] {
                attention(cache, cache, cache, two, two, {.key_rows = Tensor::of(rows(2), kReference)});
              }),
              HasSubstr("has no gradient"));
}

TEST(Tape, CopiesDoNotLoseGradientsSilently) {
  Square p(2);
  Tape tape;
  const Tensor y = linear(ones({2, 2}), p.w, {});
  EXPECT_THAT(message([&] { y.to(DType::f32); }), HasSubstr("would lose its gradient"));
  EXPECT_THAT(message([&] { y.slice(1, 0, 1).contiguous(); }), HasSubstr("would lose its gradient"));
  EXPECT_EQ(y.detach().to(DType::f32).dtype(), DType::f32);
  EXPECT_EQ(y.to(DType::f64).slot(), y.slot());
}

TEST(Tape, MemoryGoesAsTheWalkPasses) {
  Tensor x = ones({256, 256});
  Tape tape;
  tape.watch(x);
  Tensor y = x;
  const std::size_t before = memory_statistics().in_use;
  for (int i = 0; i < 10; ++i) y = through(y);
  y = through(y.slice(0, 0, 1)).slice(1, 0, 1);
  const std::size_t held = memory_statistics().in_use;
  EXPECT_GT(held - before, 9 * x.elements() * sizeof(double));
  tape.backward(y);
  y = {};
  EXPECT_LE(memory_statistics().in_use - before, 2 * x.elements() * sizeof(double));
}

TEST(Tape, LongChainsNeedNoStack) {
  Tensor x = ones({1, 1});
  Tape tape;
  tape.watch(x);
  Tensor y = x;
  const Tensor one = identity(1);
  for (int i = 0; i < 100'000; ++i) y = linear(y, one, {});
  tape.backward(y);
  EXPECT_THAT(values(tape.gradient(x)), Each(1));
}

}  // namespace
}  // namespace glossa::test
