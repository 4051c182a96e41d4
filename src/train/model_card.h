// model_card.h -- README.md of a finished model: what it is, what it learnt from, how good it is, and how to use it.
#pragma once
#include <optional>
#include <string>

#include "train/finish.h"

namespace glossa {

std::string model_card(const Finish& finish, const std::optional<TestScores>& test);

}  // namespace glossa
