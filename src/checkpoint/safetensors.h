// safetensors.h -- the safetensors format (github.com/huggingface/safetensors): eight bytes of length, a JSON
// header that names every tensor, and the data. Read strictly: two readers must never see two models in one
// file.
//
// What is refused beyond the format's own rules: trailing bytes other than spaces after the header's closing
// brace, keys the format does not know, a product of the non-zero dimensions of 2^63 and more even if another
// dimension is zero, and names longer than limits.name_bytes. An empty tensor may lie between two others,
// never within one.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/limits.h"
#include "tensor/tensor.h"

namespace glossa {

// The types of elements that are read, in the order in which the format's own library writes them: none
// begins misaligned. The format's others (F8_E4M3 and smaller) are refused by name.
enum class ElementType : std::uint8_t { i64, f64, f32, i32, bf16, f16, i16, i8, u8, boolean };
std::size_t size_of(ElementType type);
std::string_view name_of(ElementType type);  // as the format spells it: "F32", "BOOL"
ElementType element_type_of(DType type);

struct TensorInfo {
  std::string name;
  ElementType type = ElementType::f32;
  std::uint8_t rank = 0;
  std::array<std::int64_t, 8> dims{};
  std::uint64_t begin = 0, end = 0;  // bytes within the data

  std::span<const std::int64_t> shape() const { return {dims.data(), rank}; }
  std::uint64_t bytes() const { return end - begin; }
  std::uint64_t elements() const { return bytes() / size_of(type); }
};

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in the order of their data, which they cover without holes
  std::vector<std::uint32_t> by_name;
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  // of the data in the file

  const TensorInfo* find(std::string_view name) const;  // null if there is none
};

// Reads and checks the header of a whole file. Only the header's bytes are looked at, and nothing is
// allocated for what the file merely claims. `origin` names the file in messages; places are bytes of the
// header, which begins at byte 8.
SafetensorsHeader parse_safetensors(Bytes file, std::string_view origin, const Limits& limits = {});

// The index of a checkpoint in several files (model.safetensors.index.json).
struct ShardIndex {
  std::vector<std::string> shards;                             // plain file names, sorted
  std::vector<std::pair<std::string, std::uint32_t>> tensors;  // name and number of its shard, sorted by name
  std::uint64_t total_size = 0;  // bytes of all tensors by metadata.total_size; 0: not said
};
ShardIndex parse_shard_index(std::string_view text, std::string_view origin, const Limits& limits = {});

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using Metadata = std::map<std::string, std::string>;

// Writes tensors through `write`, in pieces and without a second copy of dense ones: larger elements first,
// and by name among equals, so that every tensor is aligned and the same tensors always give the same bytes.
void write_safetensors(const std::function<void(Bytes)>& write, NamedTensors tensors,
                       const Metadata& metadata = {{"format", "pt"}});
// The same into a file that appears whole or not at all.
void save_safetensors(const fs::path& path, NamedTensors tensors,
                      const Metadata& metadata = {{"format", "pt"}});

}  // namespace glossa
