#include "train/finish.h"

#include "base/error.h"
#include "base/parallel.h"
#include "checkpoint/model_directory.h"
#include "evaluate/chrf.h"
#include "evaluate/metric.h"
#include "train/model_card.h"
#include "train/validation.h"

namespace glossa {
namespace {

NamedTensors weights_of(const fs::path& checkpoint, const Finish& f) {
  NamedTensors weights;
  for (const auto& [name, tensor] : f.weights) weights.emplace_back(name, tensor.like(tensor.shape()));
  load_tensors(checkpoint / (f.recipe.train.ema_decay > 0 ? kAverageName : "model.safetensors"), weights);
  return weights;
}

// The mean of the weights of the last checkpoints, that of the last step among them.
NamedTensors mean_of_checkpoints(const Finish& f) {
  std::vector<std::int64_t> steps;
  for (const std::int64_t step : checkpoint_steps(f.run))
    if (step == f.state.step || (f.recipe.train.save_steps > 0 && step % f.recipe.train.save_steps == 0)) steps.push_back(step);
  const auto wanted = static_cast<std::size_t>(f.recipe.train.average_checkpoints);
  if (steps.size() > wanted) steps.erase(steps.begin(), steps.end() - static_cast<std::ptrdiff_t>(wanted));
  NamedTensors mean = weights_of(checkpoint_path(f.run, steps.front()), f);
  for (std::size_t i = 1; i < steps.size(); ++i) {
    const NamedTensors next = weights_of(checkpoint_path(f.run, steps[i]), f);
    for (std::size_t t = 0; t < mean.size(); ++t)
      Backend::of(mean[t].second.device()).interpolate(mean[t].second, next[t].second, 1.0 / static_cast<double>(i + 1));
  }
  f.note(fmt::format("the model is the mean of {} checkpoints, steps {} to {}", steps.size(), steps.front(), steps.back()));
  return mean;
}

NamedTensors final_weights(const Finish& f) {
  if (f.recipe.train.load_best_model_at_end && f.state.best_step > 0) {
    f.note(fmt::format("the model is that of step {}, the best", f.state.best_step));
    return weights_of(checkpoint_path(f.run, f.state.best_step), f);
  }
  return f.recipe.train.average_checkpoints > 1 ? mean_of_checkpoints(f) : f.weights;
}

TestScores score_test(const Finish& f, const Transformer& model) {
  const std::vector<std::string> translations = translate_all(model, f.corpus.tokenizer, f.generation, f.corpus.test.source);
  const std::vector<std::string>& references = f.corpus.test.target;
  const std::vector<std::string_view> views(translations.begin(), translations.end());
  const References expected{std::span(references)};
  TestScores scores;
  const auto measure = [&](const Metric& metric, double& value, std::string& text) {
    value = score(metric, segment_statistics(metric, views, expected).sum()).value;
    text = signature(metric, expected.count()).text();
  };
  const BleuTokenizer tokenizer = bleu_tokenizer_for(f.recipe.data.target_lang);
  measure(Bleu({.tokenizer = tokenizer}), scores.bleu, scores.bleu_signature);
  measure(Bleu({.tokenizer = tokenizer, .lowercase = true}), scores.bleu_lowercase, scores.bleu_lowercase_signature);
  measure(Chrf(), scores.chrf, scores.chrf_signature);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < translations.size(); ++i) equal += translations[i] == references[i];
  scores.exact = static_cast<double>(equal) / static_cast<double>(translations.size());
  std::string text;
  for (const std::string& line : translations) text += line + "\n";
  write_file(f.run / "generated_predictions.txt", text);
  return scores;
}

OrderedJson results(const Finish& f, const std::optional<TestScores>& test) {
  OrderedJson all{{"epoch", f.state.epoch},
                  {"global_step", f.state.step},
                  {"train_runtime", f.state.seconds},
                  {"train_tokens_per_second", f.state.seconds > 0 ? static_cast<double>(f.state.target_tokens) / f.state.seconds : 0}};
  for (const OrderedJson& line : f.state.history)  // the last value of each
    for (const auto& [key, value] : line.items())
      if (key == "loss" || key == "eval_loss" || key == "eval_bleu") all[key == "loss" ? "train_loss" : key] = value;
  if (test) {
    all["test_bleu"] = test->bleu, all["test_bleu_signature"] = test->bleu_signature;
    all["test_bleu_lowercase"] = test->bleu_lowercase, all["test_bleu_lowercase_signature"] = test->bleu_lowercase_signature;
    all["test_chrf"] = test->chrf, all["test_chrf_signature"] = test->chrf_signature;
    all["test_exact"] = test->exact;
  }
  return all;
}

}  // namespace

std::optional<TestScores> finish_run(const Finish& f) {
  const NamedTensors weights = final_weights(f);
  save_model_directory(f.run, {.config = f.config,
                               .weights = weights,
                               .tokenizer = f.corpus.tokenizer,
                               .generation_config = f.generation.to_json()});
  std::optional<TestScores> test;
  if (!f.corpus.test.empty()) test = score_test(f, InferenceModel(f.config, weights).model);
  write_file(f.run / kStateName, to_text(f.state.to_json()));
  write_file(f.run / "README.md", model_card(f, test));
  write_file(f.run / "all_results.json", to_text(results(f, test)));
  return test;
}

}  // namespace glossa
