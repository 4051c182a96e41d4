#include "generate/causal_step.h"

namespace glossa {

void CausalStep::read(std::span<const std::int32_t> tokens, std::vector<std::int32_t>& rows) {
  const std::size_t length = rows.size() + tokens.size();
  for (const std::int32_t token : tokens) {
    ids_.push_back(token);
    positions_.push_back(static_cast<std::int32_t>(rows.size()));
    lengths_.push_back(static_cast<std::int32_t>(length));
    rows.push_back(cache_->take());
    new_rows_.push_back(rows.back());
  }
  counts_.push_back(static_cast<std::int32_t>(tokens.size()));
  past_rows_.insert(past_rows_.end(), rows.begin(), rows.end());
  past_counts_.push_back(static_cast<std::int32_t>(length));
}

std::int64_t CausalStep::want() {
  wanted_.push_back(static_cast<std::int32_t>(ids_.size()) - 1);
  return static_cast<std::int64_t>(wanted_.size()) - 1;
}

Tensor CausalStep::hidden(const CausalModel& model) const {
  return model.hidden({.tokens = {Tensor::of(ids_), Sequences::of_lengths(counts_)},
                       .positions = Tensor::of(positions_),
                       .lengths = Tensor::of(lengths_),
                       .cache = cache_,
                       .new_rows = Tensor::of(new_rows_),
                       .past = {Sequences::of_lengths(past_counts_), Tensor::of(past_rows_)}});
}

Tensor CausalStep::logits(const CausalModel& model) const {
  Tensor hidden = this->hidden(model);
  if (wanted_.empty()) return {};
  if (wanted_.size() < ids_.size()) {
    Tensor some = hidden.like({static_cast<std::int64_t>(wanted_.size()), hidden.cols()});
    Backend::of(hidden.device()).gather_rows(hidden, Tensor::of(wanted_), some);
    hidden = some;
  }
  return model.logits(hidden).to(DType::f32);
}

}  // namespace glossa
