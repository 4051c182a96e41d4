// repository.h -- what the hub says of a model: its commit and its files, from GET /api/models/ORG/NAME/revision/REV.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace glossa {

struct RemoteFile {
  std::string name;  // relative, with '/'
  // Not all servers say these (?blobs=true); then the file's own headers do.
  std::optional<std::uint64_t> size;
  std::string digest;  // SHA-256 of a large file, git's SHA-1 of a small one; ""
};

struct RemoteRepository {
  std::string commit;
  std::vector<RemoteFile> files;  // by name
};

// Error(hub_answer) for names that are no relative paths, or that come twice, and for digests and commits that are none;
// Error(json) and others of parse_json. `origin` names the server.
RemoteRepository parse_repository(std::string_view text, std::string_view origin, const Limits& limits = {});

}  // namespace glossa
