#include "backend/cpu/cpu_features.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <string>
#include <thread>

#include "backend/cpu/gemm_kernels.h"
#include "base/error.h"
#include "hwy/targets.h"
#include "tensor/storage.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace glossa::cpu {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"portable", "avx2", "avx512", "avx512_bf16"};

bool has_bf16() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
#else
  return false;
#endif
}

std::vector<InstructionSet> detect() {
  const std::int64_t targets = hwy::SupportedTargets();
  std::vector<InstructionSet> found = {InstructionSet::portable};
  if (targets & HWY_AVX2) found.push_back(InstructionSet::avx2);
  if (targets & HWY_AVX3) found.push_back(InstructionSet::avx512);
  if (targets & HWY_AVX3 && has_bf16()) found.push_back(InstructionSet::avx512_bf16);
  return found;
}

void dispatch_highway(InstructionSet set) {
  std::int64_t targets = HWY_STATIC_TARGET;
  if (set >= InstructionSet::avx2) targets |= HWY_AVX2;
  if (set >= InstructionSet::avx512) targets |= HWY_AVX3;
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(targets);
}

InstructionSet chosen_by_environment() {
  const char* wanted = std::getenv("GLOSSA_ISA");
  if (!wanted || !*wanted) return best_instruction_set();
  std::string allowed;
  for (const InstructionSet set : supported_instruction_sets()) {
    if (name_of(set) == wanted) {
      dispatch_highway(set);
      return set;
    }
    allowed += allowed.empty() ? "" : ", ";
    allowed += name_of(set);
  }
  fail(Code::bad_value, "GLOSSA_ISA is {}, but this processor has: {}", quoted(wanted), allowed);
}

std::atomic<InstructionSet>& current() {
  static std::atomic<InstructionSet> set = chosen_by_environment();
  return set;
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs body(thread), which returns a rate, on that many threads at once: the sum of the rates. Threads of its own,
// since the pool does not promise that each of its threads gets a task.
template <class F>
double sum_over_threads(int threads, F&& body) {
  check(threads >= 1, Code::bad_value, "a measurement needs at least 1 thread, not {}", threads);
  std::vector<double> rates(threads);
  std::barrier start(threads);
  std::vector<std::jthread> others;
  const auto run = [&](int thread) {
    start.arrive_and_wait();
    rates[thread] = body(thread);
  };
  for (int t = 1; t < threads; ++t) others.emplace_back(run, t);
  run(0);
  others.clear();
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

// The best rate of `work(amount)` in slices over `duration` seconds. Other programs only ever make it slower.
template <class F>
double best_rate(double duration, double amount, F&& work) {
  double best = 0;
  const auto start = Clock::now();
  do {
    const auto slice = Clock::now();
    work();
    best = std::max(best, amount / seconds_since(slice));
  } while (seconds_since(start) < duration);
  return best;
}

}  // namespace

std::string_view name_of(InstructionSet set) { return kNames[static_cast<std::size_t>(set)]; }

const std::vector<InstructionSet>& supported_instruction_sets() {
  static const std::vector<InstructionSet> sets = detect();
  return sets;
}

InstructionSet best_instruction_set() { return supported_instruction_sets().back(); }

InstructionSet instruction_set() { return current().load(std::memory_order_relaxed); }

void set_instruction_set(InstructionSet set) {
  const auto& sets = supported_instruction_sets();
  check(std::find(sets.begin(), sets.end(), set) != sets.end(), Code::bad_value, "this processor has no {}",
        name_of(set));
  current().store(set);
  dispatch_highway(set);
}

std::size_t l2_cache_bytes() {
  static const std::size_t bytes = [] {
    long found = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    found = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return found > 0 ? std::clamp<std::size_t>(found, 256u << 10, 2u << 20) : std::size_t{512u << 10};
  }();
  return bytes;
}

double measure_peak_flops(bool bf16, int threads) {
  const Kernels& kernels = kernels_for(instruction_set(), bf16);
  constexpr std::int64_t kSteps = 200'000;  // some hundreds of microseconds
  return sum_over_threads(threads, [&](int) {
    const double flops = kernels.spin(1);
    return best_rate(0.05, flops * kSteps, [&] { kernels.spin(kSteps); });
  });
}

double measure_read_bandwidth(int threads) {
  constexpr std::size_t kBytes = 64u << 20;  // more than caches hold, and read from end to end
  std::vector<std::shared_ptr<Storage>> buffers;
  for (int t = 0; t < threads; ++t) {
    buffers.push_back(allocate(kBytes, {}));
    std::fill_n(static_cast<float*>(buffers.back()->data), kBytes / sizeof(float), 1.0f);
  }
  const Kernels& kernels = kernels_for(instruction_set(), false);
  // All threads read at once from the first byte to the last: one alone would have more for itself.
  constexpr int kPasses = 20;
  std::vector<Clock::time_point> ends(kPasses + 1);
  std::barrier together(threads);
  sum_over_threads(threads, [&](int thread) {
    for (int pass = 0; pass < kPasses; ++pass) {
      together.arrive_and_wait();
      if (thread == 0) ends[static_cast<std::size_t>(pass)] = Clock::now();
      kernels.read(static_cast<const float*>(buffers[static_cast<std::size_t>(thread)]->data), kBytes / sizeof(float));
    }
    together.arrive_and_wait();
    if (thread == 0) ends[kPasses] = Clock::now();
    return 0.0;
  });
  double best = 0;
  for (std::size_t pass = 0; pass < kPasses; ++pass)
    best = std::max(best, static_cast<double>(kBytes) * threads / std::chrono::duration<double>(ends[pass + 1] - ends[pass]).count());
  buffers.clear();
  release_unused_memory();
  return best;
}

}  // namespace glossa::cpu
