#include "hub/repository.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "hub/names.h"

namespace glossa {
namespace {

constexpr std::uint64_t kLargestFile = 1ull << 50;   // bytes
constexpr std::uint64_t kValuesOfFile = 20;          // of JSON

// A text of `object`, "" if it is not there or null.
std::string text_of(const Json& object, const char* key, const std::string& place) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return "";
  check(it->is_string(), Code::hub_answer, "{}: \"{}\" is {}, and a text is wanted", place, key, quoted(it->dump()));
  return it->get<std::string>();
}

std::optional<std::uint64_t> size_of(const Json& object, const std::string& place) {
  const auto it = object.find("size");
  if (it == object.end() || it->is_null()) return std::nullopt;
  check(it->is_number_unsigned() && it->get<std::uint64_t>() <= kLargestFile, Code::hub_answer,
        "{}: \"size\" is {}, and 0 to {} is allowed", place, quoted(it->dump()), kLargestFile);
  return it->get<std::uint64_t>();
}

void check_digest(const std::string& digest, const std::string& place) {
  check(digest.empty() || is_digest(digest), Code::hub_answer, "{}: {} is no SHA-1 or SHA-256", place, quoted(digest));
}

RemoteFile read_file_entry(const Json& entry, const std::string& origin) {
  check(entry.is_object(), Code::hub_answer, "{}: a file is {}, and an object is wanted", origin, quoted(entry.dump()));
  RemoteFile file;
  file.name = text_of(entry, "rfilename", origin);
  const std::string fault = file_name_fault(file.name);
  check(fault.empty(), Code::hub_answer, "{}: the name of a file, {}, {}", origin, quoted(file.name), fault);
  const std::string place = fmt::format("{}: file {}", origin, quoted(file.name));
  file.size = size_of(entry, place);
  file.digest = text_of(entry, "blobId", place);
  if (const auto lfs = entry.find("lfs"); lfs != entry.end() && !lfs->is_null()) {
    check(lfs->is_object(), Code::hub_answer, "{}: \"lfs\" is {}, and an object is wanted", place, quoted(lfs->dump()));
    file.digest = text_of(*lfs, "sha256", place);
    if (const auto size = size_of(*lfs, place)) file.size = size;
    check(file.digest.empty() || file.digest.size() == 64, Code::hub_answer, "{}: {} is no SHA-256", place, quoted(file.digest));
  }
  check_digest(file.digest, place);
  return file;
}

}  // namespace

RemoteRepository parse_repository(std::string_view text, std::string_view server, const Limits& limits) {
  const std::string origin(server);
  Limits bounds = limits;
  bounds.json_bytes = limits.hub_answer_bytes;
  bounds.json_values = std::min(limits.json_values, limits.hub_files * kValuesOfFile);
  const Json answer = parse_json(text, origin, bounds);
  check(answer.is_object(), Code::hub_answer, "{}: the answer is no object", origin);
  RemoteRepository repository;
  repository.commit = text_of(answer, "sha", origin);
  check(is_commit(repository.commit), Code::hub_answer, "{}: \"sha\" is {}, and a commit of 40 hexadecimal digits is wanted",
        origin, quoted(repository.commit));
  const auto files = answer.find("siblings");
  check(files != answer.end() && files->is_array(), Code::hub_answer, "{}: there is no list \"siblings\" of files", origin);
  check(files->size() <= limits.hub_files, Code::count, "{}: {} files, and at most {} are taken", origin, files->size(), limits.hub_files);
  for (const Json& entry : *files) repository.files.push_back(read_file_entry(entry, origin));
  std::sort(repository.files.begin(), repository.files.end(),
            [](const RemoteFile& a, const RemoteFile& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(repository.files.begin(), repository.files.end(),
                                        [](const RemoteFile& a, const RemoteFile& b) { return a.name == b.name; });
  check(twice == repository.files.end(), Code::hub_answer, "{}: two files are named {}", origin,
        quoted(twice == repository.files.end() ? "" : twice->name));
  return repository;
}

}  // namespace glossa
