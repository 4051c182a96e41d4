#include "app/line_queue.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"

namespace glossa::app {
namespace {
constexpr std::size_t kMostLines = 1024;
}

struct LineQueue::State {
  State(LineReader text, std::optional<LineReader> beginnings)
      : reader(std::move(text)), prefixes(std::move(beginnings)) {}

  LineReader reader;
  std::optional<LineReader> prefixes;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Translator::Line> lines;
  bool ended = false, unwanted = false;
  std::exception_ptr error;

  bool read(Translator::Line& line) {
    LineReader::Line text, prefix;
    const bool more = reader.next(text);
    if (more) line.text = text.text;
    if (prefixes) {
      const bool also = prefixes->next(prefix);
      check(more == also, Code::line_counts, "{} ends after {} lines, but {} has more",
            (more ? *prefixes : reader).name(), (more ? *prefixes : reader).line_number(),
            (more ? reader : *prefixes).name());
      if (also) line.prefix = prefix.text;
    }
    return more;
  }

  void run() {
    bool more = true;
    while (more) {
      Translator::Line line;
      std::exception_ptr failure;
      try {
        more = read(line);
      } catch (...) {
        failure = std::current_exception();
        more = false;
      }
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return lines.size() < kMostLines || unwanted; });
      if (unwanted) return;
      if (more)
        lines.push_back(std::move(line));
      else
        ended = true, error = failure;
      changed.notify_all();
    }
  }
};

LineQueue::LineQueue(const std::string& input, const std::string& prefixes, const TextOptions& options) {
  std::optional<LineReader> beginnings;
  if (!prefixes.empty()) beginnings = LineReader::open(prefixes, options);
  state_ = std::make_shared<State>(LineReader::open(input, options), std::move(beginnings));
  name_ = state_->reader.name();
  // Detached: it may be waiting for a terminal when there is an error to report, and must not keep the
  // program.
  std::thread([state = state_] { state->run(); }).detach();
}

LineQueue::~LineQueue() {
  const std::lock_guard lock(state_->mutex);
  state_->unwanted = true;
  state_->changed.notify_all();
}

Translator::Read LineQueue::next(Translator::Line& line, bool wait) {
  std::unique_lock lock(state_->mutex);
  if (wait) state_->changed.wait(lock, [&] { return !state_->lines.empty() || state_->ended; });
  if (!state_->lines.empty()) {
    line = std::move(state_->lines.front());
    state_->lines.pop_front();
    state_->changed.notify_all();
    return Translator::Read::line;
  }
  if (!state_->ended) return Translator::Read::later;
  if (state_->error) std::rethrow_exception(state_->error);
  return Translator::Read::end;
}

std::uint64_t LineQueue::repaired() const {
  const std::lock_guard lock(state_->mutex);
  return state_->ended ? state_->reader.notes().repaired : 0;
}

}  // namespace glossa::app
