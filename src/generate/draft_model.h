// draft_model.h -- guesses by a smaller model with the same tokens, which is quick to ask.
#pragma once
#include "generate/drafter.h"
#include "generate/engine.h"

namespace glossa {

class DraftModel final : public Drafter {
 public:
  // `sequences`: how many texts are asked for together at most. A token that the model gives less than `least_probability`
  // ends a guess. The model must outlive this.
  DraftModel(const CausalModel& model, std::int64_t sequences, double least_probability);
  void guess(std::span<Text> texts) override;

 private:
  Engine engine_;
  double least_log_probability_;
};

}  // namespace glossa
