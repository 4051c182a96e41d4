// beam_search.h -- beam search over one sentence as bookkeeping: which hypotheses live on, which are
// finished, and when to stop. It knows no model. Token for token what Hugging Face's generate does
// (transformers 5.23).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "generate/rules.h"

namespace glossa {

struct Hypothesis {
  std::vector<std::int32_t> tokens;  // the start token first, the end token last if it ended
  double log_probability = 0;        // of what was generated, in nats
  double score = 0;                  // log_probability with the penalties of length and coverage
  // Where asked for: attention of the last decoder layer, averaged over heads, from each of tokens[1..] (as
  // it was predicted) to each source token: [tokens - 1, source tokens].
  std::vector<float> attention = {};
};

// A hypothesis one token longer: of the hypothesis alive number `parent`.
struct Candidate {
  float log_probability;
  std::int32_t parent, token;
};
// Best first; ties as if the rows of all parents stood in one line.
inline bool operator<(const Candidate& a, const Candidate& b) {
  if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
  return a.parent != b.parent ? a.parent < b.parent : a.token < b.token;
}

// The score of `tokens` generated tokens, by the form of length penalty.
double normalised(double log_probability, std::int64_t tokens, const GenerationConfig& config);
// GNMT, equation 14: sum over source tokens of log(min(1, attention received)). attention [targets, sources].
double coverage(std::span<const float> attention, std::size_t sources);

// One group of beams; plain beam search has one.
class BeamSearch {
 public:
  // `width` hypotheses, of which at first one is alive: the prompt.
  BeamSearch(const GenerationConfig& config, const LengthLimits& limits, std::int32_t width);

  // How many candidates are wanted: so many that `width` of them go on even if all others end.
  std::int32_t wanted() const { return wanted_; }
  // `candidates`: the best `wanted()` of all continuations of `alive` (fewer if there are no more), best
  // first. Returns those that live on, best first: none once the search is done.
  std::span<const Candidate> advance(std::span<const std::vector<std::int32_t>* const> alive,
                                     std::span<const Candidate> candidates);
  bool done() const { return done_; }
  // Best first.
  std::vector<Hypothesis>& finished() { return finished_; }

 private:
  void finish(const std::vector<std::int32_t>& tokens, const Candidate& last);
  bool cannot_improve(float best_alive, std::int64_t generated) const;

  const GenerationConfig* config_;
  LengthLimits limits_;
  std::size_t width_, pool_;
  std::int32_t wanted_;
  bool done_ = false;
  std::vector<Hypothesis> finished_;
  std::vector<Candidate> alive_;
};

}  // namespace glossa
