// line_reader.h -- text from outside, line by line. Only LF and CRLF end a line, on every platform: U+2028,
// form feeds and lone carriage returns are characters like any other, so that the lines of parallel files
// stay together.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "data/byte_stream.h"

namespace glossa {

enum class InvalidUtf8 : std::uint8_t {
  refuse,   // Error(utf8) with file, line and byte
  replace,  // U+FFFD for each ill-formed part, and the lines are counted
};

struct TextOptions {
  InvalidUtf8 invalid_utf8 = InvalidUtf8::refuse;
  // Lines of more than limits.line_bytes: refused (Error(size)), or handed out empty with too_long set.
  bool pass_over_long_lines = false;
  Limits limits = {};
};

struct TextNotes {                     // what a reader has met so far
  std::uint64_t lines = 0, bytes = 0;  // bytes of text, after inflation
  std::uint64_t repaired = 0;          // lines with bytes that were replaced
  std::uint64_t nul_bytes = 0;         // kept as they are
  bool byte_order_mark = false;        // there was one of UTF-8, which is no part of the text
};

class LineReader {
 public:
  struct Line {
    std::string_view text;  // without its end; good until the next call
    bool too_long = false;
    bool fed = false;  // a line feed follows: only the last line of a text may do without
  };

  // What is UTF-16, or compressed twice, is refused here (Error(text_data)).
  LineReader(ByteStream stream, const TextOptions& options);
  static LineReader open(const fs::path& path, const TextOptions& options);

  // The next line; false at the end. A last line need not end in a line feed. Memory: one line and a block.
  bool next(Line& line);
  // Reads to the end, only counting. The number of lines of the whole text.
  std::uint64_t count_rest();

  const TextNotes& notes() const { return notes_; }
  const std::string& name() const { return stream_.name(); }
  std::uint64_t line_number() const { return notes_.lines; }  // of the line handed out last, from 1

 private:
  struct Extent {
    std::size_t length;
    bool fed;  // a line feed follows
  };
  // Of the line at begin_: to its line feed, to the end of the text, or to where it is found too long.
  Extent find_end();
  bool more();       // reads a block behind what is there; false at the end
  bool pass_over();  // drops text up to and with the next line feed; false if there is none
  void check_beginning();
  void check_text(Line& line);

  ByteStream stream_;
  TextOptions options_;
  TextNotes notes_;
  std::string buffer_, repaired_;
  std::size_t begin_ = 0, end_ = 0;  // what is read and not yet handed out, in buffer_
  std::uint64_t offset_ = 0;         // of buffer_[0] in the text
};

}  // namespace glossa
