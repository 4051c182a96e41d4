#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"

namespace glossa {
namespace {

// A shard is a file beside the index: a name with a path in it could read any file of this machine.
void check_shard_name(const std::string& name, std::string_view origin, std::string_view extension) {
  const bool plain = name.find('/') == std::string::npos && name.find('\\') == std::string::npos &&
                     name.find('\0') == std::string::npos && !name.starts_with(".") && name.size() <= 255;
  check(plain && name.ends_with(extension), Code::shard_index,
        "{}: shard {} must be the plain name of a {} file in the same directory", origin, quoted(name),
        extension);
}

}  // namespace

ShardIndex parse_shard_index(std::string_view text, std::string_view origin, const Limits& limits,
                             std::string_view extension) {
  const Json json = parse_json(text, origin, limits);
  check(json.is_object() && json.contains("weight_map") && json["weight_map"].is_object(), Code::shard_index,
        "{}: has no object \"weight_map\"", origin);
  const auto& map = json["weight_map"].get_ref<const Json::object_t&>();
  check(!map.empty(), Code::shard_index, "{}: \"weight_map\" names no tensors", origin);
  check(map.size() <= limits.tensors, Code::count, "{}: {} tensors, and at most {} are allowed", origin,
        map.size(), limits.tensors);
  ShardIndex index;
  for (const auto& [name, shard] : map) {
    check(name.size() <= limits.name_bytes, Code::shard_index,
          "{}: a name of {} bytes, and at most {} are allowed: {}", origin, name.size(), limits.name_bytes,
          quoted(name, 40));
    check(shard.is_string(), Code::shard_index, "{}: tensor {}: its shard must be a string", origin,
          quoted(name));
    index.shards.push_back(shard.get<std::string>());
  }
  std::sort(index.shards.begin(), index.shards.end());
  index.shards.erase(std::unique(index.shards.begin(), index.shards.end()), index.shards.end());
  for (const std::string& shard : index.shards) check_shard_name(shard, origin, extension);
  for (const auto& [name, shard] : map) {
    const auto at =
        std::lower_bound(index.shards.begin(), index.shards.end(), shard.get_ref<const std::string&>());
    index.tensors.emplace_back(name, static_cast<std::uint32_t>(at - index.shards.begin()));
  }
  if (json.contains("metadata") && json["metadata"].is_object() && json["metadata"].contains("total_size")) {
    const Json& total = json["metadata"]["total_size"];  // some writers give 1.5e9
    const bool whole = total.is_number_unsigned() || (total.is_number_float() && total >= 0 && total < 9e18);
    check(whole, Code::shard_index, "{}: metadata.total_size must be a number of bytes", origin);
    index.total_size = total.get<std::uint64_t>();
  }
  return index;
}

}  // namespace glossa
