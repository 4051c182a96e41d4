#include "train/finish.h"

#include "backend/backend.h"
#include "base/error.h"
#include "train/model_card.h"

namespace glossa {
namespace {

NamedTensors weights_of(const fs::path& checkpoint, const FinishedRun& f) {
  NamedTensors weights;
  for (const auto& [name, tensor] : f.weights) weights.emplace_back(name, tensor.like(tensor.shape()));
  load_tensors(checkpoint / (f.recipe.train.ema_decay > 0 ? kAverageName : "model.safetensors"), weights);
  return weights;
}

// The mean of the weights of the last checkpoints, that of the last step among them.
NamedTensors mean_of_checkpoints(const FinishedRun& f) {
  std::vector<std::int64_t> steps;
  for (const std::int64_t step : checkpoint_steps(f.run))
    if (step == f.state.step || (f.recipe.train.save_steps > 0 && step % f.recipe.train.save_steps == 0))
      steps.push_back(step);
  const auto wanted = static_cast<std::size_t>(f.recipe.train.average_checkpoints);
  if (steps.size() > wanted) steps.erase(steps.begin(), steps.end() - static_cast<std::ptrdiff_t>(wanted));
  NamedTensors mean = weights_of(checkpoint_path(f.run, steps.front()), f);
  for (std::size_t i = 1; i < steps.size(); ++i) {
    const NamedTensors next = weights_of(checkpoint_path(f.run, steps[i]), f);
    for (std::size_t t = 0; t < mean.size(); ++t)
      Backend::of(mean[t].second.device())
          .interpolate(mean[t].second, next[t].second, 1.0 / static_cast<double>(i + 1));
  }
  f.note(fmt::format("the model is the mean of {} checkpoints, steps {} to {}", steps.size(), steps.front(),
                     steps.back()));
  return mean;
}

NamedTensors final_weights(const FinishedRun& f) {
  if (f.recipe.train.load_best_model_at_end && f.state.best_step > 0) {
    f.note(fmt::format("the model is that of step {}, the best", f.state.best_step));
    return weights_of(checkpoint_path(f.run, f.state.best_step), f);
  }
  return f.recipe.train.average_checkpoints > 1 ? mean_of_checkpoints(f) : f.weights;
}

OrderedJson results(const FinishedRun& f, const std::optional<Scores>& scores) {
  OrderedJson all{{"epoch", f.state.epoch},
                  {"global_step", f.state.step},
                  {"train_runtime", f.state.seconds},
                  {"train_tokens_per_second",
                   f.state.seconds > 0 ? static_cast<double>(f.state.target_tokens) / f.state.seconds : 0}};
  for (const OrderedJson& line : f.state.history)  // the last value of each
    for (const auto& [key, value] : line.items())
      if (key == "loss")
        all["train_loss"] = value;
      else if (line.contains("eval_loss") && key != "epoch" && key != "step" &&
               !key.starts_with("eval_runtime") && !key.starts_with("eval_samples"))
        all[key] = value;
  if (scores) all.update(scores->metrics);
  return all;
}

}  // namespace

std::optional<Scores> finish_run(const FinishedRun& f) {
  const NamedTensors weights = final_weights(f);
  f.task.save(f.run, weights);
  const std::optional<Scores> scores = f.task.score(weights, f.run);
  std::int64_t parameters = 0;
  for (const auto& [name, tensor] : weights) parameters += tensor.elements();
  write_file(f.run / kStateName, to_text(f.state.to_json()));
  write_file(f.run / "README.md", model_card({.recipe = f.recipe,
                                              .run = f.run,
                                              .state = f.state,
                                              .parameters = parameters,
                                              .command = f.command,
                                              .parts = f.task.card(f.run, scores)}));
  write_file(f.run / "all_results.json", to_text(results(f, scores)));
  return scores;
}

}  // namespace glossa
