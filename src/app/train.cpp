// train.cpp -- `glossa train`: a recipe in, a model and the story of its making out.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "app/command.h"
#include "app/progress_bar.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "train/trainer.h"

namespace glossa::app {
namespace {

struct Options {
  std::string recipe, output_directory;
  std::vector<std::string> assignments, override_keys;
  std::optional<std::int64_t> seed;
  bool resume = false, overwrite = false, schema = false, reference = false, json = false;
};

Recipe effective_recipe(const Options& o) {
  Recipe recipe = Recipe::read(o.recipe);
  for (const std::string& assignment : o.assignments) recipe.set(assignment);
  if (o.seed) recipe.train.seed = *o.seed;
  recipe.validate();
  return recipe;
}

std::string command_of(const Options& o) {
  std::string command = "glossa train " + o.recipe + " --output-dir " + o.output_directory;
  for (const std::string& a : o.assignments) command += " --set " + a;
  if (o.seed) command += fmt::format(" --seed {}", *o.seed);
  return command;
}

OrderedJson summary(const Options& o, const TrainingResult& result) {
  OrderedJson line{{"output_dir", o.output_directory}, {"step", result.step}, {"train_runtime", result.seconds}};
  if (result.scores) line.update(result.scores->metrics);
  return line;
}

void print_result(const Options& o, const TrainingResult& result) {
  StandardOutput out;
  if (o.json) {
    out.write(to_line(summary(o, result)));
  } else {
    if (result.scores) out.write(result.scores->text);
    out.write(fmt::format("The model is in {} after {} steps, {} of training.\n", o.output_directory, result.step, clock_time(result.seconds)));
  }
  out.flush();
}

void print(const std::string& text) {
  StandardOutput out;
  out.write(text);
  out.flush();
}

void run(Options& o) {
  if (o.schema) return print(to_text(Recipe::json_schema()));
  if (o.reference) return print(Recipe::reference());
  check(!o.recipe.empty(), Code::usage, "a recipe is needed; see glossa train --help");
  const Recipe recipe = effective_recipe(o);
  if (o.output_directory.empty()) o.output_directory = (fs::path("runs") / fs::path(o.recipe).stem()).string();

  ProgressBar bar;
  stop_on_signals();
  const TrainingResult result = train(recipe, {.output_directory = o.output_directory,
                                               .resume = o.resume,
                                               .overwrite = o.overwrite,
                                               .override_keys = o.override_keys,
                                               .command = command_of(o),
                                               .hooks = {.note = [&](std::string_view line) { bar.note(line); },
                                                         .progress = [&](const TrainingProgress& p) { bar.show(p); },
                                                         .stop = stop_asked}});
  if (result.stopped)
    fail(Code::stopped, "stopped at step {}; the same command with --resume goes on from {}", result.step,
         result.checkpoint.empty() ? "the beginning" : shown(result.checkpoint));
  print_result(o, result);
}

}  // namespace

void add_train(CLI::App& program) {
  CLI::App* command = program.add_subcommand("train", "Train a translation or language model as a recipe says");
  auto o = std::make_shared<Options>();
  command->add_option("recipe", o->recipe, "The recipe, a YAML file (see docs/recipes.md)")->type_name("RECIPE");
  command->add_option("-o,--output-dir", o->output_directory, "Where the model and its checkpoints go; default: runs/ and the recipe's name")
      ->type_name("DIR");
  command->add_option("--set", o->assignments, "Change a key of the recipe: --set train.max_steps=500")->type_name("KEY=VALUE")->allow_extra_args(false);
  command->add_flag("--resume", o->resume, "Go on from the newest checkpoint in the output directory, to the same bits");
  command->add_option("--override", o->override_keys, "With --resume: a key that may differ from the run's recipe")
      ->type_name("KEY")
      ->allow_extra_args(false);
  command->add_flag("--overwrite", o->overwrite, "Remove the run that is in the output directory");
  command->add_option("--seed", o->seed, "Instead of train.seed")->type_name("N")->check(whole_number(0, 9'000'000'000'000'000));
  command->add_flag("--schema", o->schema, "Print the JSON schema of recipes, for editors, and end");
  command->add_flag("--reference", o->reference, "Print the documentation of all keys, as Markdown, and end");
  command->add_flag("--json", o->json, "Print the result as JSON");
  add_threads_option(*command);
  command->footer(
      "Ctrl-C or SIGTERM writes a checkpoint and ends with status 75; a second one ends at once.\n\n"
      "Examples:\n"
      "  glossa train recipes/multi30k-en-de.yaml\n"
      "  glossa train recipes/shakespeare-char.yaml --set data.train_file=tinyshakespeare.txt\n"
      "  glossa train recipes/reverse-digits.yaml -o /tmp/digits --set train.max_steps=300 --threads 1\n"
      "  glossa train recipes/multi30k-en-de.yaml --resume");
  command->callback([o] { run(*o); });
}

}  // namespace glossa::app
