// tensor_table.h -- what every format of checkpoints comes to: named tensors, and where in the file their
// elements are. A format is a function from the bytes of a file to one of these.
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

#include "tensor/tensor.h"

namespace glossa {

// The types of elements that are read, in the order in which safetensors' own library writes them: none
// begins misaligned.
enum class ElementType : std::uint8_t { i64, f64, f32, i32, bf16, f16, i16, i8, u8, boolean };
std::size_t size_of(ElementType type);
std::string_view name_of(ElementType type);  // as safetensors spells it: "F32", "BOOL"
std::optional<ElementType> element_type_named(std::string_view name);
ElementType element_type_of(DType type);
DType dtype_of(ElementType type);  // of a tensor with such elements; I8 and I16 are widened to i32
std::string all_element_types();  // their names, with commas

struct TensorInfo {
  std::string name;
  ElementType type = ElementType::f32;
  std::uint8_t rank = 0;
  std::array<std::int64_t, 8> dims{};
  std::uint64_t begin = 0, end = 0;  // bytes within the data, from its first element to behind its last
  std::vector<std::int64_t>
      strides;  // of each dimension in elements; none: the elements lie in row-major order

  std::span<const std::int64_t> shape() const { return {dims.data(), rank}; }
  std::uint64_t elements() const;  // readers have made sure that neither overflows
  std::uint64_t bytes() const { return elements() * size_of(type); }
};

struct TensorTable {
  std::vector<TensorInfo> tensors;
  std::vector<std::uint32_t> by_name;  // numbers of the tensors, sorted by their names
  std::uint64_t data_begin = 0;        // where in the file the data begin
  std::vector<std::string> notes;      // on what was passed over, a line each

  const TensorInfo* find(std::string_view name) const;  // null if there is none
  // Fills `by_name`, and gives the numbers of two tensors of one name if there are such.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> sort_names();
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// A tensor to be written, said before it is there: files begin with a list of what they hold.
struct TensorPlan {
  std::string name;
  Shape shape;
  DType type = DType::f32;
};
// Makes the tensor of a plan when its turn has come, so that they need not be in memory together.
using TensorMaker = std::function<Tensor(const TensorPlan&)>;
std::vector<TensorPlan> plans_of(const NamedTensors& tensors);  // Error(weights) if one is no tensor
// What a maker made; Error(weights) if it is not what was planned.
Tensor made_as_planned(const TensorMaker& make, const TensorPlan& plan);

bool looks_like_safetensors(std::string_view file);
// "; the file looks like ..." of the first bytes of a file that is not what it should be, or "".
std::string_view resemblance(std::string_view file);

}  // namespace glossa
