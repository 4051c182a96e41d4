// source_files.h -- the files that data come from: what a cache of them depends on, that they stay what they
// are while they are read, and what was odd about their text.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/line_reader.h"

namespace glossa {

// What a cache of these files depends on: size, time of change, and a digest of both ends of each file
// (everything of small ones). Empty if one of them is standard input, which is never the same twice.
std::string identity_of(const std::vector<fs::path>& files);

class SourceFiles {
 public:
  // `names`: of all, for messages.
  SourceFiles(std::vector<fs::path> paths, std::string names)
      : paths_(std::move(paths)), names_(std::move(names)), identity_(identity_of(paths_)) {}
  const std::string& identity() const { return identity_; }
  // Error(changed) unless they are as they were.
  void check_unchanged() const;
  // What `read` gives. Whatever else it finds wrong does not matter in a file that is being written.
  template <class F>
  auto reading(F&& read) const {
    try {
      return read();
    } catch (const Error&) {
      check_unchanged();
      throw;
    }
  }

 private:
  std::vector<fs::path> paths_;
  std::string names_, identity_;
};

// What readers met in their text.
struct CorpusNotes {
  std::uint64_t repaired_lines = 0, nul_bytes = 0, byte_order_marks = 0, text_bytes = 0;
  void add(const TextNotes& notes);
};

// What is counted of texts of all kinds while they are encoded.
struct EncodingReport : CorpusNotes {
  std::uint64_t unknown_tokens = 0;
  std::string unknown_example = {};  // a text, or part of one, with unknown tokens

  // What a user should look at, one sentence each, of texts of so many tokens.
  std::vector<std::string> warnings_of(std::uint64_t tokens) const;
};

}  // namespace glossa
