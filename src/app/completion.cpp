// completion.cpp -- `glossa completion`: scripts that complete commands and options, made from the commands themselves.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/command.h"
#include "base/error.h"

namespace glossa::app {
namespace {

struct Entry {
  std::string words;                                         // of the command, "glossa tokenizer train"
  std::vector<std::pair<std::string, std::string>> options;  // name and meaning
  std::vector<std::pair<std::string, std::string>> commands;
};

std::string one_line(std::string text) {
  text = text.substr(0, text.find_first_of("\n"));
  std::erase_if(text, [](char c) { return c == '\'' || c == '`' || c == '"' || c == '\\' || c == '$' || c == '[' || c == ']' || c == ':'; });
  return text;
}

// All commands, a parent before its children.
std::vector<Entry> entries(CLI::App& program) {
  std::vector<std::pair<CLI::App*, std::string>> queue{{&program, program.get_name()}};
  std::vector<Entry> all;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const auto [command, words] = queue[i];
    Entry entry{.words = words, .options = {}, .commands = {}};
    for (const CLI::Option* option : command->get_options()) {
      const std::string meaning = one_line(option->get_description());
      for (const std::string& name : option->get_lnames()) entry.options.emplace_back("--" + name, meaning);
      for (const std::string& name : option->get_snames()) entry.options.emplace_back("-" + name, meaning);
    }
    for (CLI::App* sub : command->get_subcommands({})) {
      entry.commands.emplace_back(sub->get_name(), one_line(sub->get_description()));
      queue.emplace_back(sub, words + " " + sub->get_name());
    }
    all.push_back(std::move(entry));
  }
  return all;
}

std::string joined(const Entry& entry) {
  std::string words;
  for (const auto& list : {entry.commands, entry.options})
    for (const auto& [name, meaning] : list) words += (words.empty() ? "" : " ") + name;
  return words;
}

// Options complete by themselves, everything else as files.
std::string bash_script(const std::vector<Entry>& all) {
  std::string cases;
  for (const Entry& e : all) cases += fmt::format("    '{}') words='{}' ;;\n", e.words, joined(e));
  std::string known;
  for (const Entry& e : all) known += fmt::format("'{}'|", e.words);
  known.pop_back();
  return fmt::format(R"(# bash completion for glossa:  source <(glossa completion bash)
_glossa() {{
  local command=glossa words= current=${{COMP_WORDS[COMP_CWORD]}} i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$command ${{COMP_WORDS[i]}}" in
    {}) command="$command ${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$command" in
{}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ $current != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}}
complete -o filenames -F _glossa glossa
)",
                     known, cases);
}

std::string zsh_script(const std::vector<Entry>& all) {
  std::string cases, known;
  for (const Entry& e : all) {
    std::string list;
    for (const auto& words : {e.commands, e.options})
      for (const auto& [name, meaning] : words) list += fmt::format(" '{}:{}'", name, meaning);
    cases += fmt::format("    '{}') candidates=({}) ;;\n", e.words, list);
    known += fmt::format("'{}'|", e.words);
  }
  known.pop_back();
  return fmt::format(R"(#compdef glossa
# zsh completion for glossa:  glossa completion zsh > "${{fpath[1]}}/_glossa"
_glossa() {{
  local command=glossa word
  local -a candidates
  for word in "${{words[@]:1:$((CURRENT - 2))}}"; do
    case "$command $word" in
    {}) command="$command $word" ;;
    esac
  done
  case "$command" in
{}  esac
  _describe 'glossa' candidates
  [[ ${{words[CURRENT]}} == -* ]] || _files
}}
compdef _glossa glossa
)",
                     known, cases);
}

std::string fish_script(const std::vector<Entry>& all) {
  std::string script = "# fish completion for glossa:  glossa completion fish > ~/.config/fish/completions/glossa.fish\n";
  for (const Entry& e : all) {
    // The command's own words must stand on the line, and none of its sub-commands yet.
    std::string condition;
    for (std::size_t at = e.words.find(' '); at != std::string::npos; at = e.words.find(' ', at + 1))
      condition += fmt::format("{}__fish_seen_subcommand_from {}", condition.empty() ? "" : "; and ", e.words.substr(at + 1, e.words.find(' ', at + 1) - at - 1));
    std::string children;
    for (const auto& [name, meaning] : e.commands) children += " " + name;
    if (!children.empty()) condition += fmt::format("{}not __fish_seen_subcommand_from{}", condition.empty() ? "" : "; and ", children);
    for (const auto& [name, meaning] : e.commands)
      script += fmt::format("complete -c glossa -f -n '{}' -a {} -d '{}'\n", condition, name, meaning);
    for (const auto& [name, meaning] : e.options)
      script += fmt::format("complete -c glossa{} -{} {} -d '{}'\n", condition.empty() ? "" : " -n '" + condition + "'",
                            name.starts_with("--") ? "l" : "s", name.substr(name.find_first_not_of('-')), meaning);
  }
  return script;
}

}  // namespace

void add_completion(CLI::App& program) {
  CLI::App* command = program.add_subcommand("completion", "Print a script that completes commands and options in a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("Examples:\n  source <(glossa completion bash)\n  glossa completion fish > ~/.config/fish/completions/glossa.fish");
  command->callback([shell, &program] {
    const std::vector<Entry> all = entries(program);
    StandardOutput out;
    out.write(*shell == "bash" ? bash_script(all) : *shell == "zsh" ? zsh_script(all) : fish_script(all));
    out.flush();
  });
}

}  // namespace glossa::app
