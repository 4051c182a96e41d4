// memory.h -- how much memory this process may still take.
#pragma once
#include <cstdint>

#include "base/file.h"

namespace glossa {

// Bytes: what the machine has free, what the limits of this process's control groups leave (what they hold of
// files can be given up, and counts as free), and what the environment variable GLOSSA_MEMORY allows, in MiB;
// the least of these. `root`: where proc/ and sys/ are.
std::uint64_t available_memory(const fs::path& root = "/");

constexpr double as_mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace glossa
