#include "backend/backend.h"

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"

namespace glossa {

const Tensor Gemm::kNone;

Backend& Backend::of(Device device) {
  return device.kind == Device::reference ? reference_backend() : cpu_backend();
}

void Backend::gemm_stacked(const Gemm& g, std::span<const Tensor> weights) {
  std::int64_t at = 0;
  for (const Tensor& w : weights) {
    const std::int64_t until = at + w.size(0);
    Tensor y = g.y.slice(1, at, until);
    gemm({.a = g.a, .b = w, .y = y, .transpose_b = true, .bias = g.bias ? g.bias.slice(0, at, until) : Tensor(),
          .residual = g.residual ? g.residual.slice(1, at, until) : Tensor(), .act = g.act, .bf16 = g.bf16});
    at = until;
  }
}

Sequences Sequences::of_lengths(const std::vector<std::int32_t>& lengths, Device device) {
  std::vector<std::int32_t> starts(lengths.size() + 1);
  std::int32_t longest = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    check(lengths[i] >= 0, Code::shape, "a sequence cannot have {} tokens", lengths[i]);
    check(!__builtin_add_overflow(starts[i], lengths[i], &starts[i + 1]), Code::size,
          "a batch may have at most 2^31 - 1 tokens");
    longest = std::max(longest, lengths[i]);
  }
  return {Tensor::of(starts, device), static_cast<std::int32_t>(lengths.size()), longest};
}

namespace {
thread_local bool products_in_bf16 = false;
}

bool bf16_products() { return products_in_bf16; }
Bf16Products::Bf16Products(bool on) : before_(products_in_bf16) { products_in_bf16 = on; }
Bf16Products::~Bf16Products() { products_in_bf16 = before_; }

}  // namespace glossa
