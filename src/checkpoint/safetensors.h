// safetensors.h -- the safetensors format (github.com/huggingface/safetensors): eight bytes of length, a JSON
// header that names every tensor, and the data. Read strictly: two readers must never see two models in one
// file.
//
// What is refused beyond the format's own rules: trailing bytes other than spaces after the header's closing
// brace, keys the format does not know, a product of the non-zero dimensions of 2^63 and more even if another
// dimension is zero, and names longer than limits.name_bytes. An empty tensor may lie between two others,
// never within one.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/limits.h"
#include "checkpoint/tensor_table.h"

namespace glossa {

// The tensors stand in the order of their data, which they cover without holes.
struct SafetensorsHeader : TensorTable {
  std::map<std::string, std::string> metadata;
};

// Reads and checks the header of a whole file. Only the header's bytes are looked at, and nothing is
// allocated for what the file merely claims. `origin` names the file in messages; places are bytes of the
// header, which begins at byte 8.
SafetensorsHeader parse_safetensors(Bytes file, std::string_view origin, const Limits& limits = {});

// The index of a checkpoint in several files (model.safetensors.index.json, pytorch_model.bin.index.json).
struct ShardIndex {
  std::vector<std::string> shards;                             // plain file names, sorted
  std::vector<std::pair<std::string, std::uint32_t>> tensors;  // name and number of its shard, sorted by name
  std::uint64_t total_size = 0;  // bytes of all tensors by metadata.total_size; 0: not said
};
// Shards whose names do not end with `extension` are refused.
ShardIndex parse_shard_index(std::string_view text, std::string_view origin, const Limits& limits = {},
                             std::string_view extension = ".safetensors");

using Metadata = std::map<std::string, std::string>;

// Writes tensors through `write`, in pieces and without a second copy of dense ones: larger elements first,
// and by name among equals, so that every tensor is aligned and the same tensors always give the same bytes.
void write_safetensors(const std::function<void(Bytes)>& write, const NamedTensors& tensors,
                       const Metadata& metadata = {{"format", "pt"}});
// The same of tensors that are made one by one, in that order.
void write_safetensors(const std::function<void(Bytes)>& write, std::vector<TensorPlan> plans,
                       const TensorMaker& make, const Metadata& metadata = {{"format", "pt"}});
// The same into a file that appears whole or not at all.
void save_safetensors(const fs::path& path, const NamedTensors& tensors,
                      const Metadata& metadata = {{"format", "pt"}});

}  // namespace glossa
