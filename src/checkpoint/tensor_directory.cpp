#include "checkpoint/tensor_directory.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace glossa {
namespace {

constexpr const char* kWhole[] = {"model.safetensors", "adapter_model.safetensors"};
constexpr const char* kIndex = "model.safetensors.index.json";

DType dtype_for(ElementType type) {
  switch (type) {
    case ElementType::f64:
      return DType::f64;
    case ElementType::f32:
      return DType::f32;
    case ElementType::f16:
      return DType::f16;
    case ElementType::bf16:
      return DType::bf16;
    case ElementType::i64:
      return DType::i64;
    case ElementType::i32:
    case ElementType::i16:
    case ElementType::i8:
      return DType::i32;
    case ElementType::u8:
    case ElementType::boolean:
      return DType::u8;
  }
  fail(Code::internal, "no tensor type for {}", name_of(type));
}

template <class Narrow>
void widen(Bytes from, std::int32_t* to) {
  for (std::size_t i = 0; i < from.size() / sizeof(Narrow); ++i) {
    Narrow value;
    std::memcpy(&value, from.data() + i * sizeof value, sizeof value);
    to[i] = value;
  }
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));  // a dangling link is reported when it is opened
}

// The one file that holds everything, or "" if there must be an index.
fs::path whole_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path;
  for (const char* name : kWhole)
    if (is_there(path / name)) return path / name;
  return {};
}

}  // namespace

// ---- TensorFile ----

TensorFile::TensorFile(const fs::path& path, const Limits& limits)
    : file_(std::make_shared<MappedFile>(path)),
      header_(parse_safetensors(file_->bytes(), shown(path), limits)) {}

Bytes TensorFile::bytes_of(const TensorInfo& info) const {
  return file_->bytes().subspan(header_.data_begin + info.begin, info.bytes());
}

Tensor TensorFile::tensor(const TensorInfo& info) const {
  if (info.rank > Shape::kMost)
    fail(Code::weights, "{}: tensor {} has {} dimensions, and at most {} are supported", shown(path()),
         quoted(info.name), info.rank, Shape::kMost);
  const Shape shape(info.shape());
  const DType dtype = dtype_for(info.type);
  const Bytes bytes = bytes_of(info);
  const bool same = size_of(dtype) == size_of(info.type);
  if (same && reinterpret_cast<std::uintptr_t>(bytes.data()) % size_of(dtype) == 0) {
    auto storage = std::make_shared<Storage>();
    storage->data = const_cast<std::byte*>(bytes.data());
    storage->bytes = bytes.size();
    storage->owner = std::const_pointer_cast<MappedFile>(file_);
    storage->frozen = true;
    return Tensor::from(std::move(storage), shape, dtype);
  }
  Tensor copy = Tensor::empty(shape, dtype);
  if (same) {
    if (!bytes.empty()) std::memcpy(copy.raw(), bytes.data(), bytes.size());
  } else if (info.type == ElementType::i16) {
    widen<std::int16_t>(bytes, copy.data<std::int32_t>());
  } else {
    widen<std::int8_t>(bytes, copy.data<std::int32_t>());
  }
  return copy;
}

// ---- TensorDirectory ----

TensorDirectory::TensorDirectory(const fs::path& path, const Limits& limits) : path_(path) {
  const fs::path whole = whole_file(path);
  if (!whole.empty()) {
    files_.emplace_back(whole, limits);
    list_all();
    return;
  }
  check(is_there(path / kIndex), Code::weights, "{}: holds no {} and no {}{}", shown(path), kWhole[0], kIndex,
        is_there(path / "pytorch_model.bin")
            ? "; pytorch_model.bin is not read: save the model as safetensors"
            : "");
  const std::string origin = shown(path / kIndex);
  const ShardIndex index = parse_shard_index(read_file(path / kIndex, limits.json_bytes), origin, limits);
  for (const std::string& shard : index.shards) {
    check(is_there(path / shard), Code::shard_index, "{}: shard {} is missing", origin, quoted(shard));
    files_.emplace_back(path / shard, limits);
  }
  list_by_index(index, origin);
}

void TensorDirectory::list_all() {
  const SafetensorsHeader& header = files_[0].header();
  for (std::uint32_t i : header.by_name)
    entries_.push_back({header.tensors[i].name, &files_[0], &header.tensors[i]});
}

void TensorDirectory::list_by_index(const ShardIndex& index, const std::string& origin) {
  std::uint64_t bytes = 0;
  for (const auto& [name, shard] : index.tensors) {
    const TensorFile& file = files_[shard];
    const TensorInfo* const info = file.header().find(name);
    check(info != nullptr, Code::shard_index, "{}: tensor {} is not in shard {}", origin, quoted(name),
          quoted(index.shards[shard]));
    entries_.push_back({info->name, &file, info});
    bytes += info->bytes();
  }
  std::uint64_t held = 0;
  for (const TensorFile& file : files_) held += file.header().tensors.size();
  if (held > entries_.size())
    notes_.push_back(fmt::format("{}: does not name {} of the {} tensors in its shards; they are left out",
                                 origin, held - entries_.size(), held));
  if (index.total_size != 0 && index.total_size != bytes)
    notes_.push_back(fmt::format("{}: metadata.total_size is {}, and the tensors have {} bytes", origin,
                                 index.total_size, bytes));
}

const TensorDirectory::Entry* TensorDirectory::entry(std::string_view name) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const Entry& e, std::string_view n) { return e.name < n; });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

std::vector<std::string> TensorDirectory::names() const {
  std::vector<std::string> list;
  for (const Entry& e : entries_) list.emplace_back(e.name);
  return list;
}

const TensorInfo* TensorDirectory::info(std::string_view name) const {
  const Entry* const e = entry(name);
  return e ? e->info : nullptr;
}

Tensor TensorDirectory::find(std::string_view name) const {
  const Entry* const e = entry(name);
  return e ? e->file->tensor(*e->info) : Tensor();
}

Tensor TensorDirectory::find(std::string_view name, DType wanted) const {
  const Tensor found = find(name);
  if (!found || found.dtype() == wanted) return found;
  check(is_floating(wanted) && is_floating(found.dtype()), Code::weights,
        "{}: tensor {} holds {}, and {} is wanted", shown(path_), quoted(name), name_of(info(name)->type),
        name_of(element_type_of(wanted)));
  return found.to(wanted);
}

void TensorDirectory::check_intact() const {
  for (const TensorFile& file : files_) file.check_intact();
}

void TensorDirectory::check_finite() const {
  for (const Entry& e : entries_) {
    const TensorStatistics s = statistics(e.file->bytes_of(*e.info), e.info->type);
    check(s.nan + s.infinite == 0, Code::nonfinite,
          "{}: tensor {}: {} of {} values are not finite ({} not-a-number), the first at index {}",
          shown(e.file->path()), quoted(e.name), s.nan + s.infinite, s.elements, s.nan, s.first_nonfinite);
  }
}

}  // namespace glossa
