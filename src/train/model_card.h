// model_card.h -- README.md of a finished model: what it is, what it learnt from, how good it is, and how to
// use it.
#pragma once
#include <initializer_list>
#include <string>
#include <vector>

#include "train/checkpoints.h"
#include "train/recipe.h"
#include "train/task.h"

namespace glossa {

struct ModelCard {
  const Recipe& recipe;
  const fs::path& run;
  const RunState& state;
  std::int64_t parameters;
  const std::string& command;  // that started the run
  CardParts parts;
};

std::string model_card(const ModelCard& card);

// What the parts are written with: a string literal of YAML and of Python alike (without quotes, the language
// `no` would be a boolean); a word of a shell command; the name of the model in a directory; " (`a`, `b`)",
// of the files that a recipe names.
std::string literal(const std::string& text);
std::string shell_word(const std::string& text);
std::string model_name(const fs::path& run);
std::string file_names(const std::vector<std::string>& paths);

}  // namespace glossa
