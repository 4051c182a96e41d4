#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace glossa {
namespace {

TEST(Philox, KnownAnswersOfRandom123) {  // kat_vectors of the authors' library, philox4x32 10
  using Block = Philox::Block;
  EXPECT_EQ(Philox::philox({0, 0, 0, 0}, 0, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox::philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff, 0xffffffff),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, SeedsPurposesStreamsAndCountersAllMatter) {
  const auto first = Philox(1, Purpose::dropout, 2)(3);
  EXPECT_EQ(first, Philox(1, Purpose::dropout, 2)(3));
  EXPECT_NE(first, Philox(2, Purpose::dropout, 2)(3));
  EXPECT_NE(first, Philox(1ull << 32 | 1, Purpose::dropout, 2)(3));
  EXPECT_NE(first, Philox(1, Purpose::sample, 2)(3));
  EXPECT_NE(first, Philox(1, Purpose::dropout, 1ull << 32 | 2)(3));
  EXPECT_NE(first, Philox(1, Purpose::dropout, 2)(4));
}

TEST(Philox, MomentsOfUniformAndNormal) {
  const Philox random(7, Purpose::init);
  const int n = 200000;
  double sum = 0, squares = 0, normal_sum = 0, normal_squares = 0;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform(i), z = random.normal(i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    ASSERT_TRUE(std::isfinite(z));
    sum += u, squares += u * u, normal_sum += z, normal_squares += z * z;
  }
  // Five standard errors.
  EXPECT_NEAR(sum / n, 0.5, 5 * 0.2887 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 5 * 0.2981 / std::sqrt(n));
  EXPECT_NEAR(normal_sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(normal_squares / n, 1, 5 * 1.4142 / std::sqrt(n));
}

TEST(Philox, BelowIsInRangeAndFlat) {
  const Philox random(3, Purpose::sample);
  std::vector<int> count(7);
  for (int i = 0; i < 70000; ++i) ++count.at(random.below(i, 7));
  for (int c : count) EXPECT_NEAR(c, 10000, 5 * std::sqrt(10000 * 6.0 / 7));
  EXPECT_EQ(random.below(0, 1), 0u);
  EXPECT_LT(random.below(0, UINT64_MAX), UINT64_MAX);
}

TEST(KeyedPermutation, IsABijectionForEverySize) {
  for (std::uint64_t size = 1; size <= 300; ++size) {
    const KeyedPermutation permutation(size, 42, size);
    std::vector<bool> seen(size);
    for (std::uint64_t i = 0; i < size; ++i) {
      const auto j = permutation(i);
      ASSERT_LT(j, size);
      ASSERT_FALSE(seen[j]);
      seen[j] = true;
    }
  }
  for (const std::uint64_t size :
       {std::uint64_t{65535}, std::uint64_t{65536}, std::uint64_t{65537}, std::uint64_t{300001}}) {
    const KeyedPermutation permutation(size, 1, 0);
    std::vector<bool> seen(size);
    for (std::uint64_t i = 0; i < size; ++i) seen.at(permutation(i)) = true;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<std::int64_t>(size));
  }
}

TEST(KeyedPermutation, StaysInRangeForHugeSizes) {
  for (const std::uint64_t size : {(std::uint64_t{1} << 40) + 1, std::uint64_t{1} << 62, UINT64_MAX}) {
    const KeyedPermutation permutation(size, 9, 3);
    for (std::uint64_t i = 0; i < 100; ++i) EXPECT_LT(permutation(size - 1 - i), size);
  }
}

TEST(KeyedPermutation, EpochsAndSeedsDifferAndTheOrderLooksRandom) {
  const std::uint64_t size = 1000;
  const KeyedPermutation one(size, 5, 0), next(size, 5, 1), other(size, 6, 0);
  int fixed = 0, same_epoch = 0, same_seed = 0;
  for (std::uint64_t i = 0; i < size; ++i)
    fixed += one(i) == i, same_epoch += one(i) == next(i), same_seed += one(i) == other(i);
  EXPECT_LT(fixed, 10);
  EXPECT_LT(same_epoch, 10);
  EXPECT_LT(same_seed, 10);
}

}  // namespace
}  // namespace glossa
