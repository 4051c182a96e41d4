#include <sys/stat.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/parallel.h"
#include "base/random.h"
#include "data/prepare.h"
#include "data/reverse_digits.h"
#include "files.h"
#include "text/train_tokenizer.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Texts = std::vector<std::pair<std::string, std::string>>;

Texts read_all(const CorpusFiles& files, const TextOptions& options = {}) {
  PairReader reader(files, options);
  Texts all;
  for (Pair pair; reader.next(pair);) all.emplace_back(pair.source, pair.target);
  return all;
}

// One id for each word: its length, or 0 for words of more than 9 letters.
void encode_words(std::string_view text, std::vector<std::int32_t>& ids) {
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;)
    ids.push_back(word.size() > 9 ? 0 : static_cast<std::int32_t>(word.size()));
}

std::vector<std::int32_t> source_of(const PairDataset& data, std::uint64_t i) {
  std::vector<std::int32_t> ids(data.lengths(i).source);
  data.copy_source(i, ids.data());
  return ids;
}
std::vector<std::int32_t> target_of(const PairDataset& data, std::uint64_t i) {
  std::vector<std::int32_t> ids(data.lengths(i).target);
  data.copy_target(i, ids.data());
  return ids;
}

class Pairs : public InFolder {
 protected:
  CorpusFiles parallel(std::string_view source, std::string_view target) const {
    return {.source = put("a.en", source), .target = put("a.de", target)};
  }
  CorpusFiles single(const fs::path& name, std::string_view text) const { return {.file = put(name, text)}; }
  static Preparation words() { return {.encode = encode_words, .vocabulary = 10, .unknown = 0}; }
  PreparedPairs prepare(const CorpusFiles& files, Preparation how,
                        const std::string& hash = "tokenizer") const {
    return prepare_pairs(files, {}, hash, std::move(how));
  }
};

TEST_F(Pairs, ReadsParallelFilesOfAnyCompression) {
  const Texts wanted{{"one", "eins"}, {"", "leer"}, {"two", "zwei"}};
  EXPECT_EQ(read_all(parallel("one\n\ntwo\n", "eins\r\nleer\r\nzwei")), wanted);
  EXPECT_EQ(read_all(parallel(gzipped("one\n\ntwo"), zstandard("eins\nleer\nzwei\n"))), wanted);
}

TEST_F(Pairs, F08_DifferentLineCountsAreRefusedWithBoth) {
  for (const auto& [source, target] :
       {std::pair{"1\n2\n3\n", "1\n2\n3\n4\n5"}, {"1\n2\n3\n4\n5\n", "1\n2\n3\n"}}) {
    const CorpusFiles files = parallel(source, target);
    std::string message;
    EXPECT_EQ(code_of([&] { read_all(files); }, &message), Code::line_counts);
    EXPECT_THAT(message,
                AllOf(HasSubstr(" 3"), HasSubstr(" 5"), HasSubstr("a.en has"), HasSubstr("a.de has")));
    EXPECT_EQ(code_of([&] { prepare(files, words()); }), Code::line_counts);
  }
}

TEST_F(Pairs, ReadsTablesAndJsonLines) {
  const Texts wanted{{"one", "eins"}, {"\"two", "zwei\""}};
  EXPECT_EQ(read_all(single("a.tsv", "one\teins\n\"two\tzwei\"\n")), wanted);
  EXPECT_EQ(read_all(single("a.tsv.gz", gzipped("one\teins\n\"two\tzwei\"\n"))), wanted);
  EXPECT_EQ(read_all(single("a.jsonl.zst", zstandard("{\"source\":\"one\",\"target\":\"eins\",\"id\":[1]}\n"
                                                     "{\"target\":\"zwei\\\"\",\"source\":\"\\u0022two\"}"))),
            wanted);
  CorpusFiles nested = single("b.jsonl",
                              "{\"translation\":{\"en\":\"one\",\"de\":\"eins\"}}\n"
                              "{\"translation\":{\"de\":\"zwei\\\"\",\"en\":\"\\\"two\",\"fr\":\"\"}}");
  nested.source_lang = "en", nested.target_lang = "de";
  EXPECT_EQ(read_all(nested), wanted);
  CorpusFiles named = single("c.txt", "{\"x\":\"one\",\"y\":\"eins\"}");
  named.format = PairFormat::jsonl, named.source_column = "x", named.target_column = "y";
  EXPECT_EQ(read_all(named), (Texts{{"one", "eins"}}));
}

TEST_F(Pairs, F11_BadJsonLinesAreRefusedWithTheirLine) {
  const std::pair<const char*, Code> cases[] = {
      {"{\"source\":\"a\"", Code::json},
      {"{\"source\":\"a\"}", Code::text_data},
      {"{\"source\":\"a\",\"target\":1}", Code::text_data},
      {"{\"source\":\"a\",\"target\":null}", Code::text_data},
      {"{\"source\":\"a\",\"target\":\"b\",\"source\":\"c\"}", Code::json},
      {"{\"source\":\"a\",\"target\":\"\\ud800\"}", Code::json},
      {"{\"source\":\"a\",\"target\":\"b\\nc\"}", Code::text_data},
      {"{\"translation\":[\"a\",\"b\"]}", Code::text_data},
      {"[\"a\",\"b\"]", Code::text_data},
      {"", Code::json},
  };
  for (const auto& [line, code] : cases) {
    std::string message;
    const CorpusFiles files =
        single("a.jsonl", fmt::format("{{\"source\":\"a\",\"target\":\"b\"}}\n{}\n", line));
    EXPECT_EQ(code_of([&] { read_all(files); }, &message), code) << line;
    EXPECT_THAT(message, HasSubstr("a.jsonl: line 2")) << line;
  }
}

TEST_F(Pairs, F12_TablesMustHaveTwoColumns) {
  std::string message;
  EXPECT_EQ(code_of([&] { read_all(single("a.tsv", "a\tb\nno tab\n")); }, &message), Code::text_data);
  EXPECT_THAT(message, AllOf(HasSubstr("a.tsv: line 2"), HasSubstr("has 1 column,")));
  EXPECT_EQ(code_of([&] { read_all(single("a.tsv", std::string(1'000'000, '\t'))); }, &message),
            Code::text_data);
  EXPECT_THAT(message, HasSubstr("1000001 columns"));
}

TEST_F(Pairs, CorporaThatCannotBeAreRefused) {
  const fs::path file = put("f", "a\tb\n");
  EXPECT_EQ(code_of([&] { read_all({}); }), Code::recipe);
  EXPECT_EQ(code_of([&] { read_all({.source = file}); }), Code::recipe);
  EXPECT_EQ(code_of([&] { read_all({.source = file, .target = file, .file = file}); }), Code::recipe);
  EXPECT_EQ(code_of([&] { read_all({.source = "-", .target = "-"}); }), Code::recipe);
  EXPECT_EQ(code_of([&] { read_all({.source = file, .target = folder}); }), Code::not_regular);
}

TEST_F(Pairs, F09_SkipsAndCountsWhatDoesNotQualify) {
  Preparation how = words();
  how.filter = {.min_length = 2, .max_length = 4, .max_length_ratio = 1.5};
  const PreparedPairs p = prepare(
      parallel("a b\n\na b c\na b c d e\na b\na\n \na b\n", "x y\nx\nx y\nx y z\nx y z v\nx\nx\nx y\n"), how);
  EXPECT_EQ(p.report.read, 8u);
  EXPECT_EQ(p.report.kept, 3u);
  EXPECT_EQ(p.report.empty, 2u);
  EXPECT_EQ(p.report.too_short, 1u);
  EXPECT_EQ(p.report.too_long, 1u);
  EXPECT_EQ(p.report.ratio, 1u);
  EXPECT_EQ(p.report.source_tokens, 2u + 3 + 2);
  EXPECT_EQ(p.data.size(), 3u);
  EXPECT_EQ(p.data.line(0), 1u);
  EXPECT_EQ(p.data.line(1), 3u);
  EXPECT_EQ(p.data.line(2), 8u);
  EXPECT_EQ(p.report.summary(),
            "8 pairs read, 3 kept, 2 with an empty side, 1 too short, 1 too long, 1 of unlike lengths");
  EXPECT_THAT(p.report.warnings(), ElementsAre(HasSubstr("62.5 % of the pairs are skipped")));
}

TEST_F(Pairs, F09_StrictRefusesWithLineAndReason) {
  Preparation how = words();
  how.filter = {.max_length = 3, .max_length_ratio = 2, .strict = true};
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"a\nb c d e\n", "x\ny\n", "4 tokens on a side, and data.max_length is 3"},
      {"a\nb c d\n", "x\ny\n", "sides of 3 and 1 tokens"},
      {"a\n\n", "x\ny\n", "an empty side"}};
  for (const auto& [source, target, reason] : cases) {
    std::string message;
    const CorpusFiles files = parallel(source, target);
    EXPECT_EQ(code_of([&] { prepare(files, how); }, &message), Code::text_data);
    EXPECT_THAT(message, AllOf(HasSubstr("line 2"), HasSubstr(reason), HasSubstr("data.strict")));
  }
}

TEST_F(Pairs, F03_LongLinesAreSkippedWithBothSides) {
  TextOptions text;
  text.limits.line_bytes = 10;
  const CorpusFiles files = parallel("a\nmuch too long a line\nc\n", "x\ny\nz\n");
  const PreparedPairs p = prepare_pairs(files, text, "tokenizer", words());
  EXPECT_EQ(p.report.long_line, 1u);
  EXPECT_EQ(p.report.kept, 2u);
  Preparation strict = words();
  strict.filter.strict = true;
  EXPECT_EQ(code_of([&] { prepare_pairs(files, text, "tokenizer", strict); }), Code::size);
}

TEST_F(Pairs, F06_NothingToLearnFromIsAnError) {
  for (const char* text : {"", "\n\n\n", " \n\t\n"}) {
    std::string message;
    EXPECT_EQ(code_of([&] { prepare(parallel(text, text), words()); }, &message), Code::empty);
    EXPECT_THAT(message, AllOf(HasSubstr("a.en"), HasSubstr("a.de"), HasSubstr(" 0 kept")));
  }
}

TEST_F(Pairs, F10_IdenticalAndSwappedSidesAreNoticed) {
  const PreparedPairs same = prepare(parallel("a\nb\nc\n", "a\nb\nx\n"), words());
  EXPECT_EQ(same.report.identical, 2u);
  EXPECT_THAT(same.report.warnings(),
              ElementsAre(HasSubstr("in 2 pairs (66.7 %) source and target are the same text")));

  const char *english = "the cat sat on a mat\nit was fat\n",
             *german = "Katzen sitzen dauernd herum\nDieses frisst zuviel\n";
  const PairDataset train = prepare(parallel(english, german), words()).data;
  EXPECT_FALSE(sides_look_swapped(train, train));
  EXPECT_TRUE(sides_look_swapped(train, prepare(parallel(german, english), words()).data));
}

TEST_F(Pairs, F16_OverlapOfTrainingAndValidationIsCounted) {
  const PairDataset train = prepare(parallel("a\nb\nc\na\n", "x\ny\nz\nx\n"), words()).data;
  const PairDataset valid = prepare(parallel("b\nd\na\na\n", "y\nx\nx\ny\n"), words()).data;
  EXPECT_EQ(count_overlap(train, valid), 2u);  // "a x", once here though twice there, and "b y"
  DataReport report;
  report.overlap = 2;
  EXPECT_THAT(report.warnings(), ElementsAre("2 pairs are also in the training data"));
}

TEST_F(Pairs, F18_UnknownTokensAreCountedWithAnExample) {
  const PreparedPairs p = prepare(parallel("a bb\nantidisestablishmentarianism\n", "x\ny\n"), words());
  EXPECT_EQ(p.report.unknown_tokens, 1u);
  EXPECT_EQ(p.report.unknown_example, "antidisestablishmentarianism");
  EXPECT_THAT(p.report.warnings(), IsEmpty());
  const PreparedPairs q = prepare(parallel("antidisestablishmentarianism\n", "x\n"), words());
  EXPECT_THAT(q.report.warnings(), ElementsAre(AllOf(HasSubstr("50.0 %"), HasSubstr("antidis"))));
}

TEST_F(Pairs, F13_UnusualCharactersComeBackByteForByte) {
  const std::vector<std::string> odd{"caf\u00E9 and cafe\u0301", "zero\u200Bwidth\u200D\u2060", "\u202Eright\u202C to \u200Fleft", "\U0001F468\u200D\U0001F469\u200D\U0001F467",
                                     "\uE000 private \U000F0000", "un\u0378assigned \U000E0FFF", "\u0301 alone", "a\uFEFFb", "a\u2028b\u0085c\vd\fe\rf", "\u00A0 a\u3000b",
                                     "\uFFFE\U0010FFFF", "\u2764\uFE0F", " two  spaces ", "tab\there"};
  std::string text;
  for (const std::string& line : odd) text += line + "\n";
  TokenizerTrainer trainer({.kind = TokenizerKind::byte_bpe, .vocab_size = 300, .normalization = std::nullopt});
  trainer.add(text);
  const Tokenizer tokenizer = trainer.train();
  Preparation how;
  how.encode = [&](std::string_view line, std::vector<std::int32_t>& ids) { tokenizer.encode(line, ids, false); };
  how.vocabulary = static_cast<std::uint64_t>(tokenizer.size());
  how.unknown = -1;
  how.keep_text = true;
  const PreparedPairs p = prepare(parallel(text, text), how);
  ASSERT_EQ(p.data.size(), odd.size());
  for (std::uint64_t i = 0; i < odd.size(); ++i) {
    EXPECT_EQ(p.data.source_text(i), odd[i]);
    EXPECT_EQ(tokenizer.decode(source_of(p.data, i), false), odd[i]);
    EXPECT_EQ(tokenizer.decode(target_of(p.data, i), false), odd[i]);
  }
}

TEST_F(Pairs, F02_F05_NulsAndMarksAreNoted) {
  const PreparedPairs p = prepare(parallel(std::string_view("\xEF\xBB\xBF"
                                                            "a\0b\n",
                                                            7),
                                           "x\n"),
                                  words());
  EXPECT_EQ(p.report.nul_bytes, 1u);
  EXPECT_EQ(p.report.byte_order_marks, 1u);
  EXPECT_EQ(p.report.text_bytes, 9u);
}

TEST_F(Pairs, ReadsRealData) {
  const char* data = std::getenv("GLOSSA_DATA");
  if (!data) GTEST_SKIP() << "GLOSSA_DATA does not name a folder of data";
  const fs::path translation = fs::path(data) / "translation";
  const CorpusFiles train{.source = translation / "train.en.gz", .target = translation / "train.de.gz"};
  const CorpusFiles valid{.source = translation / "val.en.gz", .target = translation / "val.de.gz"};
  const CorpusFiles crossed{.source = valid.target, .target = valid.source};
  Preparation how = words();
  // Words by their hash, since lengths of words are much alike in English and German.
  how.vocabulary = 8000;
  how.encode = [](std::string_view text, std::vector<std::int32_t>& ids) {
    std::istringstream words{std::string(text)};
    for (std::string word; words >> word;)
      ids.push_back(static_cast<std::int32_t>(pair_hash(word, "") % 8000));
  };
  const PreparedPairs a = prepare(train, how), b = prepare(valid, how);
  EXPECT_EQ(a.report.kept, 29'000u);
  EXPECT_EQ(b.report.kept, 1014u);
  EXPECT_EQ(count_overlap(a.data, b.data), 0u);
  EXPECT_FALSE(sides_look_swapped(a.data, b.data));
  EXPECT_TRUE(sides_look_swapped(a.data, prepare(crossed, how).data));
}

// Data of several blocks, with ids and texts of all sizes.
Texts many_pairs(std::uint64_t count) {
  const Philox numbers(1, Purpose::sample);
  Texts texts;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string sides[2];
    for (std::uint64_t side = 0; side < 2; ++side)
      for (std::uint64_t n = 1 + numbers.below(100 * i + side, 9); n > 0; --n)
        sides[side] += std::string(1 + numbers.below(100 * i + 10 * side + n, 9), 'w') + ' ';
    texts.emplace_back(sides[0], sides[1]);
  }
  return texts;
}

CorpusFiles write_table(const fs::path& path, const Texts& texts) {
  std::ofstream file(path);
  for (const auto& [source, target] : texts) file << source << '\t' << target << '\n';
  return {.file = path};
}

void expect_holds(const PairDataset& data, const Texts& texts) {
  ASSERT_EQ(data.size(), texts.size());
  for (std::uint64_t i = 0; i < data.size(); ++i) {
    std::vector<std::int32_t> source, target;
    encode_words(texts[i].first, source);
    encode_words(texts[i].second, target);
    ASSERT_EQ(source_of(data, i), source);
    ASSERT_EQ(target_of(data, i), target);
    ASSERT_EQ(data.line(i), i + 1);
    if (data.has_text()) {
      ASSERT_EQ(data.source_text(i), texts[i].first);
      ASSERT_EQ(data.target_text(i), texts[i].second);
    }
  }
}

TEST_F(Pairs, HoldsTheSameInMemoryAndInAFileWithSmallAndLargeIds) {
  const Texts texts = many_pairs(2 * kBlockPairs + 77);
  const CorpusFiles files = write_table(folder / "t.tsv", texts);
  for (const std::uint64_t vocabulary : {10, 100'000}) {
    for (const bool keep_text : {false, true}) {
      Preparation how = words();
      how.vocabulary = vocabulary, how.keep_text = keep_text;
      const PreparedPairs memory = prepare(files, how);
      expect_holds(memory.data, texts);
      how.cache = folder / fmt::format("{}-{}", vocabulary, keep_text);
      EXPECT_FALSE(prepare(files, how).from_cache);
      const PreparedPairs again = prepare(files, how);
      EXPECT_TRUE(again.from_cache);
      expect_holds(again.data, texts);
      EXPECT_EQ(again.data.has_text(), keep_text);
      EXPECT_EQ(again.report.summary(), memory.report.summary());
      EXPECT_EQ(again.report.source_tokens, memory.report.source_tokens);
    }
  }
}

TEST_F(Pairs, TheCacheIsTheSameForAnyNumberOfThreads) {
  const CorpusFiles files = write_table(folder / "t.tsv", many_pairs(5000));
  const int before = thread_count();
  std::set<std::string> caches;
  for (const int threads : {1, 2, 5}) {
    set_thread_count(threads);
    Preparation how = words();
    how.cache = folder / fmt::format("cache-{}", threads);
    prepare(files, how);
    caches.insert(read_file(how.cache));
  }
  set_thread_count(before);
  EXPECT_EQ(caches.size(), 1u);
}

TEST_F(Pairs, F21_ACacheOfOtherDataTokenizerOrFiltersIsBuiltAnew) {
  CorpusFiles files = parallel("a b\nc\n", "x\ny\n");
  Preparation how = words();
  how.cache = folder / "cache";
  EXPECT_FALSE(prepare(files, how).from_cache);
  EXPECT_TRUE(prepare(files, how).from_cache);

  const PreparedPairs other_tokenizer = prepare(files, how, "another tokenizer");
  EXPECT_FALSE(other_tokenizer.from_cache);
  EXPECT_THAT(other_tokenizer.rebuilt_because, HasSubstr("the tokenizer"));
  EXPECT_TRUE(prepare(files, how, "another tokenizer").from_cache);

  how.filter.max_length = 1;
  const PreparedPairs filtered = prepare(files, how, "another tokenizer");
  EXPECT_FALSE(filtered.from_cache);
  EXPECT_EQ(filtered.data.size(), 1u);

  files = parallel("a b\nd\n", "x\ny\n");  // as long as before
  EXPECT_FALSE(prepare(files, how, "another tokenizer").from_cache);
}

TEST_F(Pairs, F21_EveryDamagedByteOfACacheIsFoundAndItIsBuiltAnew) {
  const CorpusFiles files = parallel("a b\nc\n", "x\ny z\n");
  Preparation how = words();
  how.cache = folder / "cache", how.keep_text = true;
  prepare(files, how);
  const std::string whole = read_file(how.cache);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    ASSERT_EQ(code_of([&] { PairDataset::of_memory(std::make_shared<std::string>(damaged)); }),
              Code::text_data)
        << i;
    ASSERT_EQ(code_of([&] { PairDataset::of_memory(std::make_shared<std::string>(whole, 0, i)); }),
              Code::text_data)
        << i;
  }
  for (const std::string& damaged : {std::string(), whole.substr(0, whole.size() / 2), whole + "x"}) {
    std::ofstream(how.cache, std::ios::binary) << damaged;
    const PreparedPairs p = prepare(files, how);
    EXPECT_FALSE(p.from_cache);
    EXPECT_NE(p.rebuilt_because, "");
    EXPECT_EQ(read_file(how.cache), whole);
  }
}

TEST_F(Pairs, F15_DataThatChangeWhileTheyAreReadAreRefused) {
  const CorpusFiles files = parallel("a\nb\n", "x\ny\n");
  Preparation how = words();
  how.encode = [&](std::string_view text, std::vector<std::int32_t>& ids) {
    encode_words(text, ids);
    std::ofstream(files.source, std::ios::app) << "c\n";
  };
  how.cache = folder / "cache";
  std::string message;
  EXPECT_EQ(code_of([&] { prepare(files, how); }, &message), Code::changed);
  EXPECT_THAT(message, HasSubstr("changed while it was being read"));
  EXPECT_FALSE(fs::exists(how.cache));
}

TEST_F(Pairs, F15_ACacheThatIsWrittenToIsNoticed) {
  Preparation how = words();
  how.cache = folder / "cache";
  const PreparedPairs p = prepare(parallel("a\n", "x\n"), how);
  p.data.check_intact();
  std::ofstream(how.cache, std::ios::app) << "x";
  EXPECT_EQ(code_of([&] { p.data.check_intact(); }), Code::changed);
}

TEST_F(Pairs, F19_CountsOfMoreThan32BitsSurvive) {
  std::string bytes;
  PairWriter writer([&](std::string_view part) { bytes += part; }, 10, false);
  const std::vector<std::int32_t> ids{1, 2};
  writer.add({ids, ids, "a", "b", (std::uint64_t{1} << 40) + 5});
  writer.finish("{}");
  EXPECT_EQ(PairDataset::of_memory(std::make_shared<std::string>(bytes)).line(0),
            (std::uint64_t{1} << 40) + 5);
}

TEST_F(Pairs, TokensOutsideTheVocabularyAreRefused) {
  Preparation how = words();
  how.vocabulary = 3;
  EXPECT_EQ(code_of([&] { prepare(parallel("a four\n", "x\n"), how); }), Code::tokenizer);
}

TEST_F(Pairs, ErrorsOfTheEncoderPassThrough) {
  Preparation how = words();
  how.encode = [](std::string_view, std::vector<std::int32_t>&) { fail(Code::tokenizer, "no"); };
  EXPECT_EQ(code_of([&] { prepare(parallel("a\n", "x\n"), how); }), Code::tokenizer);
}

TEST_F(Pairs, ReverseDigitsAreReversedAndTheSameEveryTime) {
  EXPECT_EQ(reversed_words("3 1 4"), "4 1 3");
  EXPECT_EQ(reversed_words("7"), "7");
  const ReverseDigits task{.examples = 2000, .min_digits = 2, .max_digits = 5, .seed = 3};
  const ReverseDigits held_out{.examples = 2000, .min_digits = 2, .max_digits = 5, .seed = 3, .part = 1};
  std::map<std::size_t, int> lengths;
  std::uint64_t count = 0, same = 0;
  const PairStream pairs = task.pairs();
  for (Pair pair; pairs(pair); ++count) {
    EXPECT_EQ(pair.source, task.source(count));
    EXPECT_EQ(pair.line, count + 1);
    EXPECT_EQ(reversed_words(pair.target), pair.source);
    ++lengths[(pair.source.size() + 1) / 2];
    same += held_out.source(count) == pair.source;
  }
  EXPECT_EQ(count, 2000u);
  EXPECT_EQ(lengths.size(), 4u);
  for (const auto& [length, times] : lengths) EXPECT_NEAR(times, 500, 80) << length;
  EXPECT_LT(same, 30u);
  EXPECT_EQ(code_of([] { ReverseDigits{.min_digits = 3, .max_digits = 2}.source(0); }), Code::bad_value);
}

}  // namespace
}  // namespace glossa
