// cache.h -- the folder of models that the Python library huggingface_hub keeps too, in its layout:
//
//   models--org--name/blobs/DIGEST               each content once; DIGEST.incomplete while it comes
//   models--org--name/snapshots/COMMIT/FILE      relative symbolic links to blobs
//   models--org--name/refs/main                  the commit, without a line end
//   .locks/models--org--name/DIGEST.lock         held by flock while a blob is written
#pragma once
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "hub/names.h"

namespace glossa {

struct CachedFile {
  std::string name;     // within its snapshot, with '/'
  fs::path blob;        // what it leads to
  std::uint64_t size = 0;
  std::time_t used = 0;  // last read, as far as the file system keeps that
};

struct CachedSnapshot {
  std::string repository, commit;  // "org/name"
  std::vector<std::string> refs;   // revisions that are this commit
  fs::path path;
  std::vector<CachedFile> files;  // by name; broken links are none
};

class HubCache {
 public:
  explicit HubCache(fs::path root) : root_(std::move(root)) {}
  const fs::path& root() const { return root_; }

  fs::path folder(const RepositoryName& name) const { return root_ / name.folder(); }
  fs::path blob(const RepositoryName& name, const std::string& digest) const { return folder(name) / "blobs" / digest; }
  fs::path snapshot(const RepositoryName& name, const std::string& commit) const { return folder(name) / "snapshots" / commit; }
  fs::path locks(const RepositoryName& name) const { return root_ / ".locks" / name.folder(); }

  std::string ref(const RepositoryName& name, const std::string& revision) const;  // a commit; "" if there is none
  // The commit of a revision: itself, what refs/ says, or for "main" without a ref the only snapshot's; "" if it is not there.
  std::string commit_of(const RepositoryName& name, const std::string& revision) const;
  // What is there of it; nothing without a folder for the commit.
  std::optional<CachedSnapshot> find(const RepositoryName& name, const std::string& revision) const;
  std::vector<CachedSnapshot> list() const;  // of all models, by name and commit; what does not belong here is passed over

  // A link of a snapshot to a blob that is there, in the place of any before; and then the revision's commit.
  void link(const RepositoryName& name, const std::string& commit, const std::string& file, const std::string& digest) const;
  void set_ref(const RepositoryName& name, const std::string& revision, const std::string& commit) const;

  // Removes a model, or of its files those of one quantisation, and the blobs that no snapshot uses any more. Bytes freed.
  // Error(open) if it is not there, Error(locked) while a pull of it goes on.
  std::uint64_t remove(const ModelName& name) const;

 private:
  CachedSnapshot read_snapshot(const fs::path& path) const;
  std::uint64_t remove_unused_blobs(const RepositoryName& name) const;
  fs::path root_;
};

// A model that is here: the snapshot's directory, or the first .gguf file of it that `name` asks for. Error(open) if it is
// not; the message says how to get it.
fs::path cached_model(const HubCache& cache, const ModelName& name);
// What -m and others mean: a path that exists, else a model of the cache, else the path as it is. Error(open) as before
// where it looks like ORG/NAME.
fs::path model_path(const std::string& argument);

}  // namespace glossa
