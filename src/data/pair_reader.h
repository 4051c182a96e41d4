// pair_reader.h -- sentence pairs as a stream: from two parallel files, a table with tabs, or JSON lines.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/source_files.h"

namespace glossa {

struct Pair {
  std::string_view source, target;  // good until the next pair
  std::uint64_t line = 0;           // in its file or files, from 1
  bool too_long = false;            // a side had more bytes than a line may have, and is not here
};

// Sets its argument to the next pair; false at the end. Called by one thread at a time, but not always the
// same.
using PairStream = std::function<bool(Pair&)>;

enum class PairFormat : std::uint8_t {
  automatic,  // by the name: .jsonl, .json or .ndjson, before .gz or .zst; everything else is a table
  tsv,        // source TAB target on each line, and nothing else; quotation marks are text
  jsonl,  // an object on each line: {"source": ..., "target": ...} or {"translation": {"en": ..., "de": ...}}
};

struct CorpusFiles {
  fs::path source = {}, target = {};  // two files that are parallel by lines; "-" is standard input
  fs::path file = {};                 // or both sides in one
  PairFormat format = PairFormat::automatic;
  std::string source_column = "source", target_column = "target";  // keys of jsonl
  std::string source_lang = {}, target_lang = {};                  // keys within "translation"

  std::vector<fs::path> paths() const;  // one or two
  std::string names() const;            // for messages
};

// Not thread-safe.
class PairReader {
 public:
  PairReader(const CorpusFiles& files, const TextOptions& options);
  // The next pair; false at the end, which both of two parallel files must reach together: else
  // Error(line_counts) with both counts. A line of a table that does not have two columns, or JSON without
  // the keys: Error(text_data | json).
  bool next(Pair& pair);
  CorpusNotes notes() const;

 private:
  bool next_of_two(Pair& pair);
  void split_columns(std::string_view line, Pair& pair) const;
  void take_object(std::string_view line, Pair& pair);

  CorpusFiles files_;
  PairFormat format_;
  Limits limits_;
  std::vector<LineReader> readers_;  // one or two
  std::string source_, target_;      // of JSON, where escapes are resolved
};

}  // namespace glossa
