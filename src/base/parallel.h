// parallel.h -- one pool of threads. Workers spin for some tens of microseconds before they sleep, since the next
// kernel usually follows at once. Nothing here decides how work is cut: results must not depend on the thread count,
// so callers cut by size alone.
#pragma once
#include <cstdint>
#include <type_traits>

namespace glossa {

int thread_count();
// Sets the number of threads that later parallel regions use (the calling thread among them), at least 1. Not to be
// called from within a parallel region.
void set_thread_count(int count);
int hardware_threads();  // what the process may use: its affinity mask and its cgroup's quota

namespace detail {
using Body = void (*)(void* context, std::int64_t task);
void run_tasks(std::int64_t tasks, Body body, void* context);
}  // namespace detail

// Calls f(task) for each task in [0, tasks), on any thread, in any order, and returns when all are done. The first
// exception is rethrown here. Within a parallel region it runs on the calling thread alone.
template <class F>
void parallel_tasks(std::int64_t tasks, F&& f) {
  using Function = std::remove_reference_t<F>;
  if (tasks == 1) return f(std::int64_t{0});
  detail::run_tasks(
      tasks, [](void* context, std::int64_t task) { (*static_cast<Function*>(context))(task); },
      const_cast<std::remove_const_t<Function>*>(&f));
}

// Calls f(begin, end) for pieces of [0, size) of `grain` elements (the last may be shorter).
template <class F>
void parallel_for(std::int64_t size, std::int64_t grain, F&& f) {
  if (size <= 0) return;
  if (size <= grain) return f(std::int64_t{0}, size);
  parallel_tasks((size + grain - 1) / grain, [&](std::int64_t task) {
    const std::int64_t begin = task * grain;
    f(begin, begin + grain < size ? begin + grain : size);
  });
}

}  // namespace glossa
