#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstring>
#include <new>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "app/command.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "base/version.h"
#include "train/recipe.h"

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

// sacreBLEU and llama.cpp spell these long options with one dash, and users' fingers know them so.
std::vector<std::string> with_long_dashes(int argc, char** argv) {
  static const char* kSpellings[] = {"-np", "-md", "-ctk", "-ctv", "-lc", "-tok", "-sl", "-nw", "-sh", "-bs", "-sm"};
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    for (const char* spelling : kSpellings)
      if (word == spelling) word.insert(0, "-");
    words.push_back(std::move(word));
  }
  return words;
}

// The command that was read last, so that a wrong option can be compared with that command's.
CLI::App* addressed(CLI::App& program) {
  CLI::App* app = &program;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

// "glossa tokenizer train"
std::string path_of(const CLI::App* app) {
  return app->get_parent() ? path_of(app->get_parent()) + " " + app->get_name() : app->get_name();
}

// "; did you mean ...?", or nothing: what begins with the word or is a slip of the pen away from it.
std::string suggestion(CLI::App& program, const std::string& unknown) {
  CLI::App* app = addressed(program);
  const bool option = unknown.starts_with("-");
  std::vector<std::string> known;
  if (option) {
    for (const CLI::Option* o : app->get_options())
      for (const std::string& name : o->get_lnames()) known.push_back(name);
  } else {
    for (const CLI::App* sub : app->get_subcommands({})) known.push_back(sub->get_name());
  }
  std::string word = unknown.substr(0, unknown.find('='));
  word.erase(0, word.find_first_not_of('-'));
  std::string best;
  for (const std::string& name : known)
    if (!word.empty() && name.starts_with(word)) best += (best.empty() ? "" : " or ") + std::string(option ? "--" : "") + name;
  if (best.empty() && !closest(word, known).empty()) best = (option ? "--" : "") + closest(word, known);
  if (best.empty() && option && app->get_option_no_throw("--set"))
    if (const std::string key = Recipe::key_like(word); !key.empty()) best = fmt::format("--set {}=VALUE", key);
  return best.empty() ? "" : fmt::format("; did you mean {}?", best);
}

// What nobody took, if there is something: an option, a command, or a word too many.
void check_unknown(CLI::App& program) {
  const std::vector<std::string> extras = program.remaining(true);
  if (extras.empty()) return;
  const std::string& unknown = extras.front();
  const bool command = program.get_subcommands().empty();
  fail(Code::unknown_option, "unknown {} {}{}", unknown.starts_with("-") ? "option" : command ? "command" : "argument", quoted(unknown),
       suggestion(program, unknown));
}

// CLI11's words, made those of a sentence.
std::string wrong_count(const CLI::ArgumentMismatch& e) {
  const std::string text = e.what(), option = text.substr(0, text.find(':'));
  return fmt::format("{}: {}", option, text.find("missing") != text.npos ? "the value is missing" : "given more often than once");
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
      "  glossa pull ORG/NAME:Q4_K_M && glossa generate --model ORG/NAME:Q4_K_M -p 'Once upon a time'\n"
      "  glossa score reference.de -i hypotheses.de -m bleu chrf ter\n"
      "  glossa COMMAND --help");
  app::add_train(program);
  app::add_translate(program);
  app::add_generate(program);
  app::add_chat(program);
  app::add_perplexity(program);
  app::add_few_shot(program);
  app::add_convert(program);
  app::add_verify(program);
  app::add_score(program);
  app::add_tokenizer(program);
  app::add_template(program);
  app::add_inspect(program);
  app::add_pull(program);
  app::add_models(program);
  app::add_data(program);
  app::add_doctor(program);
  app::add_bench(program);
  app::add_completion(program);
  app::refuse_empty_values(program);

  std::vector<std::string> words = with_long_dashes(argc, argv);
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    program.parse(words);
    return 0;
  } catch (const CLI::Success& e) {  // --help and --version
    std::ostringstream text;
    program.exit(e, text, text);
    app::StandardOutput out;
    out.write(text.str());
    out.flush();
    return 0;
  } catch (const CLI::ArgumentMismatch& e) {
    return report(Code::usage, wrong_count(e));
  } catch (const CLI::ParseError& e) {
    // What is mistyped may arrive here as something that is missing.
    check_unknown(program);
    return report(Code::usage, fmt::format("{}; see {} --help", e.what(), path_of(addressed(program))));
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
  } catch (const fs::filesystem_error& e) {
    return report(Code::read, fmt::format("{}: {}", shown(e.path1()), e.code().message()));
  } catch (const std::system_error& e) {
    // Of the library, only threads fail so.
    return report(Code::memory, fmt::format("no thread to be had from the system: {}; --threads N asks for fewer", e.code().message()));
  } catch (const std::exception& e) {
    return report(Code::internal, fmt::format("{} (a defect of glossa: please report it)", e.what()));
  }
}
