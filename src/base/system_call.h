// system_call.h -- what every use of the system needs: calls again after EINTR, and failures in the system's
// words.
#pragma once
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"
#include "base/file.h"

namespace glossa {

// Calls until it is not a signal that interrupts. `call` returns -1 for a failure and leaves its cause in
// errno.
template <class Call>
auto retried(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// `error` is an errno.
[[noreturn]] inline void system_failure(Code code, const char* doing, const fs::path& path, int error) {
  fail(code, "{}: {} failed: {}", shown(path), doing, std::generic_category().message(error));
}

inline fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

const char* kind_of(mode_t mode);  // "a directory"

}  // namespace glossa
