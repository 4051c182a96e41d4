// shard_index_fuzz.cpp -- any bytes as model.safetensors.index.json: no shard that is read may lead out of
// its folder.
#include <algorithm>

#include "base/error.h"
#include "checkpoint/safetensors.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  try {
    const ShardIndex index = parse_shard_index(fuzz_text(data, size), "index");
    require(std::is_sorted(index.shards.begin(), index.shards.end()) && !index.shards.empty());
    for (const std::string& shard : index.shards) {
      const fs::path path = fs::path("folder") / shard;
      require(path.lexically_normal().parent_path() == "folder" && path.extension() == ".safetensors");
      require(shard.find('\0') == std::string::npos);
    }
    for (const auto& [name, shard] : index.tensors) require(shard < index.shards.size());
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
