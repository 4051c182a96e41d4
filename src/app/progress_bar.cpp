#include "app/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "app/command.h"
#include "base/error.h"

namespace glossa::app {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::seconds(15);
constexpr int kWidth = 24;

void to_standard_error(const std::string& text) {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

std::string status(const TrainingProgress& p) {
  std::string line = fmt::format("step {}/{}  epoch {:.1f}  loss {:.3f}", p.step, p.max_steps, p.epoch, p.loss);
  if (p.eval_bleu)
    line += fmt::format("  BLEU {:.1f}", *p.eval_bleu);
  else if (p.eval_loss)
    line += fmt::format("  validation {:.3f}", *p.eval_loss);
  return line + fmt::format("  {:.0f} tokens/s  {} left", p.tokens_per_second, clock_time(p.seconds_left));
}

}  // namespace

std::string clock_time(double seconds) {
  const auto s = static_cast<long>(std::lround(std::clamp(seconds, 0.0, 3.6e8)));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60) : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

void ProgressBar::show(const TrainingProgress& p) {
  draw(static_cast<std::uint64_t>(p.step), static_cast<std::uint64_t>(p.max_steps), [&] { return status(p); });
}

void ProgressBar::show(const DownloadProgress& p) {
  draw(p.done, p.total, [&] {
    const double left = p.bytes_per_second > 0 ? static_cast<double>(p.total - p.done) / p.bytes_per_second : 0;
    return fmt::format("{} of {}  {}/s  {} left  {}", readable_size(p.done), readable_size(p.total),
                       readable_size(static_cast<std::uint64_t>(p.bytes_per_second)), clock_time(left), quoted(p.file, 40));
  });
}

void ProgressBar::draw(std::uint64_t done, std::uint64_t total, const std::function<std::string()>& line) {
  const auto now = Clock::now();
  const bool last = done >= total;
  if (!terminal()) {
    if (!last && now - drawn_at_ < kPlainLine) return;
    drawn_at_ = now;
    return app::note(line());
  }
  if (quiet() || (!last && visible_ && now - drawn_at_ < kRedraw)) return;
  drawn_at_ = now;
  const auto full = static_cast<int>(kWidth * std::min(done, total) / std::max<std::uint64_t>(total, 1));
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < full ? "█" : "░";
  to_standard_error(fmt::format("\r\033[K{} {}", bar, line()));
  visible_ = true;
}

std::string readable_size(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  for (; value >= 1024 && unit < 3; ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

void ProgressBar::note(std::string_view line) {
  clear();
  app::note(line);
}

void ProgressBar::clear() {
  if (visible_) to_standard_error("\r\033[K");
  visible_ = false;
}

}  // namespace glossa::app
