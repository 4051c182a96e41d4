// training_run.h -- a test that trains in a folder of its own, hears what is noted, and asks how a run ends.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "support/error_of.h"
#include "support/in_folder.h"
#include "train/trainer.h"

namespace glossa::test {

class TrainingRun : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    options_.output_directory = folder / "run";
    options_.hooks.note = [this](std::string_view line) { notes_.emplace_back(line); };
  }
  // The code and the words that training ends with, or Code::internal and "".
  std::pair<Code, std::string> refusal(const Recipe& r) {
    return refusal_of([&] { train(r, options_); });
  }

  TrainingOptions options_;
  std::vector<std::string> notes_;
};

}  // namespace glossa::test
