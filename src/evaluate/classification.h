// classification.h -- how often labels are right: accuracy with its interval, precision, recall and F1 of
// each label.
#pragma once
#include <cstdint>
#include <vector>

namespace glossa {

struct Interval {
  double low, high;
};

// The score interval of a share, `successes` of `trials` (Wilson, "Probable Inference, the Law of Succession,
// and Statistical Inference", 1927), for 95 % unless another quantile of the normal distribution is given.
// Unlike the mean with its standard error it never leaves [0, 1], and says something of few trials and of
// shares near 0 and 1. Of no trials: [0, 1].
Interval wilson_interval(std::uint64_t successes, std::uint64_t trials, double quantile = 1.959963984540054);

// Counts of true and predicted labels, numbered from 0.
class Classification {
 public:
  explicit Classification(std::size_t labels) : labels_(labels), counts_(labels * labels) {}
  void add(std::size_t truth, std::size_t predicted) { ++counts_[truth * labels_ + predicted]; }

  std::uint64_t count(std::size_t truth, std::size_t predicted) const {
    return counts_[truth * labels_ + predicted];
  }
  std::uint64_t total() const;
  std::uint64_t correct() const;
  std::uint64_t of_truth(std::size_t label) const;   // cases that have it
  std::uint64_t predicted(std::size_t label) const;  // cases that were given it
  std::uint64_t most_frequent() const;  // what would be correct if all cases were given their commonest label

  // 0 where there is nothing to divide by, as scikit-learn has it.
  double accuracy() const;
  double precision(std::size_t label) const;
  double recall(std::size_t label) const;
  double f1(std::size_t label) const;
  double macro_f1() const;  // the mean of all labels that occur, as truth or prediction

 private:
  std::size_t labels_;
  std::vector<std::uint64_t> counts_;  // [truth, predicted]
};

}  // namespace glossa
