// Cases C03, C04, C12, C17 and C19 to C21: files of torch.save, hostile ones and those that PyTorch wrote.
#include "checkpoint/torch_file.h"

#include <gmock/gmock.h>

#include <cstring>

#include "checkpoint/tensor_directory.h"
#include "files.h"
#include "torch_files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

const fs::path kGolden = fs::path(GLOSSA_SOURCE_DIR) / "tests/golden/torch";

class TorchFile : public InFolder {
 protected:
  // Opens a file whose pickle makes this value.
  TensorDirectory open(const std::string& value, const Storages& storages = {{"0", four_floats()}}) const {
    return TensorDirectory(put("m.pt", torch_file(pk::whole(value), storages)));
  }
};

std::string named(const std::string& tensor) {
  return pk::dict(pk::text("w") + tensor);
}

void expect_same_tensors(const TensorDirectory& found, const TensorDirectory& expected) {
  EXPECT_EQ(found.names(), expected.names());
  for (const std::string& name : expected.names()) {
    const TensorInfo &f = *found.info(name), &e = *expected.info(name);
    EXPECT_EQ(f.type, e.type) << name;
    EXPECT_EQ(std::vector(f.shape().begin(), f.shape().end()),
              std::vector(e.shape().begin(), e.shape().end()))
        << name;
    ASSERT_EQ(f.bytes(), e.bytes()) << name;
    const auto ours = found.files()[0].data(f), theirs = expected.files()[0].data(e);
    EXPECT_EQ(std::memcmp(ours->data, theirs->data, e.bytes()), 0) << name;
  }
}

TEST_F(TorchFile, EveryTypeAndLayoutIsReadAsPyTorchMeansIt) {
  const TensorDirectory expected(kGolden / "layouts.safetensors");
  for (const char* name : {"layouts.pt", "protocol4.pt"}) {
    const TensorDirectory found(kGolden / name);
    expect_same_tensors(found, expected);
    EXPECT_THAT(found.notes(), ElementsAre());
    EXPECT_NO_THROW(found.check_sums());
    EXPECT_NO_THROW(found.check_finite());
  }
}

TEST_F(TorchFile, TensorsAreViewsOfTheMappingUnlessTheirElementsLieOtherwise) {
  const TensorDirectory weights(kGolden / "layouts.pt");
  const auto address = [&](const char* name) {
    return static_cast<const std::byte*>(weights.find(name).raw());
  };
  EXPECT_EQ(address("whole"), address("same"));
  EXPECT_EQ(address("whole") + 6 * 4, address("rows"));
  EXPECT_EQ(address("whole") + 15 * 4, address("element"));
  EXPECT_TRUE(weights.find("whole").storage()->frozen);
  EXPECT_NE(address("transposed"), address("whole"));
  EXPECT_EQ(weights.find("transposed").shape(), (Shape{6, 4}));
  EXPECT_THAT(weights.find("columns").span<float>(), ElementsAre(1, 3, 7, 9, 13, 15, 19, 21));
  Tensor kept = TensorDirectory(kGolden / "layouts.pt").find("rows");
  EXPECT_EQ(kept.data<float>()[0], 6);
}

TEST_F(TorchFile, C20_ATrainingCheckpointGivesItsStateDictAndSaysWhatItPassesOver) {
  const TensorDirectory expected(kGolden / "checkpoint.safetensors");
  for (const char* name : {"checkpoint-protocol1.pt", "checkpoint-protocol2.pt", "checkpoint-protocol5.pt"}) {
    const TensorDirectory found(kGolden / name);
    expect_same_tensors(found, expected);
    EXPECT_THAT(found.notes(),
                ElementsAre(HasSubstr("the tensors are those under the key \"model_state_dict\""),
                            HasSubstr("all names begin with \"module.\""),
                            HasSubstr("passed over, as they are no tensors of the state dict: \"epoch\", "
                                      "\"best_loss\", \"big\", \"lr\", "
                                      "\"done\", \"rng\", \"optimizer\", \"args\" and 5 more")));
  }
}

TEST_F(TorchFile, C20_JunkWithinAStateDictIsPassedOver) {
  const TensorDirectory found =
      open(pk::dict(pk::text("w") + pk::tensor() + pk::text("epoch") + "K\3" + "K\5" + "N" +
                    pk::text("args") + pk::global("evil.module", "Class") + ")\x81"));
  EXPECT_THAT(found.names(), ElementsAre("w"));
  EXPECT_THAT(found.notes(), ElementsAre(HasSubstr("\"epoch\", a whole number, \"args\"")));
}

TEST_F(TorchFile, TheStateDictIsLookedForUnderTheUsualKeysFirst) {
  const std::string inner = pk::dict(pk::text("inner") + pk::tensor());
  for (const char* key : {"state_dict", "model", "model_state_dict"})
    EXPECT_THAT(open(pk::dict(pk::text("best") + pk::tensor() + pk::text(key) + inner)).names(),
                ElementsAre("inner"))
        << key;
  EXPECT_THAT(open(pk::dict(pk::text("weights") + inner + pk::text("own") + pk::tensor())).names(),
              ElementsAre("own"));
  EXPECT_THAT(open("}").names(), ElementsAre());
  EXPECT_THAT(refusal_of_value(pk::dict(pk::text("weights") + inner)),
              AllOf(StartsWith("E3106"), HasSubstr("holds no state dict")));
  EXPECT_THAT(refusal_of_value(pk::dict(pk::text("model") + inner + pk::text("model") + inner)),
              HasSubstr("two dicts of tensors under the key \"model\""));
}

TEST_F(TorchFile, ParallelPrefixesGoOnlyIfAllNamesHaveThem) {
  EXPECT_THAT(open(pk::dict(pk::text("module.w") + pk::tensor())).names(), ElementsAre("w"));
  EXPECT_THAT(open(pk::dict(pk::text("module.w") + pk::tensor() + pk::text("v") + pk::tensor())).names(),
              ElementsAre("module.w", "v"));
  EXPECT_THAT(open(pk::dict(pk::text("module.") + pk::tensor())).names(), ElementsAre("module."));
}

TEST_F(TorchFile, WhatPyTorchSavesAndIsNoStateDictIsNamed) {
  const auto said = [](const char* name) {
    return error_of([&] { TensorDirectory(kGolden / name, Limits{}); });
  };
  EXPECT_THAT(said("module.pt"),
              AllOf(StartsWith("E3106"), HasSubstr("an instance of \"torch.nn.modules.linear.Linear\"")));
  EXPECT_THAT(said("tensor.pt"), HasSubstr("one tensor without a name"));
  EXPECT_THAT(said("sparse.pt"), HasSubstr("global torch._utils._rebuild_sparse_tensor is not allowed"));
  EXPECT_THAT(said("complex.pt"), HasSubstr("tensor \"w\": type \"torch.ComplexFloatStorage\" is not read"));
  EXPECT_THAT(said("float8.pt"), HasSubstr("type \"torch.float8_e4m3fn\" is not read; I64,"));
  EXPECT_EQ(TensorDirectory(kGolden / "no-crc.pt").find("w").span<float>()[1], 2);
  EXPECT_THAT(refusal_of_value("]"), HasSubstr("holds a list where a state dict must be"));
}

TEST_F(TorchFile, C12_LegacyFormatsAreNamedAndNotRead) {
  EXPECT_THAT(error_of([&] { TensorDirectory(kGolden / "legacy.pt", Limits{}); }),
              AllOf(StartsWith("E3106"), HasSubstr("before PyTorch 1.6"),
                    HasSubstr("legacy and other formats are not supported")));
  const std::string tar = "storages" + std::string(249, '\0') + "ustar" + std::string(250, '\0');
  EXPECT_THAT(torch_refusal(tar),
              AllOf(HasSubstr("a tar archive"), HasSubstr("legacy and other formats are not supported")));
}

TEST_F(TorchFile, C17_OtherFormatsAreToldByTheirFirstBytes) {
  const std::pair<std::string, const char*> kinds[] = {
      {"7z\xBC\xAF\x27\x1C....", "7z"},
      {"\x1F\x8B\x08....", "gzip"},
      {"\x80\4\x95....", "Python pickle"},
      {"GGUF....", "GGUF"},
      {"\x89HDF....", "HDF5"},
      {"version https://git-lfs.github.com/spec/v1", "Git LFS"},
      {"\xFD"
       "7zXZ",
       "xz"}};
  for (const char* name : {"m.bin", "m.pt", "m.pth", "m.ckpt"})
    for (const auto& kind : kinds)
      EXPECT_THAT(error_of([&] { TensorDirectory(put(name, kind.first), Limits{}); }),
                  AllOf(StartsWith("E3106"), HasSubstr(kind.second)));
  EXPECT_THAT(error_of([&] { TensorDirectory(put("m.pt", ""), Limits{}); }),
              AllOf(StartsWith("E3004"), HasSubstr("file is empty")));
}

TEST_F(TorchFile, C17_ContentsDecideAndTheNameSafetensorsIsBelieved) {
  const Tensor x = Tensor::of(std::vector<float>{1, 2});
  save_safetensors(folder / "pytorch_model.bin", {{"x", x}});
  EXPECT_THAT(TensorDirectory(folder).names(), ElementsAre("x"));
  save_torch_file(folder / "weights.tar", {{"y", x}});
  EXPECT_THAT(TensorDirectory(folder / "weights.tar").names(), ElementsAre("y"));
  save_torch_file(folder / "model.safetensors", {{"x", x}});
  EXPECT_THAT(error_of([&] { TensorDirectory(folder, Limits{}); }),
              AllOf(StartsWith("E3101"), HasSubstr("looks like a zip archive, such as torch.save writes")));
}

TEST_F(TorchFile, C17_ZipArchivesOfOthers) {
  EXPECT_THAT(torch_refusal(zip_of({{"word/document.xml", "x"}})),
              AllOf(StartsWith("E3106"), HasSubstr("without a data.pkl")));
  EXPECT_THAT(torch_refusal(zip_of({{"f/data.pkl", "x"}, {"g/x", "x"}})), HasSubstr("not in the one folder"));
  EXPECT_THAT(torch_refusal(zip_of({{"data.pkl", "x"}})), HasSubstr("not in the one folder"));
  EXPECT_THAT(torch_refusal(zip_of({{"f/data.pkl", "x"}, {"f/constants.pkl", "x"}})),
              HasSubstr("TorchScript"));
  EXPECT_THAT(torch_refusal(zip_of({{"f/data.pkl", pk::whole("}")}, {"f/byteorder", "big"}})),
              HasSubstr("byte order \"big\""));
}

TEST_F(TorchFile, C02_ArgumentsOfOtherTypes) {
  const std::string storage = pk::Storage().text(),
                    good[] = {storage, "K\0"s, pk::numbers({4}), pk::numbers({1}), "\x89", "N"};
  const auto with = [&](std::size_t at, const std::string& value) {
    std::string arguments;
    for (std::size_t i = 0; i < 6; ++i) arguments += i == at ? value : good[i];
    return refusal_of_value(named(pk::call("torch._utils", "_rebuild_tensor_v2", arguments)));
  };
  EXPECT_EQ(with(6, ""), "");
  for (std::size_t at = 0; at < 5; ++at)
    for (const std::string& bad :
         {"N"s, "]"s, pk::text("x"), "\x8A\x01\xFF"s, "G\0\0\0\0\0\0\0\0"s, "(Nt"s, pk::tensor()})
      EXPECT_THAT(with(at, bad), AllOf(StartsWith("E3106 f.pt: tensor \"w\": "))) << at;
  EXPECT_THAT(with(2, pk::numbers({-4})),
              HasSubstr("size is a whole number (-4); a whole number of at least 0 must be"));
  EXPECT_THAT(with(2, pk::numbers({2, 2})), HasSubstr("2 sizes and 1 strides"));
  EXPECT_THAT(with(1, pk::number(-1)), HasSubstr("offset"));
  EXPECT_THAT(with(2, pk::numbers(std::vector<std::int64_t>(9, 1))),
              AllOf(StartsWith("E5002"), HasSubstr("9 dimensions, and at most 8")));
  const std::string arguments = good[0] + good[1] + good[2] + good[3] + good[4] + good[5];
  EXPECT_EQ(refusal_of_value(named(pk::call("torch._utils", "_rebuild_tensor_v2", arguments + "}"))), "");
  EXPECT_THAT(refusal_of_value(named(pk::call("torch._utils", "_rebuild_tensor_v2",
                                              arguments + pk::dict(pk::text("neg") + "\x88")))),
              HasSubstr("it has metadata"));
  EXPECT_THAT(refusal_of_value(named(pk::call("torch._utils", "_rebuild_parameter", "N\x88N"))),
              HasSubstr("a parameter made of None"));
  const auto from_type = [&](const std::string& function, const std::string& inner) {
    return refusal_of_value(named(pk::call("torch._tensor", "_rebuild_from_type_v2",
                                           function + pk::global("torch", "Tensor") + inner + "}")));
  };
  EXPECT_EQ(from_type(pk::global("torch._utils", "_rebuild_tensor_v2"), pk::tuple(arguments)), "");
  EXPECT_THAT(from_type(pk::global("posix", "system"), pk::tuple(pk::text("ls"))),
              HasSubstr("made by \"posix.system\", which is not read"));
  EXPECT_THAT(from_type(pk::global("torch._utils", "_rebuild_tensor_v2"), ")"),
              HasSubstr("0 arguments; it takes 6 or 7"));
  EXPECT_THAT(from_type(pk::global("torch._utils", "_rebuild_tensor_v2"), "]"),
              HasSubstr("with a list for arguments"));
}

TEST_F(TorchFile, C03_StoragesThatAreNotAsLargeAsTheySay) {
  for (const std::int64_t elements : {0, 3, 5, 1 << 30})
    EXPECT_THAT(refusal_of_value(named(pk::tensor(pk::Storage{.elements = elements}.text(), 0, {1}, {1}))),
                AllOf(StartsWith("E3106"), HasSubstr("storage \"0\" has 16 bytes")));
  EXPECT_THAT(refusal_of_value(named(pk::tensor(pk::Storage{.key = "1"}.text(), 0, {4}, {1}))),
              HasSubstr("storage \"1\" is missing"));
  EXPECT_THAT(refusal_of_value(named(pk::tensor(pk::Storage{.key = "../data.pkl"}.text(), 0, {4}, {1}))),
              HasSubstr("is missing"));
  EXPECT_THAT(refusal_of_value(named(pk::tensor("(" + pk::text("module") + "tQ", 0, {4}, {1}))),
              HasSubstr("its storage is not"));
}

TEST_F(TorchFile, C03_TensorsThatReachOutOfTheirStorage) {
  const auto said = [](std::int64_t offset, const std::vector<std::int64_t>& size,
                       const std::vector<std::int64_t>& stride) {
    return refusal_of_value(named(pk::tensor(pk::Storage().text(), offset, size, stride)));
  };
  EXPECT_EQ(said(0, {2, 2}, {1, 2}), "");
  EXPECT_EQ(said(3, {1}, {100}), "");
  EXPECT_EQ(said(4, {0}, {1}), "");
  EXPECT_EQ(said(3, {}, {}), "");
  constexpr std::int64_t kMax = INT64_MAX;
  const std::tuple<std::int64_t, std::vector<std::int64_t>, std::vector<std::int64_t>> outside[] = {
      {0, {5}, {1}},      {1, {4}, {1}},       {0, {2}, {4}},    {4, {}, {}},      {5, {0}, {1}},
      {kMax, {1}, {1}},   {0, {2, 2}, {1, 3}}, {0, {2}, {kMax}}, {0, {kMax}, {1}}, {0, {3, 3}, {kMax, kMax}},
      {kMax, {2}, {kMax}}};
  for (const auto& [offset, size, stride] : outside)
    EXPECT_THAT(said(offset, size, stride),
                AllOf(StartsWith("E3106"), HasSubstr("reaches outside its storage of 4 elements")));
}

TEST_F(TorchFile, C04_StridesThatRepeatElementsAreBounded) {
  const auto said = [](const std::vector<std::int64_t>& size, const std::vector<std::int64_t>& stride) {
    return refusal_of_value(named(pk::tensor(pk::Storage().text(), 0, size, stride)));
  };
  EXPECT_EQ(said({64, 4}, {0, 1}), "");
  EXPECT_THAT(said({65, 4, 4}, {0, 0, 1}),
              AllOf(StartsWith("E3106"), HasSubstr("more than 64 for each of the 4 of its storage")));
  EXPECT_THAT(said({std::int64_t{1} << 40}, {0}), StartsWith("E3106"));
  EXPECT_THAT(said({std::int64_t{1} << 40, std::int64_t{1} << 40}, {0, 0}), HasSubstr("exceeds 2^63"));
  EXPECT_THAT(said({4}, {-1}), HasSubstr("stride is a whole number (-1)"));
  // Each within bounds, and all together not.
  std::string pairs;
  for (int i = 0; i < 10'000; ++i) pairs += pk::text(std::to_string(i)) + "h\1";
  const std::string data(1 << 20, '\0');
  const std::string tensor = pk::tensor(pk::Storage{.elements = 1 << 18}.text(), 0, {1 << 18}, {1}) + "q\1";
  EXPECT_THAT(
      torch_refusal(torch_file(pk::whole("}(" + pk::text("w") + tensor + pairs + "u"), {{"0", data}})),
      HasSubstr("more than 64 for each byte of the file"));
}

TEST_F(TorchFile, C19_TypesAndTheirSizes) {
  const auto said = [](const std::string& type, std::int64_t elements) {
    return refusal_of_value(
        named(pk::tensor(pk::Storage{.type = type, .elements = elements}.text(), 0, {1}, {1})));
  };
  EXPECT_EQ(said("DoubleStorage", 2), "");
  EXPECT_EQ(said("BoolStorage", 16), "");
  for (const char* type : {"ComplexFloatStorage", "QInt8Storage", "floatStorage", "Storage", "Tensor"})
    EXPECT_THAT(said(type, 4), AllOf(StartsWith("E3106"), HasSubstr("is not read; I64, F64, F32"))) << type;
  EXPECT_THAT(said("FloatStorage", INT64_MAX), HasSubstr("storage \"0\" has 16 bytes"));
  EXPECT_THAT(said("DoubleStorage", (std::int64_t{1} << 61) + 2), HasSubstr("storage \"0\" has 16 bytes"));
  const TensorDirectory half = open(
      pk::dict(
          pk::text("f") + pk::tensor(pk::Storage{.type = "HalfStorage", .key = "h"}.text(), 0, {4}, {1}) +
          pk::text("b") + pk::tensor(pk::Storage{.type = "BFloat16Storage", .key = "b"}.text(), 0, {4}, {1})),
      {{"h", "\0\x3C\0\x3C\0\x3C\0\x3C"s}, {"b", "\x80\x3F\x80\x3F\x80\x3F\x80\x3F"s}});
  for (const char* name : {"f", "b"}) EXPECT_EQ(half.find(name, DType::f32).span<float>()[3], 1) << name;
  EXPECT_EQ(half.find("b").dtype(), DType::bf16);
}

TEST_F(TorchFile, C21_NamesMustBeTextsAndDifferent) {
  EXPECT_THAT(refusal_of_value(pk::dict("K\1" + pk::tensor())),
              AllOf(StartsWith("E3106"), HasSubstr("a tensor's name is a whole number")));
  EXPECT_THAT(refusal_of_value(pk::dict(pk::text("w") + pk::tensor() + pk::text("w") + pk::tensor())),
              HasSubstr("two tensors have the name \"w\""));
  EXPECT_THAT(refusal_of_value(pk::dict(pk::text("\xFF") + pk::tensor())), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal_of_value(pk::dict(pk::text(std::string(1025, 'x')) + pk::tensor())),
              HasSubstr("a name of 1025 bytes"));
  std::string pairs;
  for (int i = 0; i < 100'000; ++i) pairs += pk::text(std::to_string(i)) + "h\1";
  const std::string file = torch_file(
      pk::whole("}(" + pk::text("w") + pk::tensor(pk::Storage().text(), 0, {1}, {1}) + "q\1" + pairs + "u"));
  const double seconds =
      cpu_seconds([&] { EXPECT_EQ(read_torch_file(as_bytes(file), "f").tensors.size(), 100'001u); });
  EXPECT_LT(seconds, bound(1));
  EXPECT_THAT(torch_refusal(file, {.tensors = 100'000}),
              AllOf(StartsWith("E5004"), HasSubstr("more than the 100000 tensors")));
}

TEST_F(TorchFile, C16_ChecksumsOfThePickleAtOnceAndOfDataOnDemand) {
  const std::string file = torch_file(pk::whole(named(pk::tensor())));
  std::string damaged = file;
  damaged[file.find("FloatStorage") + 40] ^= 1;
  EXPECT_THAT(torch_refusal(damaged),
              AllOf(StartsWith("E3106"), HasSubstr("\"f/data.pkl\": its bytes have CRC")));
  damaged = file;
  damaged[file.find(four_floats())] ^= 1;
  const TensorDirectory weights(put("m.pt", damaged));
  EXPECT_THAT(error_of([&] { weights.check_sums(); }),
              AllOf(StartsWith("E3106"), HasSubstr("\"f/data/0\": its bytes have CRC")));
}

TEST_F(TorchFile, EveryTruncationAndEveryChangedByteIsReadOrRefused) {
  const std::string file = read_file(kGolden / "checkpoint-protocol2.pt");
  for (std::size_t size = 0; size < file.size(); size += 7)
    EXPECT_NE(torch_refusal(file.substr(0, size)), "");
  for (std::size_t i = 0; i < file.size(); i += kSanitized ? 11 : 1)
    for (const char change : {'\1', '\x80'}) {
      std::string other = file;
      other[i] = static_cast<char>(other[i] ^ change);
      EXPECT_THAT(torch_refusal(other), AnyOf("", StartsWith("E3"), StartsWith("E5"))) << i;
    }
}

}  // namespace
}  // namespace glossa
