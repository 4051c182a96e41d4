// manifest.h -- MANIFEST.json, the last file that goes into an AtomicDirectory: name, size and digest of all
// others.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace glossa {

inline constexpr const char* kManifestName = "MANIFEST.json";

struct Manifest {
  struct File {
    std::string name;  // relative to the directory, with '/'
    std::uint64_t size;
    std::string sha256;
  };
  std::vector<File> files;  // by name
};

// Refused (Code::run_state): another format, names that are not plain relative paths, names that come twice
// or out of order, digests that are none.
Manifest parse_manifest(std::string_view text, std::string_view origin);
std::string to_text(const Manifest& manifest);
// Whether the manifest of `directory` is of a format that only later programs read: not damaged, and not ours to pass over.
bool of_later_format(const fs::path& directory);

// Syncs every file and directory below `directory`, and lists the files.
Manifest sync_and_list(const fs::path& directory);

}  // namespace glossa
