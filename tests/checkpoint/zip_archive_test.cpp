// Cases C13 to C16: zip archives, written field by field.
#include "checkpoint/zip_archive.h"

#include <gmock/gmock.h>

#include <functional>

#include "files.h"
#include "torch_files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

using Parts = std::vector<ZipPart>;

Parts two_parts() {
  return {{"f/a", "first"}, {"f/b", "second one"}};
}

// The refusal of an archive of two entries after a change.
std::string changed(const std::function<void(Parts&)>& change) {
  Parts parts = two_parts();
  change(parts);
  return zip_refusal(zip_of(parts));
}

std::string zip64_field(std::initializer_list<std::uint64_t> values) {
  std::string bytes = little(std::uint16_t{1}) + little(static_cast<std::uint16_t>(8 * values.size()));
  for (const std::uint64_t v : values) bytes += little(v);
  return bytes;
}

// A zip64 record and its locator, for a central directory of `size` bytes at `begin`.
std::string zip64_end(std::uint64_t count, std::uint64_t size, std::uint64_t begin, std::uint64_t record) {
  return "PK\6\6" + little(std::uint64_t{44}) + std::string(12, '\0') + little(count) + little(count) +
         little(size) + little(begin) + "PK\6\7" + std::string(4, '\0') + little(record) +
         little(std::uint32_t{1});
}

TEST(Zip, EntriesAreRangesOfTheArchive) {
  const std::string file = zip_of(two_parts());
  const ZipArchive archive(as_bytes(file), "a.zip");
  ASSERT_EQ(archive.entries().size(), 2u);
  ASSERT_NE(archive.find("f/b"), nullptr);
  EXPECT_EQ(as_text(archive.bytes_of(*archive.find("f/b"))), "second one");
  EXPECT_EQ(archive.bytes_of(*archive.find("f/a")).data(), as_bytes(file).data() + file.find("first"));
  EXPECT_EQ(archive.find("f/"), nullptr);
  EXPECT_NO_THROW(archive.check_crc(*archive.find("f/a")));
  EXPECT_EQ(ZipArchive(as_bytes(zip_of({})), "a.zip").entries().size(), 0u);
}

TEST(Zip, WhatIsWrittenIsReadAndAlignedAndTheSameEachTime) {
  const auto write = [] {
    std::string file;
    ZipWriter writer([&](Bytes bytes) { file += as_text(bytes); });
    for (int i = 0; i < 70'000; i += i < 200 ? 1 : 9'999)
      writer.add(fmt::format("f/{}", i), as_bytes(std::string(static_cast<std::size_t>(i), 'x')));
    writer.finish();
    return file;
  };
  const std::string file = write();
  const ZipArchive archive(as_bytes(file), "a.zip");
  EXPECT_GT(archive.entries().size(), 200u);
  for (const ZipArchive::Entry& entry : archive.entries()) {
    EXPECT_EQ(entry.begin % 64, 0u);
    EXPECT_EQ(std::to_string(entry.size), entry.name.substr(2));
    EXPECT_NO_THROW(archive.check_crc(entry));
  }
  EXPECT_EQ(write(), file);
}

TEST(Zip, ManyEntriesTakeLinearTime) {
  std::string file;
  ZipWriter writer([&](Bytes bytes) { file += as_text(bytes); });
  for (int i = 0; i < 100'000; ++i) writer.add(fmt::format("f/{}", i), {});
  writer.finish();
  const double seconds =
      cpu_seconds([&] { EXPECT_EQ(ZipArchive(as_bytes(file), "a.zip").entries().size(), 100'000u); });
  EXPECT_LT(seconds, bound(1));
  EXPECT_THAT(zip_refusal(file, {.zip_entries = 99'999}),
              AllOf(StartsWith("E5004"), HasSubstr("at most 99999")));
}

TEST(Zip, C13_TwoEntriesOfOneName) {
  EXPECT_THAT(changed([](Parts& p) { p[1].local.name = p[1].central.name = "f/a"; }),
              AllOf(StartsWith("E3106"), HasSubstr("\"f/a\": a second entry of this name")));
}

TEST(Zip, C13_NamesThatLeadOutOfTheArchive) {
  using namespace std::string_literals;
  for (const std::string& name : {"../../x"s, "/etc/passwd"s, "f/../x"s, "f/./x"s, "f//x"s, "f/"s, "."s,
                                  ".."s, "f\\x"s, "f/\0x"s, ""s, "f/\xFF"s, std::string(1025, 'x')})
    EXPECT_THAT(changed([&](Parts& p) { p[1].local.name = p[1].central.name = name; }),
                AllOf(StartsWith("E3106"), HasSubstr("name")))
        << name;
  EXPECT_EQ(changed([&](Parts& p) { p[1].local.name = p[1].central.name = "f/..x/10:30"; }), "");
}

TEST(Zip, C14_TheLocalHeaderSaysOtherwise) {
  for (const std::function<void(ZipHeader&)>& lie : std::initializer_list<std::function<void(ZipHeader&)>>{
           [](ZipHeader& h) { h.name = "f/c"; }, [](ZipHeader& h) { h.crc ^= 1; },
           [](ZipHeader& h) { h.method = 8; }, [](ZipHeader& h) { h.size -= 1, h.packed -= 1; },
           [](ZipHeader& h) { h.size += 1; }, [](ZipHeader& h) { h.flags = 1 << 11; }}) {
    EXPECT_THAT(changed([&](Parts& p) { lie(p[0].local); }),
                AllOf(StartsWith("E3106 a.zip: byte 0: \"f/a\""), HasSubstr("differ")));
    EXPECT_THAT(changed([&](Parts& p) { lie(p[0].central); }), StartsWith("E3106"));
  }
}

TEST(Zip, C14_HeadersThatAreNotWhereTheyAreSaidToBe) {
  for (const std::uint32_t offset : {1u, 37u, 10'000u, 0xFFFFFFFFu})
    EXPECT_THAT(changed([&](Parts& p) { p[1].offset = offset; }), StartsWith("E3106")) << offset;
  std::string file = zip_of(two_parts());
  file.replace(file.find("PK\1\2"), 4, "PK\1\3");
  EXPECT_THAT(zip_refusal(file), HasSubstr("no entry of the central directory"));
}

TEST(Zip, C15_CompressedEntriesAreRefusedUnread) {
  EXPECT_THAT(
      changed([](Parts& p) { p[1].local.method = p[1].central.method = 8; }),
      AllOf(StartsWith("E3106"), HasSubstr("\"f/b\": compressed (method 8): only stored entries are read")));
  // 42.zip: little that would become much
  EXPECT_THAT(changed([](Parts& p) {
                for (ZipHeader* h : {&p[1].local, &p[1].central}) h->method = 8, h->size = 4'000'000'000;
              }),
              HasSubstr("compressed"));
  EXPECT_THAT(changed([](Parts& p) {
                for (ZipHeader* h : {&p[1].local, &p[1].central}) h->size = 4'000'000'000;
              }),
              HasSubstr("sizes 10 and 4000000000 of a stored entry"));
}

TEST(Zip, C16_AWrongChecksum) {
  std::string file = zip_of(two_parts());
  file[file.find("second")] = 'S';
  const ZipArchive archive(as_bytes(file), "a.zip");
  EXPECT_NO_THROW(archive.check_crc(*archive.find("f/a")));
  EXPECT_THAT(error_of([&] { archive.check_crc(*archive.find("f/b")); }),
              AllOf(StartsWith("E3106"), HasSubstr("\"f/b\": its bytes have CRC")));
}

TEST(Zip, C16_FlagsOfEncryptionAndPatches) {
  for (const int bit : {0, 1, 2, 4, 5, 6, 12, 13, 15})
    EXPECT_THAT(changed([&](Parts& p) {
                  for (ZipHeader* h : {&p[0].local, &p[0].central})
                    h->flags = static_cast<std::uint16_t>(1 << bit);
                }),
                AllOf(StartsWith("E3106"), HasSubstr("encrypted or patched")))
        << bit;
}

TEST(Zip, C16_EntriesThatOverlapOrLeaveHoles) {
  // An entry within another's bytes, which is how a zip bomb says much with little.
  const ZipPart inner("f/a", "first");
  const std::string record = zip_of({inner}).substr(0, 38);
  EXPECT_EQ(zip_refusal(zip_of({{"f/b", record}, inner})), "");
  Parts parts = {{"f/b", record}, inner};
  parts[1].offset = 33;
  EXPECT_THAT(zip_refusal(zip_of(parts)),
              AllOf(StartsWith("E3106"), HasSubstr("what is before it ends at 71")));
  EXPECT_THAT(changed([](Parts& p) { p[1].offset = 0; }), StartsWith("E3106"));
  EXPECT_THAT(changed([](Parts& p) { p[0].behind = "hidden"; }),
              AllOf(HasSubstr("\"f/b\": begins here"), HasSubstr("ends at 38")));
  EXPECT_THAT(changed([](Parts& p) { p[1].behind = "hidden"; }),
              HasSubstr("6 bytes that belong to no entry"));
}

TEST(Zip, C16_AnEndThatIsNotTheLast) {
  const std::string file = zip_of(two_parts());
  EXPECT_THAT(zip_refusal(zip_of(two_parts(),
                                 {.before = {}, .comment = file, .count = {}, .size = {}, .offset = {}})),
              StartsWith("E3106"));
  EXPECT_THAT(
      zip_refusal(zip_of(two_parts(), {.before = {}, .comment = "x", .count = {}, .size = {}, .offset = {}})),
      HasSubstr("no end of a zip archive"));
  EXPECT_THAT(zip_refusal(file + "x"), HasSubstr("no end of a zip archive"));
  EXPECT_THAT(zip_refusal("x" + file), StartsWith("E3106"));
  EXPECT_THAT(zip_refusal(file.substr(0, file.size() - 1)), HasSubstr("cut short"));
  std::string said = file;
  said[said.size() - 2] = 1;
  EXPECT_THAT(zip_refusal(said), HasSubstr("a comment of 1 bytes"));
  EXPECT_THAT(changed([](Parts& p) { p[0].central.comment = "x"; }),
              HasSubstr("a comment of 1 bytes on an entry"));
}

TEST(Zip, C16_ADirectoryThatLies) {
  for (const ZipEnd& end : std::initializer_list<ZipEnd>{
           {.before = {}, .comment = {}, .count = 1, .size = {}, .offset = {}},
           {.before = {}, .comment = {}, .count = 3, .size = {}, .offset = {}},
           {.before = {}, .comment = {}, .count = 0xFFFF, .size = {}, .offset = {}},
           {.before = {}, .comment = {}, .count = {}, .size = 97, .offset = {}},
           {.before = {}, .comment = {}, .count = {}, .size = 0xFFFFFFFF, .offset = {}},
           {.before = {}, .comment = {}, .count = {}, .size = {}, .offset = 0},
           {.before = {}, .comment = {}, .count = {}, .size = {}, .offset = 0xFFFFFFFF},
           {.before = "x", .comment = {}, .count = {}, .size = {}, .offset = {}}})
    EXPECT_THAT(zip_refusal(zip_of(two_parts(), end)), StartsWith("E3106"));
}

TEST(Zip, Zip64EntriesAndRecordsAreRead) {
  Parts parts = two_parts();
  for (ZipHeader* h : {&parts[0].local, &parts[0].central})
    h->size = h->packed = 0xFFFFFFFF, h->extra = zip64_field({5, 5});
  EXPECT_EQ(zip_refusal(zip_of(parts)), "");
  const std::string plain = zip_of(parts);
  const std::uint64_t begin = plain.find("PK\1\2"), end = plain.find("PK\5\6");
  const ZipEnd both = {.before = zip64_end(2, end - begin, begin, end),
                       .comment = {},
                       .count = 0xFFFF,
                       .size = 0xFFFFFFFF,
                       .offset = 0xFFFFFFFF};
  EXPECT_EQ(zip_refusal(zip_of(parts, both)), "");
  EXPECT_EQ(zip_refusal(
                zip_of(parts, {.before = both.before, .comment = {}, .count = {}, .size = {}, .offset = {}})),
            "");
}

TEST(Zip, C16_Zip64FieldsThatLie) {
  Parts parts = two_parts();
  const auto refused = [&](const std::string& local, const std::string& central) {
    for (ZipHeader* h : {&parts[0].local, &parts[0].central}) h->size = h->packed = 0xFFFFFFFF;
    parts[0].local.extra = local, parts[0].central.extra = central;
    return zip_refusal(zip_of(parts));
  };
  const std::string good = zip64_field({5, 5});
  for (const std::string& bad :
       {zip64_field({6, 6}), zip64_field({5, 6}), zip64_field({5}), zip64_field({5, 5, 0}), std::string(),
        zip64_field({UINT64_MAX, UINT64_MAX}), good + good, good.substr(0, 19), good + "x",
        std::string("\1\0\4\0abcd", 8), std::string("\1\0\0\0", 4)}) {
    EXPECT_THAT(refused(bad, good), StartsWith("E3106"));
    EXPECT_THAT(refused(good, bad), StartsWith("E3106"));
  }
  const std::string plain = zip_of(two_parts());
  const std::uint64_t begin = plain.find("PK\1\2"), end = plain.find("PK\5\6"), size = end - begin;
  for (const std::string& before :
       {zip64_end(3, size, begin, end), zip64_end(2, size - 1, begin, end),
        zip64_end(2, size, begin - 1, end), zip64_end(2, size, begin, end - 1),
        zip64_end(UINT64_MAX, size, begin, end), zip64_end(2, UINT64_MAX, begin, end),
        zip64_end(2, size, UINT64_MAX, end), zip64_end(2, size, begin, UINT64_MAX),
        "x" + zip64_end(2, size, begin, end)})
    for (const bool short_fields : {false, true}) {
      const ZipEnd lies = {.before = before,
                           .comment = {},
                           .count = short_fields ? std::optional<std::uint16_t>() : 0xFFFF,
                           .size = short_fields ? std::optional<std::uint32_t>() : 0xFFFFFFFF,
                           .offset = short_fields ? std::optional<std::uint32_t>() : 0xFFFFFFFF};
      EXPECT_THAT(zip_refusal(zip_of(two_parts(), lies)), AnyOf(StartsWith("E3106"), StartsWith("E5004")));
    }
}

TEST(Zip, DescriptorsOfBothSizesAreReadAndMustAgree) {
  const auto refused = [](const std::string& behind, const std::string& extra = "") {
    Parts parts = two_parts();
    for (ZipHeader* h : {&parts[0].local, &parts[0].central}) h->flags = 1 << 3;
    parts[0].local.crc = parts[0].local.size = parts[0].local.packed = 0;
    parts[0].local.extra = extra;
    parts[0].behind = behind;
    return zip_refusal(zip_of(parts));
  };
  const std::string head = "PK\7\x08" + little(ZipPart("", "first").local.crc);
  const std::string narrow = head + little(5) + little(5),
                    wide = head + little(std::uint64_t{5}) + little(std::uint64_t{5});
  EXPECT_EQ(refused(narrow), "");
  EXPECT_EQ(refused(wide), "");
  EXPECT_EQ(refused(wide, zip64_field({5, 0, 0})), "");
  EXPECT_THAT(refused(wide, zip64_field({5, 7})), HasSubstr("its zip64 field says 7"));
  EXPECT_THAT(refused(""), HasSubstr("no descriptor follows"));
  EXPECT_THAT(refused(narrow.substr(4)), HasSubstr("no descriptor follows"));
  EXPECT_THAT(refused(head + little(5) + little(6)), HasSubstr("differ"));
  EXPECT_THAT(refused("PK\7\x08" + little(7) + little(5) + little(5)), HasSubstr("differ"));
}

TEST(Zip, EveryTruncationAndEveryChangedByteIsReadOrRefused) {
  std::string file;
  ZipWriter writer([&](Bytes bytes) { file += as_text(bytes); });
  writer.add("f/a", as_bytes("first"));
  writer.add("f/b", as_bytes("second"));
  writer.finish();
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_THAT(zip_refusal(file.substr(0, size)), StartsWith("E3106"));
  for (std::size_t i = 0; i < file.size(); ++i)
    for (const char change : {'\1', '\x80', '\xFF'}) {
      std::string other = file;
      other[i] = static_cast<char>(other[i] ^ change);
      EXPECT_THAT(zip_refusal(other), AnyOf("", StartsWith("E3106"), StartsWith("E5004")));
    }
}

}  // namespace
}  // namespace glossa
