// line_editor.h -- lines that a user types, with editing and a history where there is a terminal (libedit).
#pragma once
#include <memory>
#include <optional>
#include <string>

namespace glossa::app {

class LineEditor {
 public:
  // With a terminal at both ends lines are edited; their history is kept in a file of the user's from one run to the next.
  explicit LineEditor(const std::string& name);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  bool interactive() const { return terminal_ != nullptr; }
  // The next line without its end; nothing at the end of the input, or when Ctrl-C gave the line up (see `interrupted`).
  std::optional<std::string> read(const std::string& prompt);
  bool interrupted() const { return interrupted_; }

 private:
  struct Terminal;
  std::unique_ptr<Terminal> terminal_;  // none: lines come as they are
  bool interrupted_ = false;
};

}  // namespace glossa::app
