#include "hub/pull.h"

#include <algorithm>
#include <map>

#include "base/checked.h"
#include "base/digest.h"
#include "base/error.h"

namespace glossa {
namespace {

// Where a model of these files is: the first part of one GGUF model, or the directory.
fs::path path_of(const fs::path& snapshot, const std::vector<std::string>& files) {
  const std::vector<GgufChoice> choices = gguf_choices(files);
  return choices.size() == 1 && choices[0].files.size() == files.size() ? snapshot / choices[0].files[0]
                                                                        : snapshot;
}

std::vector<std::string> names_of(const std::vector<RemoteFile>& files) {
  std::vector<std::string> names;
  for (const RemoteFile& file : files) names.push_back(file.name);
  return names;
}

PulledModel from_cache(const HubCache& cache, const PullOptions& o) {
  const auto snapshot = cache.find(o.name.repository, o.revision);
  check(snapshot && !snapshot->files.empty(), Code::open,
        "{}, revision {}: is not in {}, and the hub is not asked (--offline, HF_HUB_OFFLINE)", o.name.text(),
        quoted(o.revision), shown(cache.root()));
  std::vector<std::string> names;
  for (const CachedFile& file : snapshot->files) names.push_back(file.name);
  PulledModel model{.commit = snapshot->commit, .path = {}, .files = {}};
  try {
    model.files = selected_files(names, o.selection, o.name.text());
  } catch (const Error& e) {
    fail(Code::open, "{}; the hub is not asked (--offline, HF_HUB_OFFLINE)", e.what());
  }
  model.path = path_of(snapshot->path, model.files);
  for (const CachedFile& file : snapshot->files)
    if (std::find(model.files.begin(), model.files.end(), file.name) != model.files.end())
      model.bytes += file.size;
  return model;
}

PullPlan plan_of(HubConnection& connection, const HubCache& cache, const PullOptions& o) {
  RemoteRepository repository = connection.repository(o.revision);
  const std::vector<std::string> wanted =
      selected_files(names_of(repository.files), o.selection, o.name.text());
  PullPlan plan;
  plan.commit = repository.commit;
  std::map<std::string, std::uint64_t> missing;  // by digest: a content of two names comes once
  for (RemoteFile& file : repository.files) {
    if (!std::binary_search(wanted.begin(), wanted.end(), file.name)) continue;
    connection.complete(file, plan.commit);
    plan.bytes = checked_add(plan.bytes, *file.size);
    missing[file.digest] = missing_bytes(cache, o.name.repository, file);
    plan.files.push_back(std::move(file));
  }
  for (const auto& [digest, bytes] : missing) plan.missing = checked_add(plan.missing, bytes);
  return plan;
}

// A commit of what was put there by hand: no commit of git, but told by what it is of.
std::string imported_commit(const std::map<std::string, std::string>& digests) {
  Digest commit(Digest::Kind::sha1);
  for (const auto& [name, digest] : digests) commit.update(as_bytes(fmt::format("{} {}\n", name, digest)));
  return commit.hexadecimal();
}

}  // namespace

PulledModel pull(const HubSettings& settings, PullOptions o) {
  check_revision(o.revision);
  o.selection.quant = o.name.quant;
  const HubCache cache(settings.cache);
  if (settings.offline) return from_cache(cache, o);
  const RepositoryName& name = o.name.repository;
  HubConnection connection(settings, name, o.hooks);
  const PullPlan plan = plan_of(connection, cache, o);

  make_directories(cache.locks(name));
  const DirectoryLock lock(cache.locks(name));
  make_directories(cache.folder(name) / "blobs");
  const std::uint64_t free = free_space(cache.folder(name));
  check(plan.missing <= free, Code::write, "{}: {} bytes are still to be fetched, and {} are free",
        shown(cache.root()), plan.missing, free);
  o.planned(plan);
  for (const RemoteFile& file : plan.files) connection.fetch(file, plan.commit, cache);
  for (const RemoteFile& file : plan.files) cache.link(name, plan.commit, file.name, file.digest);
  cache.set_ref(name, o.revision, plan.commit);

  PulledModel model{.commit = plan.commit,
                    .path = {},
                    .files = names_of(plan.files),
                    .bytes = plan.bytes,
                    .fetched = plan.missing};
  model.path = path_of(cache.snapshot(name, plan.commit), model.files);
  return model;
}

PulledModel import_file(const HubCache& cache, const RepositoryName& name, const fs::path& file,
                        const std::string& sha256) {
  const std::string own_name = file.filename().native();
  const std::string fault = file_name_fault(own_name);
  check(fault.empty(), Code::bad_value, "{}: the name of a file in the cache {}", shown(file), fault);
  make_directories(cache.locks(name));
  const DirectoryLock lock(cache.locks(name));
  std::map<std::string, std::string> digests;
  const std::string main = cache.ref(name, "main");
  const auto before = main.empty() ? std::nullopt : cache.find(name, main);
  if (before)
    for (const CachedFile& f : before->files) digests[f.name] = f.blob.filename().native();
  check(!before || before->commit == imported_commit(digests), Code::output_exists,
        "{}: {} holds commit {} of the hub; a file of this machine needs another name", name.text(),
        shown(cache.root()), before ? before->commit : "");
  digests[own_name] = import_blob(cache, name, file, sha256);
  const std::string commit = imported_commit(digests);
  for (const auto& [link, digest] : digests) cache.link(name, commit, link, digest);
  cache.set_ref(name, "main", commit);
  std::error_code ignored;
  if (before && before->commit != commit)
    fs::remove_all(before->path, ignored);  // its files are in the new one

  PulledModel model{.commit = commit, .path = cache.snapshot(name, commit) / own_name, .files = {own_name}};
  model.bytes = model.fetched = fs::file_size(model.path, ignored);
  return model;
}

}  // namespace glossa
