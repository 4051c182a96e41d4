#include "generate/label_scores.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "generate/causal_step.h"

namespace glossa {
namespace {

constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 23;

}  // namespace

std::size_t Completions::longest() const {
  std::size_t most = 0;
  for (const auto& completion : tokens) most = std::max(most, completion.size());
  return prompt.size() + most;
}

Completions completions_of(const Tokenizer& tokenizer, std::string_view prompt, std::size_t beginning,
                           std::span<const std::string> completions) {
  Completions result{.prompt = tokenizer.encode(prompt)};
  std::vector<std::vector<Token>> wholes;
  std::size_t same = result.prompt.size();
  for (const std::string& completion : completions) {
    wholes.push_back(tokenizer.encode(std::string(prompt) + completion));
    same = std::min(same, same_beginning(wholes.back(), result.prompt));
  }
  // A completion that adds no token to the prompt is one whose last token says all.
  for (const auto& whole : wholes) same = std::min(same, whole.empty() ? 0 : whole.size() - 1);
  check(same > 0, Code::bad_value, "an empty prompt before {}, and the model has no token to begin with",
        completions.empty() ? "nothing" : quoted(completions.front()));
  result.prompt.resize(same);
  for (auto& whole : wholes)
    result.tokens.emplace_back(whole.begin() + static_cast<std::ptrdiff_t>(same), whole.end());
  result.shared =
      std::min(same - 1, same_beginning(tokenizer.encode(prompt.substr(0, beginning)), result.prompt));
  return result;
}

CompletionScorer::CompletionScorer(const CausalModel& model, std::int64_t batch_tokens)
    : model_(model), batch_tokens_(batch_tokens), cache_(model.make_cache()) {
  check(batch_tokens > 0, Code::bad_value, "steps of {} tokens", batch_tokens);
}

// Hidden states of the new tokens of all runs, in their order.
Tensor CompletionScorer::hidden(std::span<const Run> runs) {
  CausalStep step(cache_);
  for (const Run& run : runs) step.read(run.tokens, *run.past);
  counts_.computed += static_cast<std::uint64_t>(step.tokens());
  return step.hidden(model_);
}

// Rows of `targets` ascend; each row's logits are computed once, a block of rows at a time.
void CompletionScorer::add_log_probabilities(const Tensor& hidden, std::span<const Target> targets) {
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, kLogitsAtOnce / model_.vocabulary()));
  for (std::size_t begin = 0, end = 0; begin < targets.size(); begin = end) {
    std::vector<std::int32_t> rows;
    for (; end < targets.size(); ++end) {
      const bool next = rows.empty() || rows.back() != targets[end].row;
      if (next && rows.size() == most) break;
      if (next) rows.push_back(targets[end].row);
    }
    const auto count = static_cast<std::int64_t>(rows.size());
    Tensor wanted = hidden.like({count, hidden.cols()});
    Backend& backend = Backend::of(hidden.device());
    backend.gather_rows(hidden, Tensor::of(rows), wanted);
    const Tensor logits = model_.logits(wanted).to(DType::f32).contiguous();
    Tensor largest = logits.like({count, 1}),
           likeliest = Tensor::empty({count, 1}, DType::i32, logits.device()),
           log_sums = logits.like({count});
    backend.top_k(logits, 1, largest, likeliest, log_sums);
    for (std::int64_t row = 0; begin < end; ++begin) {
      if (rows[static_cast<std::size_t>(row)] != targets[begin].row) ++row;
      const double log_sum = log_sums.data<float>()[row];
      check(std::isfinite(log_sum), Code::nonfinite,
            "the model's logits are not finite numbers: the weights are damaged");
      *targets[begin].sum += logits.data<float>()[row * logits.cols() + targets[begin].token] - log_sum;
    }
  }
}

// Makes `beginning` what the cache holds, a piece at a time; what it has in common with what is there stays.
void CompletionScorer::hold(std::span<const Token> beginning) {
  const std::size_t same = same_beginning(held_, beginning);
  while (held_rows_.size() > same) {
    cache_.release(held_rows_.back());
    held_rows_.pop_back();
  }
  held_.assign(beginning.begin(), beginning.end());
  const auto piece = static_cast<std::size_t>(batch_tokens_);
  while (held_rows_.size() < held_.size()) {
    const std::size_t known = held_rows_.size();
    const Run run{beginning.subspan(known, std::min(piece, held_.size() - known)), &held_rows_};
    hidden({&run, 1});
  }
}

// How much of the prompt is read before the step that all of its neighbours take part in: what it shares, and
// of a rest that is longer than a step, what is too much.
std::size_t CompletionScorer::beginning_of(const Completions& input) const {
  const auto piece = static_cast<std::size_t>(batch_tokens_);
  return std::max(input.shared, input.prompt.size() > piece ? input.prompt.size() - piece : 0);
}

void CompletionScorer::check_input(const Completions& input) const {
  check(!input.prompt.empty() && input.shared < input.prompt.size(), Code::bad_value,
        "a prompt of {} tokens, {} of them shared", input.prompt.size(), input.shared);
  check(static_cast<std::int64_t>(input.longest()) <= model_.longest(), Code::size,
        "a prompt with its completion has {} tokens, and the model positions for {}", input.longest(),
        model_.longest());
  const auto known = [this](const std::vector<Token>& tokens) {
    for (const Token token : tokens)
      check(token >= 0 && token < model_.vocabulary(), Code::bad_value,
            "token {} is outside of the model's vocabulary of {}", token, model_.vocabulary());
  };
  known(input.prompt);
  for (const auto& completion : input.tokens) {
    check(!completion.empty(), Code::bad_value, "a completion without tokens");
    known(completion);
  }
}

// What is left of completions after their first tokens, which the ends of the prompts predict.
void CompletionScorer::score_rests(std::span<const Completions> inputs, std::span<const Rows> prompts,
                                   std::span<std::vector<double>> sums) {
  std::vector<Run> runs;
  std::vector<Rows> pasts;
  std::vector<Target> targets;
  std::int32_t row = 0;
  const auto compute = [&] {
    for (std::size_t i = 0; i < runs.size(); ++i) runs[i].past = &pasts[i];
    add_log_probabilities(hidden(runs), targets);
    for (std::size_t i = 0; i < runs.size(); ++i)
      for (std::size_t t = pasts[i].size() - runs[i].tokens.size(); t < pasts[i].size(); ++t)
        cache_.release(pasts[i][t]);
    runs.clear(), pasts.clear(), targets.clear(), row = 0;
  };
  for (std::size_t i = 0; i < inputs.size(); ++i)
    for (std::size_t c = 0; c < inputs[i].tokens.size(); ++c) {
      const std::span<const Token> tokens = inputs[i].tokens[c];
      if (tokens.size() == 1) continue;
      if (row > 0 && row + static_cast<std::int64_t>(tokens.size()) > batch_tokens_) compute();
      for (const Token token : tokens.subspan(1)) targets.push_back({row++, token, &sums[i][c]});
      runs.push_back({tokens.first(tokens.size() - 1), nullptr});
      pasts.push_back(prompts[i]);
    }
  if (!runs.empty()) compute();
}

// Inputs whose beginning is held.
void CompletionScorer::score_together(std::span<const Completions> inputs,
                                      std::span<std::vector<double>> sums) {
  std::vector<Rows> rows(inputs.size(), held_rows_);
  std::vector<Run> runs;
  std::vector<Target> targets;
  std::int32_t end = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    runs.push_back({std::span(inputs[i].prompt).subspan(held_.size()), &rows[i]});
    end += static_cast<std::int32_t>(runs.back().tokens.size());
    sums[i].assign(inputs[i].tokens.size(), 0);
    for (std::size_t c = 0; c < inputs[i].tokens.size(); ++c)
      targets.push_back({end - 1, inputs[i].tokens[c][0], &sums[i][c]});
  }
  add_log_probabilities(hidden(runs), targets);
  score_rests(inputs, rows, sums);
  for (const Rows& r : rows)
    for (std::size_t t = held_.size(); t < r.size(); ++t) cache_.release(r[t]);
}

std::vector<std::vector<double>> CompletionScorer::score(std::span<const Completions> inputs) {
  for (const Completions& input : inputs) check_input(input);
  std::vector<std::vector<double>> sums(inputs.size());
  for (std::size_t first = 0; first < inputs.size();) {
    const auto beginning = std::span(inputs[first].prompt).first(beginning_of(inputs[first]));
    counts_.shared += std::min(same_beginning(held_, beginning), beginning.size());
    hold(beginning);
    std::size_t last = first;
    std::int64_t tokens = 0;
    for (; last < inputs.size(); ++last) {
      const std::span<const Token> prompt = inputs[last].prompt;
      tokens += static_cast<std::int64_t>(prompt.size() - std::min(prompt.size(), held_.size()));
      const bool alike =
          beginning_of(inputs[last]) == held_.size() && same_beginning(held_, prompt) == held_.size();
      if (last > first && (!alike || tokens > batch_tokens_)) break;
      if (last > first) counts_.shared += held_.size();
    }
    score_together(inputs.subspan(first, last - first), std::span(sums).subspan(first, last - first));
    first = last;
  }
  return sums;
}

}  // namespace glossa
