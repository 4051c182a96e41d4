// line_queue.h -- lines read ahead by a thread of its own, so that work goes on while the next line is
// awaited.
#pragma once
#include <memory>
#include <string>

#include "data/line_reader.h"
#include "generate/translator.h"

namespace glossa::app {

class LineQueue {
 public:
  // `input`: a file or "-". `prefixes`, if not empty: a file with as many lines, the beginnings of
  // translations.
  LineQueue(const std::string& input, const std::string& prefixes, const TextOptions& options);
  ~LineQueue();
  LineQueue(const LineQueue&) = delete;
  LineQueue& operator=(const LineQueue&) = delete;

  // As Translator::Reader. An error of reading is thrown after the lines before it were handed out.
  Translator::Read next(Translator::Line& line, bool wait);
  const std::string& name() const { return name_; }
  std::uint64_t repaired() const;  // lines with bytes that were replaced; after the end

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::string name_;
};

}  // namespace glossa::app
