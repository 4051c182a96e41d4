#include "evaluate/classification.h"

#include <gtest/gtest.h>

namespace glossa::test {
namespace {

// Figures of scipy.stats.binomtest(...).proportion_ci(method="wilson").
TEST(WilsonInterval, IsThatOfScipy) {
  const struct {
    std::uint64_t successes, trials;
    double low, high;
  } cases[] = {{70, 100, 0.604151454, 0.781051147},
               {0, 10, 0, 0.277532800},
               {10, 10, 0.722467200, 1},
               {1, 2, 0.094531206, 0.905468794}};
  for (const auto& c : cases) {
    const Interval found = wilson_interval(c.successes, c.trials);
    EXPECT_NEAR(found.low, c.low, 1e-8) << c.successes;
    EXPECT_NEAR(found.high, c.high, 1e-8) << c.successes;
  }
  EXPECT_EQ(wilson_interval(0, 0).low, 0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

TEST(Classification, CountsAndDivides) {
  Classification c(4);  // the last label never occurs
  const std::pair<std::size_t, std::size_t> pairs[] = {{0, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 2}, {2, 0}};
  for (const auto& [truth, predicted] : pairs) c.add(truth, predicted);
  EXPECT_EQ(c.total(), 6u);
  EXPECT_EQ(c.correct(), 3u);
  EXPECT_EQ(c.most_frequent(), 3u);
  EXPECT_DOUBLE_EQ(c.accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(c.precision(0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(c.recall(0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(c.f1(0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(c.precision(1), 0.5);
  EXPECT_DOUBLE_EQ(c.recall(1), 0.5);
  EXPECT_DOUBLE_EQ(c.f1(2), 0);
  EXPECT_DOUBLE_EQ(c.f1(3), 0);
  EXPECT_DOUBLE_EQ(c.precision(3), 0);
  EXPECT_DOUBLE_EQ(c.macro_f1(), (2.0 / 3 + 0.5 + 0) / 3);
  EXPECT_DOUBLE_EQ(Classification(2).accuracy(), 0);
  EXPECT_DOUBLE_EQ(Classification(2).macro_f1(), 0);
}

}  // namespace
}  // namespace glossa::test
