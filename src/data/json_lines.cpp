#include "data/json_lines.h"

#include "base/error.h"

namespace glossa {

fs::path without_compression(const fs::path& path) {
  return path.extension() == ".gz" || path.extension() == ".zst" ? path.stem() : path;
}

bool names_json_lines(const fs::path& path) {
  const fs::path extension = without_compression(path).extension();
  return extension == ".jsonl" || extension == ".json" || extension == ".ndjson";
}

Json parse_object(std::string_view line, const std::string& place, const Limits& limits) {
  Json object = parse_json(line, place, limits);
  check(object.is_object(), Code::text_data, "{}: is a JSON {}, and an object is needed", place,
        object.type_name());
  return object;
}

std::string take_text(Json& object, const std::string& key, const std::string& place, std::string_view hint) {
  const auto it = object.find(key);
  if (it == object.end())
    fail(Code::text_data, "{}: has no key {}{}", place, quoted(key),
         hint.empty() ? "" : fmt::format(" ({})", hint));
  check(it->is_string(), Code::text_data, "{}: {} is a JSON {}, and text is needed", place, quoted(key),
        it->type_name());
  return std::move(it->get_ref<std::string&>());
}

}  // namespace glossa
