// task.h -- what a run learns: the seam between the trainer, which knows of steps, weights, checkpoints and
// records, and what is learnt. A task makes the model, its batches and their losses, says how good weights
// are, and writes the model in the form that others read. A further task is a further implementation, and a
// line in task.cpp.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "data/batch_plan.h"
#include "nn/batch.h"
#include "nn/parameter.h"
#include "train/recipe.h"

namespace glossa {

// A batch, as what updates the weights sees it.
struct Objective {
  std::int64_t tokens = 0;                         // by which it weighs among others: labels that count
  std::function<Tensor(const LossOptions&)> loss;  // mean over them (or over options.denominator), [1]
};

// What one update of the weights learns from.
struct TaskStep {
  std::vector<Objective> batches;  // one, or as many as are accumulated
  BatchPosition next;              // where to go on after this step
  double epochs = 0;               // the share of the training data that it is
};

// What a full batch costs, for the estimate before the first step.
struct BatchCost {
  double flops = 0;                    // operations, forward and backward
  std::uint64_t floats_per_token = 0;  // kept for the backward pass, in all layers
  std::int64_t layers = 0, width = 0;
};

struct Evaluation {
  OrderedJson metrics = {};  // "eval_loss" and what else the task measures, in the order of the record
  std::string summary = {};  // for people: "validation loss 1.2345, BLEU 30.12"
  std::string sample = {};   // text that the model generated, if the task has it generate some
};

// Of the finished model.
struct Scores {
  OrderedJson metrics = {};  // for all_results.json
  std::string text = {};     // for people, lines
};

// What the model card says of the task.
struct CardParts {
  std::string tags;  // lines of the front matter
  std::string what;  // what the model does and what it is, up to "with so many parameters"
  std::string scores, data, use;
};

class Task {
 public:
  virtual ~Task() = default;
  virtual ParameterList& parameters() = 0;
  virtual std::int64_t width() const = 0;  // of the model, which a schedule may depend on
  virtual std::string digest() const = 0;  // of the training data: a resumed run must see the same
  virtual BatchCost cost() const = 0;
  virtual void begin(BatchPosition from) = 0;  // where batches go on; before the first `next`
  virtual TaskStep next() = 0;
  virtual bool has_validation() const = 0;
  virtual Evaluation evaluate(const NamedTensors& weights) = 0;
  // A directory as Hugging Face has it.
  virtual void save(const fs::path& directory, const NamedTensors& weights) const = 0;
  // What may be written into `run` with it. None if there is nothing to measure on.
  virtual std::optional<Scores> score(const NamedTensors& weights, const fs::path& run) = 0;
  virtual CardParts card(const fs::path& run, const std::optional<Scores>& scores) const = 0;
};

struct TaskOptions {
  fs::path cache = {};  // a folder for what is costly to make; empty: everything in memory
  bool resume = false;  // standard input was kept in `cache` by an earlier start, and is not read again
  fs::path checkpoint =
      {};  // to go on from, which has the tokenizer, and what else the recipe took from files; or empty
  std::function<void(std::string_view)> note = [](std::string_view) {};  // a line for people
};

// Reads data and makes the model, so that what is wrong with recipe or data shows before training begins.
// Error(memory) for a model that cannot be held.
std::unique_ptr<Task> make_task(const Recipe& recipe, const TaskOptions& options);

}  // namespace glossa
