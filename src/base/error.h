// error.h -- the one way to refuse. An Error carries a code, and the code decides the program's exit status.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace glossa {

// Exit statuses of the program. They are part of its interface.
enum class Exit : int {
  ok = 0,
  internal = 1,  // a defect of ours
  usage = 2,     // the command line or the recipe asks for what cannot be
  input = 3,     // a file holds what it must not
  io = 4,        // the operating system refused
  limit = 5,     // memory, size or time would be exceeded
  numeric = 6,   // not-a-number where a number must be, or numbers that differ too much
  busy = 7,      // somebody else holds the directory
  worker = 8,    // a worker of a distributed run is gone
  stopped = 75,  // stopped on request, and what the same command goes on from was written
};

// What went wrong. The thousands are the exit status; users search for the whole number, printed as E3101.
enum class Code : int {
  internal = 1000,
  usage = 2000,
  unknown_option = 2001,
  bad_value = 2002,  // an option or recipe value outside its range
  output_exists = 2003,
  recipe = 2004,  // a recipe with an unknown key, a wrong type or a contradiction
  shape = 2005,   // tensors that do not fit each other (library callers)
  json = 3001,
  utf8 = 3002,
  not_regular = 3003,  // a directory, device or pipe where a file must be
  empty = 3004,
  safetensors = 3101,
  weights = 3102,  // a tensor missing, superfluous or of another shape than the model's
  config = 3103,
  shard_index = 3104,
  gguf = 3105,
  torch_file = 3106,  // what torch.save wrote, and the zip and pickle that it consists of
  llama2c = 3107,
  tokenizer = 3201,
  chat_template = 3202,  // a template that is not one, or that refused the conversation
  text_data = 3301,
  line_counts = 3302,  // parallel files of different length
  compressed = 3303,
  hub_answer = 3501,  // what a server of models sends is not what it must be, or not what it announced
  run_state = 3401,  // a training checkpoint that is damaged or belongs to another run
  open = 4001,
  read = 4002,
  write = 4003,
  sync = 4004,
  changed = 4005,  // a file changed while it was in use
  network = 4006,  // a server that cannot be reached, or refuses
  memory = 5001,
  size = 5002,
  depth = 5003,
  count = 5004,
  nonfinite = 6001,
  tolerance = 6002,  // two models that are compared differ by more than is allowed
  locked = 7001,
  worker = 8001,
  stopped = 75000,
};

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }
  Exit exit() const { return static_cast<Exit>(static_cast<int>(code_) / 1000); }

 private:
  Code code_;
};

// Throws an Error. Messages name, as far as known: the file, the place in it, the object, what was found, what is
// allowed, and the flag that changes a limit -- in that order, on one line.
template <class... Args>
[[noreturn]] void fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// Fails unless `condition` holds. For what a caller or a file can get wrong; `assert` is for what only we can.
template <class... Args>
void check(bool condition, Code code, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]] fail(code, format, std::forward<Args>(args)...);
}

// Foreign text made safe to print: quoted, control and invalid bytes escaped, cut after `most` bytes. An object and not
// a function, so that std::quoted is never found in its place by the type of its argument.
struct Quoted {
  std::string operator()(std::string_view foreign, std::size_t most = 120) const;
};
inline constexpr Quoted quoted;

// The closest of `known` to `word` if it is close enough to be a slip of the pen, else "". For "did you mean".
template <class Range>
std::string closest(std::string_view word, const Range& known);
std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Range>
std::string closest(std::string_view word, const Range& known) {
  std::string best;
  std::size_t least = word.size() / 3 + 2;
  for (const auto& k : known) {
    if (std::size_t d = edit_distance(word, k); d < least) least = d, best = k;
  }
  return best;
}

}  // namespace glossa
