#include "generate/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "support/error_of.h"

namespace glossa::test {
namespace {


Chosen choose(Sampling& sampling, std::vector<float>& logits, std::int32_t best = 0) {
  double sum = 0;
  for (const float x : logits) sum += std::exp(x);
  const auto most = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  return sampling.choose(logits, {most, static_cast<float>(std::log(sum))}, best);
}

// How often each token is drawn from logits that are the logarithms of `weights`.
std::map<std::int32_t, double> shares(const SamplingConfig& config, const std::vector<double>& weights, int draws = 4000,
                                      const std::vector<std::int32_t>& past = {},
                                      const std::function<bool(std::int32_t)>& breaks = kNothingBreaks) {
  std::map<std::int32_t, double> counts;
  for (int i = 0; i < draws; ++i) {
    Sampling sampling(config, static_cast<std::uint64_t>(i), breaks);
    for (const std::int32_t token : past) sampling.accept(token);
    std::vector<float> logits;
    for (const double w : weights) logits.push_back(static_cast<float>(std::log(w)));
    counts[choose(sampling, logits).token] += 1.0 / draws;
  }
  return counts;
}

// Nothing but the temperature.
SamplingConfig plain() { return {.temp = 1, .top_k = 0, .top_p = 1, .min_p = 0}; }

std::vector<std::int32_t> tokens_of(const std::map<std::int32_t, double>& shares) {
  std::vector<std::int32_t> tokens;
  for (const auto& [token, share] : shares) tokens.push_back(token);
  return tokens;
}

TEST(Sampling, DrawsByProbability) {
  const auto s = shares(plain(), {1, 2, 3, 4});
  for (int t = 0; t < 4; ++t) EXPECT_NEAR(s.at(t), (t + 1) / 10.0, 0.03);
}

TEST(Sampling, TemperatureSharpensAndZeroIsTheBest) {
  SamplingConfig c = plain();
  c.temp = 0.5;  // probabilities squared
  EXPECT_NEAR(shares(c, {1, 3}).at(1), 0.9, 0.03);
  c.temp = 0;
  EXPECT_THAT(tokens_of(shares(c, {1, 1.001, 0.5}, 50)), testing::ElementsAre(1));
}

TEST(Sampling, EachFilterLeavesItsTokens) {
  const std::vector<double> weights{50, 25, 15, 7, 3};
  SamplingConfig c = plain();
  c.top_k = 2;
  EXPECT_THAT(tokens_of(shares(c, weights, 500)), testing::ElementsAre(0, 1));
  c = plain(), c.top_p = 0.8;
  EXPECT_THAT(tokens_of(shares(c, weights, 500)), testing::ElementsAre(0, 1, 2));
  c = plain(), c.min_p = 0.2;
  EXPECT_THAT(tokens_of(shares(c, weights, 500)), testing::ElementsAre(0, 1, 2));
  c = plain(), c.top_n_sigma = 0.5;
  EXPECT_THAT(tokens_of(shares(c, weights, 500)), testing::ElementsAre(0));  // one deviation of these logarithms is 1.01
  c = plain(), c.typical = 0.3;
  EXPECT_THAT(tokens_of(shares(c, weights, 500)), testing::Not(testing::Contains(4)));
}

TEST(Sampling, ExcludingTopChoicesLeavesTheLeastOfThem) {
  SamplingConfig c = plain();
  c.xtc_probability = 1, c.xtc_threshold = 0.2;
  EXPECT_THAT(tokens_of(shares(c, {40, 30, 25, 5}, 500)), testing::ElementsAre(2, 3));
  c.xtc_probability = 0.5;
  EXPECT_NEAR(shares(c, {40, 30, 25, 5}).at(0), 0.2, 0.03);
  c.xtc_probability = 1, c.xtc_threshold = 0.35;  // only one is likely: nothing goes
  EXPECT_THAT(tokens_of(shares(c, {40, 30, 25, 5}, 500)), testing::ElementsAre(0, 1, 2, 3));
}

TEST(Sampling, PenaltiesLookAtTheNearPast) {
  SamplingConfig c = plain();
  c.presence_penalty = 100, c.repeat_last_n = 2;
  EXPECT_THAT(tokens_of(shares(c, {1, 1, 1}, 300, {2, 0, 1})), testing::ElementsAre(2));
  c.repeat_last_n = -1;
  EXPECT_EQ(shares(c, {1, 1, 1}, 300, {0, 1}).size(), 1u);
  c = plain(), c.frequency_penalty = std::log(2);  // halves a probability for each use
  const auto s = shares(c, {1, 1}, 4000, {0, 0});
  EXPECT_NEAR(s.at(0), 0.2, 0.03);
  // A logit above 0 is divided, one below multiplied.
  c = plain(), c.repeat_penalty = 2;
  EXPECT_NEAR(shares(c, {std::exp(2), std::exp(1)}, 4000, {0}).at(0), 0.5, 0.03);
  EXPECT_NEAR(shares(c, {std::exp(-1), std::exp(-2)}, 4000, {0}).at(0), 0.5, 0.03);
}

TEST(Sampling, DryForbidsGoingOnWithARepetition) {
  SamplingConfig c = plain();
  c.dry_multiplier = 100, c.dry_allowed_length = 2;
  // 1 2 3 4 ... 1 2 3: 4 would repeat four.
  const std::vector<std::int32_t> past{1, 2, 3, 4, 0, 1, 2, 3};
  EXPECT_FALSE(shares(c, {1, 1, 1, 1, 1}, 300, past).contains(4));
  c.dry_allowed_length = 4;
  EXPECT_TRUE(shares(c, {1, 1, 1, 1, 1}, 300, past).contains(4));
  c.dry_allowed_length = 2;
  EXPECT_TRUE(shares(c, {1, 1, 1, 1, 1}, 300, past, [](std::int32_t t) { return t == 2; }).contains(4));  // 2 breaks the sequence
}

TEST(Sampling, MirostatStaysNearItsSurprise) {
  SamplingConfig c = plain();
  c.mirostat = 2, c.mirostat_ent = 3;
  std::vector<double> weights;
  for (int i = 1; i <= 500; ++i) weights.push_back(1.0 / i);
  Sampling sampling(c, 1, kNothingBreaks);
  double surprise = 0;
  const int draws = 2000;
  for (int i = 0; i < draws; ++i) {
    std::vector<float> logits;
    for (const double w : weights) logits.push_back(static_cast<float>(std::log(w)));
    surprise -= choose(sampling, logits).log_probability / std::log(2) / draws;
  }
  // Of the distribution that truncation leaves, it is 3; before that, tokens are a little more surprising.
  EXPECT_NEAR(surprise, 4, 0.6);
}

TEST(Sampling, BiasesForbidAndForce) {
  SamplingConfig c = plain();
  c.logit_bias = {{0, -INFINITY}, {2, 50}};
  EXPECT_THAT(tokens_of(shares(c, {1000, 1, 1}, 300)), testing::ElementsAre(2));
}

TEST(Sampling, LogProbabilitiesAreTheModels) {
  SamplingConfig c = plain();
  c.temp = 0, c.logit_bias = {{0, 100}};
  Sampling sampling(c, 0, kNothingBreaks);
  std::vector<float> logits{0, 0, 0, 0};
  const Chosen chosen = choose(sampling, logits);
  EXPECT_EQ(chosen.token, 0);
  EXPECT_NEAR(chosen.log_probability, std::log(0.25), 1e-6);
}

TEST(Sampling, TheOrderOfSamplersCounts) {
  SamplingConfig c = plain();
  c.temp = 10, c.min_p = 0.5;  // flat first: all are near the best
  c.samplers = {"temperature", "min_p"};
  EXPECT_EQ(shares(c, {10, 4, 1}, 500).size(), 3u);
  c.samplers = {"min_p", "temperature"};
  EXPECT_EQ(shares(c, {10, 4, 1}, 500).size(), 1u);
}

TEST(Sampling, RefusesWhatIsOutOfRange) {
  SamplingConfig c;
  c.samplers = {"top_k", "topp"};
  EXPECT_THAT(error_of([&] { c.validate(); }), testing::HasSubstr("did you mean top_p?"));
  c = {}, c.top_p = 1.5;
  EXPECT_THAT(error_of([&] { c.validate(); }), testing::HasSubstr("--top-p must lie between 0 and 1, found 1.5"));
  c = {}, c.mirostat = 1;
  EXPECT_THAT(error_of([&] { c.validate(); }), testing::HasSubstr("version 1 is not supported"));
}

TEST(Sampling, TheMostProbableAreThoseOfASortedList) {
  std::vector<float> logits;
  for (int i = 0; i < 1000; ++i) logits.push_back(static_cast<float>((i * 7919) % 251));  // with many that are equal
  logits[3] = -INFINITY;
  std::vector<Choice> all;
  for (int i = 0; i < 1000; ++i)
    if (i != 3) all.push_back({i, logits[static_cast<std::size_t>(i)]});
  std::sort(all.begin(), all.end(), more_probable);
  for (const std::size_t k : {1u, 2u, 40u, 998u, 2000u}) {
    const std::vector<Choice> found = most_probable(logits, k);
    ASSERT_EQ(found.size(), std::min<std::size_t>(k, 999));
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].token, all[i].token) << i << " of " << k;
  }
}

}  // namespace
}  // namespace glossa::test
