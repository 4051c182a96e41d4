// GGUF files on disk: tensors of every type, parts, writing (B24, B26, B27), and files that others wrote.
#include "checkpoint/gguf_file.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/parallel.h"
#include "checkpoint/tensor_directory.h"
#include "files.h"
#include "gguf_files.h"
#include "tensor/blocks.h"

namespace glossa {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using Named = std::vector<std::pair<std::string, Tensor>>;

Tensor floats(std::vector<float> values) {
  return Tensor::of(values);
}

Tensor waves(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  for (std::int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = std::sin(static_cast<float>(i)) * 3;
  return x;
}

std::string text_of(const Tensor& x) {
  const Tensor dense = x.contiguous();
  return {static_cast<const char*>(dense.raw()), dense.bytes()};
}

class GgufFiles : public InFolder {
 protected:
  std::string opening(const fs::path& path) const {
    return error_of([&] { GgufFile file(path); });
  }
};

TEST_F(GgufFiles, TensorsAreViewsOfTheMappingAndKeepItAlive) {
  const fs::path path =
      put("m.gguf",
          GgufBytes().tensor("x", {3, 2}, kTensorF32, all_of(std::vector<float>{1, 2, 3, 4, 5, 6})).file());
  Tensor x;
  {
    const GgufFile file(path);
    EXPECT_EQ(file.info("y"), nullptr);
    EXPECT_FALSE(file.find("y"));
    x = file.find("x");
    EXPECT_EQ(x.raw(), file.bytes_of(*file.info("x")).data());
    EXPECT_NO_THROW(file.check_intact());
    EXPECT_NO_THROW(file.check_finite());
  }
  EXPECT_TRUE(x.storage()->frozen);
  EXPECT_EQ(x.shape(), (Shape{2, 3}));
  EXPECT_THAT(x.span<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(x.slice(0, 1, 2).span<float>(), ElementsAre(4, 5, 6));
}

TEST_F(GgufFiles, TypesBecomeOurs) {
  const Tensor x = waves({2, 256});
  GgufBytes g;
  struct Case {
    std::uint32_t number;
    DType type;
  };
  const Case cases[] = {{0, DType::f32},     {1, DType::f16},   {2, DType::q4_0},  {3, DType::q4_1},
                        {6, DType::q5_0},    {7, DType::q5_1},  {8, DType::q8_0},  {10, DType::q2_k},
                        {11, DType::q3_k},   {12, DType::q4_k}, {13, DType::q5_k}, {14, DType::q6_k},
                        {20, DType::iq4_nl}, {28, DType::f64},  {30, DType::bf16}, {26, DType::i32},
                        {27, DType::i64}};
  for (const auto& [number, type] : cases)
    g.tensor(std::string(name_of(type)), {256, 2}, number, text_of(x.to(type)));
  const GgufFile file(put("m.gguf", g.file()));
  for (const Case& c : cases) {
    const DType type = c.type;
    const Tensor y = file.find(name_of(type));
    EXPECT_EQ(y.dtype(), type);
    EXPECT_EQ(y.shape(), x.shape());
    EXPECT_EQ(text_of(y), text_of(x.to(type))) << name_of(type);
    EXPECT_EQ(ggml_type_of(type), file.info(name_of(type))->type);
    EXPECT_EQ(dtype_of(file.info(name_of(type))->type), type);
    if (type == DType::i32 || type == DType::i64)
      EXPECT_THAT(error_of([&] { file.find(name_of(type), DType::f32); }),
                  AllOf(StartsWith("E3102"), HasSubstr("is wanted")));
    else
      EXPECT_EQ(text_of(file.find(name_of(type), DType::f32)), text_of(x.to(type).to(DType::f32)));
  }
  EXPECT_THAT(error_of([] { ggml_type_of(DType::u8); }),
              HasSubstr("GGUF files have no type for tensors of u8"));
}

TEST_F(GgufFiles, SmallIntegersWiden) {
  GgufBytes g;
  g.tensor("t", {2}, 24, "\x80\x7F").tensor("s", {2}, 25, "\xFE\xFF\x01\x00"s);
  const GgufFile file(put("m.gguf", g.file()));
  EXPECT_THAT(file.find("t").span<std::int32_t>(), ElementsAre(-128, 127));
  EXPECT_THAT(file.find("s").span<std::int32_t>(), ElementsAre(-2, 1));
}

TEST_F(GgufFiles, TypesThatTheProgramDoesNotHaveAreListedAndRefusedByName) {
  const std::tuple<std::uint32_t, const char*, std::uint64_t, std::uint64_t> types[] = {
      {9, "Q8_1", 32, 36},      {15, "Q8_K", 256, 292}, {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
      {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50}, {21, "IQ3_S", 256, 110},  {22, "IQ2_S", 256, 82},
      {23, "IQ4_XS", 256, 136}, {29, "IQ1_M", 256, 56}, {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},
      {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},  {41, "Q1_0", 128, 18},    {42, "Q2_0", 64, 18}};
  GgufBytes g;
  for (const auto& [number, name, elements, bytes] : types)
    g.tensor(name, {elements, 3}, number, std::string(3 * bytes, 'x'));
  const GgufFile file(put("m.gguf", g.file()));
  for (const auto& type : types) {
    const char* const name = std::get<1>(type);
    const std::uint64_t bytes = std::get<3>(type);
    EXPECT_EQ(name_of(file.info(name)->type), name);
    EXPECT_EQ(file.info(name)->bytes, 3 * bytes);
    EXPECT_THAT(error_of([&] { file.find(name); }),
                AllOf(StartsWith("E3105"),
                      HasSubstr(fmt::format("tensor \"{0}\" is of type {0}, which this program does not have",
                                            name))));
  }
}

TEST_F(GgufFiles, B24_ScalesThatAreNoNumbersAreRefusedByTheTensorsName) {
  Tensor x = waves({4, 256}).to(DType::q4_k);
  x.span<BlockQ4_K>()[2].dmin = float16{0x7E00};
  save_gguf(folder / "m.gguf", GgufMetadata(), {{"good", waves({1, 256}).to(DType::q6_k)}, {"w", x}});
  EXPECT_THAT(error_of([&] { GgufFile(folder / "m.gguf").check_finite(); }),
              AllOf(StartsWith("E6001"), HasSubstr("tensor \"w\": 256 of 1024 values are not finite"),
                    HasSubstr("the first at index 512")));
}

TEST_F(GgufFiles, StatisticsOfBlocksAreThoseOfTheirValues) {
  const Tensor x = waves({300, 256});
  for (const DType type : {DType::q8_0, DType::q3_k, DType::f16, DType::i64}) {
    set_thread_count(1);
    const TensorStatistics one = statistics(x.to(type));
    set_thread_count(3);
    const TensorStatistics three = statistics(x.to(type));
    set_thread_count(hardware_threads());
    const TensorStatistics values = statistics(x.to(type).to(DType::f64));
    EXPECT_EQ(one.mean, three.mean);
    EXPECT_EQ(one.mean, values.mean);
    EXPECT_EQ(one.root_mean_square, values.root_mean_square);
    EXPECT_EQ(one.minimum, values.minimum);
    EXPECT_EQ(one.maximum, values.maximum);
    EXPECT_EQ(one.zero, values.zero);
    EXPECT_EQ(one.elements, 76'800u);
  }
}

TEST_F(GgufFiles, AFileCutWhileItIsMapped) {
  save_gguf(folder / "m.gguf", GgufMetadata(), {{"w", floats(std::vector<float>(100'000, 1))}});
  const GgufFile file(folder / "m.gguf");
  const Tensor w = file.find("w");
  fs::resize_file(folder / "m.gguf", 9000);
  double sum = 0;
  for (const float x : w.span<float>()) sum += x;
  EXPECT_LT(sum, 4000);
  EXPECT_THAT(error_of([&] { file.check_intact(); }), StartsWith("E4005"));
}

TEST_F(GgufFiles, ASparseFileOfManyGibibytesIsRefusedAtOnce) {
  const fs::path path = put("m.gguf", GgufBytes().array("k", kU8, std::uint64_t{1} << 40, "").file());
  std::error_code error;
  fs::resize_file(path, std::uintmax_t{8} << 40, error);
  if (error) GTEST_SKIP() << "this file system has no files of 8 TiB";
  EXPECT_LT(peak_growth(
                [&] { EXPECT_THAT(opening(path), AllOf(StartsWith("E5002"), HasSubstr("bytes allowed"))); }),
            bound(8));
}

// ---- parts ----

class GgufParts : public GgufFiles {
 protected:
  // Part `number` of three, counted from 1, with one tensor that holds its number.
  GgufBytes part(int number, std::uint32_t count = 3, std::uint32_t tensors = 3) const {
    GgufBytes g;
    if (number == 1) g.text("general.architecture", "llama");
    g.key("split.no", kU16, raw(static_cast<std::uint16_t>(number - 1)));
    g.key("split.count", kU16, raw(static_cast<std::uint16_t>(count)));
    g.key("split.tensors.count", kI32, u32(tensors));
    g.tensor(fmt::format("t{}", number), {1}, kTensorF32, raw(static_cast<float>(number)));
    return g;
  }
  void put_part(int number, const GgufBytes& g) const {
    put(fmt::format("m-{:05}-of-00003.gguf", number), g.file());
  }
  void put_parts() const {
    for (int number : {1, 2, 3}) put_part(number, part(number));
  }
  std::string opening_first() const { return opening(folder / "m-00001-of-00003.gguf"); }
};

TEST_F(GgufParts, AreReadAsOneModel) {
  put_parts();
  const GgufFile file(folder / "m-00001-of-00003.gguf");
  EXPECT_EQ(file.files().size(), 3u);
  ASSERT_EQ(file.tensors().size(), 3u);
  for (int number : {1, 2, 3}) {
    const std::string name = fmt::format("t{}", number);
    EXPECT_EQ(file.tensors()[static_cast<std::size_t>(number - 1)].name, name);
    EXPECT_EQ(file.find(name).item<float>(), static_cast<float>(number));
  }
  EXPECT_EQ(file.metadata().text("general.architecture"), "llama");
  EXPECT_EQ(file.metadata().entries().size(), 1u);
}

TEST_F(GgufParts, TheFirstMayHaveNoTensors) {
  put_parts();
  GgufBytes first = part(1, 3, 2);
  first.tensors = first.data = "";
  first.tensor_count = 0;
  put_part(1, first);
  put_part(2, part(2, 3, 2));
  put_part(3, part(3, 3, 2));
  EXPECT_EQ(GgufFile(folder / "m-00001-of-00003.gguf").tensors().size(), 2u);
}

TEST_F(GgufParts, B26_AMissingPart) {
  put_parts();
  fs::remove(folder / "m-00002-of-00003.gguf");
  EXPECT_THAT(opening_first(),
              AllOf(StartsWith("E3105"), HasSubstr("m-00002-of-00003.gguf: part 2 of 3 is missing")));
}

TEST_F(GgufParts, B26_AnotherThanTheFirst) {
  put_parts();
  EXPECT_THAT(opening(folder / "m-00002-of-00003.gguf"),
              AllOf(StartsWith("E3105"), HasSubstr("is part 2 of 3, and the first one")));
  fs::copy_file(folder / "m-00001-of-00003.gguf", folder / "renamed.gguf");
  EXPECT_THAT(opening(folder / "renamed.gguf"),
              AllOf(StartsWith("E3105"), HasSubstr("its name must end with -00001-of-00003.gguf")));
}

TEST_F(GgufParts, B26_PartsInAnotherOrder) {
  put_parts();
  put_part(2, part(3));
  EXPECT_THAT(opening_first(), AllOf(StartsWith("E3105"),
                                     HasSubstr("is part 3 of 3 by its metadata, and part 2 of 3 is wanted")));
  put_part(2, part(2, 4));
  EXPECT_THAT(opening_first(), HasSubstr("is part 2 of 4 by its metadata"));
}

TEST_F(GgufParts, B26_CountsThatLie) {
  put_parts();
  for (int number : {1, 2, 3}) put_part(number, part(number, 3, 4));
  EXPECT_THAT(
      opening_first(),
      AllOf(StartsWith("E3105"), HasSubstr("\"split.tensors.count\" is 4, and the 3 parts have 3 tensors")));
  put_parts();
  put_part(1, part(1, 60'000));
  EXPECT_THAT(opening_first(), AllOf(StartsWith("E3105"), HasSubstr("is 60000, and 0 to 1000 are allowed")));
}

TEST_F(GgufParts, B26_PartsOfAnotherModel) {
  put_parts();
  put_part(3, part(3, 3, 9));
  EXPECT_THAT(opening_first(), AllOf(StartsWith("E3105"), HasSubstr("belongs to another model"),
                                     HasSubstr("\"split.tensors.count\" differ")));
  put_part(3, part(3).text("general.architecture", "gemma3"));
  EXPECT_THAT(opening_first(), HasSubstr("\"general.architecture\" differ"));
  put_part(3, GgufBytes().tensor("t3", {1}, kTensorF32, "xxxx"));
  EXPECT_THAT(opening_first(), HasSubstr("the key \"split.no\" is missing"));
  GgufBytes same = part(3);
  same.tensors = "";
  same.tensor_count = 0;
  same.line("t1", {1}, kTensorF32, 0);
  put_part(3, same);
  EXPECT_THAT(opening_first(), HasSubstr("tensors 0 and 2 have the same name \"t1\""));
}

// ---- writing ----

GgufMetadata everything() {
  GgufMetadata m;
  m.set("general.architecture", "llama"s);
  m.set("u8", std::uint8_t{1});
  m.set("i8", std::int8_t{-1});
  m.set("u16", std::uint16_t{2});
  m.set("i16", std::int16_t{-2});
  m.set("u32", std::uint32_t{3});
  m.set("i32", std::int32_t{-3});
  m.set("u64", UINT64_MAX);
  m.set("i64", INT64_MIN);
  m.set("f32", 0.1f);
  m.set("f64", 0.1);
  m.set("bool", true);
  m.set("text", "a\0\xFF"s);
  m.set("strings", GgufArray::of(std::vector<std::string>{"", "x\0y"s, "\xFF"}));
  m.set("numbers", GgufArray::of(std::vector<float>{1, 2, 3}));
  m.set("truths", GgufArray(GgufType::boolean, std::as_bytes(std::span("\1\0\1", 3))));
  return m;
}

TEST_F(GgufFiles, WhatIsWrittenIsReadBack) {
  Named tensors;
  for (const DType type :
       {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::q4_0, DType::q5_1,
        DType::q8_0, DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_nl})
    tensors.emplace_back(name_of(type), waves({3, 256}).to(type));
  tensors.emplace_back("odd", waves({5, 7, 3}));
  tensors.emplace_back("part", waves({4, 8}).slice(1, 2, 5));
  tensors.emplace_back("one", waves({}));
  const GgufMetadata metadata = everything();
  save_gguf(folder / "m.gguf", metadata, tensors);
  const GgufFile file(folder / "m.gguf");
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.metadata().entries(), metadata.entries());
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(file.tensors()[i].name, tensors[i].first);
    EXPECT_EQ(text_of(file.tensor(file.tensors()[i])), text_of(tensors[i].second)) << tensors[i].first;
  }
  EXPECT_EQ(file.find("odd").shape(), (Shape{5, 7, 3}));
  EXPECT_EQ(file.find("one").shape(), (Shape{1}));
  EXPECT_EQ(fs::file_size(folder / "m.gguf") % 32, 0u);
}

TEST_F(GgufFiles, TheSameGivesTheSameBytesAndTheBytesOfAnother) {
  const Named tensors = {{"a.weight", floats({1, 2, 3, 4, 5, 6}).view({2, 3})},
                         {"b", floats({7}).to(DType::f16)}};
  GgufMetadata metadata;
  metadata.set("general.architecture", "llama"s);
  metadata.set("general.alignment", std::uint32_t{64});
  metadata.set("list", GgufArray::of(std::vector<std::string>{"x", ""}));
  save_gguf(folder / "1.gguf", metadata, tensors);
  save_gguf(folder / "2.gguf", metadata, tensors);
  EXPECT_EQ(read_file(folder / "1.gguf"), read_file(folder / "2.gguf"));
  GgufBytes g;
  g.alignment = 64;
  g.text("general.architecture", "llama").key("general.alignment", kU32, u32(64)).strings("list", {"x", ""});
  g.tensor("a.weight", {3, 2}, kTensorF32, all_of(std::vector<float>{1, 2, 3, 4, 5, 6}));
  g.tensor("b", {1}, kTensorF16, raw<std::uint16_t>(0x4700));
  g.data.resize(128);
  EXPECT_EQ(read_file(folder / "1.gguf"), g.file());
}

TEST_F(GgufFiles, WhatCannotBeReadIsNotWritten) {
  const auto writing = [&](const GgufMetadata& metadata, const Named& tensors) {
    const std::string error = error_of([&] { save_gguf(folder / "m.gguf", metadata, tensors); });
    EXPECT_TRUE(fs::is_empty(folder));  // neither the file nor a part of it
    return error;
  };
  const auto with = [](const char* key, GgufValue value) {
    GgufMetadata m;
    m.set(key, std::move(value));
    return m;
  };
  EXPECT_THAT(writing({}, {{"a", floats({1})}, {"a", floats({1})}}),
              HasSubstr("tensors 0 and 1 have the same name"));
  EXPECT_THAT(writing({}, {{std::string(64, 'n'), floats({1})}}), HasSubstr("a tensor's name of 64 bytes"));
  EXPECT_THAT(writing({}, {{"a\xFF", floats({1})}}), HasSubstr("is not UTF-8"));
  EXPECT_THAT(writing({}, {{"a", Tensor::empty({0, 3})}}), HasSubstr("has a dimension of 0"));
  EXPECT_THAT(writing({}, {{"a", Tensor::zeros({3}, DType::u8)}}), HasSubstr("no type for tensors of u8"));
  EXPECT_THAT(writing({}, {{"a", Tensor()}}),
              AllOf(StartsWith("E3102"), HasSubstr("no tensor to write under the name \"a\"")));
  EXPECT_THAT(writing(with("", "x"s), {}), HasSubstr("an empty key"));
  EXPECT_THAT(writing(with("\xFF", "x"s), {}), HasSubstr("is not UTF-8"));
  EXPECT_THAT(writing(with("general.alignment", std::uint32_t{3}), {}), HasSubstr("must be a power of two"));
  EXPECT_THAT(writing(with("general.alignment", 32), {}), HasSubstr("of type INT32"));
}

TEST_F(GgufFiles, AWriterTakesTheTensorsOfItsPlanOneByOne) {
  std::string out;
  const auto write = [&](Bytes bytes) { out += as_text(bytes); };
  GgufWriter writer(write, everything(), {{"a", {2, 256}, DType::q4_k}, {"b", {3}, DType::f32}});
  const std::size_t header = out.size();
  EXPECT_EQ(header % 32, 0u);
  EXPECT_THAT(error_of([&] { writer.finish(); }), HasSubstr("only 0 of 2 planned tensors"));
  EXPECT_THAT(error_of([&] {
                writer.add(waves({2, 256}));
              }),
              AllOf(StartsWith("E3102"),
                    HasSubstr("tensor \"a\" was planned as [2, 256] of q4_k, and is [2, 256] of f32")));
  EXPECT_THAT(error_of([&] {
                writer.add(waves({3, 256}).to(DType::q4_k));
              }),
              HasSubstr("and is [3, 256] of q4_k"));
  EXPECT_EQ(out.size(), header);
  writer.add(waves({2, 256}).to(DType::q4_k));
  writer.add(floats({1, 2, 3}));
  EXPECT_THAT(error_of([&] { writer.add(floats({1, 2, 3})); }), StartsWith("E1000"));
  EXPECT_NO_THROW(writer.finish());
  EXPECT_EQ(gguf_refusal(out), "");
}

TEST_F(GgufFiles, B27_AFailedConversionLeavesNothing) {
  std::string file = GgufBytes().tensor("w", {256, 4}, kTensorQ8_0, std::string(1088, '\1')).file();
  put("in.gguf", file.substr(0, file.size() - 100));
  put("out.gguf", "there before");
  EXPECT_THAT(error_of([&] {
                const GgufFile in(folder / "in.gguf");
                save_gguf(folder / "out.gguf", in.metadata(), {{"w", in.find("w", DType::q4_0)}});
              }),
              AllOf(StartsWith("E3105"), HasSubstr("cut short")));
  EXPECT_EQ(read_file(folder / "out.gguf"), "there before");
}

// ---- files of others ----

struct RealFile {
  const char* variable;  // that names the folder
  const char* path;
  std::size_t tensors, keys;
  const char* architecture;
  std::uint64_t tokens;
  const char* last_token;
};

class RealGguf : public testing::TestWithParam<RealFile> {};

TEST_P(RealGguf, IsRead) {
  const RealFile& real = GetParam();
  const char* const folder = std::getenv(real.variable);
  if (!folder) GTEST_SKIP() << real.variable << " does not name a folder of models";
  const fs::path path = fs::path(folder) / real.path;
  if (!fs::exists(path)) GTEST_SKIP() << real.variable << " holds no " << real.path;
  const GgufFile file(path);
  EXPECT_EQ(file.tensors().size(), real.tensors);
  EXPECT_EQ(file.metadata().entries().size(), real.keys);
  EXPECT_EQ(file.metadata().text("general.architecture"), real.architecture);
  const GgufArray& tokens = file.metadata().strings("tokenizer.ggml.tokens");
  EXPECT_EQ(tokens.size(), real.tokens);
  EXPECT_EQ(tokens.text(tokens.size() - 1), real.last_token);
  EXPECT_NO_THROW(file.check_finite());
  // Written again it is the same file, but for a last padding that it may not have.
  std::vector<GgufTensorPlan> plan;
  for (const GgufTensorInfo& t : file.tensors())
    plan.push_back({t.name, Shape(t.shape()), *dtype_of(t.type)});
  std::string_view rest = as_text(file.files()[0]->bytes());
  const auto compare = [&](Bytes bytes) {
    const std::string_view text = as_text(bytes), same = text.substr(0, rest.size());
    EXPECT_TRUE(rest.starts_with(same));
    rest.remove_prefix(same.size());
    EXPECT_EQ(text.find_first_not_of('\0', same.size()), std::string::npos);
  };
  GgufWriter writer(compare, file.metadata(), plan);
  for (const GgufTensorInfo& t : file.tensors()) writer.add(file.tensor(t));
  writer.finish();
  EXPECT_EQ(rest, "");
}

INSTANTIATE_TEST_SUITE_P(
    OfOthers, RealGguf,
    testing::Values(
        RealFile{"GLOSSA_DATA", "models/llama-2-tiny-random.gguf", 12, 18, "llama", 32'000, "给"},
        RealFile{"GLOSSA_DATA", "tokenizers/ggml-vocab-bert-bge.gguf", 0, 20, "bert", 30'522, "～"},
        RealFile{"GLOSSA_DATA", "tokenizers/ggml-vocab-gpt-2.gguf", 0, 16, "gpt2", 50'257, "<|endoftext|>"},
        RealFile{"GLOSSA_DATA", "tokenizers/ggml-vocab-llama-spm.gguf", 0, 22, "llama", 32'000, "给"},
        RealFile{"GLOSSA_MODELS", "SmolLM2-135M-Instruct.Q4_1.gguf", 272, 33, "llama", 49'152, "ectable"},
        RealFile{"GLOSSA_MODELS", "gemma-3-270m.Q4_K_M.gguf", 236, 33, "gemma3", 262'144, "<unused6241>"}));

}  // namespace
}  // namespace glossa
