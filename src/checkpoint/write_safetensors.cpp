#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"

namespace glossa {
namespace {

constexpr std::size_t kLengthBytes = 8;

std::string header_of(const std::vector<TensorPlan>& plans, const Metadata& metadata) {
  std::string text = "{";
  try {
    if (!metadata.empty()) text += "\"__metadata__\":" + Json(metadata).dump() + (plans.empty() ? "" : ",");
    std::uint64_t at = 0;
    for (const TensorPlan& plan : plans) {
      const std::string_view type = name_of(element_type_of(plan.type));
      const std::uint64_t end = at + static_cast<std::uint64_t>(bytes_of(plan.type, plan.shape.elements()));
      text += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          &plan == plans.data() ? "" : ",", Json(plan.name).dump(), type,
                          fmt::join(plan.shape, ","), at, end);
      at = end;
    }
  } catch (const Json::type_error& error) {
    fail(Code::utf8, "names and metadata of a safetensors file must be UTF-8: {}", error.what());
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begin at a multiple of eight
  return text;
}

void check_names(const std::vector<TensorPlan>& plans) {
  std::vector<std::string_view> names;
  for (const TensorPlan& plan : plans) names.push_back(plan.name);
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  check(twin == names.end(), Code::weights, "two tensors to write under the name {}",
        twin == names.end() ? "" : quoted(*twin));
  check(!std::binary_search(names.begin(), names.end(), "__metadata__"), Code::weights,
        "a tensor may not be named __metadata__");
}

}  // namespace

void write_safetensors(const std::function<void(Bytes)>& write, std::vector<TensorPlan> plans,
                       const TensorMaker& make, const Metadata& metadata) {
  const auto place = [](const TensorPlan& plan) {
    return std::pair<ElementType, std::string_view>(element_type_of(plan.type), plan.name);
  };
  std::stable_sort(plans.begin(), plans.end(),
                   [&](const TensorPlan& a, const TensorPlan& b) { return place(a) < place(b); });
  check_names(plans);
  const std::string header = header_of(plans, metadata);
  std::array<std::byte, kLengthBytes> length;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<std::byte>(header.size() >> 8 * i);
  write(length);
  write(as_bytes(header));
  for (const TensorPlan& plan : plans) {
    const Tensor dense = made_as_planned(make, plan);
    write({static_cast<const std::byte*>(dense.raw()), dense.bytes()});
  }
}

void write_safetensors(const std::function<void(Bytes)>& write, const NamedTensors& tensors,
                       const Metadata& metadata) {
  const std::map<std::string_view, const Tensor*> by_name = [&] {
    std::map<std::string_view, const Tensor*> all;
    for (const auto& [name, tensor] : tensors) all.emplace(name, &tensor);
    return all;
  }();
  write_safetensors(
      write, plans_of(tensors), [&](const TensorPlan& plan) { return *by_name.at(plan.name); }, metadata);
}

void save_safetensors(const fs::path& path, const NamedTensors& tensors, const Metadata& metadata) {
  AtomicFile file(path);
  write_safetensors([&](Bytes bytes) { file.write(bytes); }, tensors, metadata);
  file.commit();
}

}  // namespace glossa
