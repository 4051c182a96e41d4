#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "app/bench_model.h"
#include "app/bench_ops.h"
#include "app/command.h"
#include "app/values.h"
#include "app/measure.h"
#include "app/presets.h"
#include "backend/cpu/cpu_features.h"
#include "generate/search.h"
#include "models/all.h"
#include "train/cost.h"
#include "train/update.h"

namespace glossa::app {
namespace {

void check_bf16(bool wanted) {
  check(!wanted || cpu::instruction_set() == cpu::InstructionSet::avx512_bf16, Code::bad_value,
        "--bf16: no bf16 products with instruction set {}", cpu::name_of(cpu::instruction_set()));
}

struct TrainBench {
  std::string preset = "encdec-base";
  bool bf16 = false, json = false;
  double dropout = -1;
  int steps = 10;
};

// What is learnt again and again, as the recipe of such a run says.
struct BenchedTask {
  Recipe recipe;
  ParameterList& parameters;
  std::int64_t width;  // of the model
  Objective batch;
  double flops;  // of one update
};

void measure_updates(const TrainBench& options, const BenchedTask& task) {
  const Objective& batch = task.batch;
  Updater update(task.parameters, task.recipe.train, task.width, options.bf16);
  int step = 0;
  Measured m = measure([&] { update(std::span(&batch, 1), ++step); }, {.runs = options.steps, .warm_up = 2, .bf16 = options.bf16});
  m.name = fmt::format("train {} {}", options.preset, options.bf16 ? "bf16" : "f32");
  m.tokens = static_cast<double>(batch.tokens);
  m.operations = task.flops;
  print_heading(options.json);
  print(m, options.json);
}

void bench_train(const TrainBench& options) {
  check_bf16(options.bf16);
  ParameterList parameters({});
  const auto& causal = causal_preset_names();
  if (std::find(causal.begin(), causal.end(), options.preset) == causal.end()) {
    Preset p = preset(options.preset);
    if (options.dropout >= 0) p.config.dropout = options.dropout;
    const Transformer model(parameters, p.config);
    const Seq2SeqBatch batch = random_batch(p, 1);
    return measure_updates(
        options,
        {.recipe = {},
         .parameters = parameters,
         .width = p.config.d_model,
         .batch = {batch.labels.elements(), [&](const LossOptions& how) { return model.loss(batch, how); }},
         .flops = update_flops(p.config, batch)});
  }
  CausalPreset p = causal_preset(options.preset);
  if (options.dropout >= 0) p.config["embd_pdrop"] = p.config["resid_pdrop"] = options.dropout;
  const std::unique_ptr<CausalModel> model = make_causal_model(p.config, p.name, parameters);
  const CausalShape shape = CausalShape::of(Json(model->config()));
  const CausalBatch batch = random_batch(p, 1);
  Recipe recipe;
  recipe.set(std::string("data.task=") + kLanguageModeling);
  measure_updates(options, {.recipe = recipe,
                            .parameters = parameters,
                            .width = shape.width,
                            .batch = {batch.labels.elements(),
                                      [&](const LossOptions& how) { return model->loss(batch, how); }},
                            .flops = shape.update_flops(batch.tokens.sequences)});
}

struct TranslateBench {
  std::string preset = "encdec-base";
  int batch = 32, beams = 4, length = 24, runs = 5;
  bool bf16 = false, json = false;
};

// Exactly `length` tokens of each sentence, none of them the end.
GenerationConfig exactly(const TransformerConfig& model, const TranslateBench& options) {
  GenerationConfig config = GenerationConfig::of_model(model);
  config.num_beams = options.beams;
  config.min_new_tokens = config.max_new_tokens = options.length;
  return config;
}

void bench_translate(const TranslateBench& options) {
  check_bf16(options.bf16);
  Preset p = preset(options.preset);
  p.sentences = options.batch, p.length = options.length;
  check(options.length < p.config.max_position_embeddings, Code::bad_value, "--length {}: the model has {} positions",
        options.length, p.config.max_position_embeddings);
  ParameterList parameters({.training = false});
  const Transformer model(parameters, p.config);
  Search search({&model}, exactly(p.config, options),
                {.batch_tokens = std::int64_t{options.batch} * options.length, .batch_size = options.batch});
  const Seq2SeqBatch batch = random_batch(p, 1);
  const auto ids = batch.source.ids.span<std::int32_t>();
  const Bf16Products precision(options.bf16);
  const auto translate = [&] {
    for (int i = 0; i < options.batch; ++i) {
      const auto begin = ids.begin() + std::ptrdiff_t{i} * options.length;
      search.submit({.index = static_cast<std::uint64_t>(i), .source = {begin, begin + options.length}});
    }
    std::vector<SearchResult> results;
    while (!search.idle()) search.step(results);
    for (const SearchResult& r : results)  // with the start token
      check(r.hypotheses.at(0).tokens.size() == static_cast<std::size_t>(options.length) + 1, Code::internal,
            "a translation of {} tokens instead of {}", r.hypotheses[0].tokens.size() - 1, options.length);
  };
  Measured m = measure(translate, {.runs = options.runs, .warm_up = 1, .bf16 = options.bf16});
  m.name = fmt::format("translate {} batch {} beam {} {}", p.name, options.batch, options.beams, options.bf16 ? "bf16" : "f32");
  m.tokens = static_cast<double>(options.batch) * options.length;
  m.operations = translate_flops(p, options.beams);
  print_heading(options.json);
  print(m, options.json);
}

CLI::App* add_bench_command(CLI::App& bench, const char* name, const char* description, std::string& preset, bool& bf16, bool& json,
                            const std::vector<std::string>& presets = preset_names()) {
  CLI::App* command = bench.add_subcommand(name, description);
  command->add_option("--preset", preset, "Model and batch")->check(CLI::IsMember(presets))->capture_default_str();
  command->add_flag("--bf16", bf16, "Matrix products in bf16");
  command->add_flag("--json", json, "One JSON object a line");
  add_threads_option(*command);
  return command;
}

void add_bench_train(CLI::App& bench) {
  auto options = std::make_shared<TrainBench>();
  std::vector<std::string> presets = preset_names();
  presets.insert(presets.end(), causal_preset_names().begin(), causal_preset_names().end());
  CLI::App* command = add_bench_command(bench, "train", "Updates of the weights: target tokens a second", options->preset,
                                        options->bf16, options->json, presets);
  command->add_option("--dropout", options->dropout, "Instead of the preset's 0.1 (of the gpt presets: 0)")->check(number(0, 0.99));
  command->add_option("--steps", options->steps, "Steps measured; the median counts")->check(whole_number(1, 100000))->capture_default_str();
  command->callback([options] { bench_train(*options); });
}

void add_bench_translate(CLI::App& bench) {
  auto options = std::make_shared<TranslateBench>();
  CLI::App* command = add_bench_command(bench, "translate", "Search for translations: target tokens a second", options->preset,
                                        options->bf16, options->json);
  command->add_option("--batch", options->batch, "Sentences at a time")->check(whole_number(1, 4096))->capture_default_str();
  command->add_option("--beam-size", options->beams, "1: greedy")->check(whole_number(1, 256))->capture_default_str();
  command->add_option("--length", options->length, "Tokens of each source and of each translation")
      ->check(whole_number(1, 100000))
      ->capture_default_str();
  command->add_option("--runs", options->runs, "Batches measured; the median counts")->check(whole_number(1, 100000))->capture_default_str();
  command->callback([options] { bench_translate(*options); });
}

void add_bench_ops(CLI::App& bench) {
  auto options = std::make_shared<OpsBench>();
  CLI::App* command = add_bench_command(bench, "ops", "The kernels of a training step, one by one", options->preset, options->bf16,
                                        options->json);
  command->add_option("--runs", options->runs, "Of each kernel; the median counts")->check(whole_number(1, 100000))->capture_default_str();
  command->callback([options] {
    check_bf16(options->bf16);
    bench_ops(*options);
  });
}

void add_bench_model(CLI::App& bench) {
  auto o = std::make_shared<ModelBench>();
  CLI::App* command = bench.add_subcommand("model", "A language model from a file: tokens read and written a second");
  add_model_options(*command, o->files);
  add_cache_options(*command, o->cache);
  command->add_option("-p,--prompt", o->prompt, "Tokens of the prompt that is read")->check(whole_number(1, 1 << 20))->capture_default_str();
  command->add_option("-n,--generate", o->generate, "Tokens of each text that is written")->check(whole_number(1, 1 << 20))->capture_default_str();
  command->add_option("--batch", o->batch, "Texts written together")->check(whole_number(1, 4096))->capture_default_str();
  command->add_option("--runs", o->runs, "Of each; the median counts")->check(whole_number(1, 100000))->capture_default_str();
  command->add_flag("--json", o->json, "One JSON object");
  add_threads_option(*command);
  command->callback([o] { bench_model(*o); });
}

}  // namespace

void add_bench(CLI::App& program) {
  CLI::App* bench = program.add_subcommand("bench", "Measure speed: of training and translation on random weights, of language models from their files");
  bench->require_subcommand(1);
  bench->footer(
      "Examples:\n"
      "  glossa bench train --preset encdec-small --bf16 --json\n"
      "  glossa bench train --preset gpt-small\n"
      "  glossa bench translate --batch 32 --beam-size 4\n"
      "  glossa bench model -m MODEL.gguf\n"
      "  GLOSSA_ISA=avx2 glossa bench ops");
  add_bench_train(*bench);
  add_bench_translate(*bench);
  add_bench_ops(*bench);
  add_bench_model(*bench);
}

}  // namespace glossa::app
