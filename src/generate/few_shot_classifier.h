// few_shot_classifier.h -- cases sorted under labels by a language model that has seen some examples: the
// label whose words are the likeliest to go on with the prompt, by one of the measures that the literature
// has.
#pragma once
#include <optional>
#include <string_view>

#include "generate/few_shot.h"
#include "generate/label_scores.h"

namespace glossa {

// What becomes of the log-probability of a label's tokens before labels are compared.
enum class LabelMeasure : std::uint8_t {
  sum,            // nothing
  token,          // divided by the number of tokens (Brown et al., 2020, section 2.4)
  byte,           // divided by the label's bytes: the same for any tokenizer
  unconditional,  // less that of the label after the answer's context alone, "Answer:" (the same section)
};

struct FewShotOptions {
  FewShotFrame frame = {};
  LabelMeasure measure = LabelMeasure::sum;
  // Probabilities are divided by those that the same prompt gives for cases that say nothing: the mean of
  // "N/A", "[MASK]" and no text at all (Zhao et al., "Calibrate Before Use", 2021, section 5).
  bool calibrate = false;
  std::int64_t context =
      0;  // tokens that a prompt and a label may have; 0: as many as the model has positions for
  std::int64_t batch_tokens = 2048;
};

struct FewShotCase {
  std::span<const std::string> values;    // of the template's fields
  std::span<const std::string> examples;  // as the template writes them
  std::string_view place;                 // for messages
};

struct LabelScores {
  std::vector<double> log_probabilities = {};  // of each label's words after the prompt, in nats
  std::vector<double> probabilities = {};      // among the labels, by the measure asked for
  std::size_t best = 0;
  std::size_t shots = 0, prompt_tokens = 0;  // what of the examples was shown; tokens before the labels'
};

// Not thread-safe; kernels use the pool of threads.
class FewShotClassifier {
 public:
  // `words`: how labels are written, at least two. The model and the tokenizer must outlive this.
  // Error(bad_value) for what does not go together.
  FewShotClassifier(const CausalModel& model, const Tokenizer& tokenizer, FewShotTemplate form,
                    std::vector<std::string> words, FewShotOptions options);
  // Error(size) with its place for a case that does not fit into the context without examples.
  std::vector<LabelScores> classify(std::span<const FewShotCase> cases);
  const CompletionScorer::Counts& counts() const { return scorer_.counts(); }

 private:
  Completions completions(const FewShotPrompt& prompt) const;
  FewShotPrompt prompt_of(const FewShotCase& item) const;
  std::vector<double> measured(const Completions& input, std::span<const double> sums) const;
  std::vector<double> prior(std::span<const Completions> inputs,
                            std::span<const std::vector<double>> sums) const;

  const Tokenizer& tokenizer_;
  FewShotTemplate form_;
  std::vector<std::string> words_, completions_;
  FewShotOptions options_;
  CompletionScorer scorer_;
  std::vector<double> unconditional_;           // log-probabilities of the labels after the answer's context
  std::optional<std::string> prior_beginning_;  // of the prompts that the prior below was computed with
  std::vector<double> prior_;                   // logarithms
};

}  // namespace glossa
