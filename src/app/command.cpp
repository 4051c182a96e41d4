#include "app/command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "app/values.h"
#include "base/error.h"
#include "base/parallel.h"

namespace glossa::app {
namespace {
bool quiet_notes = false;

std::atomic<int> signals = 0;
static_assert(std::atomic<int>::is_always_lock_free, "touched by a signal handler");

void on_signal(int) {
  constexpr int kInterrupted = 130;
  if (signals.fetch_add(1) > 0) std::_Exit(kInterrupted);  // asked twice: at once; what is on the disk is whole
}
}  // namespace

void StandardOutput::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= 64 << 10) flush();
}

void StandardOutput::flush() {
  std::size_t at = 0;
  while (at < buffer_.size()) {
    const ssize_t n = ::write(STDOUT_FILENO, buffer_.data() + at, buffer_.size() - at);
    if (n > 0) {
      at += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EPIPE) {
      std::_Exit(0);  // `| head`: whoever read has seen enough
    } else if (n < 0 && errno != EINTR) {
      buffer_.clear();
      fail(Code::write, "write to standard output failed: {}", std::strerror(errno));
    }
  }
  buffer_.clear();
}

StandardOutput::~StandardOutput() {
  try {
    flush();
  } catch (const Error&) {  // already on the way out
  }
}

void check_one_standard_input(const std::vector<std::string>& inputs) {
  check(std::count(inputs.begin(), inputs.end(), "-") <= 1, Code::usage, "standard input (-) can be read once only, and is named more often");
}

bool terminal() {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(STDERR_FILENO) && !(no_color && *no_color);
}

void set_quiet(bool quiet) { quiet_notes = quiet; }
bool quiet() { return quiet_notes; }

void note(std::string_view line) {
  if (quiet_notes) return;
  const std::string text = std::string(line) + "\n";
  // A log that nobody can read any more is no reason to stop working.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaction(signal, &action, nullptr);
}

bool stop_asked() { return signals.load() > 0; }

void add_threads_option(CLI::App& command) {
  command
      .add_option_function<int>(
          "-t,--threads", [](int count) { set_thread_count(count > 0 ? count : hardware_threads()); },
          "Number of threads; 0: all that the process may use")
      ->type_name("N")
      ->check(whole_number(0, 1024));
}

}  // namespace glossa::app
