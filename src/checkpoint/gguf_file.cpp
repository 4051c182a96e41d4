#include "checkpoint/gguf_file.h"

#include <algorithm>

#include "base/error.h"
#include "checkpoint/mapped_tensor.h"
#include "checkpoint/tensor_directory.h"

namespace glossa {
namespace {

constexpr const char* kNumber = "split.no";  // of a part, from 0
constexpr const char* kParts = "split.count";
constexpr const char* kTensors = "split.tensors.count";  // of all parts
constexpr std::int64_t kMostParts = 1000;                // each is mapped

std::string suffix(std::int64_t part, std::int64_t parts) {
  return fmt::format("-{:05}-of-{:05}.gguf", part, parts);
}

}  // namespace

GgufFile::GgufFile(const fs::path& path, const Limits& limits) : path_(path) {
  files_.push_back(std::make_shared<MappedFile>(path));
  GgufHeader first = parse_gguf(files_[0]->bytes(), shown(path), limits);
  version_ = first.version;
  metadata_ = std::move(first.metadata);
  take_tensors(std::move(first));
  if (const std::int64_t parts = metadata_.integer_or(kParts, 1, {0, kMostParts}); parts > 1)
    open_parts(parts, limits);
  by_name_ = sorted_by_name(tensors_, shown(path));
}

void GgufFile::take_tensors(GgufHeader&& header) {
  const auto part = static_cast<std::uint32_t>(data_begin_.size());
  data_begin_.push_back(header.data_begin);
  for (GgufTensorInfo& info : header.tensors) {
    info.part = part;
    tensors_.push_back(std::move(info));
  }
}

void GgufFile::open_parts(std::int64_t parts, const Limits& limits) {
  const std::string name = path_.filename().native(), first = suffix(1, parts);
  const std::int64_t number = metadata_.integer(kNumber);
  check(number == 0, Code::gguf, "{}: is part {} of {}, and the first one is to be opened", shown(path_),
        number + 1, parts);
  check(name.ends_with(first), Code::gguf, "{}: is the first of {} parts, and its name must end with {}",
        shown(path_), parts, first);
  const std::string stem = name.substr(0, name.size() - first.size());
  for (std::int64_t part = 2; part <= parts; ++part)
    add_part(path_.parent_path() / (stem + suffix(part, parts)), parts, limits);
  const std::int64_t tensors = metadata_.integer_or(kTensors, static_cast<std::int64_t>(tensors_.size()));
  check(tensors == static_cast<std::int64_t>(tensors_.size()), Code::gguf,
        "{}: \"{}\" is {}, and the {} parts have {} tensors", shown(path_), kTensors, tensors, parts,
        tensors_.size());
  for (const char* key : {kNumber, kParts, kTensors}) metadata_.erase(key);
}

void GgufFile::add_part(const fs::path& path, std::int64_t parts, const Limits& limits) {
  std::error_code ignored;
  check(fs::exists(fs::symlink_status(path, ignored)), Code::gguf, "{}: part {} of {} is missing",
        shown(path), files_.size() + 1, parts);
  files_.push_back(std::make_shared<MappedFile>(path));
  GgufHeader header = parse_gguf(files_.back()->bytes(), shown(path), limits);
  const std::int64_t number = header.metadata.integer(kNumber), count = header.metadata.integer(kParts);
  check(number + 1 == static_cast<std::int64_t>(files_.size()) && count == parts, Code::gguf,
        "{}: is part {} of {} by its metadata, and part {} of {} is wanted", shown(path), number + 1, count,
        files_.size(), parts);
  for (const char* key : {kTensors, "general.architecture", "general.name"})
    if (const GgufValue* const value = header.metadata.find(key); value && metadata_.has(key))
      check(*value == *metadata_.find(key), Code::gguf,
            "{}: belongs to another model than {}: their \"{}\" differ", shown(path), shown(path_), key);
  take_tensors(std::move(header));
}

const GgufTensorInfo* GgufFile::info(std::string_view name) const {
  const auto it = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                   [&](std::uint32_t i, std::string_view n) { return tensors_[i].name < n; });
  return it != by_name_.end() && tensors_[*it].name == name ? &tensors_[*it] : nullptr;
}

Bytes GgufFile::bytes_of(const GgufTensorInfo& info) const {
  return files_[info.part]->bytes().subspan(data_begin_[info.part] + info.begin, info.bytes);
}

Tensor GgufFile::tensor(const GgufTensorInfo& info) const {
  const auto dtype = dtype_of(info.type);
  if (!dtype)
    fail(Code::gguf, "{}: tensor {} is of type {}, which this program does not have",
         shown(files_[info.part]->path()), quoted(info.name), name_of(info.type));
  const BlockSize block = block_of(info.type);
  if (block.bytes < block_of(*dtype).bytes)
    return widened_tensor(bytes_of(info), static_cast<std::size_t>(block.bytes), Shape(info.shape()));
  return mapped_tensor(files_[info.part], bytes_of(info), Shape(info.shape()), *dtype);
}

Tensor GgufFile::find(std::string_view name) const {
  const GgufTensorInfo* const found = info(name);
  return found ? tensor(*found) : Tensor();
}

Tensor GgufFile::find(std::string_view name, DType wanted) const {
  const Tensor found = find(name);
  if (!found || found.dtype() == wanted) return found;
  const auto real = [](DType type) { return is_floating(type) || is_quantised(type); };
  if (!real(wanted) || !real(found.dtype()))
    fail(Code::weights, "{}: tensor {} holds {}, and {} is wanted", shown(path_), quoted(name),
         name_of(info(name)->type), name_of(wanted));
  return found.to(wanted);
}

void GgufFile::check_intact() const {
  for (const auto& file : files_) file->check_intact();
}

void GgufFile::check_finite() const {
  for (const GgufTensorInfo& t : tensors_) {
    const TensorStatistics s = statistics(tensor(t));
    check(s.nan + s.infinite == 0, Code::nonfinite,
          "{}: tensor {}: {} of {} values are not finite ({} not-a-number), the first at index {}",
          shown(files_[t.part]->path()), quoted(t.name), s.nan + s.infinite, s.elements, s.nan,
          s.first_nonfinite);
  }
}

}  // namespace glossa
