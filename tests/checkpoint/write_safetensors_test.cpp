// Case A40: what our writer writes is read back equal, and is what the format's own library writes.
#include <gmock/gmock.h>

#include <numeric>

#include "checkpoint/safetensors.h"
#include "files.h"

namespace glossa {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string written(const NamedTensors& tensors, const Metadata& metadata = {{"format", "pt"}}) {
  std::string out;
  write_safetensors([&](Bytes bytes) { out += as_text(bytes); }, tensors, metadata);
  return out;
}

template <class T>
Tensor counted(const Shape& shape) {
  std::vector<T> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_arithmetic_v<T>)
      values[i] = static_cast<T>(i + 1);
    else
      values[i] = T::from(static_cast<float>(i + 1));
  }
  return Tensor::of(std::span<const T>(values), shape);
}

TEST(WriteSafetensors, A40_BytesAreThoseOfTheReferenceLibrary) {
  // safetensors.torch.save({"b": torch.arange(1, 4, dtype=torch.uint8), "a": torch.ones(1, 2),
  //                         "c": torch.tensor(7, dtype=torch.int64)}, metadata={"format": "pt"})
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"c":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},"b":{"dtype":"U8","shape":[3],"data_offsets":[16,19]}})";
  std::string expected = header + std::string((8 - header.size() % 8) % 8, ' ');
  expected = little_endian_text(expected.size()) + expected;
  expected += little_endian_text(7);
  expected += std::string("\0\0\x80\x3f\0\0\x80\x3f\1\2\3", 11);
  EXPECT_EQ(written({{"b", counted<std::uint8_t>({3})},
                     {"a", Tensor::of(std::vector<float>{1, 1}).view({1, 2})},
                     {"c", Tensor::of<std::int64_t>(std::vector<std::int64_t>{7}, Shape{})}}),
            expected);
}

TEST(WriteSafetensors, A40_ReadsBackEqualAndAligned) {
  const NamedTensors tensors = {{"x", counted<float>({3, 5})},
                                {"half", counted<float16>({7})},
                                {"brain", counted<bfloat16>({2, 2})},
                                {"bytes", counted<std::uint8_t>({5})},
                                {"wide", counted<double>({3})},
                                {"ids", counted<std::int32_t>({3})},
                                {"long", counted<std::int64_t>({1, 1, 1, 2})},
                                {"none", counted<float>({0, 4})}};
  const std::string file = written(tensors);
  const SafetensorsHeader header = parse_safetensors(as_bytes(file), "f");
  EXPECT_EQ(header.data_begin % 8, 0u);
  ASSERT_EQ(header.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const TensorInfo* const info = header.find(name);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->type, element_type_of(tensor.dtype()));
    EXPECT_TRUE(
        std::equal(info->shape().begin(), info->shape().end(), tensor.shape().begin(), tensor.shape().end()));
    EXPECT_EQ(info->begin % size_of(info->type), 0u);
    EXPECT_EQ(std::memcmp(file.data() + header.data_begin + info->begin, tensor.raw(), info->bytes()), 0);
  }
}

TEST(WriteSafetensors, A40_TheOrderOfTheCallDoesNotShow) {
  NamedTensors tensors;
  for (int i = 0; i < 20; ++i) tensors.emplace_back(fmt::format("t{}", i), counted<float>({i}));
  const std::string file = written(tensors);
  std::reverse(tensors.begin(), tensors.end());
  EXPECT_EQ(written(tensors), file);
}

TEST(WriteSafetensors, A40_NoTensorsOddMetadataAndHundredThousandTensors) {
  EXPECT_EQ(parse_safetensors(as_bytes(written({}, {})), "f").tensors.size(), 0u);
  const Metadata odd = {{"loss", "NaN"}, {"quote\"\\\n", "\xE2\x82\xAC\x1B"}, {"", ""}};
  EXPECT_EQ(parse_safetensors(as_bytes(written({}, odd)), "f").metadata, odd);
  NamedTensors tensors;
  const Tensor one = counted<float>({1});
  for (int i = 0; i < 100'000; ++i) tensors.emplace_back(fmt::format("layer.{}.weight", i), one);
  const std::string file = written(tensors);
  EXPECT_EQ(parse_safetensors(as_bytes(file), "f").tensors.size(), tensors.size());
}

TEST(WriteSafetensors, ViewsAreWrittenAsTheyRead) {
  const Tensor whole = counted<float>({3, 4});
  const std::string part = written({{"x", whole.slice(1, 1, 3)}});
  EXPECT_EQ(part, written({{"x", Tensor::of(std::vector<float>{2, 3, 6, 7, 10, 11}).view({3, 2})}}));
}

TEST(WriteSafetensors, RefusesWhatCouldNotBeReadBack) {
  const Tensor t = counted<float>({1});
  EXPECT_THAT(error_of([&] {
                written({{"a", t}, {"a", t}});
              }),
              HasSubstr("two tensors to write under the name \"a\""));
  EXPECT_THAT(error_of([&] { written({{"a", Tensor()}}); }), HasSubstr("no tensor to write"));
  EXPECT_THAT(error_of([&] { written({{"__metadata__", t}}); }), HasSubstr("__metadata__"));
  EXPECT_THAT(error_of([&] { written({{"\xFF", t}}); }), StartsWith("E3002"));
}

class SaveSafetensors : public InFolder {};

TEST_F(SaveSafetensors, TheFileAppearsWhole) {
  const NamedTensors tensors = {{"x", counted<float>({2, 2})}};
  save_safetensors(folder / "model.safetensors", tensors);
  EXPECT_EQ(read_file(folder / "model.safetensors"), written(tensors));
  EXPECT_THAT(error_of([&] {
                save_safetensors(folder / "model.safetensors", {{"x", Tensor()}});
              }),
              StartsWith("E3102"));
  EXPECT_EQ(read_file(folder / "model.safetensors"), written(tensors));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

}  // namespace
}  // namespace glossa
