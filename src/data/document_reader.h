// document_reader.h -- documents as a stream, from any number of files: texts, which are one document each or
// are cut at blank lines or at all lines, and JSON lines, of which each holds one under a key.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/line_reader.h"
#include "data/pair_reader.h"

namespace glossa {

enum class DocumentFormat : std::uint8_t {
  automatic,  // by the name: .jsonl, .json or .ndjson, before .gz or .zst; everything else is text
  text,
  jsonl,
};
enum class DocumentRule : std::uint8_t { file, blank_line, line };  // what a document of a text is

struct DocumentFiles {
  std::vector<fs::path> paths = {};  // "-" is standard input
  DocumentFormat format = DocumentFormat::automatic;
  DocumentRule documents = DocumentRule::file;
  std::string text_column = "text";
  // Only the text from one byte to another, counted over all documents: how a part is held out. A document
  // that lies across a border is cut there, before a character.
  std::uint64_t begin = 0, end = UINT64_MAX;

  std::string names() const;  // for messages
};

// The files that words name: files as they are, folders for the files of text in them, patterns (* ? [) for
// what they match, each in the order of names. Error(open) for a folder without such files or a pattern
// without a match.
std::vector<fs::path> expand_files(const std::vector<std::string>& words);

// A document of several lines that reaches so much comes in parts. They end between two lines of which the
// first does not end in white space and the next does not begin with it: where words are cut from each other
// in any case. Without such a place, they end before the line with which they would be twice as long. A
// document of JSON lines, or one that is a line, comes whole.
inline constexpr std::size_t kPartBytes = 4u << 20;

struct DocumentPart {
  std::string_view text;  // good until the next part
  bool first = true, last = true;
};

// Documents of white space only are passed over. CR LF is a line feed. Not thread-safe.
class DocumentReader {
 public:
  DocumentReader(DocumentFiles files, const TextOptions& options);
  // The next part; false at the end. Error(json | text_data) with file and line for JSON lines without the
  // key.
  bool next(DocumentPart& part);
  CorpusNotes notes() const;

  struct Counts {
    std::uint64_t documents = 0, bytes = 0, blank = 0;  // handed out; of their text; passed over
  };
  const Counts& counts() const { return counts_; }

 private:
  bool fill();  // parses until pending_ holds a part; false at the end
  bool next_of_file();
  void add_line(const LineReader::Line& line);
  void take_object(std::string_view line);
  void emit(bool last);
  bool within(DocumentPart& part);

  DocumentFiles files_;
  TextOptions options_;
  std::size_t next_file_ = 0;
  std::optional<LineReader> reader_;
  bool jsonl_ = false;
  CorpusNotes done_;  // of the files before

  std::string pending_, part_;  // text of the document at hand; what was handed out
  bool begun_ = false;          // a part of the document at hand was handed out
  bool ready_ = false;          // part_ is to be handed out
  bool ends_ = false;           // it is the last one of its document
  bool first_ = false;          // or the first
  std::uint64_t offset_ = 0;    // bytes of text before part_
  bool shown_ = false;          // some of the document at hand lay within the range
  Counts counts_;
};

}  // namespace glossa
