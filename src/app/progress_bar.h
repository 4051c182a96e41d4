// progress_bar.h -- how far a training run or a download is: one line drawn over itself on a terminal, a line now and then
// elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "train/trainer.h"

namespace glossa::app {

struct DownloadProgress {
  std::string_view file;
  std::uint64_t done, total;  // bytes of all that is to come
  double bytes_per_second;
};

class ProgressBar {
 public:
  ProgressBar() : drawn_at_(Clock::now()) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const TrainingProgress& progress);
  void show(const DownloadProgress& progress);
  void note(std::string_view line);  // above the bar

 private:
  using Clock = std::chrono::steady_clock;
  // `line` behind a bar of which `done` of `total` are full.
  void draw(std::uint64_t done, std::uint64_t total, const std::function<std::string()>& line);
  void clear();
  bool visible_ = false;
  Clock::time_point drawn_at_;
};

// "3:07" or "1:02:03".
std::string clock_time(double seconds);
// "240.3 MiB".
std::string readable_size(std::uint64_t bytes);

}  // namespace glossa::app
