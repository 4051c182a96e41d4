// Block types, bit for bit against what tools/make_block_goldens.py recorded of ggml, and tensors of them.
#include "tensor/blocks.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>

#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "support/error_of.h"
#include "tensor/tensor.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::int64_t kElements = 1024;
constexpr DType kTypes[] = {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0,  DType::q2_k,
                            DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl};

std::uint64_t mixed(std::uint64_t seed, std::uint64_t i) {  // SplitMix64
  std::uint64_t z = (seed << 32) + (i + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

float bell(std::uint64_t i) {
  const std::uint64_t z = mixed(1, i);
  std::int64_t total = -2 * 65535;
  for (int part = 0; part < 4; ++part) total += static_cast<std::int64_t>(z >> 16 * part & 0xFFFF);
  return static_cast<float>(total) * 0x1p-16f;
}

// The cases of the tool, by the same arithmetic: element i by its bell-shaped number and its chance.
using Case = std::function<float(std::uint64_t i, float x, std::uint64_t chance)>;
const std::pair<const char*, Case> kCases[] = {
    {"bell", [](auto, float x, auto) { return x; }},
    {"outliers", [](auto, float x, auto chance) { return chance % 64 ? x : x * 128; }},
    {"sparse", [](auto, float x, auto chance) { return chance % 8 ? 0 : x; }},
    {"positive", [](auto, float x, auto) { return std::fabs(x) + 0.5f; }},
    {"negative", [](auto, float x, auto) { return -std::fabs(x); }},
    {"offset", [](auto, float x, auto) { return x * 0x1p-6f + 3; }},
    {"zeros", [](auto, float x, auto) { return x * 0; }},
    {"constants", [](auto i, float, auto) { return bell(i / 32 * 32); }},
    {"magnitudes", [](auto i, float x,
                      auto) { return x * std::ldexp(1.f, static_cast<int>(mixed(98, i / 16) % 30) - 20); }},
    {"halves",
     [](auto, float, auto chance) { return static_cast<float>(static_cast<int>(chance % 17) - 8) * 0.5f; }},
    {"tiny", [](auto, float x, auto) { return x * 0x1p-30f; }},
    {"subnormal", [](auto, float x, auto) { return x * 0x1p-135f; }},
    {"huge", [](auto, float x, auto) { return x * 0x1p14f; }},
    {"bits",
     [](auto, float, auto chance) {
       const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(chance >> 32));
       return std::isfinite(x) ? x : 0;
     }},
};

std::vector<float> values_of(const Case& made) {
  std::vector<float> x;
  for (std::uint64_t i = 0; i < kElements; ++i) x.push_back(made(i, bell(i), mixed(99, i)));
  return x;
}

std::string digest(Bytes bytes) {
  return sha256(bytes).substr(0, 16);
}
std::string digest(std::vector<float> values) {
  for (float& x : values)
    if (std::isnan(x)) x = std::bit_cast<float>(0x7FC00000u);
  return digest(std::as_bytes(std::span(values)));
}

std::vector<float> decoded(DType type, const std::vector<std::byte>& blocks) {
  std::vector<float> values(kElements);
  decode(type, blocks.data(), values.data(), kElements);
  return values;
}

const Json& goldens() {
  static const Json all = read_json(fs::path(GLOSSA_SOURCE_DIR) / "tests/golden/blocks/ggml.json");
  return all;
}

TEST(Blocks, EncodeAndDecodeTheBitsOfGgml) {
  for (const DType type : kTypes)
    for (const auto& [name, made] : kCases) {
      const Json& expected = goldens()["encoded"][name_of(type)][name];
      std::vector<std::byte> blocks(static_cast<std::size_t>(bytes_of(type, kElements)));
      encode(type, values_of(made).data(), blocks.data(), kElements);
      EXPECT_EQ(digest(blocks), expected[0]) << name_of(type) << ' ' << name;
      EXPECT_EQ(digest(decoded(type, blocks)), expected[1]) << name_of(type) << ' ' << name;
    }
}

TEST(Blocks, DecodeAnyBytesAsGgmlDoes) {
  for (const DType type : kTypes) {
    std::vector<std::byte> noise;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(bytes_of(type, kElements)); ++i)
      noise.push_back(static_cast<std::byte>(mixed(97, i) >> 56));
    EXPECT_EQ(digest(decoded(type, noise)), goldens()["decoded"][name_of(type)]) << name_of(type);
  }
}

TEST(Blocks, OfZerosDecodeToZeros) {
  for (const DType type : kTypes) {
    const Tensor zeros = Tensor::zeros({2, 256}).to(type);
    for (const float x : zeros.to(DType::f32).span<float>()) EXPECT_EQ(x, 0) << name_of(type);
    for (const float x : Tensor::zeros({256}, type).to(DType::f32).span<float>()) EXPECT_EQ(x, 0);
  }
}

// Root mean square error against that of the values: what the number of bits allows.
TEST(Blocks, LoseAsMuchAsTheirBitsSay) {
  const Tensor x = Tensor::of(values_of(kCases[0].second)).view({2, 512});
  const std::pair<DType, double> bounds[] = {
      {DType::q2_k, 0.30},  {DType::q3_k, 0.16},  {DType::q4_0, 0.09},   {DType::q4_1, 0.08},
      {DType::q4_k, 0.075}, {DType::q5_0, 0.045}, {DType::q5_1, 0.04},   {DType::q5_k, 0.037},
      {DType::q6_k, 0.02},  {DType::q8_0, 0.006}, {DType::iq4_nl, 0.075}};
  for (const auto& [type, bound] : bounds) {
    const Tensor y = x.to(type).to(DType::f32);
    double error = 0, size = 0;
    for (std::int64_t i = 0; i < x.elements(); ++i) {
      error += std::pow(double{x.data<float>()[i]} - double{y.data<float>()[i]}, 2);
      size += std::pow(double{x.data<float>()[i]}, 2);
    }
    EXPECT_LT(std::sqrt(error / size), bound) << name_of(type);
    EXPECT_GT(std::sqrt(error / size), bound / 3) << name_of(type);
  }
}

TEST(Blocks, UnpackedAreTheSameNumbers) {
  const std::vector<float> x = values_of(kCases[0].second);
  for (const DType type : kTypes)
    with_block(type, [&]<class Block>(Block) {
      using Parts = Unpacked<Block>;
      Block block;
      encode(type, x.data(), &block, Parts::kElements);
      Parts parts;
      unpack(block, parts);
      float values[Parts::kElements];
      decode(type, &block, values, Parts::kElements);
      for (int i = 0; i < Parts::kElements; ++i) {
        const int g = i / Parts::kGroup;
        EXPECT_EQ(values[i], parts.scale[g] * static_cast<float>(parts.q[i]) - parts.min[g]) << name_of(type);
      }
    });
}

TEST(Blocks, ResultsDoNotDependOnThreads) {
  std::vector<float> values;
  for (std::uint64_t i = 0; i < 64 * 1024; ++i) values.push_back(bell(i));
  const Tensor x = Tensor::of(values).view({64, 1024});
  for (const DType type : kTypes) {
    set_thread_count(1);
    const Tensor one = x.to(type);
    set_thread_count(3);
    const Tensor three = x.to(type);
    set_thread_count(hardware_threads());
    EXPECT_EQ(std::memcmp(one.raw(), three.raw(), one.bytes()), 0) << name_of(type);
  }
}

// ---- tensors of block types ----

TEST(BlockTensor, CountsElementsAndTakesWholeBlocks) {
  const Tensor x = Tensor::zeros({3, 512}, DType::q4_k);
  EXPECT_EQ(x.elements(), 3 * 512);
  EXPECT_EQ(x.bytes(), 3u * 2 * 144);
  EXPECT_EQ(x.storage()->bytes, 3u * 2 * 144);
  EXPECT_EQ(x.row_stride(), 512);
  EXPECT_TRUE(x.dense());
  EXPECT_EQ(x.span<BlockQ4_K>().size(), 6u);
  EXPECT_EQ(x.like({2, 256}).dtype(), DType::q4_k);
  EXPECT_THAT(error_of([&] { x.data<float>(); }), HasSubstr("a tensor of q4_k was read as f32"));
  EXPECT_THAT(error_of([&] { x.data<BlockQ5_K>(); }), HasSubstr("a tensor of q4_k was read as q5_k"));
  for (const Shape& shape : {Shape{3, 128}, Shape{512, 3}, Shape{}, Shape{255}})
    EXPECT_THAT(error_of([&] { Tensor::empty(shape, DType::q4_k); }),
                HasSubstr("needs a last dimension that is a multiple of 256"))
        << to_string(shape);
  EXPECT_EQ(Tensor::empty({4, 0}, DType::q8_0).bytes(), 0u);
  EXPECT_THAT(error_of([] {
                Tensor::empty({std::int64_t{1} << 40, std::int64_t{1} << 30}, DType::q8_0);
              }),
              HasSubstr("exceeds 64 bits"));
}

TEST(BlockTensor, PartsAreThePartsOfTheValues) {
  const Tensor x = Tensor::of(values_of(kCases[0].second)).view({4, 256});
  for (const DType type : {DType::q8_0, DType::iq4_nl, DType::q4_1}) {
    const Tensor y = x.to(type), values = y.to(DType::f32);
    const auto expect_same = [&](const Tensor& part, const Tensor& of_values) {
      const Tensor left = part.to(DType::f32), right = of_values.contiguous();
      ASSERT_EQ(left.shape(), right.shape());
      EXPECT_EQ(std::memcmp(left.raw(), right.raw(), right.bytes()), 0);
    };
    expect_same(y.slice(0, 1, 3), values.slice(0, 1, 3));
    EXPECT_EQ(y.slice(0, 1, 3).storage(), y.storage());
    expect_same(y.slice(1, 32, 96), values.slice(1, 32, 96));
    EXPECT_FALSE(y.slice(1, 32, 96).dense());
    expect_same(y.view({4, 4, 64}).slice(1, 1, 3).slice(0, 2, 4),
                values.view({4, 4, 64}).slice(1, 1, 3).slice(0, 2, 4));
    expect_same(y.slice(1, 64, 128).view({4, 2, 32}), values.slice(1, 64, 128).view({4, 2, 32}));
    EXPECT_THAT(error_of([&] { y.slice(1, 16, 64); }), HasSubstr("cuts the blocks of 32 elements"));
    EXPECT_THAT(error_of([&] { y.slice(1, 32, 65); }), HasSubstr("cuts the blocks"));
    EXPECT_THAT(error_of([&] { y.view({64, 16}); }), HasSubstr("multiple of 32"));
    expect_same(y.to(Device{Device::reference}), values);
  }
}

TEST(BlockTensor, ViewsOfForeignMemoryBeginAtABlock) {
  const Tensor blocks = Tensor::of(values_of(kCases[0].second)).view({4, 256}).to(DType::q5_0);
  const Tensor third = Tensor::from(blocks.storage(), {1, 256}, DType::q5_0, 2 * 8 * 22);
  EXPECT_EQ(third.raw(), blocks.slice(0, 2, 3).raw());
  EXPECT_EQ(third.offset(), 512);
  EXPECT_THAT(error_of([&] {
                Tensor::from(blocks.storage(), {1, 256}, DType::q5_0, 32);
              }),
              HasSubstr("offset 32 is not a multiple of the size of q5_0"));
  EXPECT_THAT(error_of([&] {
                Tensor::from(blocks.storage(), {5, 256}, DType::q5_0);
              }),
              HasSubstr("does not fit"));
}

TEST(BlockTensor, ConvertsToAndFromFloatingPointAndOtherBlocks) {
  const Tensor x = Tensor::of(values_of(kCases[0].second)).view({2, 512});
  const Tensor y = x.to(DType::q6_k), values = y.to(DType::f32);
  EXPECT_EQ(y.to(DType::q6_k).storage(), y.storage());
  const Tensor wide = y.to(DType::f64), brain = y.to(DType::bf16), half = y.to(DType::f16);
  for (std::int64_t i = 0; i < 1024; ++i) {
    const float value = values.data<float>()[i];
    EXPECT_EQ(wide.data<double>()[i], double{value});
    EXPECT_EQ(brain.data<bfloat16>()[i].bits, bfloat16::from(value).bits);
    EXPECT_EQ(half.data<float16>()[i].bits, float16::from(value).bits);
  }
  const auto equal = [](const Tensor& a, const Tensor& b) {
    return std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
  };
  EXPECT_TRUE(equal(x.to(DType::f64).to(DType::q6_k), y));
  EXPECT_TRUE(equal(x.to(DType::bf16).to(DType::q4_0), x.to(DType::bf16).to(DType::f32).to(DType::q4_0)));
  EXPECT_TRUE(equal(y.to(DType::q8_0), values.to(DType::q8_0)));
  EXPECT_THAT(error_of([&] { y.to(DType::i32); }), HasSubstr("a tensor of q6_k cannot become one of i32"));
  EXPECT_THAT(error_of([&] { Tensor::zeros({32}, DType::u8).to(DType::q8_0); }), HasSubstr("cannot become"));
}

TEST(BlockTensor, RefusesWhatItsScalesCannotHold) {
  for (const DType type : kTypes)
    for (const float bad : {NAN, HUGE_VALF, -HUGE_VALF, 3e37f}) {
      Tensor x = Tensor::zeros({64, 256});
      x.data<float>()[9999] = bad;
      EXPECT_THAT(error_of([&] { x.to(type); }),
                  AllOf(StartsWith("E6001"), HasSubstr("value 9999 of a tensor is")));
      x.data<float>()[9999] = 0x1p28f;
      EXPECT_THAT(error_of([&] { x.to(type); }),
                  AllOf(StartsWith("E6001"), HasSubstr("too large for the scales of"),
                        HasSubstr(fmt::format("from {} on",
                                              9999 / block_of(type).elements * block_of(type).elements))));
    }
}

TEST(BlockTensor, B24_ScalesThatAreNotFiniteAreFound) {
  for (const DType type : kTypes)
    with_block(type, [&]<class Block>(Block) {
      Tensor x = Tensor::zeros({4, 256}, type);
      EXPECT_EQ(nonfinite_block(type, x.raw(), x.elements()), -1);
      const std::int64_t at = Unpacked<Block>::kElements;
      x.span<Block>()[1].d = float16{0x7C00};
      EXPECT_EQ(nonfinite_block(type, x.raw(), x.elements()), at);
      x.span<Block>()[1].d = float16{0x7BFF};
      EXPECT_EQ(nonfinite_block(type, x.raw(), x.elements()), -1);
      if constexpr (requires(Block b) { b.m; }) x.span<Block>()[1].m = float16{0xFE00};
      if constexpr (requires(Block b) { b.dmin; }) x.span<Block>()[1].dmin = float16{0xFE00};
      const bool has_minimum = requires(Block b) {
        b.m;
      }
      || requires(Block b) {
        b.dmin;
      };
      EXPECT_EQ(nonfinite_block(type, x.raw(), x.elements()), has_minimum ? at : -1);
    });
}

}  // namespace
}  // namespace glossa
