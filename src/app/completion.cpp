// completion.cpp -- `glossa completion`: scripts that complete commands, options and the values options know, made from
// the commands themselves.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "app/command.h"

namespace glossa::app {
namespace {

struct OptionEntry {
  std::vector<std::string> names;  // "--threads", "-t"; none: an argument without a name
  std::string meaning;
  bool takes_value = false;
  std::vector<std::string> choices = {};  // empty: anything, files too
};

struct CommandEntry {
  std::string words;  // "glossa tokenizer train"
  std::vector<OptionEntry> options;
  std::vector<std::pair<std::string, std::string>> commands = {};  // name and meaning
};

// What CLI::IsMember says of itself in an option's type: {bleu,chrf,ter}.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::size_t begin = type.find('{'), end = type.rfind('}');
  if (begin == type.npos || end == type.npos || end < begin) return {};
  return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

std::vector<OptionEntry> options_of(const CLI::App& command) {
  std::vector<OptionEntry> entries;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    const std::string& description = option->get_description();
    OptionEntry entry = {.names = {},
                         .meaning = description.substr(0, description.find('\n')),
                         .takes_value = option->get_items_expected_max() > 0,
                         .choices = choices_of(*option)};
    for (const std::string& name : option->get_lnames()) entry.names.push_back(fmt::format("--{}", name));
    for (const std::string& name : option->get_snames()) entry.names.push_back(fmt::format("-{}", name));
    entries.push_back(std::move(entry));
  }
  return entries;
}

// Those of the program that every command takes too.
std::vector<OptionEntry> inherited_options(const CLI::App& program) {
  std::vector<OptionEntry> options = options_of(program);
  std::erase_if(options, [](const OptionEntry& option) {
    const auto has = [&](const char* name) {
      return std::find(option.names.begin(), option.names.end(), name) != option.names.end();
    };
    return has("--help") || has("--help-all") || has("--version");
  });
  return options;
}

// All commands, a parent before its children.
std::vector<CommandEntry> commands_of(const CLI::App& program) {
  const std::vector<OptionEntry> inherited = inherited_options(program);
  std::vector<std::pair<const CLI::App*, std::string>> queue{{&program, program.get_name()}};
  std::vector<CommandEntry> all;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const auto [command, words] = queue[i];
    CommandEntry entry = {.words = words, .options = options_of(*command)};
    if (command != &program) entry.options.insert(entry.options.end(), inherited.begin(), inherited.end());
    for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; })) {
      const std::string description = sub->get_description();
      entry.commands.emplace_back(sub->get_name(), description.substr(0, description.find('\n')));
      queue.emplace_back(sub, words + " " + sub->get_name());
    }
    all.push_back(std::move(entry));
  }
  return all;
}

// Between single quotes, as bash and zsh have them.
std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string_view(&c, 1);
  return out + "'";
}

// As fish has them.
std::string fish_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

// 'glossa train'|'glossa score'|...: the words that lead from one command to the next.
std::string known_commands(const std::vector<CommandEntry>& all, const char* separator) {
  std::string known;
  for (const CommandEntry& e : all) known += (known.empty() ? "" : separator) + literal(e.words);
  return known;
}

// Cases of "COMMAND OPTION" for the options that take a value: `values` are those offered, none for files.
template <class Values>
std::string value_cases(const std::vector<CommandEntry>& all, Values&& values) {
  std::string cases;
  for (const CommandEntry& e : all) {
    for (const OptionEntry& option : e.options) {
      if (!option.takes_value || option.names.empty()) continue;
      std::string patterns;
      for (const std::string& name : option.names)
        patterns += fmt::format("{}{}", patterns.empty() ? "" : "|", literal(e.words + " " + name));
      cases += fmt::format("  {}) {} ;;\n", patterns, values(option.choices));
    }
  }
  return cases;
}

// Words that may stand in the place of a command or argument.
std::vector<std::pair<std::string, std::string>> words_of(const CommandEntry& entry) {
  auto words = entry.commands;
  for (const OptionEntry& option : entry.options)
    if (option.names.empty())
      for (const std::string& choice : option.choices) words.emplace_back(choice, option.meaning);
  return words;
}

std::vector<std::pair<std::string, std::string>> option_names(const CommandEntry& entry) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const OptionEntry& option : entry.options)
    for (const std::string& name : option.names) names.emplace_back(name, option.meaning);
  return names;
}

std::string names_only(const std::vector<std::pair<std::string, std::string>>& described) {
  std::string words;
  for (const auto& [name, meaning] : described) words += (words.empty() ? "" : " ") + name;
  return literal(words);
}

std::string bash_script(const std::vector<CommandEntry>& all) {
  std::string cases;
  for (const CommandEntry& e : all)
    cases += fmt::format("    {}) words={} options={} ;;\n", literal(e.words), names_only(words_of(e)),
                         names_only(option_names(e)));
  const std::string values = value_cases(all, [](const std::vector<std::string>& choices) {
    return fmt::format("words={}", literal(fmt::format("{}", fmt::join(choices, " "))));
  });
  return fmt::format(R"(# bash completion for glossa:  source <(glossa completion bash)
_glossa() {{
  local command=glossa words= options= i
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
  # The = of --option=value is a word for bash.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = && COMP_CWORD -gt 1 ]]; then
    previous=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$command ${{COMP_WORDS[i]}}" in
    {}) command="$command ${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$command $previous" in
{}  *)
    case "$command" in
{}    esac
    [[ $current == -* ]] && words=$options
    ;;
  esac
  # Nothing found: files, as the last line says.
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _glossa glossa
)",
                     known_commands(all, "|"), values, cases);
}

// An array of 'name:meaning'.
std::string zsh_array(const std::vector<std::pair<std::string, std::string>>& described) {
  std::string array;
  for (const auto& [name, meaning] : described)
    array += (array.empty() ? "" : " ") + literal(fmt::format("{}:{}", name, meaning));
  return "(" + array + ")";
}

std::string zsh_script(const std::vector<CommandEntry>& all) {
  std::string cases;
  for (const CommandEntry& e : all)
    cases += fmt::format("    {}) candidates={} options={} ;;\n", literal(e.words), zsh_array(words_of(e)),
                         zsh_array(option_names(e)));
  const std::string values = value_cases(all, [](const std::vector<std::string>& choices) {
    return fmt::format("candidates=({})", fmt::join(choices, " "));
  });
  return fmt::format(R"(#compdef glossa
# zsh completion for glossa:  glossa completion zsh > "${{fpath[1]}}/_glossa"
_glossa() {{
  local command=glossa word previous=${{words[CURRENT-1]}}
  local -a candidates options
  if [[ ${{words[CURRENT]}} == --*=* ]]; then
    previous=${{words[CURRENT]%%=*}}
    compset -P '*='
  fi
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "$command $word" in
    {}) command="$command $word" ;;
    esac
  done
  case "$command $previous" in
{}  *)
    case "$command" in
{}    esac
    [[ $PREFIX == -* ]] && candidates=("${{options[@]}}")
    ;;
  esac
  if (( ${{#candidates}} )); then
    _describe 'glossa' candidates
  else
    _files
  fi
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _glossa "$@"
else
  compdef _glossa glossa
fi
)",
                     known_commands(all, "|"), values, cases);
}

std::string fish_script(const std::vector<CommandEntry>& all) {
  std::string script = fmt::format(
      R"(# fish completion for glossa:  glossa completion fish > ~/.config/fish/completions/glossa.fish
function __glossa_command
  set -l command glossa
  for word in (commandline -opc)
    switch "$command $word"
    case {}
      set command "$command $word"
    end
  end
  test "$command" = "$argv[1]"
end
)",
      known_commands(all, " "));
  for (const CommandEntry& e : all) {
    const std::string line = fmt::format("complete -c glossa -n \"__glossa_command '{}'\"", e.words);
    for (const auto& [name, meaning] : words_of(e))
      script += fmt::format("{} -f -a {} -d {}\n", line, fish_literal(name), fish_literal(meaning));
    for (const OptionEntry& option : e.options) {
      if (option.names.empty()) continue;
      script += line;
      for (const std::string& name : option.names)
        script += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
      if (!option.choices.empty()) {
        script += fmt::format(" -x -a {}", fish_literal(fmt::format("{}", fmt::join(option.choices, " "))));
      } else if (option.takes_value) {
        script += " -r";
      }
      script += " -d " + fish_literal(option.meaning) + "\n";
    }
  }
  return script;
}

}  // namespace

void add_completion(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("completion", "Print a script that completes commands and options in a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "Examples:\n  source <(glossa completion bash)\n"
      "  glossa completion zsh > \"${fpath[1]}/_glossa\"\n"
      "  glossa completion fish > ~/.config/fish/completions/glossa.fish");
  command->callback([shell, &program] {
    const std::vector<CommandEntry> all = commands_of(program);
    StandardOutput out;
    out.write(*shell == "bash" ? bash_script(all) : *shell == "zsh" ? zsh_script(all) : fish_script(all));
    out.flush();
  });
}

}  // namespace glossa::app
