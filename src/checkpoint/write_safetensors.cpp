#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"

namespace glossa {
namespace {

constexpr std::size_t kLengthBytes = 8;

std::string header_of(const NamedTensors& tensors, const Metadata& metadata) {
  std::string text = "{";
  try {
    if (!metadata.empty()) text += "\"__metadata__\":" + Json(metadata).dump() + (tensors.empty() ? "" : ",");
    std::uint64_t at = 0;
    for (const auto& [name, tensor] : tensors) {
      const std::uint64_t end = at + tensor.bytes();
      text += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          &name == &tensors[0].first ? "" : ",", Json(name).dump(),
                          name_of(element_type_of(tensor.dtype())), fmt::join(tensor.shape(), ","), at, end);
      at = end;
    }
  } catch (const Json::type_error& error) {
    fail(Code::utf8, "names and metadata of a safetensors file must be UTF-8: {}", error.what());
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begin at a multiple of eight
  return text;
}

}  // namespace

void write_safetensors(const std::function<void(Bytes)>& write, NamedTensors tensors,
                       const Metadata& metadata) {
  for (const auto& [name, tensor] : tensors)
    if (!tensor) fail(Code::weights, "no tensor to write under the name {}", quoted(name));
  const auto place = [](const auto& named) {
    return std::pair<ElementType, std::string_view>(element_type_of(named.second.dtype()), named.first);
  };
  std::stable_sort(tensors.begin(), tensors.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  std::vector<std::string_view> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  check(twin == names.end(), Code::weights, "two tensors to write under the name {}",
        twin == names.end() ? "" : quoted(*twin));
  check(!std::binary_search(names.begin(), names.end(), "__metadata__"), Code::weights,
        "a tensor may not be named __metadata__");

  const std::string header = header_of(tensors, metadata);
  std::array<std::byte, kLengthBytes> length;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<std::byte>(header.size() >> 8 * i);
  write(length);
  write(as_bytes(header));
  for (const auto& [name, tensor] : tensors) {
    const Tensor dense = tensor.contiguous();
    write({static_cast<const std::byte*>(dense.raw()), dense.bytes()});
  }
}

void save_safetensors(const fs::path& path, NamedTensors tensors, const Metadata& metadata) {
  AtomicFile file(path);
  write_safetensors([&](Bytes bytes) { file.write(bytes); }, std::move(tensors), metadata);
  file.commit();
}

}  // namespace glossa
