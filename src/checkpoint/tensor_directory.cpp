#include "checkpoint/tensor_directory.h"

#include <algorithm>

#include "base/error.h"
#include "checkpoint/torch_file.h"
#include "checkpoint/mapped_tensor.h"

namespace glossa {
namespace {

// What a directory may hold, the best first.
struct Kind {
  const char* whole;  // one file with everything
  const char* adapter;
  const char* index;  // of several files
  const char* extension;
};
constexpr Kind kKinds[] = {
    {"model.safetensors", "adapter_model.safetensors", "model.safetensors.index.json", ".safetensors"},
    {"pytorch_model.bin", "adapter_model.bin", "pytorch_model.bin.index.json", ".bin"},
};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));  // a dangling link is reported when it is opened
}

// How the data of a directory are found: a file with everything, or an index. Neither: there is nothing.
struct Found {
  fs::path whole, index;
  std::string_view extension = {};
};

Found look_in(const fs::path& directory) {
  for (const Kind& kind : kKinds) {
    for (const char* name : {kind.whole, kind.adapter})
      if (is_there(directory / name)) return {.whole = directory / name, .index = {}};
    if (is_there(directory / kind.index))
      return {.whole = {}, .index = directory / kind.index, .extension = kind.extension};
  }
  return {};
}

bool is_torch_file(Bytes file, const fs::path& path) {
  const auto& name = path.extension();
  if (name == ".safetensors" || looks_like_safetensors(as_text(file))) return false;
  return as_text(file).starts_with("PK\3\4") || name == ".bin" || name == ".pt" || name == ".pth" ||
         name == ".ckpt";
}

TensorTable read_table(Bytes file, const fs::path& path, const Limits& limits) {
  if (is_torch_file(file, path)) return read_torch_file(file, shown(path), limits);
  return parse_safetensors(file, shown(path), limits);
}

// Copies elements of `size` bytes that lie `strides` apart to where they follow one another. The innermost
// dimension is a loop; the others turn over as the wheels of a counter.
void gather(const std::byte* from, std::byte* to, const TensorInfo& info) {
  const std::size_t size = size_of(info.type);
  const int last = info.rank - 1;
  std::array<std::int64_t, 8> index{};
  std::int64_t offset = 0;  // of the first element of the row, in elements
  for (std::uint64_t rows = info.elements() / static_cast<std::uint64_t>(info.dims[last]); rows > 0; --rows) {
    for (std::int64_t i = 0; i < info.dims[last]; ++i, to += size)
      std::memcpy(to, from + (offset + i * info.strides[last]) * static_cast<std::int64_t>(size), size);
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += info.strides[axis];
      if (++index[axis] < info.dims[axis]) break;
      offset -= info.dims[axis] * info.strides[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

// ---- TensorFile ----

TensorFile::TensorFile(const fs::path& path, const Limits& limits)
    : file_(std::make_shared<MappedFile>(path)), table_(read_table(file_->bytes(), path, limits)) {}

std::shared_ptr<Storage> TensorFile::data(const TensorInfo& info) const {
  const Bytes there = file_->bytes().subspan(table_.data_begin + info.begin, info.end - info.begin);
  if (!info.strides.empty() && info.elements() > 0) {
    auto copy = allocate(info.bytes(), {});
    gather(there.data(), static_cast<std::byte*>(copy->data), info);
    return copy;
  }
  auto view = std::make_shared<Storage>();
  view->data = const_cast<std::byte*>(there.data());
  view->bytes = there.size();
  view->owner = std::const_pointer_cast<MappedFile>(file_);
  view->frozen = true;
  return view;
}

Tensor TensorFile::tensor(const TensorInfo& info) const {
  if (info.rank > Shape::kMost)
    fail(Code::weights, "{}: tensor {} has {} dimensions, and at most {} are supported", shown(path()),
         quoted(info.name), info.rank, Shape::kMost);
  const Shape shape(info.shape());
  const DType dtype = dtype_of(info.type);
  std::shared_ptr<Storage> found = data(info);
  const Bytes bytes(static_cast<const std::byte*>(found->data), info.bytes());
  return size_of(dtype) == size_of(info.type) ? tensor_of(std::move(found), shape, dtype)
                                              : widened_tensor(bytes, size_of(info.type), shape);
}

void TensorFile::check_sums() const {
  if (is_torch_file(file_->bytes(), path())) check_torch_file_sums(file_->bytes(), shown(path()));
}

// ---- TensorDirectory ----

TensorDirectory::TensorDirectory(const fs::path& path, const Limits& limits) : path_(path) {
  std::error_code ignored;
  const Found found = fs::is_directory(path, ignored) ? look_in(path) : Found{.whole = path, .index = {}};
  if (!found.whole.empty()) {
    files_.emplace_back(found.whole, limits);
    list_all();
  } else {
    check(!found.index.empty(), Code::weights, "{}: holds no {}, no {}, no {} and no {}", shown(path),
          kKinds[0].whole, kKinds[0].index, kKinds[1].whole, kKinds[1].index);
    const std::string origin = shown(found.index);
    const ShardIndex index =
        parse_shard_index(read_file(found.index, limits.json_bytes), origin, limits, found.extension);
    for (const std::string& shard : index.shards) {
      check(is_there(path / shard), Code::shard_index, "{}: shard {} is missing", origin, quoted(shard));
      files_.emplace_back(path / shard, limits);
    }
    list_by_index(index, origin);
  }
  for (const TensorFile& file : files_)
    for (const std::string& note : file.table().notes)
      notes_.push_back(fmt::format("{}: {}", shown(file.path()), note));
}

void TensorDirectory::list_all() {
  const TensorTable& table = files_[0].table();
  for (std::uint32_t i : table.by_name)
    entries_.push_back({table.tensors[i].name, &files_[0], &table.tensors[i]});
}

void TensorDirectory::list_by_index(const ShardIndex& index, const std::string& origin) {
  std::uint64_t bytes = 0;
  for (const auto& [name, shard] : index.tensors) {
    const TensorFile& file = files_[shard];
    const TensorInfo* const info = file.table().find(name);
    check(info != nullptr, Code::shard_index, "{}: tensor {} is not in shard {}", origin, quoted(name),
          quoted(index.shards[shard]));
    entries_.push_back({info->name, &file, info});
    bytes += info->bytes();
  }
  std::uint64_t held = 0;
  for (const TensorFile& file : files_) held += file.table().tensors.size();
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

TensorStatistics TensorDirectory::statistics(std::string_view name) const {
  const Entry* const e = entry(name);
  check(e != nullptr, Code::weights, "{}: there is no tensor {}", shown(path_), quoted(name));
  const std::shared_ptr<Storage> found = e->file->data(*e->info);
  return glossa::statistics({static_cast<const std::byte*>(found->data), e->info->bytes()}, e->info->type);
}

void TensorDirectory::check_intact() const {
  for (const TensorFile& file : files_) file.check_intact();
}

void TensorDirectory::check_sums() const {
  for (const TensorFile& file : files_) file.check_sums();
}

void TensorDirectory::check_finite() const {
  for (const Entry& e : entries_) {
    const TensorStatistics s = statistics(e.name);
    check(s.nan + s.infinite == 0, Code::nonfinite,
          "{}: tensor {}: {} of {} values are not finite ({} not-a-number), the first at index {}",
          shown(e.file->path()), quoted(e.name), s.nan + s.infinite, s.elements, s.nan, s.first_nonfinite);
  }
}

bool holds_tensors(const fs::path& directory) {
  const Found found = look_in(directory);
  return !found.whole.empty() || !found.index.empty();
}

}  // namespace glossa
