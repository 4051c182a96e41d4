#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace glossa {
namespace {

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

constexpr int kSpinsBeforeYield = 1000;  // some tens of microseconds

thread_local bool inside = false;  // on a thread that is running a task

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) {
      try {
        workers_.emplace_back([this] { work(); });
      } catch (const std::system_error&) {
        break;  // the system has no more threads to give: fewer are slower, not wrong
      }
    }
  }
  ~Pool() {
    stop_.store(true);
    {
      std::lock_guard lock(mutex_);
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  void run(std::int64_t tasks, detail::Body body, void* context) {
    std::unique_lock owner(callers_, std::try_to_lock);
    if (!owner || workers_.empty()) {  // another thread of the program owns the pool just now: go alone
      inside = true;
      struct Leave {
        ~Leave() { inside = false; }
      } leave;
      for (std::int64_t t = 0; t < tasks; ++t) body(context, t);
      return;
    }
    body_ = body, context_ = context, tasks_ = tasks, error_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
      // Taken only so that a worker cannot fall asleep between its last look and this change.
      std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleepers_.load(std::memory_order_acquire) > 0) wake_.notify_all();
    take();
    // A worker that is late may be waiting for this very processor, where others than this program want it too.
    for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins)
      if (spins < kSpinsBeforeYield) {
        relax();
      } else {
        std::this_thread::yield();
      }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take() {
    inside = true;
    for (std::int64_t t; (t = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) {
      try {
        body_(context_, t);
      } catch (...) {
        std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
    }
    inside = false;
  }

  void work() {
    std::uint64_t seen = 0;
    while (true) {
      using Clock = std::chrono::steady_clock;
      const auto until = Clock::now() + std::chrono::microseconds(60);
      while (generation_.load(std::memory_order_acquire) == seen && Clock::now() < until)
        for (int i = 0; i < 32; ++i) relax();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1, std::memory_order_acq_rel);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        sleepers_.fetch_sub(1, std::memory_order_acq_rel);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_.load()) return;
      take();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex callers_, mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> sleepers_{0}, busy_{0};
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> stop_{false};
  std::int64_t tasks_ = 0;
  detail::Body body_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;
};

std::mutex pool_mutex;
std::atomic<Pool*> current{nullptr};
std::unique_ptr<Pool> owned;
int wanted = 0;

Pool& pool() {
  if (Pool* p = current.load(std::memory_order_acquire)) return *p;
  std::lock_guard lock(pool_mutex);
  if (!owned) {
    owned = std::make_unique<Pool>(wanted > 0 ? wanted : hardware_threads());
    current.store(owned.get(), std::memory_order_release);
  }
  return *owned;
}

}  // namespace

int hardware_threads() {
  static const int count = [] {
    cpu_set_t set;
    int n = static_cast<int>(std::thread::hardware_concurrency());
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    std::ifstream file("/sys/fs/cgroup/cpu.max");
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0)
      n = std::min(n, std::max(1, static_cast<int>(std::strtod(quota.c_str(), nullptr) / period + 0.5)));
    return std::max(n, 1);
  }();
  return count;
}

int thread_count() { return pool().size(); }

void set_thread_count(int count) {
  std::lock_guard lock(pool_mutex);
  wanted = std::max(count, 1);
  current.store(nullptr, std::memory_order_release);
  owned.reset();
}

void detail::run_tasks(std::int64_t tasks, Body body, void* context) {
  if (tasks <= 0) return;
  if (inside) {
    for (std::int64_t t = 0; t < tasks; ++t) body(context, t);
    return;
  }
  pool().run(tasks, body, context);
}

}  // namespace glossa
