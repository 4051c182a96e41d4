// json_lines.h -- what readers of JSON lines share: which files hold them, and the texts of their objects.
#pragma once
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace glossa {

fs::path without_compression(const fs::path& path);  // a name without .gz or .zst
// Whether a name says so: .jsonl, .json or .ndjson, before .gz or .zst.
bool names_json_lines(const fs::path& path);

// `place` ("FILE: line 3") begins messages. Error(json | text_data) for a line that is no object.
Json parse_object(std::string_view line, const std::string& place, const Limits& limits = {});
// Moves the text under `key` out of an object. Error(text_data) if there is none; `hint` says what names the
// key.
std::string take_text(Json& object, const std::string& key, const std::string& place,
                      std::string_view hint = "");

}  // namespace glossa
