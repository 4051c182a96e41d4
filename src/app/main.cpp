#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "app/command.h"
#include "base/error.h"
#include "base/json.h"
#include "base/version.h"

namespace {

using namespace glossa;

bool json_log = false;

int report(Code code, const std::string& message) {
  std::string line;
  const bool stopped = code == Code::stopped;  // as asked, and nothing is wrong
  if (json_log) {
    line = OrderedJson{{"level", stopped ? "info" : "error"}, {"code", fmt::format("E{}", static_cast<int>(code))}, {"message", message}}
               .dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
  } else {
    line = stopped ? message + "\n" : fmt::format("error[E{}]: {}\n", static_cast<int>(code), message);
  }
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  return static_cast<int>(code) / 1000;
}

// A closed standard stream would lend its number to the next file that is opened, and messages would end up in it.
void reopen_closed_streams() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0) [[maybe_unused]] const int opened = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

// sacreBLEU spells these long options with one dash, and users' fingers know them so.
std::vector<std::string> with_long_dashes(int argc, char** argv) {
  static const char* kSpellings[] = {"-lc", "-tok", "-sl", "-nw", "-sh", "-bs", "-sm"};
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    for (const char* spelling : kSpellings)
      if (word == spelling) word.insert(0, "-");
    words.push_back(std::move(word));
  }
  return words;
}

CLI::App* command_named(CLI::App& app, const std::string& name) {
  for (CLI::App* sub : app.get_subcommands({}))
    if (sub->get_name() == name) return sub;
  return nullptr;
}

// The command that the words lead to, so that a wrong option can be compared with that command's.
CLI::App* addressed(CLI::App& program, const std::vector<std::string>& words) {
  CLI::App* app = &program;
  for (const std::string& word : words) {
    if (word.starts_with("-")) continue;
    CLI::App* next = command_named(*app, word);
    if (!next) break;
    app = next;
  }
  return app;
}

std::string suggestion(CLI::App& program, const std::vector<std::string>& words, const std::string& unknown) {
  CLI::App* app = addressed(program, words);
  std::vector<std::string> known;
  if (unknown.starts_with("-")) {
    for (const CLI::Option* option : app->get_options())
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  } else {
    for (const CLI::App* sub : app->get_subcommands({})) known.push_back(sub->get_name());
  }
  const std::string best = closest(unknown.substr(0, unknown.find('=')), known);
  return best.empty() ? "" : fmt::format("; did you mean {}?", best);
}

int run(int argc, char** argv) {
  CLI::App program("Train, fine-tune, translate with and examine Transformer models, in one native program.", "glossa");
  program.set_version_flag("--version", std::string("glossa ") + kVersion);
  program.require_subcommand(1);
  program.fallthrough();
  program.set_help_all_flag("--help-all", "Help of all commands");
  program.add_flag_function("-q,--quiet", [&](std::int64_t) { app::set_quiet(true); }, "No notes on standard error, only errors");
  program.add_option_function<std::string>("--log-format", [](const std::string& f) { json_log = f == "json"; },
                                           "How errors are written: text or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}));
  program.footer(
      "Examples:\n"
      "  glossa train recipes/multi30k-en-de.yaml --output-dir runs/en-de\n"
      "  echo 'A dog runs across the beach.' | glossa translate --model runs/en-de\n"
      "  glossa score reference.de -i hypotheses.de -m bleu chrf ter\n"
      "  glossa COMMAND --help");
  app::add_train(program);
  app::add_translate(program);
  app::add_score(program);
  app::add_tokenizer(program);
  app::add_inspect(program);
  app::add_data(program);
  app::add_doctor(program);
  app::add_bench(program);
  app::add_completion(program);

  std::vector<std::string> words = with_long_dashes(argc, argv);
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 takes them
    program.parse(reversed);
    return 0;
  } catch (const CLI::Success& e) {  // --help and --version
    const int status = program.exit(e);
    return std::fflush(stdout) == 0 ? status : report(Code::write, "write to standard output failed");
  } catch (const CLI::ExtrasError& e) {
    const std::vector<std::string> extras = program.remaining(true);
    const std::string unknown = extras.empty() ? std::string(e.what()) : extras.front();
    return report(Code::unknown_option, fmt::format("unknown {} {}{}", unknown.starts_with("-") ? "option" : "argument",
                                                    quoted(unknown), suggestion(program, words, unknown)));
  } catch (const CLI::RequiredError& e) {
    // What is mistyped arrives here as something that is missing.
    const auto command = std::find_if(words.begin(), words.end(), [](const std::string& word) { return !word.starts_with("-"); });
    if (command != words.end() && !command_named(program, *command))
      return report(Code::unknown_option, fmt::format("unknown command {}{}", quoted(*command), suggestion(program, {}, *command)));
    for (const std::string& word : words)
      if (word.starts_with("--") && !addressed(program, words)->get_option_no_throw(word.substr(0, word.find('='))) &&
          !program.get_option_no_throw(word.substr(0, word.find('='))))
        return report(Code::unknown_option, fmt::format("unknown option {}{}", quoted(word), suggestion(program, words, word)));
    return report(Code::usage, std::string(e.what()) + "; see glossa --help");
  } catch (const CLI::ParseError& e) {
    return report(Code::usage, e.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  reopen_closed_streams();
  std::signal(SIGPIPE, SIG_IGN);
  std::setlocale(LC_ALL, "C");  // numbers are written and read with a point everywhere
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    return report(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return report(Code::memory, "out of memory");
  } catch (const std::exception& e) {
    return report(Code::internal, fmt::format("{} (a defect of glossa: please report it)", e.what()));
  }
}
