// trainer.h -- a whole training run, from a recipe to a directory that holds the model and the story of its
// making.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "train/recipe.h"
#include "train/task.h"

namespace glossa {

// Where a run stands, after each update.
struct TrainingProgress {
  std::int64_t step = 0, max_steps = 0;
  double epoch = 0, loss = 0, learning_rate = 0;
  double tokens_per_second = 0;                          // that count in the loss, lately
  double seconds_left = 0;                               // at the pace of the last steps
  std::optional<double> eval_loss = {}, eval_bleu = {};  // of the last validation
};

// All are called on the training thread.
struct TrainingHooks {
  std::function<void(std::string_view)> note = [](std::string_view) {};  // a line for people
  std::function<void(const TrainingProgress&)> progress = [](const TrainingProgress&) {};
  // Asked after each update: true ends the run with a checkpoint to resume from.
  std::function<bool()> stop = [] { return false; };
};

struct TrainingOptions {
  fs::path output_directory;
  bool resume = false;     // go on with the run that is there; the same bits as if it had never stopped
  bool overwrite = false;  // remove the run that is there
  std::vector<std::string> override_keys = {};  // of the recipe, that a resumed run may change
  std::string command = {};                     // that started the run, for the model card
  TrainingHooks hooks = {};
};

struct TrainingResult {
  bool stopped = false;  // on request, before the end: `checkpoint` is there to resume from
  std::int64_t step = 0;
  fs::path checkpoint;
  double seconds = 0;
  std::optional<Scores> scores = {};
};

// Writes a Hugging Face directory, checkpoint-<step>/ folders and the run's records into `output_directory`.
// Error(output_exists) if another run is there; Error(run_state) if the one to resume had another recipe or
// other data; Error(nonfinite) after train.max_bad_steps updates in a row without a finite gradient, naming
// the last checkpoint; Error(memory | write) before the first step if memory or disk cannot suffice;
// Error(locked) while another process trains there.
TrainingResult train(const Recipe& recipe, const TrainingOptions& options);

}  // namespace glossa
