// The cases B01 to B19, B25 and B27: what a hostile file gets, and that honest ones are read.
#include "checkpoint/gguf.h"

#include <gmock/gmock.h>

#include "files.h"
#include "gguf_files.h"

namespace glossa {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kFloats24 = all_of(std::vector<float>{1, 2, 3, 4, 5, 6});

GgufBytes small() {
  GgufBytes g;
  g.text("general.architecture", "llama").key("llama.block_count", kU32, u32(2));
  g.tensor("a.weight", {3, 2}, kTensorF32, kFloats24).tensor("b", {4}, kTensorF16, std::string(8, '\1'));
  return g;
}

// ---- honest files ----

TEST(Gguf, ReadsKeysTensorsAndTheirPlaces) {
  for (const std::uint32_t version : {2u, 3u}) {
    GgufBytes g = small();
    g.version = version;
    const GgufHeader header = parse_gguf(as_bytes(g.file()), "f");
    EXPECT_EQ(header.version, version);
    EXPECT_EQ(header.metadata.text("general.architecture"), "llama");
    EXPECT_EQ(header.metadata.integer("llama.block_count"), 2);
    EXPECT_EQ(header.alignment, 32u);
    EXPECT_EQ(header.data_begin % 32, 0u);
    ASSERT_EQ(header.tensors.size(), 2u);
    const GgufTensorInfo &a = header.tensors[0], &b = header.tensors[1];
    EXPECT_EQ(a.name, "a.weight");
    EXPECT_THAT(a.shape(),
                ElementsAre(2, 3));  // the file says [3, 2]: the last dimension is the dense one here
    EXPECT_EQ(name_of(a.type), "F32");
    EXPECT_EQ(a.begin, 0u);
    EXPECT_EQ(a.bytes, 24u);
    EXPECT_EQ(a.elements(), 6u);
    EXPECT_EQ(name_of(b.type), "F16");
    EXPECT_EQ(b.begin, 32u);
    EXPECT_EQ(b.bytes, 8u);
  }
}

TEST(Gguf, FilesWithoutTensorsOrKeysAreFiles) {
  EXPECT_EQ(gguf_refusal(GgufBytes().header()), "");
  EXPECT_EQ(gguf_refusal(GgufBytes().file()), "");
  EXPECT_EQ(gguf_refusal(GgufBytes().text("a", "b").header()), "");
}

TEST(Gguf, TheLastPaddingMayBeThereOrNot) {
  GgufBytes g = small();
  EXPECT_EQ(gguf_refusal(g.file()), "");
  for (std::size_t size = g.data.size(); size <= 64; ++size)
    EXPECT_EQ(gguf_refusal(GgufBytes(g).file() + std::string(size - g.data.size(), '\0')), "") << size;
}

// ---- B: hostile files ----

TEST(Gguf, B01_MagicAndVersion) {
  EXPECT_THAT(gguf_refusal(""), AllOf(StartsWith("E3004"), HasSubstr("file is empty")));
  const std::string good = small().file();
  for (const std::string& magic : {"GGML"s, "gguf"s, "FUGG"s, "PK\3\4"s, "GGU"s, "\0\0\0\0"s})
    EXPECT_THAT(gguf_refusal(magic + good.substr(4)),
                AllOf(StartsWith("E3105"), HasSubstr("begins with \"GGUF\"")));
  for (const std::uint32_t version : {0u, 1u, 4u, 0xFFFFFFFFu})
    EXPECT_THAT(
        gguf_refusal("GGUF" + u32(version) + good.substr(8)),
        AllOf(StartsWith("E3105"), HasSubstr(fmt::format("version {}, and 2 and 3 are read", version))));
  for (const std::uint32_t version : {0x02000000u, 0x03000000u})
    EXPECT_THAT(gguf_refusal("GGUF" + u32(version) + good.substr(8)), HasSubstr("byte-swapped"));
}

TEST(Gguf, EveryCutOfAHeaderIsRefused) {
  const std::string good = small().file(), header = small().header();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_THAT(gguf_refusal(good.substr(0, size)), StartsWith("E3")) << size;
  for (std::size_t at = 0; at < header.size(); ++at)
    for (const char flip : {'\x01', '\x80', '\xFF'}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      gguf_refusal(bad);  // read or refused; nothing else
    }
}

TEST(Gguf, B02_HugeCounts) {
  for (const std::uint64_t n :
       {UINT64_MAX, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1, UINT64_MAX / 33})
    for (const bool keys : {false, true}) {
      GgufBytes g = small();
      (keys ? g.claimed_keys : g.claimed_tensors) = n;
      const double growth = peak_growth([&] {
        EXPECT_THAT(gguf_refusal(g.file()), AllOf(StartsWith("E3105"), HasSubstr("need at least")));
      });
      EXPECT_LT(growth, bound(8));
    }
}

TEST(Gguf, B03_ABillionTensorsInAKilobyte) {
  GgufBytes g = small();
  g.claimed_tensors = 1'000'000'000;
  EXPECT_THAT(gguf_refusal(g.file()),
              HasSubstr(fmt::format("1000000000 tensors and 2 keys need at least 33000000028 "
                                    "bytes, and the file has {} left",
                                    g.file().size() - 24)));
  g = small();
  g.claimed_keys = 1'000'000'000;
  EXPECT_THAT(gguf_refusal(g.file()),
              HasSubstr("2 tensors and 1000000000 keys need at least 14000000066 bytes"));
}

TEST(Gguf, CountsHaveLimits) {
  EXPECT_THAT(gguf_refusal(small().file(), {.tensors = 1}),
              AllOf(StartsWith("E5004"), HasSubstr("2 tensors, and at most 1")));
  EXPECT_THAT(gguf_refusal(small().file(), {.gguf_keys = 1}),
              AllOf(StartsWith("E5004"), HasSubstr("2 keys, and at most 1")));
  EXPECT_THAT(gguf_refusal(small().file(), {.gguf_header_bytes = 100}),
              AllOf(StartsWith("E5002"), HasSubstr("exceed the 100 bytes allowed")));
}

TEST(Gguf, B04_LengthsOfKeysPastTheFile) {
  for (const std::uint64_t n : {UINT64_MAX, UINT64_MAX - 7, std::uint64_t{1} << 63, std::uint64_t{1000}}) {
    GgufBytes g;
    g.keys = u64(n) + "x" + u32(kU8) + "1";
    g.key_count = 1;
    EXPECT_THAT(gguf_refusal(g.file()), AllOf(StartsWith("E3105"), HasSubstr("byte 32: a key needs"))) << n;
  }
}

TEST(Gguf, B05_AStringOfATebibyte) {
  const double growth = peak_growth([] {
    const std::string file = GgufBytes().key("k", kString, u64(std::uint64_t{1} << 40) + "x").file();
    EXPECT_THAT(gguf_refusal(file),
                AllOf(StartsWith("E3105"), HasSubstr("the value of \"k\" needs 1099511627776 bytes")));
  });
  EXPECT_LT(growth, bound(8));
}

TEST(Gguf, B06_ArraysOfTooManyOfArraysAndOfNothing) {
  for (const std::uint32_t type : {kU8, kString, kF64, kBool})
    EXPECT_THAT(gguf_refusal(GgufBytes().array("k", type, std::uint64_t{1} << 60, "abc").file()),
                AllOf(StartsWith("E3105"), HasSubstr("the value of \"k\" needs")));
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += u32(kArray) + u64(1);
  EXPECT_THAT(gguf_refusal(GgufBytes().key("k", kArray, nested + u32(kU8) + u64(1) + "x").file()),
              AllOf(StartsWith("E3105"), HasSubstr("\"k\" is an array of arrays")));
  for (const std::uint32_t type : {13u, 255u, 0xFFFFFFFFu})
    EXPECT_THAT(
        gguf_refusal(GgufBytes().array("k", type, 0, "").file()),
        AllOf(StartsWith("E3105"), HasSubstr(fmt::format("the type of the elements of \"k\" is {}", type))));
}

TEST(Gguf, B06_StringsOfAnArrayPastTheFile) {
  EXPECT_THAT(gguf_refusal(GgufBytes().array("k", kString, 2, counted("ab") + u64(UINT64_MAX)).file()),
              AllOf(StartsWith("E3105"), HasSubstr("the value of \"k\" needs 18446744073709551615 bytes")));
}

TEST(Gguf, B07_CountTimesSizeWraps) {
  for (const std::uint64_t count : {UINT64_MAX / 8 + 1, (std::uint64_t{1} << 61) + 1, UINT64_MAX})
    EXPECT_THAT(gguf_refusal(GgufBytes().array("k", kU64, count, std::string(64, 'x')).file()),
                AllOf(StartsWith("E3105"), HasSubstr("needs 2^64 or more bytes")))
        << count;
}

TEST(Gguf, B08_KeysThatAreNone) {
  EXPECT_THAT(gguf_refusal(GgufBytes().text("", "x").file()),
              AllOf(StartsWith("E3105"), HasSubstr("an empty key")));
  EXPECT_THAT(gguf_refusal(GgufBytes().text("a", "x").text("b", "x").text("a", "y").file()),
              AllOf(StartsWith("E3105"), HasSubstr("duplicate key \"a\"")));
  for (const std::string& key : {"\xFF"s, "a\xC0\xAF"s, "\xED\xA0\x80"s})
    EXPECT_THAT(gguf_refusal(GgufBytes().text(key, "x").file()),
                AllOf(StartsWith("E3105"), HasSubstr("is not UTF-8")));
  EXPECT_EQ(gguf_refusal(GgufBytes().text(std::string(65'535, 'k'), "x").file()), "");
  EXPECT_THAT(gguf_refusal(GgufBytes().text(std::string(65'536, 'k'), "x").file()),
              AllOf(StartsWith("E3105"), HasSubstr("a key of 65536 bytes, and at most 65535")));
}

TEST(Gguf, B09_TypesOfValuesThatThereAreNot) {
  for (const std::uint32_t type : {13u, 14u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu})
    EXPECT_THAT(gguf_refusal(GgufBytes().key("k", type, "xxxxxxxx").file()),
                AllOf(StartsWith("E3105"), HasSubstr(fmt::format("the type of \"k\" is {}", type))));
  EXPECT_THAT(gguf_refusal(GgufBytes().key("k", kBool, "\2").file()), HasSubstr("a truth value of 2"));
  EXPECT_THAT(gguf_refusal(GgufBytes().array("k", kBool, 3, "\0\1\3"s).file()),
              HasSubstr("a truth value of 3"));
}

TEST(Gguf, B10_Alignments) {
  for (const std::uint32_t alignment : {0u, 1u, 3u, 4u, 13u, 24u, 131'072u, 0x80000000u})
    EXPECT_THAT(
        gguf_refusal(small().key("general.alignment", kU32, u32(alignment)).file()),
        AllOf(StartsWith("E3105"), HasSubstr(fmt::format("is {}, and must be a power of two", alignment))));
  EXPECT_THAT(gguf_refusal(small().key("general.alignment", kI32, u32(32)).file()),
              HasSubstr("is of type INT32"));
  EXPECT_THAT(gguf_refusal(small().text("general.alignment", "32").file()), HasSubstr("is of type STRING"));
  for (const std::uint32_t alignment : {8u, 64u, 4096u}) {
    GgufBytes g;
    g.alignment = alignment;
    g.key("general.alignment", kU32, u32(alignment));
    g.tensor("a", {3}, kTensorF32, std::string(12, 'x')).tensor("b", {3}, kTensorF32, std::string(12, 'x'));
    const GgufHeader header = parse_gguf(as_bytes(g.file()), "f");
    EXPECT_EQ(header.alignment, alignment);
    EXPECT_EQ(header.tensors[1].begin, alignment == 8 ? 16u : alignment);
  }
}

TEST(Gguf, B11_NumbersOfDimensions) {
  for (const std::uint32_t rank : {0u, 5u, 8u, 9u, 0xFFFFFFFFu}) {
    GgufBytes g;
    g.tensors = counted("w") + u32(rank);
    for (int i = 0; i < 9; ++i) g.tensors += u64(1);
    g.tensors += u32(kTensorF32) + u64(0);
    g.tensor_count = 1;
    EXPECT_THAT(
        gguf_refusal(g.file() + "xxxx"),
        AllOf(StartsWith("E3105"), HasSubstr(fmt::format("\"w\" has {} dimensions, and 1 to 4", rank))));
  }
  EXPECT_EQ(gguf_refusal(GgufBytes().tensor("w", {1, 1, 1, 2}, kTensorF32, "xxxxxxxx").file()), "");
}

TEST(Gguf, B12_DimensionsOfZero) {
  for (const std::vector<std::uint64_t>& dims : {std::vector<std::uint64_t>{0}, {0, 5}, {5, 0}, {1, 1, 0, 1}})
    EXPECT_THAT(gguf_refusal(GgufBytes().tensor("w", dims, kTensorF32, "").file()),
                AllOf(StartsWith("E3105"), HasSubstr("has a dimension of 0")));
}

TEST(Gguf, B13_ProductsThatWrap) {
  const std::uint64_t big = (std::uint64_t{1} << 42) + 1;
  for (const std::vector<std::uint64_t>& dims : {std::vector<std::uint64_t>{big, std::uint64_t{1} << 22},
                                                 {std::uint64_t{1} << 32, std::uint64_t{1} << 32},
                                                 {std::uint64_t{1} << 62, 2, 2, 1}})
    EXPECT_THAT(gguf_refusal(GgufBytes().tensor("w", dims, kTensorF32, "xxxx").file()),
                AllOf(StartsWith("E3105"), HasSubstr("exceeds 2^63")));
  EXPECT_THAT(gguf_refusal(GgufBytes().tensor("w", {std::uint64_t{1} << 61, 2}, kTensorF32, "xxxx").file()),
              AllOf(StartsWith("E3105"), HasSubstr("needs 2^64 or more bytes")));
  for (const std::uint64_t dim : {UINT64_MAX, std::uint64_t{1} << 63})
    EXPECT_THAT(gguf_refusal(GgufBytes().tensor("w", {dim}, kTensorF32, "xxxx").file()),
                HasSubstr("has a dimension of"));
}

TEST(Gguf, B14_SumsThatWrap) {
  GgufBytes g;
  g.line("a", {std::uint64_t{1} << 60}, kTensorF32, 0);
  g.line("b", {std::uint64_t{1} << 60}, kTensorF32, std::uint64_t{1} << 62);
  g.line("c", {std::uint64_t{1} << 60}, kTensorF32, std::uint64_t{1} << 63);
  g.line("d", {std::uint64_t{1} << 60}, kTensorF32, std::uint64_t{3} << 62);
  g.line("e", {4}, kTensorF32, 0);
  EXPECT_THAT(gguf_refusal(g.file() + std::string(16, 'x')),
              AllOf(StartsWith("E3105"), HasSubstr("cut short: tensor \"a\"")));
}

TEST(Gguf, B15_SizesWhosePaddingWraps) {
  EXPECT_THAT(gguf_refusal(GgufBytes().line("a", {INT64_MAX}, 24, 0).file() + "x"), HasSubstr("cut short"));
  EXPECT_THAT(gguf_refusal(GgufBytes().tensor("a", {1}, 24, "x").line("b", {1}, 24, UINT64_MAX - 31).file()),
              HasSubstr("offset 18446744073709551584 leaves a hole"));
}

TEST(Gguf, B16_RowsThatDoNotFillBlocks) {
  EXPECT_THAT(
      gguf_refusal(GgufBytes().tensor("w", {48, 2}, kTensorQ4_0, std::string(54, 'x')).file()),
      AllOf(StartsWith("E3105"), HasSubstr("rows of 48 elements do not fill the blocks of 32 of Q4_0")));
  EXPECT_THAT(gguf_refusal(GgufBytes().tensor("w", {2, 256}, kTensorQ4_K, std::string(288, 'x')).file()),
              HasSubstr("rows of 2 elements do not fill the blocks of 256 of Q4_K"));
  EXPECT_EQ(gguf_refusal(GgufBytes().tensor("w", {64, 2}, kTensorQ4_0, std::string(72, 'x')).file()), "");
}

TEST(Gguf, B17_OffsetsThatLie) {
  const auto file = [](std::uint64_t first, std::uint64_t second) {
    GgufBytes g;
    g.line("a", {8}, kTensorF32, first).line("b", {8}, kTensorF32, second);
    return g.file() + std::string(64, 'x');
  };
  EXPECT_EQ(gguf_refusal(file(0, 32)), "");
  EXPECT_THAT(gguf_refusal(file(0, 33)), HasSubstr("offset 33 is not a multiple of the alignment 32"));
  EXPECT_THAT(gguf_refusal(file(0, 0)), HasSubstr("offset 0 lies within or before another tensor"));
  EXPECT_THAT(gguf_refusal(file(32, 0)), HasSubstr("\"a\": offset 32 leaves a hole"));
  EXPECT_THAT(gguf_refusal(file(0, 64)), HasSubstr("offset 64 leaves a hole"));
  EXPECT_THAT(gguf_refusal(file(0, std::uint64_t{1} << 62)), HasSubstr("leaves a hole"));
  GgufBytes g;
  g.line("a", {8}, kTensorF32, 0).line("b", {16}, kTensorF32, 32);
  EXPECT_THAT(
      gguf_refusal(g.file() + std::string(64, 'x')),
      HasSubstr("cut short: tensor \"b\" needs 64 bytes from byte 32 of the data on, and there are 32"));
}

TEST(Gguf, B18_RemovedAndUnknownTypes) {
  for (const std::uint32_t type : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u})
    EXPECT_THAT(gguf_refusal(GgufBytes().tensor("w", {32}, type, std::string(20, 'x')).file()),
                AllOf(StartsWith("E3105"), HasSubstr("was removed from the format")))
        << type;
  for (const std::uint32_t type : {43u, 255u, 256u, 0x80000000u, 0xFFFFFFFFu})
    EXPECT_THAT(
        gguf_refusal(GgufBytes().tensor("w", {32}, type, std::string(20, 'x')).file()),
        AllOf(StartsWith("E3105"), HasSubstr(fmt::format("has type {}, and ggml's go from 0 to 42", type))));
}

TEST(Gguf, B19_NamesOfTensors) {
  const auto named = [](const std::string& name) {
    return gguf_refusal(GgufBytes().tensor(name, {1}, kTensorF32, "xxxx").file());
  };
  EXPECT_EQ(named(std::string(63, 'n')), "");
  EXPECT_THAT(named(std::string(64, 'n')),
              AllOf(StartsWith("E3105"), HasSubstr("a tensor's name of 64 bytes")));
  EXPECT_THAT(named(std::string(100'000, 'n')), HasSubstr("a tensor's name of 100000 bytes"));
  EXPECT_THAT(named(""), HasSubstr("without a name"));
  EXPECT_THAT(named("a\0b"s), HasSubstr("holds a zero byte"));
  EXPECT_THAT(named("a\xFF"), HasSubstr("is not UTF-8"));
  EXPECT_EQ(named("../../\x1B[31m"), "");
  GgufBytes g;
  g.tensor("a", {1}, kTensorF32, "xxxx")
      .tensor("b", {1}, kTensorF32, "xxxx")
      .tensor("a", {1}, kTensorF32, "xxxx");
  EXPECT_THAT(gguf_refusal(g.file()), HasSubstr("tensors 0 and 2 have the same name \"a\""));
}

TEST(Gguf, B25_BytesBehindTheTensors) {
  const std::string good = small().file() + std::string(24, '\0');
  EXPECT_THAT(gguf_refusal(good + "x"),
              AllOf(StartsWith("E3105"), HasSubstr("1 bytes after the last tensor")));
  EXPECT_THAT(gguf_refusal(good + good),
              HasSubstr(fmt::format("{} bytes after the last tensor", good.size())));
  EXPECT_THAT(gguf_refusal(GgufBytes().file() + "x"), HasSubstr("1 bytes after the last tensor"));
  EXPECT_THAT(gguf_refusal(GgufBytes().header() + std::string(41, '\0')),
              HasSubstr("33 bytes after the last tensor"));
}

TEST(Gguf, B27_DataShorterThanDeclared) {
  const std::string good = GgufBytes().tensor("w", {256, 4}, kTensorQ8_0, std::string(1088, 'x')).file();
  EXPECT_EQ(gguf_refusal(good), "");
  EXPECT_THAT(
      gguf_refusal(good.substr(0, good.size() - 1)),
      AllOf(StartsWith("E3105"),
            HasSubstr(
                "cut short: tensor \"w\" needs 1088 bytes from byte 0 of the data on, and there are 1087")));
}

TEST(Gguf, ManyTensorsAreReadInLinearTime) {
  GgufBytes g;
  for (int i = 0; i < 200'000; ++i)
    g.line(fmt::format("blk.{}.weight", i), {1}, 24, static_cast<std::uint64_t>(i) * 32);
  const std::string file = g.file() + std::string(32 * 200'000, 'x');
  const double seconds = cpu_seconds([&] { EXPECT_EQ(gguf_refusal(file), ""); });
  EXPECT_LT(seconds, bound(1));
}

}  // namespace
}  // namespace glossa
