// language_model.h -- the task of predicting the next token: documents, a decoder-only model, perplexity.
#pragma once
#include <memory>
#include <optional>

#include "data/read_ahead.h"
#include "nn/causal.h"
#include "train/cost.h"
#include "train/text_corpus.h"

namespace glossa {

class LanguageModelTask final : public Task {
 public:
  LanguageModelTask(const Recipe& recipe, const TaskOptions& options);

  ParameterList& parameters() override { return *made_.parameters; }
  std::int64_t width() const override { return shape_.width; }
  std::string digest() const override;
  BatchCost cost() const override;
  void begin(BatchPosition from) override;
  TaskStep next() override;
  bool has_validation() const override { return corpus_.valid.has_value(); }
  Evaluation evaluate(const NamedTensors& weights) override;
  void save(const fs::path& directory, const NamedTensors& weights) const override;
  std::optional<Scores> score(const NamedTensors& weights, const fs::path& run) override;
  CardParts card(const fs::path& run, const std::optional<Scores>& scores) const override;

 private:
  struct Made {  // the model in training, and the tokenizer that came with it, if it was there before
    std::unique_ptr<ParameterList> parameters;
    std::unique_ptr<CausalModel> model;
    std::optional<Tokenizer> tokenizer = {};
  };
  static Made pretrained(const Recipe& recipe, const TaskOptions& options);
  static Made fresh(const Recipe& recipe, const TaskOptions& options, const Tokenizer& tokenizer);
  std::vector<Token> beginning_of_samples() const;
  TaskStep make_step();  // on the thread that makes batches
  double mean_loss(const CausalModel& model) const;
  std::string sample(const CausalModel& model) const;

  const Recipe recipe_;
  Made made_;
  TextCorpus corpus_;
  CausalShape shape_;
  BlockPlan plan_;
  std::vector<Token> prompt_;  // none: no samples
  BatchPosition ahead_;        // of the thread that makes batches
  std::optional<ReadAhead<TaskStep>> steps_;
};

}  // namespace glossa
