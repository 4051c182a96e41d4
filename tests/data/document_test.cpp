// Documents from files of many kinds, their tokens in a cache, and the blocks that batches are made of.
#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "data/block_plan.h"
#include "data/prepare_documents.h"
#include "files.h"
#include "support/error_of.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class Documents : public InFolder {
 protected:
  // The documents of files, parts put together again.
  static std::vector<std::string> read(DocumentFiles files, const TextOptions& options = {}) {
    DocumentReader reader(std::move(files), options);
    std::vector<std::string> all;
    bool open = false;
    for (DocumentPart part; reader.next(part); open = !part.last) {
      EXPECT_EQ(part.first, !open);
      if (part.first) all.emplace_back();
      all.back() += part.text;
    }
    EXPECT_FALSE(open);
    EXPECT_EQ(reader.counts().documents, all.size());
    return all;
  }
  // Bytes as ids, 256 before each document.
  static DocumentPreparation bytes_of(std::vector<fs::path> paths, fs::path cache = {}) {
    DocumentPreparation how;
    how.files.paths = std::move(paths);
    how.encode = [](std::string_view text, std::vector<std::int32_t>& ids) {
      for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    };
    how.vocabulary = 257, how.begin = 256, how.tokenizer_hash = "bytes", how.cache = std::move(cache);
    return how;
  }
};

TEST_F(Documents, ATextIsOneDocumentOrCutAtBlankLinesOrAtAllLines) {
  const fs::path text = put("a.txt", "one\n two\r\n\n\n \nthree\nfour");
  EXPECT_THAT(read({.paths = {text}}), ElementsAre("one\n two\n\n\n \nthree\nfour"));
  EXPECT_THAT(read({.paths = {text}, .documents = DocumentRule::blank_line}),
              ElementsAre("one\n two", "three\nfour"));
  EXPECT_THAT(read({.paths = {text}, .documents = DocumentRule::line}),
              ElementsAre("one", " two", "three", "four"));
}

TEST_F(Documents, JsonLinesHoldOneEach) {
  const fs::path lines =
      put("a.jsonl",
          "{\"text\": \"a\\nb\", \"id\": 1}\n\n{\"text\": \"\"}\n{\"text\": \"\xE4\xBD\xA0\xE5\xA5\xBD\"}\n");
  EXPECT_THAT(read({.paths = {lines}}), ElementsAre("a\nb", "\xE4\xBD\xA0\xE5\xA5\xBD"));
  EXPECT_THAT(read({.paths = {put("b.txt.gz", gzipped("plain")), lines}}),
              ElementsAre("plain", "a\nb", "\xE4\xBD\xA0\xE5\xA5\xBD"));
}

TEST_F(Documents, F11_JsonLinesThatAreNoneAreRefusedWithTheirLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"text\": 1}", "JSON number"},
      {"{\"txt\": \"a\"}", "has no key \"text\" (data.text_column)"},
      {"[1]", "JSON array"},
      {"{\"text\": \"a\"", ""},
      {"{\"text\": \"\\ud800\"}", ""}};
  for (const auto& [line, what] : cases) {
    const fs::path path = put("bad.jsonl", std::string("{\"text\": \"fine\"}\n") + line + "\n");
    const auto [code, message] = refusal_of([&] { read({.paths = {path}}); });
    EXPECT_EQ(static_cast<int>(code) / 1000, 3) << line;
    EXPECT_THAT(message, AllOf(HasSubstr("bad.jsonl: line 2"), HasSubstr(what))) << line;
  }
}

TEST_F(Documents, F01_F03_F05_TextsThatAreNoneAreRefused) {
  EXPECT_EQ(refusal_of([&] { read({.paths = {put("a.txt", "fine\nb\xFF")}}); }).first, Code::utf8);
  EXPECT_EQ(refusal_of([&] {
              read({.paths = {put("b.txt",
                                  "\xFF\xFE"
                                  "a")}});
            }).first,
            Code::text_data);
  TextOptions options;
  options.limits.line_bytes = 100;
  const auto [code, message] =
      refusal_of([&] { read({.paths = {put("c.txt", "x\n" + std::string(101, 'y'))}}, options); });
  EXPECT_EQ(code, Code::size);
  EXPECT_THAT(message, HasSubstr("line 2"));
}

TEST_F(Documents, F14_FoldersAndPatternsAreTheirFilesInOrder) {
  put("b.txt", "b"), put("a.jsonl", "{\"text\": \"a\"}"), put("c.bin", "c");
  EXPECT_THAT(read({.paths = expand_files({folder.native()})}), ElementsAre("a", "b"));
  EXPECT_THAT(expand_files({(folder / "*.txt").native()}), ElementsAre(folder / "b.txt"));
  EXPECT_THAT(refusal_of([&] { expand_files({(folder / "*.doc").native()}); }).second,
              HasSubstr("no file has a name"));
  fs::create_directory(folder / "empty");
  EXPECT_THAT(refusal_of([&] { expand_files({(folder / "empty").native()}); }).second,
              HasSubstr("the folder has no .txt"));
  EXPECT_EQ(static_cast<int>(refusal_of([&] {
                               read({.paths = {folder / "b.txt", folder / "missing.txt"}});
                             }).first) /
                1000,
            4);
}

TEST_F(Documents, ALongOneComesInPartsThatEndBeforeALine) {
  std::string text;
  for (int i = 0; text.size() < 3 * kPartBytes; ++i)
    text += fmt::format("line {}\n{}", i, i % 3 ? "" : "  indented\n");
  const fs::path path = put("long.txt", text);
  DocumentReader reader({.paths = {path}}, {});
  std::string all;
  int parts = 0;
  for (DocumentPart part; reader.next(part); ++parts) {
    EXPECT_LE(part.text.size(), kPartBytes + 100);
    EXPECT_TRUE(part.last || part.text.ends_with('\n'));
    EXPECT_TRUE(part.first || part.text[0] != ' ');
    all += part.text;
  }
  EXPECT_GE(parts, 3);
  EXPECT_EQ(all, text);
}

TEST_F(Documents, ALongOneIsNotCutWithinWhiteSpaceUnlessThereIsNothingElse) {
  const auto part_sizes = [&](const std::string& text) {
    DocumentReader reader({.paths = {put("long.txt", text)}}, {});
    std::vector<std::size_t> sizes;
    for (DocumentPart part; reader.next(part);) sizes.push_back(part.text.size());
    return sizes;
  };
  // The first lines that reach the size are indented, empty, or behind an empty one or spaces.
  const std::string head = std::string(kPartBytes - 2, 'x') + "\n", odd = " y\n\nz\n\ny  \ny\n";
  EXPECT_THAT(part_sizes(head + odd + "z\n"), ElementsAre(head.size() + odd.size(), 2));
  std::string indented;
  for (int i = 0; indented.size() < 3 * kPartBytes; ++i)
    indented += fmt::format(" {}\n", std::string(99, 'x'));
  const std::vector<std::size_t> sizes = part_sizes(indented);
  ASSERT_EQ(sizes.size(), 2u);
  EXPECT_LT(sizes[0], 2 * kPartBytes);
  EXPECT_GT(sizes[0], 2 * kPartBytes - 200);
}

TEST_F(Documents, ARangeOfBytesIsCutAtCharacters) {
  const fs::path a = put("a.txt",
                         "abc\xC3\xA4"
                         "def"),
                 b = put("b.txt", "second");
  for (std::uint64_t border = 1; border < 14; ++border) {
    const auto head = read({.paths = {a, b}, .end = border}), tail = read({.paths = {a, b}, .begin = border});
    std::string all;
    for (const auto* part : {&head, &tail})
      for (const std::string& text : *part) all += text;
    EXPECT_EQ(all,
              "abc\xC3\xA4"
              "defsecond")
        << border;
  }
  EXPECT_THAT(read({.paths = {a, b}, .begin = 4, .end = 10}), ElementsAre("\xC3\xA4"
                                                                          "def",
                                                                          "se"));
}

TEST_F(Documents, TheirTokensAreKeptAndTakenAgain) {
  const fs::path text = put("a.txt", "one\n\ntwo\n"), cache = folder / "tokens";
  DocumentPreparation how = bytes_of({text}, cache);
  how.files.documents = DocumentRule::blank_line;
  const PreparedTokens first = prepare_documents(how);
  EXPECT_FALSE(first.from_cache);
  EXPECT_EQ(first.data.size(), 8u);
  EXPECT_EQ(first.data.documents(), 2u);
  std::vector<std::int32_t> ids(8);
  first.data.copy(0, 8, ids.data());
  EXPECT_THAT(ids, ElementsAre(256, 'o', 'n', 'e', 256, 't', 'w', 'o'));
  const PreparedTokens again = prepare_documents(how);
  EXPECT_TRUE(again.from_cache);
  EXPECT_EQ(again.report.summary(), first.report.summary());
  EXPECT_EQ(again.data.checksum(), first.data.checksum());
  EXPECT_EQ(count_overlap(first.data, again.data), 2u);
  how.cache.clear();
  EXPECT_EQ(prepare_documents(how).data.checksum(), first.data.checksum());
}

TEST_F(Documents, TheirSizeIsNotedAndNothingIsReadTwice) {
  const fs::path text = put("a.txt", "one\n\ntwo\n"), noted = folder / "bytes";
  const DocumentFiles files{.paths = {text}, .documents = DocumentRule::blank_line};
  EXPECT_EQ(text_bytes(files, {}), 6u);
  EXPECT_FALSE(fs::exists(noted));
  EXPECT_EQ(text_bytes(files, {}, noted), 6u);
  OrderedJson found = parse_ordered_json(read_file(noted), "noted");
  found["bytes"] = 5;  // that this is believed shows that the text is not read
  write_file(noted, to_text(found));
  EXPECT_EQ(text_bytes(files, {}, noted), 5u);
  EXPECT_EQ(text_bytes({.paths = {text}}, {}, noted), 9u);
  write_file(noted, "{\"key\": 1, \"bytes\": ");
  EXPECT_EQ(text_bytes(files, {}, noted), 6u);
  put("a.txt", "one\n\ntwo more\n");
  EXPECT_EQ(text_bytes(files, {}, noted), 11u);
  const auto [code, message] = refusal_of([&] { text_bytes({.paths = {put("none.txt", "\n")}}, {}, noted); });
  EXPECT_EQ(code, Code::empty);
  EXPECT_THAT(message, AllOf(HasSubstr("none.txt"), HasSubstr("no text: 0 documents in 1 file")));
}

TEST_F(Documents, F21_ADamagedCacheOrOneOfAnotherTokenizerIsMadeAnew) {
  const fs::path cache = folder / "tokens";
  DocumentPreparation how = bytes_of({put("a.txt", "some text")}, cache);
  prepare_documents(how);
  const std::string sound = read_file(cache);
  for (std::size_t at = 0; at < sound.size(); ++at) {
    std::string bytes = sound;
    bytes[at] ^= 4;
    EXPECT_EQ(refusal_of([&] { TokenDataset::of_memory(std::make_shared<std::string>(bytes)); }).first,
              Code::text_data)
        << at;
    EXPECT_NE(refusal_of([&] {
                TokenDataset::of_memory(std::make_shared<std::string>(sound.substr(0, at)));
              }).first,
              Code::internal)
        << at;
  }
  write_file(cache, sound.substr(0, sound.size() - 1));
  EXPECT_THAT(prepare_documents(how).rebuilt_because, HasSubstr("damaged"));
  how.tokenizer_hash = "another";
  EXPECT_THAT(prepare_documents(how).rebuilt_because, HasSubstr("tokenizer"));
}

TEST_F(Documents, F02_F06_OddOnesAreNotedAndNothingIsRefused) {
  DocumentPreparation how = bytes_of({put("a.txt", std::string_view("a\0b", 3)), put("b.txt",
                                                                                     "\xEF\xBB\xBF"
                                                                                     "c")});
  EXPECT_THAT(prepare_documents(how).report.warnings(),
              ElementsAre(HasSubstr("byte order mark"), HasSubstr("1 NUL")));
  how = bytes_of({put("c.txt", ""), put("d.txt", " \n\t\n")});
  const auto [code, message] = refusal_of([&] { prepare_documents(how); });
  EXPECT_EQ(code, Code::empty);
  EXPECT_THAT(message, HasSubstr("no text: 0 documents in 2 files"));
}

// Documents of ids that count up from 1000 times their number; -1 before none.
TokenDataset counting(const std::vector<int>& lengths) {
  auto bytes = std::make_shared<std::string>();
  TokenWriter writer([&](std::string_view part) { bytes->append(part); }, 1 << 20);
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < lengths[d]; ++i) ids.push_back(static_cast<std::int32_t>(1000 * (d + 1)) + i);
    writer.begin_document();
    writer.add(ids, std::to_string(d));
  }
  writer.finish("{}");
  return TokenDataset::of_memory(bytes);
}

// Every pair of a token and the one after it, in all batches of an epoch.
std::multiset<std::pair<int, int>> predictions(const BlockPlan& plan, std::uint64_t epoch) {
  std::multiset<std::pair<int, int>> all;
  for (std::uint64_t b = 0; b < plan.batches(epoch); ++b) {
    const CausalBatch batch = plan.batch(epoch, b);
    const auto ids = batch.tokens.ids.span<std::int32_t>(), labels = batch.labels.span<std::int32_t>();
    const auto starts = batch.tokens.sequences.starts.span<std::int32_t>();
    EXPECT_LE(batch.tokens.sequences.tokens(), plan.options().max_tokens);
    EXPECT_LE(batch.tokens.sequences.longest, plan.options().block_size);
    for (std::int32_t s = 0; s < batch.tokens.sequences.count; ++s)
      for (std::int32_t t = starts[s]; t < starts[s + 1]; ++t) {
        EXPECT_EQ(ids[t] / 1000, ids[starts[s]] / 1000);  // of one document
        if (t + 1 < starts[s + 1]) {
          EXPECT_EQ(labels[t], ids[t + 1]);
        }
        all.emplace(ids[t], labels[t]);
      }
  }
  return all;
}

TEST(Blocks, G23_EveryTokenIsPredictedOnceInAnEpochAndNoDocumentSeesAnother) {
  const std::vector<int> lengths{1, 30, 7, 2, 100, 1, 1, 5, 64};
  std::multiset<std::pair<int, int>> wanted;
  for (std::size_t d = 0; d < lengths.size(); ++d)
    for (int i = 0; i < lengths[d]; ++i)
      wanted.emplace(1000 * (static_cast<int>(d) + 1) + i,
                     i + 1 < lengths[d] ? 1000 * (static_cast<int>(d) + 1) + i + 1 : 9);
  for (const bool shuffle : {true, false})
    for (const std::int64_t block : {1, 8, 16, 500})
      for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
        const BlockPlan plan(counting(lengths), {.block_size = block,
                                                 .max_tokens = std::max<std::int64_t>(block, 48),
                                                 .shuffle = shuffle,
                                                 .end = 9});
        EXPECT_EQ(predictions(plan, epoch), wanted) << block << ' ' << epoch;
      }
  const BlockPlan open(counting({3}), {.block_size = 8, .max_tokens = 8});
  EXPECT_EQ(open.batch(0, 0).labels.span<std::int32_t>().back(), -100);
  EXPECT_EQ(counted_labels(open.batch(0, 0)), 2);
}

TEST(Blocks, AnEpochIsCutAndOrderedUnlikeAnotherAndAlikeForOneSeed) {
  const TokenDataset data = counting({400});
  const BlockOptions options{.block_size = 16, .max_tokens = 64, .end = 9};
  const BlockPlan plan(data, options), same(data, options);
  const auto ids = [](const CausalBatch& batch) {
    const auto span = batch.tokens.ids.span<std::int32_t>();
    return std::vector<std::int32_t>(span.begin(), span.end());
  };
  EXPECT_EQ(ids(plan.batch(3, 2)), ids(same.batch(3, 2)));
  EXPECT_NE(ids(plan.batch(0, 0)), ids(plan.batch(1, 0)));
  BatchPosition at;
  for (std::uint64_t i = 0; i < plan.batches(0); ++i) at = plan.after(at);
  EXPECT_EQ(at, (BatchPosition{1, 0}));
  EXPECT_NO_THROW(plan.check_position({0, plan.batches(0) - 1}));
  EXPECT_THROW(plan.check_position({0, plan.batches(0)}), Error);
}

}  // namespace
}  // namespace glossa
