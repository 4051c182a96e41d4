// finish.h -- the end of a run: the weights to publish, their scores, and the Hugging Face directory.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "train/checkpoints.h"
#include "train/task.h"

namespace glossa {

struct FinishedRun {
  const Recipe& recipe;
  const fs::path& run;
  Task& task;
  const RunState& state;
  NamedTensors weights;  // the last ones, or their exponential average
  std::string command;   // that started the run
  std::function<void(std::string_view)> note;
};

// Writes the model, its card and its scores into the run's directory. The model is, by the recipe: the best
// checkpoint; the mean of the last regular checkpoints; or `weights`.
std::optional<Scores> finish_run(const FinishedRun& run);

}  // namespace glossa
