// json.h -- JSON of strangers: strict, iterative, bounded.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/limits.h"

namespace glossa {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  // for what we write: keys stay in the order given

// Parses one document. Refused, with `origin` and the byte offset: what is not RFC 8259, ill-formed UTF-8, lone
// surrogates, duplicate keys, nesting beyond limits.json_depth (Code::depth), more than limits.json_bytes (Code::size),
// bytes after the document.
Json parse_json(std::string_view text, std::string_view origin, const Limits& limits = {});
Json read_json(const std::string& path, const Limits& limits = {});

// Text of a document we write, with two spaces of indent and a final newline.
std::string to_text(const OrderedJson& json);

// Typed look-ups that name the file and key on a wrong type or a value out of range (Code::config).
// A missing key gives `otherwise`.
class JsonView {
 public:
  JsonView(const Json& object, std::string origin);
  bool has(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::int64_t otherwise, std::int64_t low, std::int64_t high) const;
  double number(std::string_view key, double otherwise, double low, double high) const;
  bool boolean(std::string_view key, bool otherwise) const;
  std::string string(std::string_view key, std::string_view otherwise) const;
  const std::string& origin() const { return origin_; }
  const Json& json() const { return *object_; }

 private:
  const Json* find(std::string_view key) const;  // null if missing or null
  const Json* object_;
  std::string origin_;
};

}  // namespace glossa
