#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace glossa {
namespace {

class Parallel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_thread_count(GetParam()); }
  void TearDown() override { set_thread_count(hardware_threads()); }
};

TEST_P(Parallel, EveryTaskRunsOnce) {
  EXPECT_EQ(thread_count(), GetParam());
  for (const std::int64_t tasks : {0, 1, 2, 3, 7, 1000}) {
    std::vector<std::atomic<int>> count(static_cast<std::size_t>(tasks));
    parallel_tasks(tasks, [&](std::int64_t t) { ++count[static_cast<std::size_t>(t)]; });
    for (const auto& c : count) ASSERT_EQ(c, 1);
  }
}

TEST_P(Parallel, PiecesCoverTheRangeWithoutOverlap) {
  for (const std::int64_t size : {0, 1, 63, 64, 65, 1000}) {
    std::vector<std::atomic<int>> count(static_cast<std::size_t>(size));
    parallel_for(size, 64, [&](std::int64_t begin, std::int64_t end) {
      ASSERT_LE(end - begin, 64);
      for (auto i = begin; i < end; ++i) ++count[static_cast<std::size_t>(i)];
    });
    for (const auto& c : count) ASSERT_EQ(c, 1);
  }
}

TEST_P(Parallel, NestedRegionsRunOnTheirThread) {
  std::atomic<int> inner{0}, elsewhere{0};
  parallel_tasks(8, [&](std::int64_t) {
    const auto here = std::this_thread::get_id();
    parallel_tasks(16, [&](std::int64_t) {
      ++inner;
      if (std::this_thread::get_id() != here) ++elsewhere;
    });
  });
  EXPECT_EQ(inner, 8 * 16);
  EXPECT_EQ(elsewhere, 0);
}

TEST_P(Parallel, AnExceptionReachesTheCallerAndThePoolGoesOn) {
  for (int round = 0; round < 50; ++round) {
    try {
      parallel_tasks(64, [&](std::int64_t t) {
        if (t == round) throw std::runtime_error("task " + std::to_string(t));
      });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), "task " + std::to_string(round));
    }
    std::atomic<int> count{0};
    parallel_tasks(10, [&](std::int64_t) { ++count; });
    ASSERT_EQ(count, 10);
  }
}

TEST_P(Parallel, ManyShortRegionsInARow) {
  std::atomic<std::int64_t> sum{0};
  for (int round = 0; round < 5000; ++round) parallel_tasks(4, [&](std::int64_t t) { sum += t; });
  EXPECT_EQ(sum, 5000 * 6);
}

TEST_P(Parallel, TwoThreadsMayBothOpenRegions) {
  std::atomic<std::int64_t> sum{0};
  const auto work = [&] {
    for (int round = 0; round < 300; ++round) parallel_tasks(8, [&](std::int64_t t) { sum += t; });
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(sum, 2 * 300 * 28);
}

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2, 3, 8));

TEST(ParallelSettings, AtLeastOneThread) {
  set_thread_count(0);
  EXPECT_EQ(thread_count(), 1);
  set_thread_count(hardware_threads());
  EXPECT_GE(hardware_threads(), 1);
}

}  // namespace
}  // namespace glossa
