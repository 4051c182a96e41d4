// json_node.h -- a place in a JSON document that knows its path, so that every complaint names it.
#pragma once
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace glossa {

// A look into a document that must outlive it. Wrong types and values are Error(tokenizer): origin, path,
// found, wanted.
class JsonNode {
 public:
  JsonNode(const Json& json, std::string path, std::string_view origin)
      : json_(&json), path_(std::move(path)), origin_(origin) {}

  const Json& json() const { return *json_; }
  std::string_view origin() const { return origin_; }
  const std::string& path() const { return path_; }

  // The member `key`, or nothing if it is missing or null.
  std::optional<JsonNode> find(std::string_view key) const {
    if (!json_->is_object()) wrong("an object");
    const auto member = json_->find(key);
    if (member == json_->end() || member->is_null()) return std::nullopt;
    return JsonNode(*member, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key), origin_);
  }
  JsonNode at(std::string_view key) const {
    const auto member = find(key);
    if (!member) refuse("{} is missing", quoted(key));
    return *member;
  }
  std::vector<JsonNode> elements() const {
    if (!json_->is_array()) wrong("a list");
    std::vector<JsonNode> all;
    for (const Json& j : *json_) all.emplace_back(j, fmt::format("{}[{}]", path_, all.size()), origin_);
    return all;
  }

  const std::string& string() const {
    if (!json_->is_string()) wrong("a text");
    return json_->get_ref<const std::string&>();
  }
  // A text that is exactly one character.
  const std::string& character() const {
    const std::string& s = string();
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    if (s.size() - static_cast<std::size_t>(std::count_if(s.begin(), s.end(), continues)) != 1)
      wrong("a single character");
    return s;
  }
  bool boolean() const {
    if (!json_->is_boolean()) wrong("true or false");
    return json_->get<bool>();
  }
  std::int64_t natural(std::int64_t most) const {
    if (!json_->is_number_unsigned() || json_->get<std::uint64_t>() > static_cast<std::uint64_t>(most))
      wrong(fmt::format("a whole number from 0 to {}", most));
    return json_->get<std::int64_t>();
  }
  bool boolean(std::string_view key, bool otherwise) const {
    const auto member = find(key);
    return member ? member->boolean() : otherwise;
  }

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::tokenizer, "{}: {}{}{}", origin_, path_, path_.empty() ? "" : ": ",
         fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void wrong(std::string_view wanted) const {
    refuse("found {}, wanted {}", json_->is_structured() ? json_->type_name() : quoted(json_->dump()),
           wanted);
  }

 private:
  const Json* json_;
  std::string path_;
  std::string_view origin_;
};

}  // namespace glossa
