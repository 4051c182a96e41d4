// files.h -- hostile and honest safetensors files for the tests, and what the program says to them.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "support/error_of.h"
#include "support/in_folder.h"

namespace glossa {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

// A bound on time or memory; under a sanitizer, which takes its own share of both, there is none.
inline double bound(double most) {
  return kSanitized ? HUGE_VAL : most;
}

inline std::string little_endian_text(std::uint64_t n) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(n >> 8 * i);
  return bytes;
}

inline std::string with_header(const std::string& header, std::size_t data = 0) {
  return little_endian_text(header.size()) + header + std::string(data, '\0');
}

inline std::string refusal(const std::string& file, const Limits& limits = {}) {
  return error_of([&] { parse_safetensors(as_bytes(file), "f.safetensors", limits); });
}

// One tensor "w" with the given fields.
inline std::string one_tensor(const std::string& dtype, const std::string& shape, const std::string& offsets,
                              std::size_t data) {
  return with_header(
      R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}", data);
}

// Runs and gives the growth of the highest resident memory, in MiB.
inline double peak_growth(const std::function<void()>& action) {
  const auto status = [](const char* field) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with(field)) return std::stod(line.substr(line.find(':') + 1));
    return 0.0;
  };
  std::ofstream("/proc/self/clear_refs") << "5";  // forgets the highest value so far
  const double before = status("VmRSS");
  action();
  return (status("VmHWM") - before) / 1024;
}

inline double cpu_seconds(const std::function<void()>& action) {
  const auto now = [] {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double begin = now();
  action();
  return now() - begin;
}

}  // namespace glossa
