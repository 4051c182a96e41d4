#include "backend/backend.h"

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"

namespace glossa {

const Tensor Gemm::kNone;

Backend& Backend::of(Device device) {
  return device.kind == Device::reference ? reference_backend() : cpu_backend();
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
