#include "generate/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "checkpoint/tensor_directory.h"
#include "models/all.h"
#include "support/error_of.h"

// The engine on the small random models of tests/golden, against whole passes without any cache.
namespace glossa::test {
namespace {

using Ids = std::vector<std::int32_t>;

const std::function<bool(std::int32_t)> kNothingBreaks = [](std::int32_t) { return false; };

struct Causal {
  TensorDirectory weights;
  ParameterList parameters;
  std::unique_ptr<CausalModel> model;
  explicit Causal(const std::string& name)
      : weights(std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + name + "/model.safetensors"),
        parameters({.source = [this](const std::string& n) { return weights.find(n); }, .training = false}),
        model(make_causal_model(read_json(std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + name + "/config.json"), name, parameters)) {}
};

SamplingConfig greedy() { return {.temp = 0}; }

Ids prompt(std::size_t length, std::int32_t first) {
  Ids ids;
  for (std::size_t i = 0; i < length; ++i) ids.push_back(static_cast<std::int32_t>((static_cast<std::size_t>(first) + i * 7) % 31));
  return ids;
}

// What the likeliest tokens are, one whole pass for each.
Ids by_whole_passes(const CausalModel& model, Ids ids, int count) {
  Ids out;
  for (int i = 0; i < count; ++i) {
    const auto n = static_cast<std::int32_t>(ids.size());
    const Tensor hidden = model.hidden(CausalInput::whole({Tensor::of(ids), Sequences::of_lengths({n})}));
    const Tensor logits = model.logits(hidden.slice(0, n - 1, n));
    const auto row = logits.span<float>();
    out.push_back(static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    ids.push_back(out.back());
  }
  return out;
}

struct Output {
  Ids tokens;
  std::vector<float> log_probabilities;
  Finish finish = Finish::no;
};

std::map<std::uint64_t, Output> run(Engine& engine) {
  std::map<std::uint64_t, Output> all;
  std::vector<GenerateEvent> events;
  while (!engine.idle()) {
    events.clear();
    engine.step(events);
    for (const GenerateEvent& e : events) {
      Output& o = all[e.index];
      EXPECT_EQ(o.finish, Finish::no);
      o.tokens.push_back(e.chosen.token), o.log_probabilities.push_back(e.chosen.log_probability), o.finish = e.finish;
    }
  }
  return all;
}

class EngineOf : public testing::TestWithParam<const char*> {};

TEST_P(EngineOf, GivesWhatWholePassesGive) {
  const Causal c(GetParam());
  Engine engine(*c.model, kNothingBreaks, {.batch_tokens = 5, .sequences = 3});
  for (std::uint64_t i = 0; i < 6; ++i)
    engine.submit({.index = i, .prompt = prompt(1 + 3 * i % 9, static_cast<std::int32_t>(i)), .sampling = greedy(), .max_new_tokens = 5});
  const auto found = run(engine);
  for (std::uint64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(found.at(i).tokens, by_whole_passes(*c.model, prompt(1 + 3 * i % 9, static_cast<std::int32_t>(i)), 5)) << i;
    EXPECT_EQ(found.at(i).finish, Finish::length);
  }
}

TEST_P(EngineOf, WhatIsDrawnDoesNotDependOnNeighbours) {
  const Causal c(GetParam());
  const auto request = [](std::uint64_t i) {
    return GenerateRequest{.index = i, .prompt = prompt(2 + i, static_cast<std::int32_t>(3 * i)), .sampling = {.seed = 7}, .max_new_tokens = 6};
  };
  Engine together(*c.model, kNothingBreaks, {.batch_tokens = 8});
  for (std::uint64_t i = 0; i < 4; ++i) together.submit(request(i));
  const auto all = run(together);
  for (std::uint64_t i = 0; i < 4; ++i) {
    Engine alone(*c.model, kNothingBreaks, {.batch_tokens = 8});
    alone.submit(request(i));
    EXPECT_EQ(run(alone).at(i).tokens, all.at(i).tokens) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, EngineOf, testing::Values("gpt2", "llama", "mistral", "gemma3", "qwen3"));

TEST(Engine, SharesABeginningInsteadOfComputingItAgain) {
  const Causal c("llama");
  Engine engine(*c.model, kNothingBreaks);
  const Ids whole = prompt(12, 1);
  engine.submit({.index = 1, .prompt = whole, .sampling = greedy(), .max_new_tokens = 3});
  const Ids first = run(engine).at(1).tokens;
  EXPECT_EQ(engine.counts().prompt, 12u);
  Ids longer = whole;
  longer.push_back(first[0]), longer.push_back(5);
  engine.submit({.index = 2, .prompt = longer, .sampling = greedy(), .max_new_tokens = 3});
  engine.submit({.index = 3, .prompt = whole, .sampling = greedy(), .max_new_tokens = 3});
  const auto found = run(engine);
  EXPECT_EQ(engine.counts().shared, 13u + 11u);  // of the same prompt all but the last token, whose logits are wanted
  EXPECT_EQ(engine.counts().prompt, 12u + 1u + 1u);
  EXPECT_EQ(found.at(2).tokens, by_whole_passes(*c.model, longer, 3));
  EXPECT_EQ(found.at(3).tokens, first);
}

TEST(Engine, EndsAtStopTokensAndWhereTheContextIsFull) {
  const Causal c("llama");
  const Ids all = by_whole_passes(*c.model, prompt(4, 2), 8);
  Engine engine(*c.model, kNothingBreaks, {.context = 9});
  engine.submit({.index = 1, .prompt = prompt(4, 2), .sampling = greedy(), .stop_tokens = {all[2]}});
  engine.submit({.index = 2, .prompt = prompt(4, 2), .sampling = greedy()});
  const auto found = run(engine);
  EXPECT_EQ(found.at(1).finish, Finish::stop);
  EXPECT_EQ(found.at(1).tokens.back(), all[2]);
  EXPECT_EQ(found.at(2).finish, Finish::length);
  EXPECT_EQ(found.at(2).tokens, Ids(all.begin(), all.begin() + 5));
}

TEST(Engine, GoesOnBeyondTheContextIfAsked) {
  const Causal c("llama");
  Engine engine(*c.model, kNothingBreaks, {.context = 10, .shift = true, .keep = 2});
  engine.submit({.index = 1, .prompt = prompt(4, 2), .sampling = greedy(), .max_new_tokens = 30});
  const Output found = run(engine).at(1);
  ASSERT_EQ(found.tokens.size(), 30u);
  // After the sixth token ten are full: the first two and the last four go on.
  Ids text = prompt(4, 2);
  text.insert(text.end(), found.tokens.begin(), found.tokens.begin() + 6);
  Ids left(text.begin(), text.begin() + 2);
  left.insert(left.end(), text.end() - 4, text.end());
  EXPECT_EQ(found.tokens[6], by_whole_passes(*c.model, left, 1)[0]);
}

TEST(Engine, CancelledSequencesLeave) {
  const Causal c("llama");
  Engine engine(*c.model, kNothingBreaks, {.sequences = 1});
  for (std::uint64_t i = 0; i < 3; ++i) engine.submit({.index = i, .prompt = prompt(3, 1), .sampling = greedy(), .max_new_tokens = 50});
  std::vector<GenerateEvent> events;
  engine.step(events);
  engine.cancel(0), engine.cancel(2);
  EXPECT_FALSE(engine.idle());
  const auto rest = run(engine);
  EXPECT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest.at(1).tokens.size(), 50u);
}

TEST(Engine, ReportsLikelyTokens) {
  const Causal c("llama");
  Engine engine(*c.model, kNothingBreaks);
  engine.submit({.index = 1, .prompt = prompt(3, 1), .sampling = greedy(), .max_new_tokens = 1, .best = 31});
  std::vector<GenerateEvent> events;
  engine.step(events);
  ASSERT_EQ(events.size(), 1u);
  const Chosen& chosen = events[0].chosen;
  ASSERT_EQ(chosen.best.size(), 31u);
  double sum = 0;
  for (const auto& [token, log_probability] : chosen.best) sum += std::exp(static_cast<double>(log_probability));
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_EQ(chosen.best[0].first, chosen.token);
  EXPECT_FLOAT_EQ(chosen.best[0].second, chosen.log_probability);
}

TEST(Engine, RefusesWhatDoesNotFit) {
  const Causal c("gpt2");  // 16 positions
  Engine engine(*c.model, kNothingBreaks);
  EXPECT_THAT(error_of([&] { engine.submit({.prompt = prompt(16, 1)}); }), testing::HasSubstr("the prompt has 16 tokens, and the context holds 16"));
  EXPECT_THAT(error_of([&] { engine.submit({.prompt = {}}); }), testing::HasSubstr("empty prompt"));
  EXPECT_THAT(error_of([&] { engine.submit({.prompt = {31}}); }), testing::HasSubstr("vocabulary of 31"));
  EXPECT_THAT(error_of([&] { Engine(*c.model, kNothingBreaks, {.context = 17}); }), testing::HasSubstr("positions for 16"));
}

}  // namespace
}  // namespace glossa::test
