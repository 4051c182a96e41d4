#include "generate/beam_search.h"

#include <algorithm>
#include <cmath>

namespace glossa {

double normalised(double log_probability, std::int64_t tokens, const GenerationConfig& config) {
  const auto n = static_cast<double>(tokens);
  return log_probability / std::pow(config.length_penalty_form == LengthPenaltyForm::gnmt ? (5 + n) / 6 : n,
                                    config.length_penalty);
}

double coverage(std::span<const float> attention, std::size_t sources) {
  double sum = 0;
  for (std::size_t j = 0; j < sources; ++j) {
    double received = 0;
    for (std::size_t i = j; i < attention.size(); i += sources) received += attention[i];
    sum += std::log(std::min(1.0, received));
  }
  return sum;
}

BeamSearch::BeamSearch(const GenerationConfig& config, const LengthLimits& limits, std::int32_t width)
    : config_(&config),
      limits_(limits),
      width_(static_cast<std::size_t>(width)),
      pool_(static_cast<std::size_t>(std::max(1.0, std::round(width * config.patience)))),
      wanted_(width * std::max<std::int32_t>(2, 1 + static_cast<std::int32_t>(config.eos_token_id.size()))) {}

void BeamSearch::finish(const std::vector<std::int32_t>& tokens, const Candidate& last) {
  const auto length = static_cast<std::int64_t>(tokens.size()) + 1;
  const double score = normalised(last.log_probability, length - limits_.prompt, *config_);
  // After all that are as good: earlier ones stay before later ones.
  const auto place = std::upper_bound(finished_.begin(), finished_.end(), score,
                                      [](double s, const Hypothesis& h) { return s > h.score; });
  if (finished_.size() == pool_ && place == finished_.end()) return;
  Hypothesis h{.tokens = tokens, .log_probability = last.log_probability, .score = score};
  h.tokens.push_back(last.token);
  finished_.insert(place, std::move(h));
  if (finished_.size() > pool_) finished_.pop_back();
}

bool BeamSearch::cannot_improve(float best_alive, std::int64_t generated) const {
  if (finished_.size() < pool_) return false;
  if (config_->early_stopping == EarlyStopping::yes) return true;
  const bool longest = config_->early_stopping == EarlyStopping::never && config_->length_penalty > 0;
  return normalised(best_alive, longest ? limits_.most - limits_.prompt : generated, *config_) <=
         finished_.back().score;
}

std::span<const Candidate> BeamSearch::advance(std::span<const std::vector<std::int32_t>* const> alive,
                                               std::span<const Candidate> candidates) {
  const auto ends = [this](std::int32_t token) {
    return std::find(config_->eos_token_id.begin(), config_->eos_token_id.end(), token) !=
           config_->eos_token_id.end();
  };
  alive_.clear();
  const auto length = static_cast<std::int32_t>(alive[0]->size()) + 1;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    if (length < limits_.most && !ends(c.token)) {
      if (alive_.size() < width_) alive_.push_back(c);
    } else if (i < width_) {  // those further down are there for living on only
      finish(*alive[static_cast<std::size_t>(c.parent)], c);
    }
  }
  done_ = alive_.empty() || cannot_improve(alive_[0].log_probability, length - limits_.prompt);
  if (done_) alive_.clear();
  return alive_;
}

}  // namespace glossa
