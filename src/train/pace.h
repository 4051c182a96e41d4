// pace.h -- how long a step takes lately, to say how long the others will.
#pragma once
#include <algorithm>

namespace glossa {

// The mean of the first steps, then one in which each step before weighs a little less than the one after it:
// who else uses the machine changes within a run.
class Pace {
 public:
  void add(double seconds) {
    constexpr double kSteps = 50;
    count_ = std::min(count_ + 1, kSteps);
    mean_ += (seconds - mean_) / count_;
  }
  double seconds() const { return mean_; }

 private:
  double mean_ = 0, count_ = 0;
};

}  // namespace glossa
