#include "base/manifest.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/system_call.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr int kFormat = 1;

bool is_plain(std::string_view name) {
  const fs::path path(name);
  return !name.empty() && name.find('\0') == std::string_view::npos && path.is_relative() &&
         path.has_filename() && path.lexically_normal() == path && *path.begin() != ".." &&
         *path.begin() != ".";
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Manifest::File file_of(const Json& entry, std::string_view origin) {
  const auto has = [&](const char* key, auto is) { return entry.contains(key) && is(entry[key]); };
  const auto is_string = [](const Json& value) { return value.is_string(); };
  const bool complete = entry.is_object() && has("name", is_string) && has("sha256", is_string) &&
                        has("size", [](const Json& value) { return value.is_number_unsigned(); });
  check(complete, Code::run_state, "{}: an entry lacks name, size or sha256", origin);
  Manifest::File file{entry["name"], entry["size"], entry["sha256"]};
  check(is_plain(file.name), Code::run_state, "{}: {} is not the name of a file in the directory", origin,
        quoted(file.name));
  check(is_digest(file.sha256), Code::run_state, "{}: {} is no SHA-256", origin, quoted(file.sha256, 80));
  return file;
}

bool by_name(const Manifest::File& a, const Manifest::File& b) {
  return a.name < b.name;
}

// The names, sizes unknown, of all files below `directory` but the manifest; and the directories, if wanted.
// Anything but files and directories is an Error.
Manifest files_below(const fs::path& directory, std::vector<fs::path>* directories = nullptr) {
  Manifest found;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(directory, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    if (fs::is_directory(status)) {
      if (directories) directories->push_back(it->path());
      continue;
    }
    check(fs::is_regular_file(status), Code::not_regular, "{}: is neither a file nor a directory",
          shown(it->path()));
    std::string name = it->path().lexically_relative(directory).generic_string();
    if (name != kManifestName) found.files.push_back({std::move(name), 0, ""});
  }
  if (error) system_failure(Code::read, "listing", directory, error.value());
  std::sort(found.files.begin(), found.files.end(), by_name);
  return found;
}

// What of `listed` is not so in the directory, or "".
std::string fault_of(const fs::path& directory, const Manifest& listed) {
  const Manifest present = files_below(directory);
  const auto absent_from = [](const Manifest& a, const Manifest& b) {
    std::vector<Manifest::File> difference;
    std::set_difference(a.files.begin(), a.files.end(), b.files.begin(), b.files.end(),
                        std::back_inserter(difference), by_name);
    return difference.empty() ? "" : quoted(difference[0].name);
  };
  if (const std::string name = absent_from(listed, present); !name.empty()) return name + " is missing";
  if (const std::string name = absent_from(present, listed); !name.empty())
    return name + " is there and not listed";
  for (const Manifest::File& file : listed.files) {
    const FileHandle handle = FileHandle::open_regular(directory / file.name);
    if (handle.size() != file.size)
      return fmt::format("{} has {} bytes, and {} were written", quoted(file.name), handle.size(), file.size);
    if (sha256_of_file(handle) != file.sha256)
      return fmt::format("the checksum of {} differs", quoted(file.name));
  }
  return "";
}

}  // namespace

Manifest parse_manifest(std::string_view text, std::string_view origin) {
  const Json json = parse_json(text, origin);
  const bool complete = json.is_object() && json.contains("format") && json["format"].is_number_integer() &&
                        json.contains("files") && json["files"].is_array();
  check(complete, Code::run_state, "{}: has no format and files", origin);
  check(json["format"] == kFormat, Code::run_state,
        "{}: was written in format {}, and this program reads format {}", origin, json["format"].dump(),
        kFormat);
  Manifest manifest;
  for (const Json& entry : json["files"]) {
    manifest.files.push_back(file_of(entry, origin));
    const std::size_t n = manifest.files.size();
    check(n < 2 || by_name(manifest.files[n - 2], manifest.files[n - 1]), Code::run_state,
          "{}: {} is listed out of order", origin, quoted(manifest.files[n - 1].name));
  }
  return manifest;
}

bool of_later_format(const fs::path& directory) {
  try {
    const Json json = read_json(directory / kManifestName);
    const auto format = json.find("format");  // the end, too, of what is no object
    return format != json.end() && format->is_number_integer() && *format > kFormat;
  } catch (const Error&) {
    return false;
  }
}

std::string to_text(const Manifest& manifest) {
  auto files = OrderedJson::array();
  for (const Manifest::File& file : manifest.files)
    files.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}});
  return to_text(OrderedJson{{"format", kFormat}, {"files", std::move(files)}});
}

Manifest sync_and_list(const fs::path& directory) {
  std::vector<fs::path> directories;
  Manifest manifest = files_below(directory, &directories);
  for (Manifest::File& file : manifest.files) {
    check(!utf8_error(file.name), Code::utf8, "{}: a file's name must be UTF-8",
          shown(directory / file.name));
    FileHandle handle = FileHandle::open_regular(directory / file.name);
    handle.sync();
    file.size = handle.size();
    file.sha256 = sha256_of_file(handle);
  }
  for (const fs::path& d : directories) sync_directory(d);
  return manifest;
}

std::string manifest_fault(const fs::path& directory) {
  const fs::path path = directory / kManifestName;
  try {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return fmt::format("{}: has no {}", shown(directory), kManifestName);
    const std::string fault =
        fault_of(directory, parse_manifest(read_file(path, Limits().json_bytes), shown(path)));
    return fault.empty() ? "" : fmt::format("{}: {}", shown(path), fault);
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace glossa
