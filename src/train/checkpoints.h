// checkpoints.h -- the checkpoints of a run: what is kept besides the weights, and the folders
// checkpoint-<step> in which all of it appears at once or not at all.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/tensor_directory.h"
#include "data/batch_plan.h"

namespace glossa {

// Everything a run knows besides tensors. Written as trainer_state.json, with Hugging Face's names where it
// has them.
struct RunState {
  std::int64_t step = 0;
  BatchPosition position;  // of the next batch
  double epoch = 0;
  std::int64_t bad_steps = 0;      // in a row up to now: updates left out because a gradient was not finite
  std::int64_t skipped_steps = 0;  // of the whole run
  // Since the last line of metrics.
  double loss_sum = 0;
  std::int64_t loss_steps = 0;

  std::optional<double> best_metric = {};
  std::int64_t best_step = 0;
  std::int64_t evaluations_without_better = 0;
  bool stopped_early = false;

  std::int64_t target_tokens = 0;  // learnt from so far
  double seconds = 0;              // of training, validation and saving apart
  std::string instruction_set = {}, data_digest = {};
  OrderedJson history = OrderedJson::array();  // what metrics.jsonl holds

  OrderedJson to_json() const;
  static RunState from_json(const OrderedJson& json, const std::string& origin);  // Error(run_state)
};

inline constexpr const char* kStateName = "trainer_state.json";
inline constexpr const char* kOptimizerName = "optimizer.safetensors";
inline constexpr const char* kAverageName = "average.safetensors";  // the exponential average of the weights
inline constexpr const char* kRecipeName = "recipe.yaml";
inline constexpr const char* kSamples = "samples";  // a folder

fs::path checkpoint_path(const fs::path& run, std::int64_t step);
// The steps of which `run` has a checkpoint, ascending; whether these are whole is not looked at.
std::vector<std::int64_t> checkpoint_steps(const fs::path& run);

struct NewestCheckpoint {
  fs::path path;                    // empty: there is none that is whole
  std::vector<std::string> faults;  // of newer ones, a line each
};
NewestCheckpoint newest_checkpoint(const fs::path& run);

struct Retention {
  std::int64_t save_steps;  // checkpoints at its multiples are regular; others serve to resume only
  std::int64_t regular;     // of how many regular ones the last are kept
  std::int64_t best_step;   // kept whatever its age; 0: none
};
// Removes the checkpoints that are not to be kept, oldest first. Those newer than `step` are of a run that
// this one has gone back behind, and go too. The one of `step` must be whole.
void prune_checkpoints(const fs::path& run, std::int64_t step, const Retention& retention);

// Removes what a run wrote into its directory, and nothing else that is there; the cache stays, whose files
// say themselves what they are of.
void remove_run(const fs::path& run);

// Copies the tensors of a file into those of the same names. Error(run_state) for what is missing or of
// another shape.
void load_tensors(const fs::path& file, const NamedTensors& into);

}  // namespace glossa
