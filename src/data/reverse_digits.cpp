#include "data/reverse_digits.h"

#include <memory>

#include "base/error.h"
#include "base/random.h"

namespace glossa {

std::string ReverseDigits::source(std::uint64_t index) const {
  check(min_digits >= 1 && min_digits <= max_digits, Code::bad_value, "reverse-digits: from {} to {} digits",
        min_digits, max_digits);
  // Streams of the parts lie 2^56 examples apart.
  const Philox numbers(seed, Purpose::sample, part << 56 | index);
  const std::uint64_t length = min_digits + numbers.below(0, max_digits - min_digits + 1);
  std::string text;
  for (std::uint64_t i = 1; i <= length; ++i) {
    if (i > 1) text += ' ';
    text += static_cast<char>('0' + numbers.below(i, 10));
  }
  return text;
}

std::string reversed_words(std::string_view words) {
  std::string out;
  for (;;) {
    const std::size_t space = words.rfind(' ');
    out += words.substr(space == std::string_view::npos ? 0 : space + 1);
    if (space == std::string_view::npos) return out;
    out += ' ';
    words = words.substr(0, space);
  }
}

PairStream ReverseDigits::pairs() const {
  struct State {
    ReverseDigits task;
    std::uint64_t next = 0;
    std::string source, target;
  };
  return [state = std::make_shared<State>(State{*this, 0, {}, {}})](Pair& pair) {
    if (state->next == state->task.examples) return false;
    state->source = state->task.source(state->next++);
    state->target = reversed_words(state->source);
    pair = {.source = state->source, .target = state->target, .line = state->next};
    return true;
  };
}

std::string ReverseDigits::identity() const {
  return fmt::format("reverse-digits {} {} {} {} {}", examples, min_digits, max_digits, seed, part);
}

}  // namespace glossa
