// finish.h -- the end of a run: the weights to publish, their scores on the test data, and the Hugging Face directory.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "checkpoint/safetensors.h"
#include "generate/generation_config.h"
#include "models/transformer_config.h"
#include "train/checkpoints.h"
#include "train/corpus.h"
#include "train/trainer.h"

namespace glossa {

struct Finish {
  const Recipe& recipe;
  const fs::path& run;
  const Corpus& corpus;
  const TransformerConfig& config;
  const RunState& state;
  NamedTensors weights;  // the last ones, or their exponential average
  GenerationConfig generation;
  std::string command;  // that started the run
  std::function<void(std::string_view)> note;
};

// Writes the model, its card and its scores into the run's directory. The model is, by the recipe: the best checkpoint;
// the mean of the last regular checkpoints; or `weights`. Without test data there are no scores.
std::optional<TestScores> finish_run(const Finish& finish);

}  // namespace glossa
