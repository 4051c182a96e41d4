#include "base/memory.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace glossa {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return {};
  return value;
}

// The number in a file after the word `key`, or its first word if there is no key; none if that is no number,
// as "max" where nothing is limited.
std::optional<std::uint64_t> number_in(const fs::path& path, std::string_view key = "") {
  std::ifstream in(path);
  std::string word;
  while (in >> word) {
    if (key.empty()) return number(word);
    if (word == key) return in >> word ? number(word) : std::nullopt;
  }
  return {};
}

// What one control group leaves of its limit.
std::uint64_t left_of(const fs::path& group, const char* limit_name, const char* used_name) {
  const auto limit = number_in(group / limit_name), used = number_in(group / used_name);
  if (!limit || !used) return UINT64_MAX;
  const fs::path parts = group / "memory.stat";
  const std::uint64_t files =
      number_in(parts, "active_file").value_or(0) + number_in(parts, "inactive_file").value_or(0);
  const std::uint64_t held = *used - std::min(*used, files);
  return *limit - std::min(*limit, held);
}

// The least that the control groups of this process leave: its own and those that it lies within.
std::uint64_t left_of_groups(const fs::path& root) {
  std::uint64_t least = UINT64_MAX;
  std::ifstream groups(root / "proc/self/cgroup");  // "0::/a/b", or of version 1 "7:memory:/a/b"
  for (std::string line; std::getline(groups, line);) {
    const bool first = line.find(":memory:") != line.npos;
    if (!first && !line.starts_with("0::")) continue;
    const fs::path top = root / (first ? "sys/fs/cgroup/memory" : "sys/fs/cgroup");
    fs::path group = fs::path(line.substr(line.rfind(':') + 1)).relative_path();
    for (bool inside = true; inside; group = group.parent_path()) {
      inside = !group.empty();
      least = std::min(least, first ? left_of(top / group, "memory.limit_in_bytes", "memory.usage_in_bytes")
                                    : left_of(top / group, "memory.max", "memory.current"));
    }
  }
  return least;
}

std::uint64_t allowed_by_environment() {
  const char* const value = std::getenv("GLOSSA_MEMORY");
  if (!value || !*value) return UINT64_MAX;
  const auto mib = number(value);
  check(mib && *mib <= UINT64_MAX >> 20, Code::bad_value, "GLOSSA_MEMORY is {}, wanted a number of MiB",
        quoted(value));
  return *mib << 20;
}

}  // namespace

std::uint64_t available_memory(const fs::path& root) {
  const auto free = number_in(root / "proc/meminfo", "MemAvailable:");  // in KiB
  return std::min({free ? *free << 10 : UINT64_MAX, left_of_groups(root), allowed_by_environment()});
}

}  // namespace glossa
