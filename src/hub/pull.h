// pull.h -- a model of the Hugging Face hub, or files of this machine, into the cache.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "hub/download.h"
#include "hub/selection.h"

namespace glossa {

struct PulledModel {
  std::string commit;
  fs::path path;                   // the snapshot's directory; of one GGUF model its first file
  std::vector<std::string> files;  // of the selection, by name
  std::uint64_t bytes = 0;         // of them all
  std::uint64_t fetched = 0;       // of these, what was not here
};

// What a pull is about to do: before the first byte of a file.
struct PullPlan {
  std::string commit;
  std::vector<RemoteFile> files;
  std::uint64_t bytes = 0, missing = 0;
};

struct PullOptions {
  ModelName name;
  std::string revision = "main";
  Selection selection = {};  // its quantisation is the name's
  HubHooks hooks = {};
  std::function<void(const PullPlan&)> planned = [](const PullPlan&) {};
};

// Fetches what is missing. Only when all files are here and verified do the snapshot's links appear, and then
// the ref; until then what came is kept, and the same call goes on from there. With HubSettings::offline it
// is what is here already. Errors as HubConnection's and selected_files'; Error(write) before anything is
// fetched if the disk has no room for it, Error(locked) while another pull of the model goes on.
PulledModel pull(const HubSettings& settings, PullOptions options);

// Puts a file beside those that were put there before, as a snapshot of its own: its commit is the SHA-1 of
// names and digests. Error(output_exists) if what is there is a commit of the hub.
PulledModel import_file(const HubCache& cache, const RepositoryName& name, const fs::path& file,
                        const std::string& sha256);

}  // namespace glossa
