#include "hub/cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/system_call.h"
#include "hub/selection.h"
#include "hub/settings.h"

namespace glossa {
namespace {

constexpr std::uint64_t kLongestRef = 4096;
constexpr int kDeepest = 32;                 // folders of a snapshot
constexpr std::size_t kMostFiles = 200'000;  // of a snapshot that are listed

// The entries of a folder, by name; none if it cannot be read or is none.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error))
    entries.push_back(it->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Every name below `folder` that is no folder itself. Links are not followed.
template <class Take>
void walk(const fs::path& folder, Take take) {
  std::error_code error;
  std::size_t seen = 0;
  for (auto it = fs::recursive_directory_iterator(folder, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it.depth() >= kDeepest) it.disable_recursion_pending();
    if (++seen > kMostFiles) return;
    std::error_code unknown;
    if (!it->is_directory(unknown) || it->is_symlink(unknown)) take(it->path());
  }
}

// "models--org--name" as "org/name"; "" if it is no such folder.
std::string repository_of(const std::string& folder) {
  const std::string_view prefix = "models--";
  if (!folder.starts_with(prefix)) return "";
  const std::string rest = folder.substr(prefix.size());
  const std::size_t at = rest.find("--");
  const std::string name =
      at == rest.npos ? rest : fmt::format("{}/{}", rest.substr(0, at), rest.substr(at + 2));
  return ModelName::is_one(name) && name.find(':') == name.npos ? name : "";
}

std::string read_ref(const fs::path& path) {
  try {
    std::string text = read_file(path, kLongestRef);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r'))
      text.pop_back();
    return is_commit(text) ? text : "";
  } catch (const Error&) {
    return "";
  }
}

std::uint64_t size_of(const fs::path& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)
             ? static_cast<std::uint64_t>(status.st_size)
             : 0;
}

void remove_whole(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) system_failure(Code::write, "removing", path, error.value());
}

}  // namespace

std::string HubCache::ref(const RepositoryName& name, const std::string& revision) const {
  return read_ref(folder(name) / "refs" / revision);
}

std::string HubCache::commit_of(const RepositoryName& name, const std::string& revision) const {
  if (is_commit(revision)) return revision;
  if (const std::string commit = ref(name, revision); !commit.empty()) return commit;
  if (revision != "main") return "";
  const auto snapshots = entries_of(folder(name) / "snapshots");
  return snapshots.size() == 1 ? snapshots[0].filename().string() : "";
}

CachedSnapshot HubCache::read_snapshot(const fs::path& path) const {
  CachedSnapshot snapshot;
  snapshot.path = path;
  snapshot.commit = path.filename().native();
  snapshot.repository = repository_of(path.parent_path().parent_path().filename().native());
  walk(path, [&](const fs::path& file) {
    struct stat status;
    if (stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
    std::error_code unresolved;
    const fs::path blob = fs::is_symlink(file, unresolved)
                              ? (file.parent_path() / fs::read_symlink(file, unresolved)).lexically_normal()
                              : file;
    snapshot.files.push_back({file.lexically_relative(path).native(), blob,
                              static_cast<std::uint64_t>(status.st_size), status.st_atim.tv_sec});
  });
  std::sort(snapshot.files.begin(), snapshot.files.end(),
            [](const CachedFile& a, const CachedFile& b) { return a.name < b.name; });
  return snapshot;
}

std::optional<CachedSnapshot> HubCache::find(const RepositoryName& name, const std::string& revision) const {
  const std::string commit = commit_of(name, revision);
  std::error_code ignored;
  if (commit.empty() || !fs::is_directory(snapshot(name, commit), ignored)) return std::nullopt;
  return read_snapshot(snapshot(name, commit));
}

std::vector<CachedSnapshot> HubCache::list() const {
  std::vector<CachedSnapshot> all;
  for (const fs::path& model : entries_of(root_)) {
    if (repository_of(model.filename().native()).empty()) continue;
    std::map<std::string, std::vector<std::string>> refs;
    walk(model / "refs", [&](const fs::path& ref) {
      if (const std::string commit = read_ref(ref); !commit.empty())
        refs[commit].push_back(ref.lexically_relative(model / "refs").native());
    });
    for (const fs::path& path : entries_of(model / "snapshots")) {
      CachedSnapshot snapshot = read_snapshot(path);
      snapshot.refs = refs[snapshot.commit];
      std::sort(snapshot.refs.begin(), snapshot.refs.end());
      if (!snapshot.files.empty()) all.push_back(std::move(snapshot));
    }
  }
  return all;
}

void HubCache::link(const RepositoryName& name, const std::string& commit, const std::string& file,
                    const std::string& digest) const {
  const fs::path path = snapshot(name, commit) / file;
  make_directories(path.parent_path());
  const fs::path target = blob(name, digest).lexically_relative(path.parent_path());
  std::error_code error;
  if (fs::read_symlink(path, error) == target) return;
  // Made beside and renamed, so that readers find the old one or the new one.
  const fs::path fresh = snapshot(name, commit).parent_path().parent_path() /
                         fmt::format(".link-{}", static_cast<long>(getpid()));
  ::unlink(fresh.c_str());
  if (::symlink(target.c_str(), fresh.c_str()) != 0)
    system_failure(Code::write, "making the link", path, errno);
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const int failure = errno;
    ::unlink(fresh.c_str());
    system_failure(Code::write, "making the link", path, failure);
  }
  sync_directory(path.parent_path());
}

void HubCache::set_ref(const RepositoryName& name, const std::string& revision,
                       const std::string& commit) const {
  sync_directory(snapshot(name, commit));
  if (revision == commit) return;
  const fs::path path = folder(name) / "refs" / revision;
  make_directories(path.parent_path());
  remove_leftovers(path.parent_path());
  if (read_ref(path) != commit) write_file(path, commit);
}

std::uint64_t HubCache::remove_unused_blobs(const RepositoryName& name) const {
  std::set<std::string> used;
  walk(folder(name) / "snapshots", [&](const fs::path& link) {
    std::error_code none;
    if (const fs::path target = fs::read_symlink(link, none); !none) used.insert(target.filename().native());
  });
  std::uint64_t freed = 0;
  for (const fs::path& blob : entries_of(folder(name) / "blobs")) {
    const std::string digest = blob.filename().native();
    if (used.contains(digest) || digest.ends_with(".incomplete")) continue;  // somebody may be fetching that
    freed += size_of(blob);
    remove_whole(blob);
  }
  return freed;
}

std::uint64_t HubCache::remove(const ModelName& name) const {
  const RepositoryName& repository = name.repository;
  const fs::path model = folder(repository);
  std::error_code ignored;
  check(fs::is_directory(model, ignored), Code::open, "{}: is not in {}", name.text(), shown(root_));
  make_directories(locks(repository));
  const DirectoryLock lock(locks(repository));
  bool found = false, left = false;
  for (const fs::path& path : entries_of(model / "snapshots"))
    for (const CachedFile& file : read_snapshot(path).files) {
      const bool wanted = name.quant.empty() || quant_of(file.name) == name.quant;
      found |= wanted, left |= !wanted;
      if (wanted && !name.quant.empty()) remove_whole(path / file.name);
    }
  check(found || name.quant.empty(), Code::open, "{}: is not in {}", name.text(), shown(root_));
  if (left) return remove_unused_blobs(repository);
  remove_whole(model / "refs");  // from what leads to others down to what is led to
  remove_whole(model / "snapshots");
  const std::uint64_t freed = remove_unused_blobs(repository);
  remove_whole(model);
  return freed;
}

fs::path cached_model(const HubCache& cache, const ModelName& name) {
  const std::optional<CachedSnapshot> snapshot = cache.find(name.repository, "main");
  check(snapshot && !snapshot->files.empty(), Code::open,
        "{}: there is no such file or directory, and no such model in {}; glossa pull {} gets it",
        name.text(), shown(cache.root()), name.text());
  std::vector<std::string> names;
  for (const CachedFile& file : snapshot->files) names.push_back(file.name);
  const std::vector<GgufChoice> choices = gguf_choices(names);
  if (name.quant.empty() && (holds_directory(names) || choices.empty())) return snapshot->path;
  try {
    return snapshot->path / choose_gguf(choices, name.quant, name.text()).files[0];
  } catch (const Error& error) {
    fail(Code::open, "{} in {}; glossa pull ORG/NAME:QUANT gets another", error.what(), shown(cache.root()));
  }
}

fs::path model_path(const std::string& argument) {
  std::error_code ignored;
  if (fs::symlink_status(argument, ignored).type() != fs::file_type::not_found ||
      !ModelName::is_one(argument))
    return argument;
  const ModelName name = ModelName::parse(argument);
  const HubCache cache(hub_cache_folder());
  // The oldest models have no organisation; a word that is none of them is a mistyped path.
  if (name.repository.organisation.empty() && !cache.find(name.repository, "main")) return argument;
  return cached_model(cache, name);
}

}  // namespace glossa
