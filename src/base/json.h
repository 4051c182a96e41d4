// json.h -- JSON of strangers: strict, iterative, bounded.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/limits.h"

namespace glossa {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  // keys stay in the order given

// Receives the parts of a document in order, for documents too large to hold as a tree. Numbers come as the
// text says: whole numbers that fit as such, everything else as `real` with its text. Duplicate keys are for
// the receiver to find.
class JsonEvents {
 public:
  struct Place {
    std::uint64_t begin, end;  // bytes of the token in the document
  };
  virtual ~JsonEvents() = default;
  virtual void null(Place) = 0;
  virtual void boolean(bool value, Place) = 0;
  virtual void negative(std::int64_t value, Place) = 0;  // a whole number with a minus sign
  virtual void natural(std::uint64_t value, Place) = 0;
  virtual void real(double value, const std::string& text, Place) = 0;
  virtual void string(std::string& value, Place) = 0;  // may be moved from
  virtual void key(std::string& name, Place) = 0;      // may be moved from
  virtual void begin_object(Place) = 0;
  virtual void end_object(Place) = 0;
  virtual void begin_array(Place) = 0;
  virtual void end_array(Place) = 0;
};

// Walks one document. What a receiver throws passes through.
void scan_json(std::string_view text, std::string_view origin, const Limits& limits, JsonEvents& events);

// Parses one document. Refused, with `origin` and the byte offset: what is not RFC 8259, ill-formed UTF-8,
// lone surrogates, duplicate keys, nesting beyond limits.json_depth (Code::depth), more than
// limits.json_bytes (Code::size), more than limits.json_values (Code::count), bytes after the document.
Json parse_json(std::string_view text, std::string_view origin, const Limits& limits = {});
Json read_json(const std::filesystem::path& path, const Limits& limits = {});
// The same where the order of keys matters, as in what a template writes out again.
OrderedJson parse_ordered_json(std::string_view text, std::string_view origin, const Limits& limits = {});
// The same with the tighter limit of configurations, which describe a model and hold no vocabulary.
Json read_configuration(const std::filesystem::path& path, const Limits& limits = {});

// Text of a document we write, with two spaces of indent and a final newline.
std::string to_text(const OrderedJson& json);
// On one line. Bytes that are not UTF-8, as paths may have, become U+FFFD.
std::string to_line(const OrderedJson& json);

// Typed look-ups that name the file and key on a wrong type or a value out of range (Code::config).
// A missing key, or one that is null, gives `otherwise`.
class JsonView {
 public:
  JsonView(const Json& object, std::string origin);
  bool has(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::int64_t otherwise, std::int64_t low,
                       std::int64_t high) const;
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
