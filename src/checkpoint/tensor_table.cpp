#include "checkpoint/tensor_table.h"

#include <algorithm>

#include "base/error.h"

namespace glossa {
namespace {

struct TypeRow {
  ElementType type;
  std::string_view name;
  std::size_t bytes;
  DType tensor;  // the type of a tensor with such elements; of tensors' types, the first row is how it is written
};
constexpr TypeRow kTypes[] = {
    {ElementType::i64, "I64", 8, DType::i64},    {ElementType::f64, "F64", 8, DType::f64},
    {ElementType::f32, "F32", 4, DType::f32},    {ElementType::i32, "I32", 4, DType::i32},
    {ElementType::bf16, "BF16", 2, DType::bf16}, {ElementType::f16, "F16", 2, DType::f16},
    {ElementType::i16, "I16", 2, DType::i32},    {ElementType::i8, "I8", 1, DType::i32},
    {ElementType::u8, "U8", 1, DType::u8},       {ElementType::boolean, "BOOL", 1, DType::u8},
};

// What all names begin with.
std::string_view common_prefix(const std::vector<TensorInfo>& tensors) {
  std::string_view common = tensors.empty() ? std::string_view() : tensors[0].name;
  for (const TensorInfo& t : tensors)
    common = common.substr(
        0, std::mismatch(common.begin(), common.end(), t.name.begin(), t.name.end()).first - common.begin());
  return common;
}

}  // namespace

std::size_t size_of(ElementType type) {
  return kTypes[static_cast<int>(type)].bytes;
}
std::string_view name_of(ElementType type) {
  return kTypes[static_cast<int>(type)].name;
}

std::optional<ElementType> element_type_named(std::string_view name) {
  for (const TypeRow& row : kTypes)
    if (row.name == name) return row.type;
  return std::nullopt;
}

std::string all_element_types() {
  std::string list;
  for (const TypeRow& row : kTypes) list += (list.empty() ? "" : ", ") + std::string(row.name);
  return list;
}

ElementType element_type_of(DType type) {
  for (const TypeRow& row : kTypes)
    if (row.tensor == type) return row.type;
  fail(Code::weights, "files of tensors have no type for {}", name_of(type));
}

DType dtype_of(ElementType type) {
  return kTypes[static_cast<int>(type)].tensor;
}

std::uint64_t TensorInfo::elements() const {
  std::uint64_t n = 1;
  for (const std::int64_t dim : shape()) n *= static_cast<std::uint64_t>(dim);
  return n;
}

const TensorInfo* TensorTable::find(std::string_view name) const {
  const auto it = std::lower_bound(by_name.begin(), by_name.end(), name,
                                   [&](std::uint32_t i, std::string_view n) { return tensors[i].name < n; });
  return it != by_name.end() && tensors[*it].name == name ? &tensors[*it] : nullptr;
}

// Sorting makes equal names neighbours. (A hash table could be made to collide.) Names begin alike, so they
// are compared first by the eight bytes after what all have in common.
std::optional<std::pair<std::uint32_t, std::uint32_t>> TensorTable::sort_names() {
  const std::size_t common = common_prefix(tensors).size();
  struct Key {
    std::uint64_t bytes;
    std::uint32_t index;
  };
  std::vector<Key> keys(tensors.size());
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    keys[i] = {0, i};
    const std::string_view rest = std::string_view(tensors[i].name).substr(common, 8);
    for (std::size_t b = 0; b < 8; ++b)
      keys[i].bytes = keys[i].bytes << 8 | (b < rest.size() ? static_cast<unsigned char>(rest[b]) : 0);
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    if (a.bytes != b.bytes) return a.bytes < b.bytes;
    const int c = tensors[a.index].name.compare(tensors[b.index].name);
    return c != 0 ? c < 0 : a.index < b.index;
  });
  by_name.resize(keys.size());
  std::transform(keys.begin(), keys.end(), by_name.begin(), [](const Key& key) { return key.index; });
  const auto same = [&](std::uint32_t a, std::uint32_t b) { return tensors[a].name == tensors[b].name; };
  const auto twin = std::adjacent_find(by_name.begin(), by_name.end(), same);
  if (twin == by_name.end()) return std::nullopt;
  return std::pair(twin[0], twin[1]);
}

bool looks_like_safetensors(std::string_view file) {
  return file.size() > 8 && file[8] == '{';  // behind the length of the header
}

std::string_view resemblance(std::string_view file) {
  using namespace std::string_view_literals;
  constexpr std::pair<std::string_view, std::string_view> kMagic[] = {
      {"GGUF"sv, "; the file looks like GGUF"sv},
      {"PK\3\4"sv, "; the file looks like a zip archive, such as torch.save writes"sv},
      {"\x80\2\x8A\x0Al\xFC\x9C\x46\xF9\x20j\xA8P\x19"sv,
       "; the file looks like what torch.save wrote before PyTorch 1.6"sv},
      {"\x80\2"sv, "; the file looks like a Python pickle"sv},
      {"\x80\3"sv, "; the file looks like a Python pickle"sv},
      {"\x80\4"sv, "; the file looks like a Python pickle"sv},
      {"\x80\5"sv, "; the file looks like a Python pickle"sv},
      {"\x89HDF"sv, "; the file looks like HDF5"sv},
      {"\x1F\x8B"sv, "; the file looks like gzip"sv},
      {"7z\xBC\xAF\x27\x1C"sv, "; the file looks like a 7z archive"sv},
      {"\xFD"
       "7zXZ"sv,
       "; the file looks like xz"sv},
      {"\x28\xB5\x2F\xFD"sv, "; the file looks like zstd"sv},
      {"Rar!"sv, "; the file looks like a rar archive"sv},
      {"\x7F"
       "ELF"sv,
       "; the file looks like a program"sv},
      {"version https://git-lfs"sv, "; the file is a Git LFS pointer, and the weights were not fetched"sv},
  };
  for (const auto& [magic, words] : kMagic)
    if (file.starts_with(magic)) return words;
  constexpr std::size_t kTarMagic = 257;  // POSIX.1-1988: "ustar" behind the fields of the first header
  if (file.size() > kTarMagic && file.substr(kTarMagic).starts_with("ustar"))
    return "; the file looks like a tar archive, such as torch.save wrote before PyTorch 0.1.10";
  if (looks_like_safetensors(file)) return "; the file looks like safetensors";
  return "";
}

std::vector<TensorPlan> plans_of(const NamedTensors& tensors) {
  std::vector<TensorPlan> plans;
  for (const auto& [name, tensor] : tensors) {
    check(static_cast<bool>(tensor), Code::weights, "no tensor to write under the name {}", quoted(name));
    plans.push_back({name, tensor.shape(), tensor.dtype()});
  }
  return plans;
}

Tensor made_as_planned(const TensorMaker& make, const TensorPlan& plan) {
  const Tensor made = make(plan);
  if (!made) fail(Code::weights, "no tensor to write under the name {}", quoted(plan.name));
  if (made.dtype() != plan.type || made.shape() != plan.shape)
    fail(Code::weights, "tensor {} was planned as {} of {}, and is {} of {}", quoted(plan.name),
         to_string(plan.shape), name_of(plan.type), to_string(made.shape()), name_of(made.dtype()));
  return made.contiguous();
}

}  // namespace glossa
