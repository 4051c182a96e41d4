// What save_torch_file writes, and directories that hold pytorch_model.bin.
#include <gmock/gmock.h>

#include "checkpoint/tensor_directory.h"
#include "files.h"
#include "torch_files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string written(const NamedTensors& tensors) {
  std::string file;
  write_torch_file([&](Bytes bytes) { file += as_text(bytes); }, tensors);
  return file;
}

Tensor floats(std::vector<float> values) {
  return Tensor::of(values);
}

class WriteTorchFile : public InFolder {
 protected:
  std::string opening() const {
    return error_of([&] { TensorDirectory(folder, Limits{}); });
  }
  void put_index(const std::string& map) const {
    put("pytorch_model.bin.index.json", R"({"metadata":{"total_size":16},"weight_map":{)" + map + "}}");
  }
};

TEST_F(WriteTorchFile, WhatIsWrittenReadsBackTheSame) {
  const Tensor grid = floats({1, 2, 3, 4, 5, 6}).view({2, 3});
  NamedTensors tensors = {{"z", grid},
                          {"scalar", floats({7}).view(Shape{})},
                          {"empty", Tensor::empty({0, 3})},
                          {"part", grid.slice(1, 1, 3)},
                          {"\xC3\xBC\n", floats({8})}};
  for (const DType type : {DType::f64, DType::f16, DType::bf16})
    tensors.emplace_back(name_of(type), grid.to(type));
  tensors.emplace_back("i64", Tensor::of(std::vector<std::int64_t>{-1}));
  tensors.emplace_back("i32", Tensor::of(std::vector<std::int32_t>{-2}));
  tensors.emplace_back("u8", Tensor::of(std::vector<std::uint8_t>{3}));
  save_torch_file(folder / "m.pt", tensors);
  const TensorDirectory found(folder / "m.pt");
  EXPECT_EQ(found.names().size(), tensors.size());
  EXPECT_NO_THROW(found.check_sums());
  for (const auto& [name, tensor] : tensors) {
    const Tensor read = found.find(name), dense = tensor.contiguous();
    EXPECT_EQ(read.shape(), tensor.shape()) << name;
    ASSERT_EQ(read.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(std::memcmp(read.raw(), dense.raw(),
                          static_cast<std::size_t>(dense.elements()) * size_of(dense.dtype())),
              0)
        << name;
  }
  EXPECT_EQ(found.files()[0].table().tensors[0].name, "z");  // in the order given
}

TEST_F(WriteTorchFile, TheSameTensorsGiveTheSameBytesAndSharedMemoryIsWrittenOnce) {
  const Tensor table = floats(std::vector<float>(1000, 1));
  const NamedTensors tied = {{"embed", table.view({10, 100})}, {"head", table.view({100, 10})}};
  EXPECT_EQ(written(tied), written(tied));
  EXPECT_LT(written(tied).size(), 4000u + 2000);
  const std::string file = written({{"embed", table}, {"other", floats(std::vector<float>(1000, 1))}});
  EXPECT_GT(file.size(), 8000u);
  EXPECT_NE(file, written(tied));
  const TensorTable read = read_torch_file(as_bytes(file), "f");
  for (const TensorInfo& t : read.tensors) EXPECT_EQ(t.begin % 64, 0u);
}

TEST_F(WriteTorchFile, NothingIsWrittenOfWhatCannotBe) {
  EXPECT_THAT(error_of([] {
                written({{"x", Tensor()}});
              }),
              AllOf(StartsWith("E3102"), HasSubstr("no tensor to write")));
  EXPECT_THAT(error_of([] {
                written({{"x", floats({1})}, {"x", floats({1})}});
              }),
              HasSubstr("two tensors to write under the name \"x\""));
  EXPECT_THAT(error_of([] { written({{"\xFF", floats({1})}}); }), StartsWith("E3002"));
  EXPECT_EQ(read_torch_file(as_bytes(written({})), "f").tensors.size(), 0u);
}

TEST_F(WriteTorchFile, ADirectoryMayHoldPytorchModelInOneFileOrSeveral) {
  save_torch_file(folder / "pytorch_model.bin", {{"b", floats({1, 2})}, {"a", floats({3})}});
  EXPECT_THAT(TensorDirectory(folder).names(), ElementsAre("a", "b"));
  EXPECT_TRUE(holds_tensors(folder));
  fs::rename(folder / "pytorch_model.bin", folder / "pytorch_model-00001-of-00002.bin");
  EXPECT_THAT(opening(), AllOf(StartsWith("E3102"), HasSubstr("holds no model.safetensors")));
  EXPECT_FALSE(holds_tensors(folder));
  save_torch_file(folder / "pytorch_model-00002-of-00002.bin", {{"c", floats({4})}});
  put_index(
      R"("a":"pytorch_model-00001-of-00002.bin","b":"pytorch_model-00001-of-00002.bin","c":"pytorch_model-00002-of-00002.bin")");
  const TensorDirectory weights(folder);
  EXPECT_THAT(weights.names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(weights.find("c").span<float>(), ElementsAre(4));
  EXPECT_THAT(weights.notes(), ElementsAre());
  put_index(R"("a":"pytorch_model-00001-of-00002.bin")");
  EXPECT_THAT(TensorDirectory(folder).names(), ElementsAre("a"));
  save_safetensors(folder / "model.safetensors", {{"s", floats({5})}});
  EXPECT_THAT(TensorDirectory(folder).names(), ElementsAre("s"));  // safetensors come first
}

TEST_F(WriteTorchFile, A35_AnIndexOfBinNamesPlainBinFiles) {
  for (const char* shard : {"../x.bin", "/etc/x.bin", "x.safetensors", ".x.bin", "sub/x.bin"}) {
    put_index(fmt::format(R"("a":"{}")", shard));
    EXPECT_THAT(opening(), AllOf(StartsWith("E3104"), HasSubstr("must be the plain name of a .bin file")))
        << shard;
  }
}

}  // namespace
}  // namespace glossa
