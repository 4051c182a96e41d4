// label_scores.h -- how likely a language model holds each of some completions of a prompt: the sums of the
// log-probabilities of their tokens. What prompts have in common, and the prompt that completions have in
// common, is computed once.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/causal.h"
#include "text/tokenizer.h"

namespace glossa {

// A prompt and its completions, as tokens.
struct Completions {
  std::vector<Token> prompt;  // at least one
  std::size_t shared = 0;     // tokens of it that are worth keeping for other prompts; fewer than all
  std::vector<std::vector<Token>> tokens = {};  // of each completion, at least one

  std::size_t longest() const;  // tokens of the prompt with the longest completion
};

// Text and what follows is encoded as a whole, as a tokenizer would have met it in training. Where it joins
// the end of the prompt to a completion, that end is scored with all of them. `beginning`: bytes of the
// prompt that others have too. Error(bad_value) for a prompt that is no token.
Completions completions_of(const Tokenizer& tokenizer, std::string_view prompt, std::size_t beginning,
                           std::span<const std::string> completions);

// Not thread-safe; kernels use the pool of threads.
class CompletionScorer {
 public:
  // `batch_tokens`: of a step. The model must outlive this.
  CompletionScorer(const CausalModel& model, std::int64_t batch_tokens);

  // In nats, for each of `inputs` and each of its completions. Those that follow each other and share their
  // beginning are computed together, and the last beginning is kept for the next call. Error(bad_value) for a
  // token that the model does not have, Error(size) for more tokens than it has positions for.
  std::vector<std::vector<double>> score(std::span<const Completions> inputs);

  struct Counts {
    std::uint64_t computed = 0,
                  shared = 0;  // tokens of prompts and completions; of prompts that were there already
  };
  const Counts& counts() const { return counts_; }
  std::int64_t rows_in_use() const { return cache_.rows_in_use(); }  // of the beginning, between calls

 private:
  using Rows = std::vector<std::int32_t>;
  // New tokens of a sequence whose past is in `past`; the rows of the new ones are added to it.
  struct Run {
    std::span<const Token> tokens;
    Rows* past;
  };
  struct Target {  // a token whose log-probability after a row of hidden states is added to a sum
    std::int32_t row;
    Token token;
    double* sum;
  };
  Tensor hidden(std::span<const Run> runs);
  void add_log_probabilities(const Tensor& hidden, std::span<const Target> targets);
  void hold(std::span<const Token> beginning);
  void score_together(std::span<const Completions> inputs, std::span<std::vector<double>> sums);
  void score_rests(std::span<const Completions> inputs, std::span<const Rows> prompts,
                   std::span<std::vector<double>> sums);
  std::size_t beginning_of(const Completions& input) const;
  void check_input(const Completions& input) const;

  const CausalModel& model_;
  std::int64_t batch_tokens_;
  KvCache cache_;
  std::vector<Token> held_;  // the beginning whose keys and values are in the cache
  Rows held_rows_;
  Counts counts_;
};

}  // namespace glossa
