#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/parallel.h"
#include "checkpoint/tensor_directory.h"
#include "tensor/blocks.h"

namespace glossa {
namespace {

constexpr std::int64_t kBlock = 1 << 16;  // elements; sums are taken by blocks, then over blocks, in order

struct Sums {
  TensorStatistics counts;
  double sum = 0, squares = 0;
  std::uint64_t finite = 0;
};

template <class Stored>
double least_normal() {
  if constexpr (std::is_same_v<Stored, float16>) return 0x1p-14;
  if constexpr (std::is_same_v<Stored, float> || std::is_same_v<Stored, bfloat16>) return 0x1p-126;
  if constexpr (std::is_same_v<Stored, double>) return std::numeric_limits<double>::min();
  return 0;  // whole numbers
}

// Of elements [begin, end), which lie at `data`.
template <class Stored>
Sums sums_of(const std::byte* data, std::int64_t begin, std::int64_t end) {
  Sums s;
  s.counts.minimum = INFINITY;
  s.counts.maximum = -INFINITY;
  for (std::int64_t i = begin; i < end; ++i) {
    Stored stored;
    std::memcpy(&stored, data + static_cast<std::size_t>(i - begin) * sizeof stored, sizeof stored);
    double x;
    if constexpr (std::is_arithmetic_v<Stored>)
      x = static_cast<double>(stored);
    else
      x = static_cast<float>(stored);
    if (!std::isfinite(x)) {
      s.counts.first_nonfinite = std::min(s.counts.first_nonfinite, static_cast<std::uint64_t>(i));
      ++(std::isnan(x) ? s.counts.nan : s.counts.infinite);
      continue;
    }
    ++s.finite;
    if (x == 0)
      ++s.counts.zero;
    else if (std::fabs(x) < least_normal<Stored>())
      ++s.counts.subnormal;
    s.counts.minimum = std::min(s.counts.minimum, x);
    s.counts.maximum = std::max(s.counts.maximum, x);
    s.sum += x;
    s.squares += x * x;
  }
  return s;
}

void add(Sums& to, const Sums& s) {
  to.counts.nan += s.counts.nan;
  to.counts.infinite += s.counts.infinite;
  to.counts.zero += s.counts.zero;
  to.counts.subnormal += s.counts.subnormal;
  to.counts.first_nonfinite = std::min(to.counts.first_nonfinite, s.counts.first_nonfinite);
  to.counts.minimum = std::min(to.counts.minimum, s.counts.minimum);
  to.counts.maximum = std::max(to.counts.maximum, s.counts.maximum);
  to.sum += s.sum;
  to.squares += s.squares;
  to.finite += s.finite;
}

// Of all elements; sums(begin, end) gives those of some.
template <class F>
TensorStatistics statistics_of(std::int64_t elements, F&& sums) {
  std::vector<Sums> blocks(static_cast<std::size_t>((elements + kBlock - 1) / kBlock));
  parallel_for(elements, kBlock, [&](std::int64_t begin, std::int64_t end) {
    blocks[static_cast<std::size_t>(begin / kBlock)] = sums(begin, end);
  });
  Sums all;
  all.counts.minimum = INFINITY;
  all.counts.maximum = -INFINITY;
  for (const Sums& block : blocks) add(all, block);
  TensorStatistics s = all.counts;
  s.elements = static_cast<std::uint64_t>(elements);
  if (all.finite == 0) {
    s.minimum = s.maximum = 0;
  } else {
    s.mean = all.sum / static_cast<double>(all.finite);
    s.root_mean_square = std::sqrt(all.squares / static_cast<double>(all.finite));
  }
  return s;
}

template <class Stored>
TensorStatistics statistics_of(Bytes data) {
  return statistics_of(
      static_cast<std::int64_t>(data.size() / sizeof(Stored)), [&](std::int64_t begin, std::int64_t end) {
        return sums_of<Stored>(data.data() + static_cast<std::size_t>(begin) * sizeof(Stored), begin, end);
      });
}

}  // namespace

TensorStatistics statistics(Bytes data, ElementType type) {
  switch (type) {
    case ElementType::f64:
      return statistics_of<double>(data);
    case ElementType::f32:
      return statistics_of<float>(data);
    case ElementType::f16:
      return statistics_of<float16>(data);
    case ElementType::bf16:
      return statistics_of<bfloat16>(data);
    case ElementType::i64:
      return statistics_of<std::int64_t>(data);
    case ElementType::i32:
      return statistics_of<std::int32_t>(data);
    case ElementType::i16:
      return statistics_of<std::int16_t>(data);
    case ElementType::i8:
      return statistics_of<std::int8_t>(data);
    case ElementType::u8:
    case ElementType::boolean:
      return statistics_of<std::uint8_t>(data);
  }
  fail(Code::internal, "no statistics for {}", name_of(type));
}

TensorStatistics statistics(const Tensor& tensor) {
  const Tensor dense = tensor.contiguous();
  const auto* const data = static_cast<const std::byte*>(dense.raw());
  if (!is_quantised(dense.dtype()))
    return statistics(Bytes(data, dense.bytes()), element_type_of(dense.dtype()));
  return statistics_of(dense.elements(), [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> values(static_cast<std::size_t>(end - begin));
    decode(dense.dtype(), data + bytes_of(dense.dtype(), begin), values.data(), end - begin);
    return sums_of<float>(reinterpret_cast<const std::byte*>(values.data()), begin, end);
  });
}

}  // namespace glossa
