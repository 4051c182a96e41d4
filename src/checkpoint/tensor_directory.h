// tensor_directory.h -- the weights of a checkpoint by name: one file of safetensors or of torch.save, or a
// Hugging Face directory with one or several. Files are mapped, and tensors are views of the mapping wherever
// their type, layout and alignment allow.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace glossa {

// What the values of a tensor are like. Minimum, maximum and mean are of the finite ones, in element order by
// blocks of fixed size, so that they do not depend on the number of threads.
struct TensorStatistics {
  std::uint64_t elements = 0, nan = 0, infinite = 0, zero = 0, subnormal = 0;
  std::uint64_t first_nonfinite = UINT64_MAX;  // index of the first
  double minimum = 0, maximum = 0, mean = 0, root_mean_square = 0;
};
TensorStatistics statistics(Bytes data, ElementType type);
TensorStatistics statistics(const Tensor& tensor);  // a block type's values are those it decodes to

// One mapped file of tensors. What a file is its first bytes say, but one that is named .safetensors is read
// as that. Safe to read from several threads.
class TensorFile {
 public:
  explicit TensorFile(const fs::path& path, const Limits& limits = {});

  const fs::path& path() const { return file_->path(); }
  std::uint64_t size() const { return file_->bytes().size(); }  // bytes of the file
  const TensorTable& table() const { return table_; }
  // The elements in row-major order: a view of the file that keeps it mapped and must not be written to, or a
  // copy where they lie otherwise in the file.
  std::shared_ptr<Storage> data(const TensorInfo& info) const;
  // The same as a tensor; a copy also where the data are misaligned. BOOL becomes u8; I8 and I16 become i32.
  // Error(weights) if it has more than four dimensions.
  Tensor tensor(const TensorInfo& info) const;
  std::string digest() const { return sha256(file_->bytes()); }  // of the whole file
  void check_intact() const { file_->check_intact(); }
  void check_sums() const;  // Error(torch_file) if the file holds checksums and one is wrong

 private:
  std::shared_ptr<const MappedFile> file_;
  TensorTable table_;
};

// Opens a file; a directory with model.safetensors (or adapter_model.safetensors), or with
// model.safetensors.index.json and the shards it names; or, without any of these, one with pytorch_model.bin
// (or adapter_model.bin), or pytorch_model.bin.index.json. With an index, the index decides: a tensor that it
// does not name is not there, even if a shard holds it (`notes` says so), and one that is not in the shard
// named is an Error(shard_index).
class TensorDirectory {
 public:
  explicit TensorDirectory(const fs::path& path, const Limits& limits = {});
  TensorDirectory(TensorDirectory&&) =
      default;  // entries point into the files, so it moves and is not copied
  TensorDirectory& operator=(TensorDirectory&&) = default;

  std::vector<std::string> names() const;  // sorted
  bool has(std::string_view name) const { return entry(name) != nullptr; }
  const TensorInfo* info(std::string_view name) const;  // null if there is none
  Tensor find(std::string_view name) const;             // no tensor if there is none
  // As elements of type `wanted`, converted where that loses nothing but precision: between floating-point
  // types. An integer where a floating-point number is wanted, or the reverse, is an Error(weights).
  Tensor find(std::string_view name, DType wanted) const;

  TensorStatistics statistics(std::string_view name) const;  // of a tensor that is there

  const fs::path& path() const { return path_; }
  const std::vector<TensorFile>& files() const { return files_; }
  const std::vector<std::string>& notes() const {
    return notes_;
  }                           // what is odd and yet no error, a line each
  void check_intact() const;  // Error(changed) if a file was written to since it was opened
  // Error(nonfinite) that names the first tensor with a not-a-number or an infinity, where, and how many.
  void check_finite() const;
  void check_sums() const;  // of all files

 private:
  struct Entry {
    std::string_view name;
    const TensorFile* file;
    const TensorInfo* info;
  };
  const Entry* entry(std::string_view name) const;
  void list_all();
  void list_by_index(const ShardIndex& index, const std::string& origin);

  fs::path path_;
  std::vector<TensorFile> files_;
  std::vector<Entry> entries_;  // sorted by name
  std::vector<std::string> notes_;
};

// Whether a directory holds a file that TensorDirectory would open.
bool holds_tensors(const fs::path& directory);

}  // namespace glossa
