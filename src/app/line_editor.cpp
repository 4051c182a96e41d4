#include "app/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <filesystem>
#include <iostream>

namespace glossa::app {
namespace {

constexpr int kLines = 1000;  // of the history

std::string history_file(const std::string& name) {
  const char *state = std::getenv("XDG_STATE_HOME"), *home = std::getenv("HOME");
  std::filesystem::path folder;
  if (state && *state == '/') folder = state;
  else if (home && *home == '/') folder = std::filesystem::path(home) / ".local/state";
  if (folder.empty()) return "";
  folder /= "glossa";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  return error ? "" : (folder / (name + "-history")).string();
}

volatile std::sig_atomic_t pressed = 0;  // Ctrl-C, while a line is edited
void on_interrupt(int) { pressed = 1; }

// Characters of several bytes are one for the editor; nothing else of the program depends on the locale.
void speak_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

// The next character for the editor; -1 ends the line, as Ctrl-C does.
int next_character(EditLine*, wchar_t* character) {
  std::mbstate_t state{};
  for (char byte;;) {
    const ssize_t count = pressed ? -1 : ::read(STDIN_FILENO, &byte, 1);
    if (count == 0) return 0;
    if (count < 0 && (pressed || errno != EINTR)) return -1;
    if (count < 0) continue;
    const std::size_t result = std::mbrtowc(character, &byte, 1, &state);
    if (result == static_cast<std::size_t>(-1)) state = {};  // not UTF-8: passed over
    else if (result != static_cast<std::size_t>(-2)) return 1;
  }
}

}  // namespace

struct LineEditor::Terminal {
  EditLine* editor;
  History* history;
  std::string prompt, file;

  explicit Terminal(const std::string& name) : editor(el_init("glossa", stdin, stdout, stderr)), history(::history_init()), file(history_file(name)) {
    HistEvent event;
    ::history(history, &event, H_SETSIZE, kLines);
    ::history(history, &event, H_SETUNIQUE, 1);
    if (!file.empty()) ::history(history, &event, H_LOAD, file.c_str());
    el_set(editor, EL_CLIENTDATA, this);
    el_set(editor, EL_PROMPT, +[](EditLine* from) {
      Terminal* self = nullptr;
      el_get(from, EL_CLIENTDATA, &self);
      return self->prompt.data();
    });
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, ::history, history);
    el_set(editor, EL_GETCFN, next_character);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  }
  ~Terminal() {
    const mode_t before = umask(0077);  // what one says to a model is nobody else's
    HistEvent event;
    if (!file.empty()) ::history(history, &event, H_SAVE, file.c_str());
    umask(before);
    history_end(history);
    el_end(editor);
  }
};

LineEditor::LineEditor(const std::string& name) {
  const char* const kind = std::getenv("TERM");
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !kind || std::strcmp(kind, "dumb") == 0) return;
  speak_utf8();
  terminal_ = std::make_unique<Terminal>(name);
}

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read(const std::string& prompt) {
  interrupted_ = false;
  std::string line;
  if (!terminal_) {
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  struct sigaction action = {}, before = {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: reading a character must end
  pressed = 0;
  sigaction(SIGINT, &action, &before);
  terminal_->prompt = prompt;
  int count = 0;
  const char* const typed = el_gets(terminal_->editor, &count);
  sigaction(SIGINT, &before, nullptr);
  if (pressed) {
    interrupted_ = true;
    el_reset(terminal_->editor);
    std::cout << "^C\n" << std::flush;
    return std::nullopt;
  }
  if (!typed || count <= 0) return std::nullopt;
  line.assign(typed, static_cast<std::size_t>(count));
  if (line.ends_with('\n')) line.pop_back();
  HistEvent event;
  if (!line.empty()) ::history(terminal_->history, &event, H_ENTER, line.c_str());
  return line;
}

}  // namespace glossa::app
