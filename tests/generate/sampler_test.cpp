#include "generate/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace glossa::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

GenerationConfig sampling() {
  GenerationConfig config;
  config.do_sample = true;
  config.top_k = 0;
  return config;
}

// Logits of given probabilities; token i has the i-th.
std::vector<Choice> of(const std::vector<double>& p) {
  std::vector<Choice> choices;
  for (std::size_t i = 0; i < p.size(); ++i)
    choices.push_back({static_cast<std::int32_t>(i), std::log(p[i])});
  return choices;
}

std::vector<std::int32_t> left(const GenerationConfig& config, const std::vector<double>& p) {
  std::vector<Choice> choices = of(p);
  filter(config, choices);
  std::vector<std::int32_t> tokens;
  for (const Choice& c : choices) tokens.push_back(c.token);
  return tokens;
}

const std::vector<double> kSome{0.1, 0.4, 0.05, 0.25, 0.2};

TEST(Sampler, KeepsAllByDefault) {
  EXPECT_THAT(left(sampling(), kSome), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Sampler, TopK) {
  GenerationConfig config = sampling();
  config.top_k = 2;
  EXPECT_THAT(left(config, kSome), UnorderedElementsAre(1, 3));
  config.top_k = 9;
  EXPECT_THAT(left(config, kSome), UnorderedElementsAre(0, 1, 2, 3, 4));
  config.top_k = 1;
  EXPECT_THAT(left(config, {0.3, 0.3, 0.4 - 1e-12}), ElementsAre(2));
  EXPECT_THAT(left(config, {0.25, 0.25, 0.25, 0.25}), ElementsAre(0));  // ties: the lower token
}

TEST(Sampler, TopP) {
  GenerationConfig config = sampling();
  config.top_p = 0.6;
  EXPECT_THAT(left(config, kSome), ElementsAre(1, 3));
  config.top_p = 0.7;
  EXPECT_THAT(left(config, kSome), ElementsAre(1, 3, 4));
  config.top_p = 1e-9;
  EXPECT_THAT(left(config, kSome), ElementsAre(1));  // never none
}

TEST(Sampler, MinP) {
  GenerationConfig config = sampling();
  config.min_p = 0.49;
  EXPECT_THAT(left(config, kSome), ElementsAre(1, 3, 4));
  config.min_p = 1;
  EXPECT_THAT(left(config, kSome), ElementsAre(1));
}

TEST(Sampler, Typical) {
  GenerationConfig config = sampling();
  config.typical_p = 0.2;
  // Entropy 1.41 nats; surprises 2.30, 0.92, 3.00, 1.39, 1.61.
  EXPECT_THAT(left(config, kSome), ElementsAre(3));
  config.typical_p = 0.4;
  EXPECT_THAT(left(config, kSome), ElementsAre(3, 4));
  config.typical_p = 0.999999;
  EXPECT_THAT(left(config, kSome), UnorderedElementsAre(0, 1, 2, 3, 4));
}

TEST(Sampler, EachStepActsOnWhatIsLeft) {
  GenerationConfig config = sampling();
  config.top_k = 3;    // 1, 3, 4 with 0.47, 0.29, 0.24
  config.top_p = 0.7;  // 0.47 + 0.29
  EXPECT_THAT(left(config, kSome), ElementsAre(1, 3));
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  for (double temperature : {0.5, 2.0}) {
    GenerationConfig config = sampling();
    config.temperature = temperature;
    std::vector<Choice> choices = of(kSome);
    filter(config, choices);
    EXPECT_NEAR(choices[1].logit - choices[0].logit, std::log(4) / temperature, 1e-12);
  }
}

TEST(Sampler, ImpossibleTokensAreNeverDrawn) {
  std::vector<Choice> choices{{0, -INFINITY}, {1, 0.0}, {2, -INFINITY}};
  filter(sampling(), choices);
  ASSERT_EQ(choices.size(), 1u);
  EXPECT_EQ(draw(choices, 0), 0u);
  EXPECT_EQ(draw(choices, std::nextafter(1.0, 0.0)), 0u);
  choices = {{0, -INFINITY}};
  filter(sampling(), choices);
  EXPECT_TRUE(choices.empty());
}

TEST(Sampler, DrawsByProbability) {
  const std::vector<Choice> choices = of(kSome);
  const Philox random(1, Purpose::sample);
  constexpr int kDraws = 20000;
  std::vector<double> counts(kSome.size());
  for (int i = 0; i < kDraws; ++i) ++counts[draw(choices, random.uniform(static_cast<std::uint64_t>(i)))];
  double chi_square = 0;
  for (std::size_t i = 0; i < counts.size(); ++i)
    chi_square += std::pow(counts[i] - kSome[i] * kDraws, 2) / (kSome[i] * kDraws);
  EXPECT_LT(chi_square, 18.47);  // 4 degrees of freedom, one in a thousand
}

}  // namespace
}  // namespace glossa::test
