// translation.h -- the task of translating: pairs of sentences, an encoder-decoder Transformer, BLEU.
#pragma once
#include <optional>

#include "generate/generation_config.h"
#include "models/transformer.h"
#include "train/corpus.h"
#include "train/task.h"

namespace glossa {

// On the test data, by the finished model with the recipe's `decode`.
struct TestScores {
  double bleu = 0, bleu_lowercase = 0, chrf = 0;
  double exact = 0;  // share of sentences that equal their reference
  std::string bleu_signature = {}, bleu_lowercase_signature = {}, chrf_signature = {};

  OrderedJson metrics() const;
  std::string text() const;
};

class TranslationTask final : public Task {
 public:
  TranslationTask(const Recipe& recipe, const TaskOptions& options);

  ParameterList& parameters() override { return parameters_; }
  std::int64_t width() const override { return config_.d_model; }
  std::string digest() const override { return corpus_.digest(); }
  BatchCost cost() const override;
  void begin(BatchPosition from) override;
  TaskStep next() override;
  bool has_validation() const override { return corpus_.has_valid(); }
  Evaluation evaluate(const NamedTensors& weights) override;
  void save(const fs::path& directory, const NamedTensors& weights) const override;
  std::optional<Scores> score(const NamedTensors& weights, const fs::path& run) override;
  CardParts card(const fs::path& run, const std::optional<Scores>& scores) const override;

 private:
  GenerationConfig generation(std::int64_t beams) const;

  const Recipe recipe_;
  Corpus corpus_;
  TransformerConfig config_;
  ParameterList parameters_;
  Transformer model_;
  std::optional<BatchLoader> loader_;
  std::optional<TestScores> test_;
};

// What the model card says, for a run that learns by `recipe`; the directory `run` is how the model is named
// there.
struct TranslationCard {
  const Recipe& recipe;
  const Corpus& corpus;
  const TransformerConfig& config;
  const fs::path& run;
  std::optional<TestScores> test = {};
};
CardParts translation_card(const TranslationCard& card);

}  // namespace glossa
