// data.cpp -- `glossa data preview`: what a recipe's data look like to the model.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "app/command.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "data/preview.h"
#include "checkpoint/model_source.h"
#include "train/corpus.h"
#include "train/text_corpus.h"

namespace glossa::app {
namespace {

struct Options {
  std::string recipe;
  std::vector<std::string> assignments;
  std::uint64_t batches = 1;
  std::size_t sentences = 4;
  bool json = false;
};

std::vector<std::int32_t> numbers(const Tensor& x) {
  const auto span = x.span<std::int32_t>();
  return {span.begin(), span.end()};
}

OrderedJson as_json(const Tokens& tokens, const Tokenizer& tokenizer) {
  OrderedJson pieces = OrderedJson::array();
  for (const std::int32_t id : tokens.ids.span<std::int32_t>()) pieces.push_back(tokenizer.piece(id));
  return {{"starts", numbers(tokens.sequences.starts)}, {"ids", numbers(tokens.ids)}, {"pieces", pieces}};
}

void preview_pairs(const Recipe& recipe, const Options& o) {
  const Corpus corpus = read_corpus(recipe, {.note = note});
  const TransformerConfig config = model_config(recipe, corpus.tokenizer);
  const BatchPlan plan(corpus.train.data, batch_options(recipe));
  BatchCursor cursor(plan, {});
  StandardOutput out;
  const PieceOf piece_of = [&](std::int32_t id) { return std::string(corpus.tokenizer.piece(id)); };
  for (std::uint64_t i = 0; i < o.batches; ++i) {
    const std::span<const std::uint64_t> pairs = cursor.next();
    const Seq2SeqBatch batch = make_batch(corpus.train.data, pairs, sentence_ends(config));
    if (o.json) {
      const OrderedJson line{{"batch", i},
                             {"source", as_json(batch.source, corpus.tokenizer)},
                             {"target", as_json(batch.target, corpus.tokenizer)},
                             {"labels", numbers(batch.labels)}};
      out.write(to_line(line));
    } else {
      out.write(preview(batch, pairs, corpus.train.data, piece_of, o.sentences) + "\n");
    }
  }
  if (!o.json) out.write(fill_statistics(plan).summary() + "\n");
  out.flush();
}

void preview_documents(const Recipe& recipe, const Options& o) {
  const std::string& base = recipe.model.model_name_or_path;
  std::optional<Tokenizer> given;
  if (!base.empty()) given = open_model(base).tokenizer;
  const TextCorpus corpus = read_text_corpus(recipe, {.note = note}, given);
  const BlockPlan plan(corpus.train.data, block_options(recipe, corpus));
  StandardOutput out;
  const PieceOf piece_of = [&](std::int32_t id) { return std::string(corpus.tokenizer.piece(id)); };
  BatchPosition at;
  for (std::uint64_t i = 0; i < o.batches; ++i, at = plan.after(at)) {
    const CausalBatch batch = plan.batch(at.epoch, at.batch);
    if (o.json) {
      out.write(to_line({{"batch", i}, {"tokens", as_json(batch.tokens, corpus.tokenizer)}, {"labels", numbers(batch.labels)}}));
    } else {
      out.write(preview(batch, piece_of, o.sentences) + "\n");
    }
  }
  if (!o.json) out.write(fmt::format("{} batches in an epoch of {} tokens\n", plan.batches(0), corpus.train.data.size()));
  out.flush();
}

void run(const Options& o) {
  Recipe recipe = Recipe::read(o.recipe);
  for (const std::string& assignment : o.assignments) recipe.set(assignment);
  recipe.validate();
  recipe.language() ? preview_documents(recipe, o) : preview_pairs(recipe, o);
}

}  // namespace

void add_data(CLI::App& program) {
  CLI::App* data = program.add_subcommand("data", "Look at training data");
  data->require_subcommand(1);
  data->footer("Example:\n  glossa data preview recipes/reverse-digits.yaml");
  CLI::App* command = data->add_subcommand("preview", "Show batches as the model sees them, how full they are, and what was skipped");
  auto o = std::make_shared<Options>();
  command->add_option("recipe", o->recipe, "The recipe")->type_name("RECIPE")->required();
  command->add_option("--set", o->assignments, "Change a key of the recipe")->type_name("KEY=VALUE")->allow_extra_args(false);
  command->add_option("--batches", o->batches, "How many batches, from the first")->check(whole_number(1, 1000000))->capture_default_str();
  command->add_option("--sentences", o->sentences, "Sentences or sequences shown of each")->check(whole_number(0, 1000000))->capture_default_str();
  command->add_flag("--json", o->json, "One JSON object for each batch, with all its sentences");
  add_threads_option(*command);
  command->footer(
      "Examples:\n"
      "  glossa data preview recipes/multi30k-en-de.yaml\n"
      "  glossa data preview recipes/reverse-digits.yaml --batches 2 --json");
  command->callback([o] { run(*o); });
}

}  // namespace glossa::app
