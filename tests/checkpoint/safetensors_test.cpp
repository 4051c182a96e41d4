// The cases A01 to A28, A37 and A38: what a hostile file gets.
#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>

#include "files.h"

namespace glossa {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kGood =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]},"c":{"dtype":"U8","shape":[0,7],"data_offsets":[32,32]}})";

TEST(Safetensors, ReadsNamesTypesShapesPlacesAndMetadata) {
  const std::string file = with_header(kGood + "   ", 32);
  const SafetensorsHeader header = parse_safetensors(as_bytes(file), "f");
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.data_begin, 8 + kGood.size() + 3);
  EXPECT_EQ(header.metadata, (Metadata{{"format", "pt"}}));
  const TensorInfo* const a = header.find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->type, ElementType::f32);
  EXPECT_THAT(a->shape(), testing::ElementsAre(2, 3));
  EXPECT_EQ(a->begin, 0u);
  EXPECT_EQ(a->end, 24u);
  EXPECT_EQ(header.find("b")->rank, 0);
  EXPECT_EQ(header.find("b")->elements(), 1u);
  EXPECT_EQ(header.find("c")->elements(), 0u);
  EXPECT_EQ(header.find("d"), nullptr);
  EXPECT_EQ(header.find(""), nullptr);
}

TEST(Safetensors, TensorsComeInTheOrderOfTheirDataAndAreFoundByName) {
  const std::string file = with_header(
      R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"c":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
      R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
      3);
  const SafetensorsHeader header = parse_safetensors(as_bytes(file), "f");
  EXPECT_EQ(header.tensors[0].name + header.tensors[1].name + header.tensors[2].name, "cab");
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(header.find(name)->name, name);
}

TEST(Safetensors, A01_EmptyFile) {
  EXPECT_THAT(refusal(""), AllOf(StartsWith("E3004"), HasSubstr("file is empty")));
}

TEST(Safetensors, A02_ShorterThanTheLength) {
  for (std::size_t size = 1; size <= 7; ++size)
    EXPECT_THAT(refusal(std::string(size, '\1')),
                AllOf(StartsWith("E3101"), HasSubstr("shorter than the 8-byte length")));
}

TEST(Safetensors, A03_HugeLengthsAreRefusedWithoutAllocation) {
  for (const std::uint64_t n :
       {UINT64_MAX, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1, UINT64_MAX - 7}) {
    const double growth =
        peak_growth([&] { EXPECT_THAT(refusal(little_endian_text(n) + "{}"), StartsWith("E3101")); });
    EXPECT_LT(growth, bound(8));
  }
}

TEST(Safetensors, A05_OneByteTooMany) {
  const std::string file = little_endian_text(kGood.size() + 1) + kGood;
  EXPECT_THAT(refusal(file), AllOf(StartsWith("E3101"), HasSubstr("reaches past the file")));
}

TEST(Safetensors, A06_LengthsZeroAndOne) {
  EXPECT_THAT(refusal(little_endian_text(0) + "{}"), AllOf(StartsWith("E3101"), HasSubstr("too short")));
  EXPECT_THAT(refusal(little_endian_text(1) + "{}"), AllOf(StartsWith("E3101"), HasSubstr("too short")));
  EXPECT_EQ(refusal(with_header("{}")), "");
}

TEST(Safetensors, A07_IllFormedUtf8IsNamedByItsByte) {
  for (const std::string& name : {"\xFF"s, "\xC0\xAF"s, "\xED\xA0\x80"s}) {
    const std::string file =
        with_header("{\"x" + name + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})");
    EXPECT_THAT(refusal(file), AllOf(StartsWith("E3001"), HasSubstr("header: byte "), HasSubstr("UTF-8")));
  }
}

TEST(Safetensors, A08_MustStartWithABrace) {
  for (const std::string& header : {" {}"s, "\xEF\xBB\xBF{}"s, "[]"s, "\n{}"s, "\"x\""s})
    EXPECT_THAT(refusal(with_header(header)), AllOf(StartsWith("E3101"), HasSubstr("must start with {")));
}

TEST(Safetensors, A09_NothingButSpacesAfterTheBrace) {
  EXPECT_EQ(refusal(with_header("{}      ")), "");
  for (const std::string& tail :
       {"\n"s, "\t "s, "\0"s, " \0 "s, "x"s, "{}"s, "PK\3\4"s, "\x80\2c__builtin__\neval\n."s, "]"s}) {
    EXPECT_THAT(refusal(with_header("{}" + tail)), StartsWith("E3")) << quoted(tail);
    EXPECT_THAT(refusal(with_header("{}" + tail + "}")), StartsWith("E3")) << quoted(tail);
    EXPECT_THAT(refusal(with_header("{} " + tail + " {}")), StartsWith("E3")) << quoted(tail);
  }
}

TEST(Safetensors, A10_BytesAfterTheLastTensor) {
  EXPECT_THAT(refusal(with_header(kGood, 35)),
              AllOf(StartsWith("E3101"), HasSubstr("3 bytes after the last tensor")));
  EXPECT_THAT(refusal(with_header("{}", 1)), HasSubstr("1 bytes after the last tensor"));
}

TEST(Safetensors, A11_Holes) {
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "[8]", "[8,16]", 16)),
              AllOf(StartsWith("E3101"), HasSubstr("bytes 0 to 8 belong to no tensor")));
  const std::string between = with_header(
      R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})",
      9);
  EXPECT_THAT(refusal(between), HasSubstr("bytes 4 to 5 belong to no tensor"));
}

TEST(Safetensors, A12_TenThousandTensorsOnOneRange) {
  std::string header = "{";
  for (int i = 0; i < 10000; ++i)
    header += fmt::format(R"({}"t{}":{{"dtype":"U8","shape":[1048576],"data_offsets":[0,1048576]}})",
                          i ? "," : "", i);
  const std::string file = with_header(header + "}", 1 << 20);
  const double growth =
      peak_growth([&] { EXPECT_THAT(refusal(file), AllOf(StartsWith("E3101"), HasSubstr("overlap"))); });
  EXPECT_LT(growth, bound(100));
}

TEST(Safetensors, A13_EndBeforeBegin) {
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "[8]", "[8,0]", 8)),
              AllOf(StartsWith("E3101"), HasSubstr("end before they begin")));
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "[1]", "[18446744073709551615,0]", 1)), StartsWith("E3101"));
}

TEST(Safetensors, A14_OffsetsAndDimensionsMustBeWholeNumbers) {
  for (const char* number :
       {"-1", "-0", "1e3", "8.0", "\"0\"", "18446744073709551616", "null", "true", "[0]", "{}"}) {
    EXPECT_THAT(
        refusal(one_tensor("\"U8\"", "[8]", fmt::format("[{},8]", number), 8)),
        AllOf(StartsWith("E3101"), HasSubstr("tensor \"w\""), HasSubstr("whole numbers of at least 0")))
        << number;
    EXPECT_THAT(refusal(one_tensor("\"U8\"", fmt::format("[{}]", number), "[0,8]", 8)), StartsWith("E3101"))
        << number;
  }
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "[8]", "[0]", 8)), HasSubstr("has 1 numbers and needs two"));
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "[8]", "[0,8,8]", 8)), HasSubstr("more than two numbers"));
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "[8]", "8", 8)), HasSubstr("data_offsets is a number"));
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "8", "[0,8]", 8)), HasSubstr("shape is a number"));
  EXPECT_THAT(refusal(one_tensor("8", "[8]", "[0,8]", 8)), HasSubstr("dtype is a number"));
}

TEST(Safetensors, A15_AShapeWhoseProductOverflowsToTheRightSize) {
  EXPECT_THAT(refusal(one_tensor("\"F32\"", "[4194305,4194305,211106198978564]", "[0,16]", 16)),
              AllOf(StartsWith("E3101"),
                    HasSubstr("the product of shape [4194305, 4194305, 211106198978564] exceeds 2^63")));
  EXPECT_THAT(refusal(one_tensor("\"F64\"", "[2305843009213693952]", "[0,0]", 0)),
              HasSubstr("more than 2^64"));
  EXPECT_THAT(refusal(one_tensor("\"U8\"", "[9223372036854775808]", "[0,0]", 0)), HasSubstr("exceeds 2^63"));
}

TEST(Safetensors, A16_AZeroDoesNotHideAnOverflow) {
  EXPECT_THAT(refusal(one_tensor("\"F32\"", "[1099511627776,0,1099511627776]", "[0,0]", 0)),
              HasSubstr("exceeds 2^63"));
  EXPECT_EQ(refusal(one_tensor("\"F32\"", "[1099511627776,0,2]", "[0,0]", 0)), "");
}

TEST(Safetensors, A17_ShapeAndOffsetsDisagree) {
  EXPECT_THAT(
      refusal(one_tensor("\"F32\"", "[1048576]", "[0,4]", 4)),
      AllOf(StartsWith("E3101"), HasSubstr("[0, 4] hold 4 bytes, and shape [1048576] of F32 needs 4194304")));
}

TEST(Safetensors, A18_EmptyTensorsAliasNothing) {
  const auto beside = [](const char* empty) {
    return with_header(
        fmt::format(
            R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},"e":{{"dtype":"U8","shape":[0],"data_offsets":{}}}}})",
            empty),
        4);
  };
  EXPECT_EQ(refusal(beside("[0,0]")), "");
  EXPECT_EQ(refusal(beside("[4,4]")), "");
  EXPECT_THAT(refusal(beside("[2,2]")), HasSubstr("overlap"));
  EXPECT_THAT(refusal(beside("[0,4]")), StartsWith("E3101"));
  EXPECT_THAT(refusal(beside("[5,5]")), HasSubstr("hole"));
}

TEST(Safetensors, A19_DuplicateNamesWithBothPlaces) {
  const std::string header =
      R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  EXPECT_THAT(refusal(with_header(header, 8)),
              AllOf(StartsWith("E3101"), HasSubstr("byte 53: duplicate key \"w\", which is also at byte 1")));
}

TEST(Safetensors, A20_DuplicateInnerKeysAndMetadata) {
  const std::string tail = R"("dtype":"U8","data_offsets":[0,0]}})";
  EXPECT_THAT(refusal(with_header(R"({"w":{"shape":[0],"shape":[9],)" + tail)),
              HasSubstr("duplicate key \"shape\""));
  EXPECT_THAT(refusal(with_header(R"({"w":{"shape":[0],"dtype":"F32",)" + tail)),
              HasSubstr("duplicate key \"dtype\""));
  EXPECT_THAT(refusal(with_header(R"({"__metadata__":{},"__metadata__":{}})")),
              HasSubstr("duplicate key \"__metadata__\""));
  EXPECT_THAT(refusal(with_header(R"({"__metadata__":{"a":"1","a":"2"}})")),
              HasSubstr("duplicate key \"a\" in __metadata__"));
}

TEST(Safetensors, A21_NamesEqualOnlyUnescaped) {
  const std::string header =
      R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0077":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})";
  EXPECT_THAT(refusal(with_header(header)), HasSubstr("duplicate key \"w\""));
  EXPECT_THAT(refusal(with_header(R"({"__metadata__":{},"\u005f_metadata__":{}})")),
              HasSubstr("duplicate key"));
}

TEST(Safetensors, A22_UnknownTypesAreNamedWithThoseThatAreRead) {
  for (const char* type : {"F128", "f32", "F8_E5M2", "F8_E4M3", "F4", "", "F32 ", "U16", "C64"}) {
    const std::string file = one_tensor(fmt::format("\"{}\"", type), "[0]", "[0,0]", 0);
    EXPECT_THAT(refusal(file),
                AllOf(StartsWith("E3101"), HasSubstr(fmt::format("dtype \"{}\" is not one of", type)),
                      HasSubstr("I64, F64, F32, I32, BF16, F16, I16, I8, U8, BOOL")));
  }
  const std::pair<const char*, int> known[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                               {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};
  for (const auto& [type, size] : known)
    EXPECT_EQ(
        refusal(one_tensor(fmt::format("\"{}\"", type), "[3]", fmt::format("[0,{}]", 3 * size), 3 * size)),
        "");
}

std::string many_tensors(int count) {
  std::string header = "{";
  for (int i = 0; i < count; ++i)
    fmt::format_to(std::back_inserter(header),
                   R"({}"t{}":{{"dtype":"U8","shape":[1,1],"data_offsets":[{},{}]}})", i ? "," : "", i, i,
                   i + 1);
  return with_header(header + "}", static_cast<std::size_t>(count));
}

TEST(Safetensors, A24_AMillionTensorsInLinearTimeAndNotOneMore) {
  const int million = kSanitized ? 50'000 : 1'000'000;
  Limits limits;
  limits.tensors = static_cast<std::uint64_t>(million);
  const std::string file = many_tensors(million);
  const double size = static_cast<double>(file.size()) / (1 << 20);
  double seconds = 0;
  const double growth =
      peak_growth([&] { seconds = cpu_seconds([&] { EXPECT_EQ(refusal(file, limits), ""); }); });
  RecordProperty("seconds", std::to_string(seconds));
  RecordProperty("mebibytes", std::to_string(growth));
  EXPECT_LT(seconds, bound(2));
  EXPECT_LT(growth, bound(64 + 2 * size));
  EXPECT_THAT(refusal(many_tensors(million + 1), limits),
              AllOf(StartsWith("E5004"), HasSubstr("tensors allowed")));
  EXPECT_EQ(Limits().tensors, 1'000'000u);
}

TEST(Safetensors, A24_TensorsInReverseOrderTakeNoLonger) {
  const int count = kSanitized ? 10'000 : 200'000;
  std::string header = "{";
  for (int i = count; i-- > 0;)
    fmt::format_to(std::back_inserter(header),
                   R"("t{}":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}}{})", i, i, i + 1,
                   i ? "," : "}");
  const std::string file = with_header(header, static_cast<std::size_t>(count));
  const double seconds = cpu_seconds([&] { EXPECT_EQ(refusal(file), ""); });
  EXPECT_LT(seconds, bound(0.6));
}

TEST(Safetensors, A25_RanksUpToEightAndScalars) {
  const auto of_rank = [](int rank) {
    std::string shape = "[";
    for (int i = 0; i < rank; ++i) shape += i ? ",1" : "1";
    return one_tensor("\"U8\"", shape + "]", "[0,1]", 1);
  };
  for (int rank = 0; rank <= 8; ++rank) EXPECT_EQ(refusal(of_rank(rank)), "");
  EXPECT_THAT(refusal(of_rank(9)),
              AllOf(StartsWith("E5002"), HasSubstr("more than the 8 dimensions allowed")));
  EXPECT_THAT(refusal(of_rank(65)), StartsWith("E5002"));
  Limits generous;
  generous.rank = 100;  // what is fixed stays fixed
  EXPECT_THAT(refusal(of_rank(65), generous), StartsWith("E5002"));
}

TEST(Safetensors, A26_DepthIsNoMatterOfTheStack) {
  const std::string deep(100000, '[');
  EXPECT_THAT(refusal(with_header(R"({"__metadata__":{"a":)" + deep + "}}")),
              AllOf(StartsWith("E3101"), HasSubstr("where a string must be")));
  EXPECT_THAT(refusal(with_header(R"({"w":)" + deep + "}")), StartsWith("E3101"));
  EXPECT_THAT(refusal(one_tensor("\"U8\"", deep, "[0,0]", 0)), StartsWith("E3101"));
}

TEST(Safetensors, A27_MetadataAreStringsOfBoundedSize) {
  for (const char* value : {"1", "-1", "1.5", "null", "true", "[]", "{}"})
    EXPECT_THAT(refusal(with_header(fmt::format(R"({{"__metadata__":{{"a":{}}}}})", value))),
                AllOf(StartsWith("E3101"), HasSubstr("where a string must be")));
  EXPECT_THAT(refusal(with_header(R"({"__metadata__":"x"})")), StartsWith("E3101"));
  const std::string file = with_header(R"({"__metadata__":{"a":")" + std::string(90'000'000, 'x') + "\"}}");
  const double growth = peak_growth([&] { EXPECT_THAT(refusal(file), StartsWith("E5002")); });
  EXPECT_LT(growth, bound(64));
  std::string many = R"({"__metadata__":{)";
  for (int i = 0; i < 3; ++i)
    many += fmt::format(R"({}"k{}":"{}")", i ? "," : "", i, std::string(500'000, 'x'));
  EXPECT_THAT(refusal(with_header(many + "}}")), AllOf(StartsWith("E5002"), HasSubstr("__metadata__")));
}

TEST(Safetensors, A28_NamesAreKeysAndNothingElse) {
  const auto named = [](const std::string& name) {
    return with_header("{\"" + name + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})");
  };
  for (const char* name : {"", "a\\u0000b", "a\\nb", "\\u001b[31m", "../../x", "/etc/passwd"})
    EXPECT_EQ(refusal(named(name)), "");
  EXPECT_EQ(refusal(named(std::string(1024, 'n'))), "");
  EXPECT_THAT(refusal(named(std::string(1025, 'n'))),
              AllOf(StartsWith("E3101"), HasSubstr("a name of 1025 bytes, and at most 1024")));
  const std::string message = refusal(named(std::string(1 << 20, 'n')));
  EXPECT_THAT(message, StartsWith("E3101"));
  EXPECT_LT(message.size(), 300u);
  const std::string steering = refusal(with_header(R"({"\u001b[31m\n":{"dtype":"F128"}})"));
  EXPECT_THAT(steering, HasSubstr("\"\\x1b[31m\\x0a\""));
}

TEST(Safetensors, A31_CutShortInTheData) {
  EXPECT_THAT(refusal(with_header(kGood, 27)),
              AllOf(StartsWith("E3101"), HasSubstr("5 bytes of data are missing (it has 27 of 32)")));
}

TEST(Safetensors, A37_AByteSwappedLength) {
  const std::string file = with_header(kGood, 32);
  std::string swapped = file;
  std::reverse(swapped.begin(), swapped.begin() + 8);
  EXPECT_THAT(refusal(swapped), AllOf(StartsWith("E3101"), HasSubstr("looks byte-swapped")));
}

TEST(Safetensors, C17_OtherFormatsAreCalledByTheirNames) {
  using namespace std::string_literals;
  const std::string rest(100, '\xFF');
  EXPECT_THAT(refusal("GGUF\3\0\0\0"s + rest), HasSubstr("looks like GGUF"));
  EXPECT_THAT(refusal("PK\3\4\0\0\x08\x08"s + rest), HasSubstr("zip archive"));
  EXPECT_THAT(refusal("\x80\2\x8a\x0al\xfc\x9c\x46"s + rest), HasSubstr("pickle"));
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
              HasSubstr("Git LFS pointer"));
}

TEST(Safetensors, UnknownAndMissingKeysOfATensorAreRefused) {
  EXPECT_THAT(refusal(with_header(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})")),
              HasSubstr("unknown key \"x\""));
  EXPECT_THAT(refusal(with_header(R"({"w":{"dtype":"U8","shape":[0]}})")), HasSubstr("has no data_offsets"));
  EXPECT_THAT(refusal(with_header(R"({"w":{"dtype":"U8","data_offsets":[0,0]}})")),
              HasSubstr("has no shape"));
  EXPECT_THAT(refusal(with_header(R"({"w":{"shape":[0],"data_offsets":[0,0]}})")), HasSubstr("has no dtype"));
  EXPECT_THAT(refusal(with_header(R"({"w":{}})")), HasSubstr("tensor \"w\": has no dtype"));
  EXPECT_THAT(refusal(with_header(R"({"w":[]})")), HasSubstr("an array where an object must be"));
  EXPECT_THAT(refusal(with_header(R"({"w":1})")), HasSubstr("a number where an object must be"));
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string file = with_header(kGood, 32);
  ASSERT_EQ(refusal(file), "");
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_THAT(refusal(file.substr(0, size)), StartsWith("E3")) << size;
}

TEST(Safetensors, EveryByteOfTheMetadataWithEveryValueNeverHarms) {
  const std::string file = with_header(kGood, 32);
  int accepted = 0;
  for (std::size_t at = 0; at < file.size() - 32; ++at) {
    for (int value = 0; value < 256; value += kSanitized ? 5 : 1) {
      std::string changed = file;
      changed[at] = static_cast<char>(value);
      try {
        const SafetensorsHeader header = parse_safetensors(as_bytes(changed), "f");
        ++accepted;
        std::uint64_t covered = 0;
        for (const TensorInfo& t : header.tensors) {
          ASSERT_EQ(t.begin, covered);
          covered = t.end;
          ASSERT_EQ(header.find(t.name), &t);
        }
        ASSERT_EQ(header.data_begin + covered, changed.size());
      } catch (const Error& error) {
        const int code = static_cast<int>(error.code()) / 1000;
        ASSERT_TRUE(code == 3 || code == 5) << error.what();
      }
    }
  }
  EXPECT_GT(accepted, 0);  // a changed letter of a name, for one, is another good file
}

}  // namespace
}  // namespace glossa
