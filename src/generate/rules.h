// rules.h -- which next tokens are forced, forbidden or made less likely, as edits of a few numbers of a row
// of logits: no rule ever walks the vocabulary.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "generate/generation_config.h"

namespace glossa {

// The lengths of one output, as GenerationConfig counts them.
struct LengthLimits {
  std::int32_t prompt = 1;  // tokens before the first that is generated
  std::int32_t least = 0, most = 0;
};

// A token taken out of a row: its logit there became minus infinity.
struct Removed {
  std::int32_t token;
  float logit;     // as the model gave it
  bool forbidden;  // else its score is to be adjusted by `repeated`
};

class Rules {
 public:
  explicit Rules(const GenerationConfig& config);

  // Of a source of so many tokens, with a prompt (start token and prefix) of so many, for a model of so many
  // positions.
  LengthLimits limits(std::int64_t source, std::int64_t prompt, std::int64_t positions) const;

  // The tokens of which one must come next, if there is such a rule here; their log-probability counts as 0.
  std::span<const std::int32_t> forced(std::span<const std::int32_t> tokens,
                                       const LengthLimits& limits) const;
  // Takes the tokens that rules touch out of `row`, and appends them to `removed`.
  void remove(std::span<const std::int32_t> tokens, const LengthLimits& limits, std::span<float> row,
              std::vector<Removed>& removed) const;
  // The score of a repeated token: a logit (greedy search and sampling), or a log-probability (beams).
  float repeated(float score) const;

  bool ends(std::int32_t token) const;

 private:
  GenerationConfig config_;
};

// log(exp(rest) + sum of exp over the logits removed): the whole row's log-sum-exp from that of what is left
// of it (minus infinity if nothing is).
float whole_log_sum_exp(float rest, std::span<const Removed> removed);

}  // namespace glossa
