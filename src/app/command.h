// command.h -- what the sub-commands share: one function each that adds itself to the program, and the way out for
// results. Results go to standard output, everything else to standard error.
#pragma once
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace glossa::app {

void add_train(CLI::App& program);
void add_translate(CLI::App& program);
void add_generate(CLI::App& program);
void add_chat(CLI::App& program);
void add_perplexity(CLI::App& program);
void add_few_shot(CLI::App& program);
void add_convert(CLI::App& program);
void add_verify(CLI::App& program);
void add_score(CLI::App& program);
void add_tokenizer(CLI::App& program);
void add_template(CLI::App& program);
void add_inspect(CLI::App& program);
void add_pull(CLI::App& program);
void add_models(CLI::App& program);
void add_data(CLI::App& program);
void add_doctor(CLI::App& program);
void add_bench(CLI::App& program);
void add_completion(CLI::App& program);

// Standard output, checked: a failed write is an Error(write), and a reader that has gone away ends the program quietly.
class StandardOutput {
 public:
  void write(std::string_view text);  // buffered
  void flush();
  ~StandardOutput();  // flushes; a failure there is reported by `flush` only, so call it last

 private:
  std::string buffer_;
};

// Error(usage) if standard input, "-", is to be read more than once.
void check_one_standard_input(const std::vector<std::string>& inputs);

// Whether notes may be drawn over each other: standard error is a terminal and NO_COLOR is not asked for.
bool terminal();
// One line on standard error, unless --quiet.
void note(std::string_view line);
void set_quiet(bool quiet);
bool quiet();

// From here on Ctrl-C and other signals to end are asked for by `stop_asked`; a second one ends the program at once.
void stop_on_signals();
bool stop_asked();

// Adds --threads (0: all that the process may use) to a command; takes effect before its callback runs.
void add_threads_option(CLI::App& command);

}  // namespace glossa::app
