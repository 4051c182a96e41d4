// Cases A04, A23, A29 to A36, A38 and A39, on real files.
#include "checkpoint/tensor_directory.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Tensor floats(std::vector<float> values) {
  return Tensor::of(values);
}

class Directory : public InFolder {
 protected:
  std::string opening(const fs::path& path) const {
    return error_of([&] { TensorDirectory(path, Limits{}); });
  }
  // Two shards, "a" and "b" in the first and "c" in the second, with an index.
  void put_shards() {
    save_safetensors(folder / "model-00001-of-00002.safetensors",
                     {{"a", floats({1, 2})}, {"b", floats({3})}});
    save_safetensors(folder / "model-00002-of-00002.safetensors", {{"c", floats({4, 5, 6})}});
    put_index(
        R"("a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors")");
  }
  void put_index(const std::string& map, const std::string& total = "24") {
    put("model.safetensors.index.json",
        R"({"metadata":{"total_size":)" + total + R"(},"weight_map":{)" + map + "}}");
  }
};

TEST_F(Directory, OpensAFileAndADirectoryThatHoldsIt) {
  save_safetensors(folder / "model.safetensors", {{"b", floats({1, 2, 3}).view({3, 1})}, {"a", floats({4})}});
  for (const fs::path& path : {folder, folder / "model.safetensors"}) {
    const TensorDirectory weights(path);
    EXPECT_THAT(weights.names(), ElementsAre("a", "b"));
    EXPECT_TRUE(weights.has("a"));
    EXPECT_FALSE(weights.has("c"));
    EXPECT_FALSE(weights.find("c"));
    EXPECT_EQ(weights.info("c"), nullptr);
    EXPECT_EQ(weights.find("b").shape(), (Shape{3, 1}));
    EXPECT_THAT(weights.find("b").span<float>(), ElementsAre(1, 2, 3));
    EXPECT_NO_THROW(weights.check_intact());
    EXPECT_THAT(weights.notes(), ElementsAre());
  }
}

TEST_F(Directory, TensorsAreViewsOfTheMappingAndKeepItAlive) {
  save_safetensors(folder / "model.safetensors", {{"x", floats({1, 2, 3})}});
  Tensor x;
  {
    const TensorDirectory weights(folder);
    x = weights.find("x");
    const void* const data = weights.files()[0].data(*weights.info("x"))->data;
    EXPECT_EQ(x.raw(), data);
    EXPECT_TRUE(x.storage()->frozen);
    EXPECT_EQ(weights.find("x", DType::f32).raw(), data);
  }
  EXPECT_THAT(x.span<float>(), ElementsAre(1, 2, 3));
}

TEST_F(Directory, MisalignedTensorsAreCopied) {
  put("odd.safetensors", with_header(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )") +
                             std::string("\0\0\x80\x3f", 4));
  const TensorDirectory weights(folder / "odd.safetensors");
  ASSERT_NE(reinterpret_cast<std::uintptr_t>(weights.files()[0].data(*weights.info("x"))->data) % 4, 0u);
  EXPECT_EQ(weights.find("x").item<float>(), 1);
}

TEST_F(Directory, FloatingPointTypesConvertAndSmallIntegersWiden) {
  save_safetensors(folder / "m.safetensors", {{"half", floats({1.5, -2}).to(DType::f16)},
                                              {"brain", floats({1.5, -2}).to(DType::bf16)},
                                              {"wide", floats({1.5, -2}).to(DType::f64)}});
  const TensorDirectory weights(folder / "m.safetensors");
  EXPECT_EQ(weights.find("half").dtype(), DType::f16);
  for (const char* name : {"half", "brain", "wide"})
    EXPECT_THAT(weights.find(name, DType::f32).span<float>(), ElementsAre(1.5, -2));
  put("i.safetensors",
      with_header(
          R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},)"
          R"("s":{"dtype":"I16","shape":[1],"data_offsets":[2,4]},"t":{"dtype":"I8","shape":[2],"data_offsets":[4,6]}})") +
          std::string("\1\0\xFE\xFF\x80\x7F", 6));
  const TensorDirectory small(folder / "i.safetensors");
  EXPECT_THAT(small.find("b").span<std::uint8_t>(), ElementsAre(1, 0));
  EXPECT_THAT(small.find("s").span<std::int32_t>(), ElementsAre(-2));
  EXPECT_THAT(small.find("t").span<std::int32_t>(), ElementsAre(-128, 127));
}

TEST_F(Directory, TensorsOfFiveDimensionsAreListedAndNotRead) {
  const fs::path path = put("m.safetensors", one_tensor("\"U8\"", "[1,1,1,1,1]", "[0,1]", 1));
  const TensorDirectory weights(path);
  EXPECT_EQ(weights.info("w")->rank, 5);
  EXPECT_THAT(error_of([&] { weights.find("w"); }),
              AllOf(StartsWith("E3102"), HasSubstr("has 5 dimensions")));
}

TEST_F(Directory, A04_AHeaderBeyondTheLimit) {
  const fs::path path = put("m.safetensors", little_endian_text(100'000'001) + "{");
  fs::resize_file(path, 8 + 100'000'001);
  EXPECT_THAT(opening(path), AllOf(StartsWith("E5002"),
                                   HasSubstr("header length 100000001 exceeds the 100000000 bytes allowed")));
}

TEST_F(Directory, A23_AnIntegerWhereAWeightIsWanted) {
  save_safetensors(folder / "m.safetensors",
                   {{"w", Tensor::of(std::vector<std::int32_t>{1})}, {"x", floats({1})}});
  const TensorDirectory weights(folder / "m.safetensors");
  EXPECT_THAT(error_of([&] { weights.find("w", DType::f32); }),
              AllOf(StartsWith("E3102"), HasSubstr("tensor \"w\" holds I32, and F32 is wanted")));
  EXPECT_THAT(error_of([&] { weights.find("x", DType::i32); }), StartsWith("E3102"));
}

TEST_F(Directory, A29_ValuesThatAreNotFiniteAreCountedAndRefusedByName) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  save_safetensors(folder / "m.safetensors",
                   {{"good", floats({1, 2})}, {"w", floats({0, 1, inf, nan, -inf, nan})}});
  const TensorDirectory weights(folder / "m.safetensors");
  EXPECT_THAT(
      error_of([&] { weights.check_finite(); }),
      AllOf(StartsWith("E6001"),
            HasSubstr("tensor \"w\": 4 of 6 values are not finite (2 not-a-number), the first at index 2")));
  const TensorStatistics s = weights.statistics("w");
  EXPECT_EQ(s.nan, 2u);
  EXPECT_EQ(s.infinite, 2u);
  EXPECT_EQ(s.first_nonfinite, 2u);
  EXPECT_EQ(s.maximum, 1);
}

TEST_F(Directory, A29_EveryFloatingPointTypeIsLookedAt) {
  for (const DType type : {DType::f64, DType::f32, DType::f16, DType::bf16}) {
    save_safetensors(folder / "m.safetensors", {{"w", floats({1, std::nanf("")}).to(type)}});
    EXPECT_THAT(error_of([&] { TensorDirectory(folder / "m.safetensors").check_finite(); }),
                HasSubstr("index 1"));
  }
}

TEST_F(Directory, A30_SubnormalsNegativeZerosAndZerosLoad) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  save_safetensors(folder / "m.safetensors",
                   {{"w", floats({0, -0.0f, tiny, -tiny})}, {"zero", floats({0, 0})}});
  const TensorDirectory weights(folder / "m.safetensors");
  EXPECT_NO_THROW(weights.check_finite());
  const TensorStatistics s = weights.statistics("w");
  EXPECT_EQ(s.zero, 2u);
  EXPECT_EQ(s.subnormal, 2u);
  EXPECT_TRUE(std::signbit(weights.find("w").span<float>()[1]));
}

TEST(Statistics, MomentsOverManyBlocksDoNotDependOnThreads) {
  std::vector<float> values(300'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000) - 499.5f;
  const Bytes bytes = std::as_bytes(std::span(values));
  set_thread_count(1);
  const TensorStatistics one = statistics(bytes, ElementType::f32);
  set_thread_count(3);
  const TensorStatistics three = statistics(bytes, ElementType::f32);
  set_thread_count(hardware_threads());
  EXPECT_EQ(one.mean, three.mean);
  EXPECT_EQ(one.root_mean_square, three.root_mean_square);
  EXPECT_NEAR(one.mean, 0, 1e-9);
  EXPECT_NEAR(one.root_mean_square, std::sqrt((1000.0 * 1000 - 1) / 12), 1e-9);
  EXPECT_EQ(one.minimum, -499.5);
  EXPECT_EQ(one.maximum, 499.5);
  EXPECT_EQ(statistics({}, ElementType::f32).elements, 0u);
}

TEST_F(Directory, A31_AFileThatIsStillBeingWritten) {
  save_safetensors(folder / "m.safetensors", {{"w", floats(std::vector<float>(10000, 1))}});
  const auto whole = fs::file_size(folder / "m.safetensors");
  for (const std::uintmax_t missing : {std::uintmax_t{1}, std::uintmax_t{4096}, std::uintmax_t{39999}}) {
    fs::resize_file(folder / "m.safetensors", whole - missing);
    EXPECT_THAT(opening(folder / "m.safetensors"),
                AllOf(StartsWith("E3101"), HasSubstr(fmt::format("{} bytes of data are missing", missing))));
    fs::resize_file(folder / "m.safetensors", whole);
  }
}

TEST_F(Directory, A32_AFileCutWhileItIsMapped) {
  save_safetensors(folder / "m.safetensors", {{"w", floats(std::vector<float>(100'000, 1))}});
  const TensorDirectory weights(folder / "m.safetensors");
  const Tensor w = weights.find("w");
  fs::resize_file(folder / "m.safetensors", 9000);
  double sum = 0;
  for (float x : w.span<float>()) sum += x;
  EXPECT_LT(sum, 3000);
  EXPECT_THAT(error_of([&] { weights.check_intact(); }),
              AllOf(StartsWith("E4005"), HasSubstr("changed while in use")));
}

TEST_F(Directory, A33_WhatIsNoRegularFile) {
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", folder / "zero");
  fs::create_directory(folder / "model.safetensors");
  for (const fs::path& path :
       {folder / "fifo", folder / "zero", folder, fs::path("/dev/random"), fs::path("/proc/self/maps")})
    EXPECT_THAT(opening(path), StartsWith("E3003")) << path;
}

TEST_F(Directory, A34_LoopsDanglingLinksAndLongPaths) {
  fs::create_symlink("loop", folder / "loop");
  fs::create_symlink("nowhere", folder / "model.safetensors");
  for (const fs::path& path : {folder / "loop", folder, fs::path(std::string(5000, 'x'))})
    EXPECT_THAT(opening(path), StartsWith("E4001"));
}

TEST_F(Directory, ReadsShardsThroughTheIndex) {
  put_shards();
  const TensorDirectory weights(folder);
  EXPECT_THAT(weights.names(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(weights.files().size(), 2u);
  EXPECT_THAT(weights.find("c").span<float>(), ElementsAre(4, 5, 6));
  EXPECT_THAT(weights.notes(), ElementsAre());
}

TEST_F(Directory, A35_AnIndexNamesPlainFilesBesideIt) {
  put_shards();
  for (const char* shard :
       {"../../etc/passwd", "/etc/passwd", "sub/model.safetensors", "..", "", ".hidden.safetensors",
        "..\\\\x.safetensors", "a\\u0000.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}) {
    put_index(fmt::format(R"("a":"{}")", shard));
    EXPECT_THAT(opening(folder), AllOf(StartsWith("E3104"), HasSubstr("must be the plain name"))) << shard;
  }
}

TEST_F(Directory, A35_MissingShardsWrongShardsAndBrokenIndexes) {
  put_shards();
  put_index(R"("a":"model-00003-of-00002.safetensors")");
  EXPECT_THAT(opening(folder),
              AllOf(StartsWith("E3104"), HasSubstr("shard \"model-00003-of-00002.safetensors\" is missing")));
  put_index(R"("c":"model-00001-of-00002.safetensors")");
  EXPECT_THAT(opening(folder), AllOf(StartsWith("E3104"), HasSubstr("tensor \"c\" is not in shard")));
  put_index(R"("a":"model-00001-of-00002.safetensors","a":"model-00002-of-00002.safetensors")");
  EXPECT_THAT(opening(folder), AllOf(StartsWith("E3001"), HasSubstr("duplicate key \"a\"")));
  put_index(R"("a":7)");
  EXPECT_THAT(opening(folder), StartsWith("E3104"));
  put_index("");
  EXPECT_THAT(opening(folder), AllOf(StartsWith("E3104"), HasSubstr("names no tensors")));
  put_index(R"("a":"model-00001-of-00002.safetensors")", "-1");
  EXPECT_THAT(opening(folder), AllOf(StartsWith("E3104"), HasSubstr("total_size")));
  for (const char* text : {"", "{}", "[]", "{\"weight_map\":[]}", "{\"weight_map\":{\"a\":"}) {
    put("model.safetensors.index.json", text);
    EXPECT_THAT(opening(folder), StartsWith("E3")) << text;
  }
}

TEST_F(Directory, A36_TheIndexDecidesAndOddThingsAreNoted) {
  put_shards();
  put_index(R"("a":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors")", "24");
  const TensorDirectory weights(folder);
  EXPECT_THAT(weights.names(), ElementsAre("a", "c"));
  EXPECT_FALSE(weights.has("b"));
  EXPECT_THAT(weights.notes(), ElementsAre(HasSubstr("does not name 1 of the 3 tensors"),
                                           HasSubstr("total_size is 24, and the tensors have 20 bytes")));
  put_index(R"("a":"model-00001-of-00002.safetensors")", "8.0");
  EXPECT_EQ(TensorDirectory(folder).notes().size(), 1u);
}

TEST_F(Directory, A38_ASparseFileOfEightTebibytesIsRefusedAtOnce) {
  const fs::path path = put("m.safetensors", one_tensor("\"U8\"", "[1]", "[0,1]", 1));
  std::error_code error;
  fs::resize_file(path, std::uintmax_t{8} << 40, error);
  if (error) GTEST_SKIP() << "this file system has no files of 8 TiB";
  const double seconds = cpu_seconds([&] {
    EXPECT_THAT(opening(path), AllOf(StartsWith("E3101"), HasSubstr("bytes after the last tensor")));
  });
  EXPECT_LT(seconds, 0.5);
}

TEST_F(Directory, A39_TiedWeightsOnceOrTwice) {
  const Tensor table = floats({1, 2, 3});
  save_safetensors(folder / "once.safetensors", {{"embed", table}});
  save_safetensors(folder / "twice.safetensors", {{"embed", table}, {"head", table}});
  const TensorDirectory once(folder / "once.safetensors"), twice(folder / "twice.safetensors");
  EXPECT_FALSE(once.find("head"));
  EXPECT_THAT(twice.find("head").span<float>(), testing::ElementsAreArray(once.find("embed").span<float>()));
}

TEST_F(Directory, ADirectoryWithoutWeightsSaysWhatItLooksFor) {
  EXPECT_THAT(
      opening(folder),
      AllOf(StartsWith("E3102"), HasSubstr("holds no model.safetensors, no model.safetensors.index.json, no "
                                           "pytorch_model.bin and no pytorch_model.bin.index.json")));
}

}  // namespace
}  // namespace glossa
