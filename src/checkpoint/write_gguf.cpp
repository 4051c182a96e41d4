#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"
#include "checkpoint/gguf.h"

namespace glossa {
namespace {

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  out += text;
}

void put_value(std::string& out, const GgufArray& array) {
  put<std::uint32_t>(out, static_cast<std::uint32_t>(array.type()));
  put<std::uint64_t>(out, array.size());
  if (array.type() != GgufType::string) {
    out += as_text(array.bytes());
    return;
  }
  for (std::uint64_t i = 0; i < array.size(); ++i) put_text(out, array.text(i));
}
void put_value(std::string& out, const std::string& text) {
  put_text(out, text);
}
template <class T>
requires std::is_arithmetic_v<T>
void put_value(std::string& out, T number) {
  put(out, number);
}

std::uint64_t aligned(std::uint64_t n, std::uint64_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

std::string header_of(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& plan,
                      std::uint64_t alignment) {
  std::string out = "GGUF";
  put<std::uint32_t>(out, 3);
  put<std::uint64_t>(out, plan.size());
  put<std::uint64_t>(out, metadata.entries().size());
  for (const auto& [key, value] : metadata.entries()) {
    put_text(out, key);
    put<std::uint32_t>(out, static_cast<std::uint32_t>(type_of(value)));
    std::visit([&](const auto& x) { put_value(out, x); }, value);
  }
  std::uint64_t at = 0;  // in the data
  for (const GgufTensorPlan& t : plan) {
    put_text(out, t.name);
    put<std::uint32_t>(out, static_cast<std::uint32_t>(std::max(t.shape.rank(), 1)));
    for (int i = t.shape.rank(); i-- > 0;) put<std::uint64_t>(out, static_cast<std::uint64_t>(t.shape[i]));
    if (t.shape.rank() == 0) put<std::uint64_t>(out, 1);
    put<std::uint32_t>(out, static_cast<std::uint32_t>(ggml_type_of(t.type)));
    put(out, at);
    at = aligned(at + static_cast<std::uint64_t>(bytes_of(t.type, t.shape.elements())), alignment);
  }
  out.resize(aligned(out.size(), alignment));
  parse_gguf_header(as_bytes(out), at, metadata.origin());  // one set of rules for what is read and written
  return out;
}

}  // namespace

GgufWriter::GgufWriter(std::function<void(Bytes)> write, const GgufMetadata& metadata,
                       std::vector<GgufTensorPlan> plan)
    : write_(std::move(write)), plan_(std::move(plan)), alignment_(alignment_of(metadata)) {
  write_(as_bytes(header_of(metadata, plan_, alignment_)));
}

void GgufWriter::add(const Tensor& tensor) {
  check(next_ < plan_.size(), Code::internal, "a tensor to write after the {} planned", plan_.size());
  const GgufTensorPlan& planned = plan_[next_];
  if (!tensor) fail(Code::weights, "no tensor to write under the name {}", quoted(planned.name));
  if (tensor.dtype() != planned.type || tensor.shape() != planned.shape)
    fail(Code::weights, "tensor {} was planned as {} of {}, and is {} of {}", quoted(planned.name),
         to_string(planned.shape), name_of(planned.type), to_string(tensor.shape()), name_of(tensor.dtype()));
  const Tensor dense = tensor.contiguous();
  write_({static_cast<const std::byte*>(dense.raw()), dense.bytes()});
  const std::string padding(aligned(dense.bytes(), alignment_) - dense.bytes(), '\0');
  if (!padding.empty()) write_(as_bytes(padding));
  ++next_;
}

void GgufWriter::finish() const {
  check(next_ == plan_.size(), Code::internal, "only {} of {} planned tensors were written", next_,
        plan_.size());
}

void save_gguf(const fs::path& path, const GgufMetadata& metadata,
               const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::vector<GgufTensorPlan> plan;
  for (const auto& [name, tensor] : tensors) plan.push_back({name, tensor.shape(), tensor.dtype()});
  AtomicFile file(path);
  GgufWriter writer([&](Bytes bytes) { file.write(bytes); }, metadata, std::move(plan));
  for (const auto& [name, tensor] : tensors) writer.add(tensor);
  writer.finish();
  file.commit();
}

}  // namespace glossa
