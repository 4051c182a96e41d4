// gguf.h -- the GGUF format, versions 2 and 3 (github.com/ggml-org/ggml, docs/gguf.md): typed metadata, a
// list of tensors, and their data. Read strictly: two readers must never see two models in one file.
//
// The format lists the dimensions of a tensor from the one whose elements are neighbours to the outermost.
// Here they stand as everywhere in this program, the last one dense: a weight of `out` rows of `in` columns
// is [out, in], and its file says [in, out].
//
// What is refused beyond the format's own rules: arrays within arrays; truth values other than 0 and 1;
// scalars and tensors with a dimension of 0; data in another order than the list's or with more between two
// tensors than padding; bytes after the padding of the last one (that itself may be missing); and a
// vocabulary whose tables do not fit each other.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/limits.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/tensor_table.h"
#include "tensor/tensor.h"

namespace glossa {

// ggml's types of tensors: its numbers for them. The program has those with a DType; others are listed with
// their sizes, and refused when their elements are asked for.
enum class GgmlType : std::uint8_t {};
std::string_view name_of(GgmlType type);  // "F32", "Q4_K"
BlockSize block_of(GgmlType type);
std::optional<DType> dtype_of(GgmlType type);  // of its elements here; I8 and I16 are widened to i32
GgmlType ggml_type_of(DType type);             // Error(gguf) for u8, which the format does not have
// The type of a number in a file. Error(gguf) for one that ggml does not have, or not any more.
GgmlType ggml_type(std::uint32_t number, std::string_view place);

struct GgufTensorInfo {
  std::string name;
  GgmlType type{};
  std::uint8_t rank = 0;
  std::uint32_t part = 0;  // of a model in several files
  std::array<std::int64_t, Shape::kMost> dims{};
  std::uint64_t begin = 0, bytes = 0;  // within the data of its file

  std::span<const std::int64_t> shape() const { return {dims.data(), rank}; }
  std::uint64_t elements() const;
};

struct GgufHeader {
  std::uint32_t version = 3;
  GgufMetadata metadata;
  std::vector<GgufTensorInfo> tensors;  // in the order of their data
  std::uint64_t alignment = 32;         // of the data and of each tensor in them
  std::uint64_t data_begin = 0;
};

// Reads and checks the header of a whole file. Only the header's bytes are looked at, and nothing is
// allocated for what the file merely claims. `origin` names the file in messages.
GgufHeader parse_gguf(Bytes file, std::string_view origin, const Limits& limits = {});
// The same of the bytes before the data alone, which has `data_bytes`.
GgufHeader parse_gguf_header(Bytes header, std::uint64_t data_bytes, std::string_view origin,
                             const Limits& limits = {});
bool is_gguf(Bytes file);  // by its first bytes

// The tensors' numbers in the order of their names; Error(gguf) if two have the same.
std::vector<std::uint32_t> sorted_by_name(std::span<const GgufTensorInfo> tensors, std::string_view origin);
// general.alignment, or 32. Error(gguf) if it is no UINT32 that is a power of two from 8 to 65,536.
std::uint64_t alignment_of(const GgufMetadata& metadata);
// The tables of tokenizer.ggml.* must belong together: as many scores and types as tokens, merges of tokens
// that there are, special tokens among them. Error(gguf) if not; a file without a vocabulary has nothing to
// check.
void check_token_tables(const GgufMetadata& metadata, const Limits& limits = {});

// ---- writing ----

using GgufTensorPlan = TensorPlan;  // a scalar becomes [1]

// Writes a file of version 3 piece by piece: the header at once, then each tensor as it is added, so that
// they need not be in memory together. The same input gives the same bytes. What the reader above would
// refuse is its Error before the first byte.
class GgufWriter {
 public:
  GgufWriter(std::function<void(Bytes)> write, const GgufMetadata& metadata,
             std::vector<GgufTensorPlan> plan);
  void add(const Tensor& tensor);  // the next of the plan
  void finish() const;             // Error(internal) unless all were added

 private:
  std::function<void(Bytes)> write_;
  std::vector<GgufTensorPlan> plan_;
  std::size_t next_ = 0;
  std::uint64_t alignment_;
};

// All at once, in the order given; into a file that appears whole or not at all.
void save_gguf(const fs::path& path, const GgufMetadata& metadata,
               const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace glossa
