// measure.h -- how benchmarks time what they run, and the one form in which they report it.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace glossa::app {

// What work cost. `operations` and `bytes` are of one run: floating-point operations as the mathematics has them, and
// what must at least be read and written (0: not reported).
struct Measured {
  std::string name;
  double tokens = 0, operations = 0, bytes = 0;
  double seconds = 0;  // of one run
  double peak = 0;     // operations a second, measured between the runs
};

// One JSON object on a line of its own, or a row of a table (see print_heading).
void print(const Measured& measured, bool json);
void print_heading(bool json);

double seconds_since(std::chrono::steady_clock::time_point begin);
double median(std::vector<double> values);
double peak_memory_mib();  // of this process so far

struct Timing {
  int runs = 10, warm_up = 1;
  bool bf16 = false;  // of which products the peak is measured
};
// Medians over the runs of the time of `run`, and of the peak, measured after every fourth run, so that both see the
// same load of the machine.
Measured measure(const std::function<void()>& run, const Timing& timing);

}  // namespace glossa::app
