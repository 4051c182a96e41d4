#include <sys/resource.h>
#include <unistd.h>

#include <random>
#include <thread>
#include <vector>

#include "base/random.h"
#include "data/line_reader.h"
#include "files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Lines = std::vector<std::string>;

Lines read_all(LineReader reader, TextNotes* notes = nullptr) {
  Lines lines;
  for (LineReader::Line line; reader.next(line);) lines.emplace_back(line.text);
  if (notes) *notes = reader.notes();
  return lines;
}

Lines lines_of(std::string_view text, const TextOptions& options = {}, TextNotes* notes = nullptr) {
  return read_all(LineReader(ByteStream::of_bytes(as_bytes(text), "text"), options), notes);
}

Code code_of_text(std::string_view text, std::string* message = nullptr, const TextOptions& options = {}) {
  return code_of([&] { lines_of(text, options); }, message);
}

// Lines of many lengths, so that blocks end anywhere within them.
std::string sample_text(std::uint64_t seed, std::size_t lines) {
  const Philox numbers(seed, Purpose::sample);
  std::string text;
  for (std::size_t i = 0; i < lines; ++i) {
    for (std::uint64_t n = numbers.below(2 * i, 200); n > 0; --n)
      text += static_cast<char>('a' + numbers.below(1000 * i + n, 26));
    text += numbers.below(2 * i + 1, 3) == 0 ? "\r\n" : "\n";
  }
  return text;
}

class Text : public InFolder {};

TEST_F(Text, F04_OnlyLfAndCrlfEndALine) {
  EXPECT_THAT(lines_of("a\nb\r\nc"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(lines_of("a\n\n\r\n\n"), ElementsAre("a", "", "", ""));
  EXPECT_THAT(lines_of("a\rb\n\vc\fd\u2028e\u0085f\n\r"), ElementsAre("a\rb", "\vc\fd\u2028e\u0085f", "\r"));
  EXPECT_THAT(lines_of("a\r\r\n"), ElementsAre("a\r"));
  EXPECT_THAT(lines_of(""), ElementsAre());
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
}

TEST_F(Text, F01_InvalidUtf8IsRefusedWithFileLineAndByteOrReplaced) {
  const std::pair<std::string, std::string> cases[] = {{"\x80", "\uFFFD"},
                                                       {"\xC0\xAF", "\uFFFD\uFFFD"},
                                                       {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
                                                       {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
                                                       {"\xE2\x82", "\uFFFD"}};
  for (const auto& [bad, repaired] : cases) {
    std::string message;
    const std::string text = "fine\nab" + bad;
    EXPECT_EQ(code_of_text(text, &message), Code::utf8);
    EXPECT_THAT(message,
                AllOf(HasSubstr("text: line 2, byte 3 (offset 7)"), HasSubstr("data.invalid_utf8=replace")));
    TextNotes notes;
    EXPECT_THAT(lines_of(text + "\nend", {.invalid_utf8 = InvalidUtf8::replace}, &notes),
                ElementsAre("fine", "ab" + repaired, "end"));
    EXPECT_EQ(notes.repaired, 1u);
  }
}

TEST_F(Text, F01_ACharacterCutByABlockIsWhole) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "\u20AC";
  const Lines lines = lines_of("x" + text + "\n" + text);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "x" + text);
  EXPECT_EQ(lines[1], text);
}

TEST_F(Text, F02_NulBytesAreKeptAndCounted) {
  TextNotes notes;
  EXPECT_THAT(lines_of(std::string_view("a\0b\n\0\0\nc\n", 9), {}, &notes),
              ElementsAre(std::string("a\0b", 3), std::string("\0\0", 2), "c"));
  EXPECT_EQ(notes.nul_bytes, 3u);
  EXPECT_EQ(notes.lines, 3u);
}

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST_F(Text, F03_AHugeLineIsPassedOverOrRefusedInBoundedMemory) {
  const fs::path path = folder / "huge.txt";
  {
    std::ofstream file(path, std::ios::binary);
    const std::string block(1 << 20, 'x');
    file << "first\n";
    for (int i = 0; i < 100; ++i) file << block;
    file << "\nlast\n";
  }
  const long before = peak_kib();
  std::string message;
  EXPECT_EQ(code_of([&] { read_all(LineReader::open(path, {})); }, &message), Code::size);
  EXPECT_THAT(message, AllOf(HasSubstr("line 2"), HasSubstr("16777216")));

  LineReader reader = LineReader::open(path, {.pass_over_long_lines = true});
  LineReader::Line line;
  EXPECT_TRUE(reader.next(line));
  EXPECT_TRUE(reader.next(line));
  EXPECT_TRUE(line.too_long);
  EXPECT_EQ(line.text, "");
  EXPECT_TRUE(reader.next(line));
  EXPECT_EQ(line.text, "last");
  EXPECT_FALSE(line.too_long);
  EXPECT_FALSE(reader.next(line));
  EXPECT_LT(peak_kib() - before, 200 << 10);
}

TEST_F(Text, F03_TheLimitOfALineIsExact) {
  TextOptions options;
  options.limits.line_bytes = 5;
  EXPECT_THAT(lines_of("12345\n12345", options), ElementsAre("12345", "12345"));
  EXPECT_EQ(code_of_text("123456\n", nullptr, options), Code::size);
  EXPECT_EQ(code_of_text("1\n123456", nullptr, options), Code::size);
}

TEST_F(Text, F05_AByteOrderMarkIsNoPartOfTheText) {
  TextNotes notes;
  EXPECT_THAT(lines_of("\xEF\xBB\xBF"
                       "a\n\xEF\xBB\xBF",
                       {}, &notes),
              ElementsAre("a", "\uFEFF"));
  EXPECT_TRUE(notes.byte_order_mark);
  EXPECT_THAT(lines_of("\xEF\xBB\xBF"), ElementsAre());
}

TEST_F(Text, F05_OtherEncodingsAndArchivesAreRefusedByName) {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, const char*> cases[] = {{"\xFF\xFE"
                                                             "a\0"sv,
                                                             "UTF-16"},
                                                            {"\xFE\xFF\0a"sv, "UTF-16"},
                                                            {"PK\x03\x04 and so on"sv, "zip"},
                                                            {"\xFD\x37zXZ\0..."sv, "xz"},
                                                            {"BZh91AY&SY"sv, "bzip2"},
                                                            {"7z\xBC\xAF\x27\x1C.."sv, "7z"}};
  for (const auto& [text, name] : cases) {
    std::string message;
    EXPECT_EQ(code_of_text(text, &message), Code::text_data);
    EXPECT_THAT(message, AllOf(HasSubstr("text: looks like"), HasSubstr(name)));
    EXPECT_EQ(code_of_text(gzipped(text), &message), Code::text_data);
    EXPECT_THAT(message, HasSubstr(name));
  }
  EXPECT_EQ(code_of_text(gzipped(gzipped("text"))), Code::text_data);
  EXPECT_EQ(code_of_text(gzipped(zstandard("text"))), Code::text_data);
  EXPECT_THAT(lines_of("BZh9 is a bus line"), ElementsAre("BZh9 is a bus line"));
}

TEST_F(Text, F14_WhatIsNoFileIsRefused) {
  EXPECT_EQ(code_of([&] { LineReader::open(folder, {}); }), Code::not_regular);
  EXPECT_EQ(code_of([&] { LineReader::open(folder / "absent", {}); }), Code::open);
}

TEST_F(Text, CompressionIsToldByContentNotByName) {
  const std::string text = sample_text(1, 20'000);
  const Lines plain = lines_of(text);
  ASSERT_EQ(plain.size(), 20'000u);
  const std::string half = text.substr(0, text.size() / 2), rest = text.substr(text.size() / 2);
  EXPECT_EQ(lines_of(gzipped(text)), plain);
  EXPECT_EQ(lines_of(zstandard(text)), plain);
  EXPECT_EQ(lines_of(gzipped(half) + gzipped("") + gzipped(rest) + std::string(500, '\0')), plain);
  EXPECT_EQ(lines_of(zstandard(half) + zstandard(rest, false)), plain);
  using namespace std::string_literals;
  const std::string skippable = "\x5A\x2A\x4D\x18\x03\0\0\0abc"s;
  EXPECT_EQ(lines_of(skippable + zstandard(text) + skippable), plain);
  EXPECT_EQ(read_all(LineReader::open(put("plain.gz", text), {})), plain);
  EXPECT_EQ(read_all(LineReader::open(put("gzip.txt", gzipped(text)), {})), plain);
  EXPECT_THAT(lines_of(gzipped("")), ElementsAre());
}

TEST_F(Text, CutOffStreamsAreErrorsAtEveryByte) {
  const std::string text = sample_text(2, 40);
  for (const std::string& whole : {gzipped(text), zstandard(text)}) {
    for (std::size_t n = 4; n < whole.size(); ++n) {
      std::string message;
      ASSERT_EQ(code_of_text(std::string_view(whole).substr(0, n), &message), Code::compressed) << n;
      EXPECT_THAT(message, AllOf(HasSubstr("text: byte "), HasSubstr("cut off")));
    }
  }
}

TEST_F(Text, DamagedStreamsAreErrorsOrTheSameText) {
  const std::string text = sample_text(3, 20);
  const Lines plain = lines_of(text);
  for (const std::string& whole : {gzipped(text), zstandard(text)}) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
        try {
          const Lines lines = lines_of(damaged);
          // Some bits of the header (the system it was made on, say) mean nothing; and without its magic it
          // is plain text.
          EXPECT_TRUE(i <= 3 || lines == plain) << "byte " << i;
        } catch (const Error& error) {
          EXPECT_TRUE(error.code() == Code::compressed || error.code() == Code::utf8 ||
                      error.code() == Code::size)
              << error.what();
        }
      }
    }
  }
}

TEST_F(Text, RubbishAfterAStreamIsRefused) {
  std::string message;
  EXPECT_EQ(code_of_text(gzipped("a\n") + "rubbish", &message), Code::compressed);
  EXPECT_THAT(message, HasSubstr("rubbish after the gzip stream"));
  EXPECT_EQ(code_of_text(gzipped("a\n") + std::string(9, '\0') + "x"), Code::compressed);
  EXPECT_EQ(code_of_text(zstandard("a\n") + "rubbish"), Code::compressed);
}

TEST_F(Text, WhatInflatesBeyondBeliefIsStopped) {
  const std::string spaces(80 << 20, ' ');
  const auto count = [](const std::string& bytes) {
    return LineReader(ByteStream::of_bytes(as_bytes(bytes), "text"), {}).count_rest();
  };
  const std::string bomb = zstandard(spaces);
  ASSERT_GT(spaces.size() / bomb.size(), 5000u);
  std::string message;
  EXPECT_EQ(code_of([&] { count(bomb); }, &message), Code::size);
  EXPECT_THAT(message, HasSubstr("1032 times"));
  EXPECT_EQ(count(gzipped(spaces)), 1u);  // as much as deflate can do, honestly
}

// Gives `action` bytes as standard input, one at a time, so that reads come back short.
void with_standard_input(std::string_view bytes, const std::function<void()>& action) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int before = dup(STDIN_FILENO);
  dup2(ends[0], STDIN_FILENO);
  std::thread writer([&] {
    for (const char c : bytes) EXPECT_EQ(write(ends[1], &c, 1), 1);
    close(ends[1]);
  });
  action();
  writer.join();
  dup2(before, STDIN_FILENO);
  close(before), close(ends[0]);
}

TEST_F(Text, F20_StandardInputIsAStreamAndCanBeKept) {
  const std::string sent = gzipped("one\ntwo\n");
  with_standard_input(sent,
                      [] { EXPECT_THAT(read_all(LineReader::open("-", {})), ElementsAre("one", "two")); });
  with_standard_input(sent, [&] { keep_standard_input(folder / "kept"); });
  EXPECT_EQ(read_file(folder / "kept"), sent);
  std::string message;
  with_standard_input(sent.substr(0, 12), [&] {
    EXPECT_EQ(code_of([] { read_all(LineReader::open("-", {})); }, &message), Code::compressed);
  });
  EXPECT_THAT(message, HasSubstr("standard input: byte 12: "));
}

TEST_F(Text, CountsTheRestWithoutReadingIt) {
  for (const auto& [text, count] :
       {std::pair{"a\nb\nc", 3}, {"a\nb\nc\n", 3}, {"a\n", 1}, {"a\n\xFF\n\n", 3}}) {
    LineReader reader(ByteStream::of_bytes(as_bytes(text), "text"), {});
    LineReader::Line line;
    ASSERT_TRUE(reader.next(line));
    EXPECT_EQ(reader.count_rest(), static_cast<std::uint64_t>(count));
  }
}

}  // namespace
}  // namespace glossa
