#include "tensor/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

namespace glossa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor counting(const Shape& shape) {
  Tensor x = Tensor::empty(shape, DType::f32);
  for (std::int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = static_cast<float>(i);
  return x;
}
std::vector<float> values(const Tensor& x) {
  const Tensor dense = x.contiguous();
  const auto all = dense.span<float>();
  return {all.begin(), all.end()};
}
std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Shape, KnowsItsLimits) {
  EXPECT_EQ(to_string(Shape{3, 0, 4}), "[3, 0, 4]");
  EXPECT_EQ((Shape{3, 0, 4}.elements()), 0);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_FALSE((Shape{2, 3} == Shape{2, 3, 1}));
  EXPECT_THAT(message([] { Shape{1, 1, 1, 1, 1}; }), HasSubstr("at most 4 dimensions, not 5"));
  EXPECT_THAT(message([] { Shape{2, -1}; }), HasSubstr("cannot be -1"));
}

TEST(Tensor, NoTensorIsFalse) {
  const Tensor none;
  EXPECT_FALSE(none);
  EXPECT_TRUE(Tensor::empty({0}));
  EXPECT_THAT(message([&] { none.data<float>(); }), HasSubstr("absent"));
  EXPECT_FALSE(none.to(DType::f64));
}

TEST(Tensor, ReadsOnlyAsItsType) {
  EXPECT_THAT(message([] { Tensor::zeros({2}).data<double>(); }),
              HasSubstr("a tensor of f32 was read as f64"));
  EXPECT_THAT(message([] { Tensor::zeros({2}).item<float>(); }),
              HasSubstr("item() of a tensor of shape [2]"));
  EXPECT_EQ(Tensor::of(std::vector<std::int32_t>{7}).item<std::int32_t>(), 7);
  EXPECT_THROW(Tensor::of(std::span<const float>(), {2}), Error);
}

TEST(Tensor, SlicesShareMemory) {
  Tensor x = counting({3, 4});
  const Tensor part = x.slice(0, 1, 3).slice(1, 1, 3);
  EXPECT_THAT(values(part), ElementsAre(5, 6, 9, 10));
  x.data<float>()[5] = 50;
  EXPECT_EQ(*part.data<float>(), 50);
  EXPECT_FALSE(part.dense());
  EXPECT_TRUE(x.slice(0, 1, 3).dense());
  EXPECT_EQ(part.row_stride(), 4);
  EXPECT_THAT(message([&] { part.span<float>(); }), HasSubstr("strided view of shape [2, 2]"));
  for (auto [axis, begin, end] : {std::tuple{2, 0, 1}, {-1, 0, 1}, {0, 2, 1}, {0, -1, 1}, {0, 0, 4}})
    EXPECT_THROW(x.slice(axis, begin, end), Error);
}

TEST(Tensor, ViewsOfDenseTensorsTakeAnyShape) {
  const Tensor x = counting({2, 6});
  EXPECT_THAT(values(x.view({3, 2, 2}).slice(0, 1, 2)), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(message([&] { x.view({5, 2}); }), HasSubstr("cannot view shape [2, 6] as [5, 2]"));
}

TEST(Tensor, ViewsOfPartsKeepTheirRows) {
  const Tensor part = counting({3, 8}).slice(1, 2, 8);
  const Tensor heads = part.view({3, 3, 2});
  EXPECT_THAT(values(heads), ElementsAre(2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23));
  EXPECT_EQ(values(heads.view({3, 6})), values(part));
  EXPECT_EQ(heads.view({3, 6}).row_stride(), 8);
  EXPECT_EQ(values(part.view({3, 1, 6})), values(part));
  EXPECT_THROW(part.view({6, 3}), Error);
  EXPECT_THROW(part.view({18}), Error);
  EXPECT_THROW(heads.slice(1, 0, 2).slice(2, 0, 1).view({3, 2}), Error);  // gaps within a row
  EXPECT_EQ(counting({0, 8}).slice(1, 2, 8).view({0, 3, 2}).elements(), 0);
}

TEST(Tensor, RowsOfViewsAreEvenlySpacedOrRefused) {
  const Tensor x = counting({2, 3, 4});
  EXPECT_EQ(x.row_stride(), 4);
  EXPECT_EQ(x.slice(2, 1, 3).row_stride(), 4);
  EXPECT_EQ(x.slice(0, 1, 2).slice(1, 0, 2).row_stride(), 4);
  EXPECT_EQ(x.slice(1, 1, 2).row_stride(), 12);
  EXPECT_THAT(message([&] { x.slice(1, 0, 2).row_stride(); }), HasSubstr("cannot be read as a matrix"));
  EXPECT_EQ(counting({5}).row_stride(), 5);
}

TEST(Tensor, CopiesAreDense) {
  const Tensor part = counting({2, 3, 4}).slice(1, 0, 2).slice(2, 1, 3), dense = part.contiguous();
  EXPECT_THAT(values(dense), ElementsAre(1, 2, 5, 6, 13, 14, 17, 18));
  EXPECT_TRUE(dense.dense());
  EXPECT_EQ(dense.contiguous().storage(), dense.storage());
  EXPECT_EQ(values(part.to(Device{Device::reference})), values(part));
}

TEST(Tensor, ConvertsBetweenTypes) {
  const Tensor x = Tensor::of(std::vector<float>{1.5f, -2, 70000, 0.1f});
  EXPECT_EQ(x.to(DType::f32).storage(), x.storage());
  EXPECT_THAT(values(x.to(DType::f64).to(DType::f32)), ElementsAre(1.5f, -2, 70000, 0.1f));
  EXPECT_THAT(values(x.to(DType::bf16).to(DType::f32)), ElementsAre(1.5f, -2, 70144, 0.10009765625f));
  EXPECT_THAT(values(x.to(DType::f16).to(DType::f32)), ElementsAre(1.5f, -2, INFINITY, 0.0999755859375f));
  EXPECT_THAT(x.to(DType::i32).span<std::int32_t>(), ElementsAre(1, -2, 70000, 0));
}

TEST(Tensor, ViewsOfForeignMemoryAreChecked) {
  std::vector<float> memory{1, 2, 3, 4};
  auto storage = std::make_shared<Storage>();
  storage->data = memory.data();
  storage->bytes = memory.size() * sizeof(float);
  EXPECT_THAT(values(Tensor::from(storage, {2}, DType::f32, 8)), ElementsAre(3, 4));
  EXPECT_THAT(message([&] { Tensor::from(storage, {2}, DType::f32, 12); }),
              HasSubstr("does not fit its storage of 16 bytes"));
  EXPECT_THAT(message([&] { Tensor::from(storage, {1}, DType::f32, 2); }), HasSubstr("not a multiple"));
}

TEST(Tensor, APartsPlaceCanBePutInOtherMemory) {
  const Tensor base = counting({2, 6}), part = base.slice(0, 1, 2).slice(1, 2, 4);
  Tensor gradient = Tensor::zeros({2, 6});
  Tensor there = part.place().placed_in(gradient, base.offset());
  there.data<float>()[0] = 1;
  EXPECT_EQ(gradient.data<float>()[8], 1);
  EXPECT_FALSE(part.place());
}

// ---- narrow floating point ----

// Slow and plain: the nearest of all numbers of the format, the one with an even last bit among two.
template <class Narrow>
std::uint16_t nearest(float x, std::uint16_t infinity) {
  std::uint16_t best = 0;
  for (std::uint32_t bits = 0; bits <= infinity; ++bits) {
    const Narrow candidate{static_cast<std::uint16_t>(bits)}, so_far{best};
    // Infinity stands where the next number would.
    const auto value = [&](Narrow n) {
      return n.bits < infinity
                 ? static_cast<double>(static_cast<float>(n))
                 : 2.0 * static_cast<double>(
                             static_cast<float>(Narrow{static_cast<std::uint16_t>(infinity - 1)})) -
                       static_cast<double>(
                           static_cast<float>(Narrow{static_cast<std::uint16_t>(infinity - 2)}));
    };
    const double now = std::fabs(value(candidate) - static_cast<double>(x)),
                 before = std::fabs(value(so_far) - static_cast<double>(x));
    if (now < before || (now == before && (bits & 1) == 0)) best = candidate.bits;
  }
  return best;
}

TEST(Narrow, HalfRoundsToNearestEven) {
  for (float x :
       {0.0f, 1.0f, 1.00048828125f, 1.00146484375f, 65504.0f, 65519.99f, 65520.0f, 1e9f, 6.1035e-5f,
        6.0976e-5f, 5.96e-8f, 2.98e-8f, 0x1p-25f, 0x1.8p-24f, 0x1.000002p-25f, 1e-30f, 0.333333f, 1234.5f})
    EXPECT_EQ(float16::from(x).bits, nearest<float16>(x, 0x7C00)) << x;
}

TEST(Narrow, BfloatRoundsToNearestEven) {
  for (float x :
       {0.0f, 1.0f, 1.00390625f, 1.01171875f, 3.3e38f, std::numeric_limits<float>::max(), 1e-40f, 0.333333f})
    EXPECT_EQ(bfloat16::from(x).bits, nearest<bfloat16>(x, 0x7F80)) << x;
}

TEST(Narrow, EveryHalfAndBfloatSurvives) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const float16 half{static_cast<std::uint16_t>(bits)};
    const bfloat16 brain{static_cast<std::uint16_t>(bits)};
    if (std::isnan(static_cast<float>(half)))
      EXPECT_TRUE(std::isnan(static_cast<float>(float16::from(half))));
    else
      EXPECT_EQ(float16::from(half).bits, bits);
    if (std::isnan(static_cast<float>(brain)))
      EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16::from(brain))));
    else
      EXPECT_EQ(bfloat16::from(brain).bits, bits);
  }
}

// ---- memory ----

TEST(Memory, IsAlignedAndUsedAgain) {
  release_unused_memory();
  const void* first;
  {
    const Tensor x = Tensor::empty({1000});
    first = x.raw();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0u);
  }
  const auto before = memory_statistics();
  const Tensor again = Tensor::empty({990});
  EXPECT_EQ(again.raw(), first);
  EXPECT_EQ(memory_statistics().system_allocations, before.system_allocations);
}

TEST(Memory, ASmallRequestDoesNotTakeALargeBlock) {
  release_unused_memory();
  { const Tensor large = Tensor::empty({1 << 20}); }
  const auto before = memory_statistics();
  const Tensor small = Tensor::empty({16});
  EXPECT_EQ(memory_statistics().system_allocations, before.system_allocations + 1);
}

TEST(Memory, IsCountedAndGivenBack) {
  release_unused_memory();
  const auto before = memory_statistics();
  {
    const Tensor x = Tensor::empty({1 << 20}), copy = x;
    EXPECT_EQ(memory_statistics().in_use - before.in_use, 4u << 20);
  }
  EXPECT_EQ(memory_statistics().in_use, before.in_use);
  EXPECT_EQ(memory_statistics().reserved, before.reserved + (4u << 20));
  release_unused_memory();
  EXPECT_EQ(memory_statistics().reserved, before.reserved);
  EXPECT_GE(memory_statistics().peak, before.reserved + (4u << 20));
}

TEST(Memory, RefusesWhatThereIsNot) {
  const auto before = memory_statistics();
  EXPECT_THAT(message([] { Tensor::empty({std::int64_t{1} << 60}); }),
              HasSubstr("out of memory: cannot allocate 4611686018427387904 bytes"));
  EXPECT_THAT(message([] {
                Tensor::empty({std::int64_t{1} << 40, std::int64_t{1} << 40});
              }),
              HasSubstr("exceeds 64 bits"));
  EXPECT_EQ(memory_statistics().in_use, before.in_use);
  EXPECT_EQ(memory_statistics().reserved, before.reserved);
}

TEST(Memory, IsSafeFromSeveralThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        Tensor x = Tensor::empty({1 + (i * 37 + t * 11) % 5000});
        x.data<float>()[x.elements() - 1] = 1;
      }
    });
  for (std::thread& t : threads) t.join();
  SUCCEED();
}

}  // namespace
}  // namespace glossa
