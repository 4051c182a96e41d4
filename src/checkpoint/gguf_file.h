// gguf_file.h -- a model in GGUF: one mapped file, or the parts name-00001-of-0000N.gguf of one.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf.h"

namespace glossa {

// Opens a file; if it is the first part of several, they are all opened and read as one. A part that is
// missing, has another number than its name, or belongs to another model is an Error(gguf). Safe to read from
// several threads.
class GgufFile {
 public:
  explicit GgufFile(const fs::path& path, const Limits& limits = {});

  const fs::path& path() const { return path_; }
  std::uint32_t version() const { return version_; }
  // Of the first part, without what it says of being one.
  const GgufMetadata& metadata() const { return metadata_; }
  const std::vector<GgufTensorInfo>& tensors() const { return tensors_; }  // in the order of the files
  const GgufTensorInfo* info(std::string_view name) const;                 // null if there is none

  Bytes bytes_of(const GgufTensorInfo& info) const;
  // A view of the file that keeps it mapped; it must not be written to. I8 and I16 become i32. Error(gguf)
  // for a type that this program does not have.
  Tensor tensor(const GgufTensorInfo& info) const;
  Tensor find(std::string_view name) const;  // no tensor if there is none
  // As elements of type `wanted`, converted where that loses nothing but precision: between floating-point
  // and block types.
  Tensor find(std::string_view name, DType wanted) const;

  const std::vector<std::shared_ptr<const MappedFile>>& files() const { return files_; }
  void check_intact() const;  // Error(changed) if a file was written to since it was opened
  // Error(nonfinite) that names the first tensor with a not-a-number or an infinity, where, and how many.
  void check_finite() const;

 private:
  void open_parts(std::int64_t parts, const Limits& limits);
  void add_part(const fs::path& path, std::int64_t parts, const Limits& limits);
  void take_tensors(GgufHeader&& header);

  fs::path path_;
  std::uint32_t version_ = 0;
  GgufMetadata metadata_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::vector<std::uint64_t> data_begin_;  // of each file
  std::vector<GgufTensorInfo> tensors_;
  std::vector<std::uint32_t> by_name_;
};

}  // namespace glossa
