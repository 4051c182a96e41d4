// progress_bar.h -- how far a training run is: one line drawn over itself on a terminal, a line now and then elsewhere.
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "train/trainer.h"

namespace glossa::app {

class ProgressBar {
 public:
  ProgressBar() : drawn_at_(Clock::now()) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const TrainingProgress& progress);
  void note(std::string_view line);  // above the bar

 private:
  using Clock = std::chrono::steady_clock;
  void clear();
  bool visible_ = false;
  Clock::time_point drawn_at_;
};

// "3:07" or "1:02:03".
std::string clock_time(double seconds);

}  // namespace glossa::app
