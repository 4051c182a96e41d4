// translator.h -- text in, text out: lines through tokenizer, search and back, in their order, as a stream.
//
// Not thread-safe; kernels use the pool of threads.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "generate/search.h"
#include "text/tokenizer.h"

namespace glossa {

struct TranslatorOptions {
  SearchOptions search = {};
  bool truncate =
      false;  // cut lines of more tokens than the model has positions for, instead of refusing them
  bool alignment = false;        // fill Translated::alignment
  std::string origin = "input";  // of the lines, for messages
};

// One way to translate a line.
struct Translated {
  std::string text;
  std::vector<Token> tokens;   // without start and end
  double log_probability = 0;  // in nats
  double score = 0;            // with the penalties of length and coverage
  // For each target token, in order, the source token that the last decoder layer looks at most (special
  // tokens of the source apart): (source, target), counted from 0.
  std::vector<std::pair<std::int32_t, std::int32_t>> alignment = {};
};

struct Translation {
  std::uint64_t line = 0;        // from 0
  std::vector<Token> source;     // with special tokens; none for an empty line
  std::vector<Translated> best;  // best first, at least one; for an empty line, an empty one
  bool truncated = false;
};

class Translator {
 public:
  // `models` as for CachedDecoder; one tokenizer may be both.
  Translator(std::vector<const Transformer*> models, Tokenizer source, Tokenizer target,
             const GenerationConfig& generation, const TranslatorOptions& options = {});

  // The best translation of each line.
  std::vector<std::string> translate(std::span<const std::string> lines);

  struct Line {
    std::string text;
    std::string prefix = {};  // what the translation must begin with
  };
  enum class Read : std::uint8_t { line, later, end };
  // Fills in the next line. `wait`: there is nothing else to do, so it must not answer `later`.
  using Reader = std::function<Read(Line& line, bool wait)>;
  using Writer = std::function<void(Translation translation)>;
  // Translates until `read` says end. At most some hundreds of lines are read ahead of the one written last,
  // and a line is written as soon as it and all before it are done. Errors name origin and line, and are
  // thrown once the lines before that one are written.
  void run(const Reader& read, const Writer& write);

 private:
  struct Pending {
    Translation translation;
    bool done = false;
  };
  bool take_line(const Reader& read, bool& ended);
  void accept(const Line& line);
  void cut(const std::string& text, std::vector<Token>& ids) const;
  void finish(SearchResult result);
  Translated translated(const Translation& translation, Hypothesis hypothesis) const;

  Tokenizer source_, target_;
  TranslatorOptions options_;
  std::int64_t positions_;
  Search search_;
  std::deque<Pending> pending_;  // read and not yet written
  std::uint64_t written_ = 0;    // lines; pending_[0] is the line of this number
  std::vector<SearchResult> results_;
};

}  // namespace glossa
