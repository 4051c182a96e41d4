#include "app/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "app/command.h"
#include "backend/cpu/cpu_features.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"

namespace glossa::app {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

double peak_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // the kernel counts KiB
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Measured measure(const std::function<void()>& run, const Timing& timing) {
  std::vector<double> times, peaks;
  for (int i = 0; i < timing.warm_up; ++i) run();
  for (int i = 0; i < timing.runs; ++i) {
    const double begin = seconds();
    run();
    times.push_back(seconds() - begin);
    if (i % 4 == 0) peaks.push_back(cpu::measure_peak_flops(timing.bf16, thread_count()));
  }
  Measured measured;
  measured.seconds = median(times), measured.peak = median(peaks);
  return measured;
}

void print_heading(bool json) {
  if (json) return;
  StandardOutput out;
  out.write(fmt::format("{:<36} {:>10} {:>10} {:>8} {:>8} {:>10}   ({}, {} threads)\n", "", "tokens/s", "GFLOP/s", "of peak", "GB/s",
                        "MiB", cpu::name_of(cpu::instruction_set()), thread_count()));
  out.flush();
}

void print(const Measured& m, bool json) {
  const double tokens_per_second = m.tokens / m.seconds, rate = m.operations / m.seconds, memory = peak_memory_mib();
  StandardOutput out;
  if (json) {
    OrderedJson line{{"name", m.name},
                     {"tokens_per_second", tokens_per_second},
                     {"gflops", rate / 1e9},
                     {"share_of_peak", rate / m.peak},
                     {"instruction_set", std::string(cpu::name_of(cpu::instruction_set()))},
                     {"threads", thread_count()},
                     {"peak_memory_mib", memory}};
    if (m.bytes > 0) line["gigabytes_per_second"] = m.bytes / m.seconds / 1e9;
    out.write(to_line(line));
  } else {
    const std::string bytes = m.bytes > 0 ? fmt::format("{:.1f}", m.bytes / m.seconds / 1e9) : "";
    out.write(fmt::format("{:<36} {:>10.0f} {:>10.1f} {:>6.0f} % {:>8} {:>10.0f}\n", m.name, tokens_per_second, rate / 1e9,
                          100 * rate / m.peak, bytes, memory));
  }
  out.flush();
}

}  // namespace glossa::app
