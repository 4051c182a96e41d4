#include "generate/compare_models.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 23;

// Sums over the places so far.
struct Sums {
  double kl = 0, first_surprise = 0, second_surprise = 0;
  std::int64_t agreed = 0, scored = 0;
};

double log_sum(const float* logits, std::int64_t count) {
  const double most = *std::max_element(logits, logits + count);
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i]) - most);
  return most + std::log(sum);
}

// One place; `next`: the token that follows, or -1 behind the last of a piece.
void compare_rows(const float* a, const float* b, std::int64_t count, Token next, ModelComparison& result,
                  Sums& sums) {
  const double first = log_sum(a, count), second = log_sum(b, count);
  double kl = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    result.largest_difference =
        std::max(result.largest_difference, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    const double log_p = a[i] - first;
    kl += std::exp(log_p) * (log_p - (b[i] - second));
  }
  kl = std::max(kl, 0.0);  // what is below is rounding
  check(std::isfinite(kl), Code::nonfinite, "a model's predictions are not finite numbers");
  sums.kl += kl;
  result.largest_kl = std::max(result.largest_kl, kl);
  sums.agreed += std::max_element(a, a + count) - a == std::max_element(b, b + count) - b;
  ++result.predictions;
  if (next < 0) return;
  sums.first_surprise += first - a[next];
  sums.second_surprise += second - b[next];
  ++sums.scored;
}

}  // namespace

ModelComparison compare_models(const CausalModel& first, const CausalModel& second,
                               std::span<const Token> tokens, std::int64_t context) {
  const std::int64_t common = std::min(first.vocabulary(), second.vocabulary());
  context = std::min({context, first.longest(), second.longest()});
  check(tokens.size() >= 2 && context >= 2, Code::bad_value,
        "the text has {} tokens and the models read pieces of {}; at least 2 are wanted", tokens.size(),
        context);
  for (const Token t : tokens)
    check(t < common, Code::tokenizer, "the text has the token {}, and the models have {} and {}", t,
          first.vocabulary(), second.vocabulary());
  ModelComparison result;
  Sums sums;
  const auto size = static_cast<std::int64_t>(tokens.size());
  for (std::int64_t begin = 0; begin < size; begin += context) {
    const std::int64_t length = std::min(context, size - begin);
    const std::vector<std::int32_t> ids(tokens.begin() + begin, tokens.begin() + begin + length);
    const Tokens input{Tensor::of(ids), Sequences::of_lengths({static_cast<std::int32_t>(length)})};
    const Tensor hidden_a = first.hidden(CausalInput::whole(input)),
                 hidden_b = second.hidden(CausalInput::whole(input));
    const std::int64_t block =
        std::max<std::int64_t>(1, kLogitsAtOnce / std::max(first.vocabulary(), second.vocabulary()));
    for (std::int64_t row = 0; row < length; row += block) {
      const std::int64_t end = std::min(row + block, length);
      const Tensor a = first.logits(hidden_a.slice(0, row, end)).to(DType::f32).contiguous();
      const Tensor b = second.logits(hidden_b.slice(0, row, end)).to(DType::f32).contiguous();
      for (std::int64_t r = row; r < end; ++r)
        compare_rows(a.data<float>() + (r - row) * a.cols(), b.data<float>() + (r - row) * b.cols(), common,
                     r + 1 < length ? ids[static_cast<std::size_t>(r + 1)] : -1, result, sums);
    }
  }
  const auto places = static_cast<double>(result.predictions),
             scored = static_cast<double>(std::max<std::int64_t>(1, sums.scored));
  result.mean_kl = sums.kl / places;
  result.agreement = static_cast<double>(sums.agreed) / places;
  result.first_perplexity = std::exp(sums.first_surprise / scored);
  result.second_perplexity = std::exp(sums.second_surprise / scored);
  return result;
}

}  // namespace glossa
