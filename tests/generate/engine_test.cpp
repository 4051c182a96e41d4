#include "generate/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "causal_golden.h"
#include "generate/draft_model.h"
#include "support/error_of.h"

// The engine on the small random models of tests/golden, against whole passes without any cache.
namespace glossa::test {
namespace {

using Ids = std::vector<std::int32_t>;

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
  const CausalGolden c(GetParam());
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
  const CausalGolden c(GetParam());
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
  const CausalGolden c("llama");
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
  const CausalGolden c("llama");
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
  const CausalGolden c("llama");
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
  const CausalGolden c("llama");
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
  const CausalGolden c("llama");
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

// Guesses what it was told, with mistakes at every so many tokens.
class Teller final : public Drafter {
 public:
  Teller(Ids whole, std::size_t right) : whole_(std::move(whole)), right_(right) {}
  void guess(std::span<Text> texts) override {
    for (Text& text : texts)
      for (std::size_t t = text.tokens.size(); t < whole_.size() && std::ssize(text.guess) < text.most; ++t)
        text.guess.push_back(asked_++ % (right_ + 1) == right_ ? (whole_[t] + 1) % 31 : whole_[t]);
  }

 private:
  Ids whole_;
  std::size_t right_, asked_ = 0;
};

class Speculation : public testing::TestWithParam<const char*> {};

// With tokens drawn by chance as well: the numbers drawn are keyed by their places in the text.
TEST_P(Speculation, TextsAreTheSameToTheLastBitWhateverIsGuessed) {
  const CausalGolden c(GetParam());
  const SamplingConfig drawn{.temp = 1.2, .repeat_penalty = 1.1, .seed = 3};
  for (const SamplingConfig& sampling : {greedy(), drawn}) {
    const auto submit = [&](Engine& engine) {
      for (std::uint64_t i = 0; i < 3; ++i)
        engine.submit({.index = i, .prompt = prompt(3 + i, static_cast<std::int32_t>(i)), .sampling = sampling, .max_new_tokens = 8});
    };
    Engine plain(*c.model, kNothingBreaks);
    submit(plain);
    const auto expected = run(plain);
    Ids whole = prompt(3, 0);
    whole.insert(whole.end(), expected.at(0).tokens.begin(), expected.at(0).tokens.end());
    for (const std::size_t right : {0, 1, 3, 100}) {
      Teller teller(whole, right);
      Engine engine(*c.model, kNothingBreaks, {.batch_tokens = 9, .drafter = &teller});
      submit(engine);
      const auto found = run(engine);
      for (std::uint64_t i = 0; i < 3; ++i) {
        EXPECT_EQ(found.at(i).tokens, expected.at(i).tokens) << right;
        EXPECT_EQ(found.at(i).log_probabilities, expected.at(i).log_probabilities) << right;
        EXPECT_EQ(found.at(i).finish, expected.at(i).finish);
      }
      if (right == 0) {
        EXPECT_LT(engine.counts().right, engine.counts().guessed);
      }
      if (right > 0) {
        EXPECT_GT(engine.counts().right, 0u);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Speculation, testing::Values("gpt2", "llama", "mistral", "gemma3", "qwen3"));

TEST(Engine, RightGuessesSaveSteps) {
  const CausalGolden c("llama");
  Ids whole = prompt(4, 2);
  const Ids all = by_whole_passes(*c.model, whole, 12);
  whole.insert(whole.end(), all.begin(), all.end());
  Teller teller(whole, 1000);
  Engine engine(*c.model, kNothingBreaks, {.drafter = &teller, .draft_max = 4});
  engine.submit({.index = 1, .prompt = prompt(4, 2), .sampling = greedy(), .max_new_tokens = 12});
  EXPECT_EQ(run(engine).at(1).tokens, all);
  EXPECT_EQ(engine.counts().steps, 5u);  // the prompt and 1, then 1 + 1, 2 + 1, 4 + 1, and what is left
  EXPECT_EQ(engine.counts().right, engine.counts().guessed);
  // A stop token among right guesses ends the text.
  Engine stopping(*c.model, kNothingBreaks, {.drafter = &teller});
  stopping.submit({.index = 1, .prompt = prompt(4, 2), .sampling = greedy(), .stop_tokens = {all[4]}});
  const Output stopped = run(stopping).at(1);
  EXPECT_EQ(stopped.finish, Finish::stop);
  EXPECT_EQ(stopped.tokens, Ids(all.begin(), std::find(all.begin(), all.end(), all[4]) + 1));
}

// Heads of the golden models are 8 or 16 numbers: no block of 32.
TEST(Engine, CachesMayBeNarrower) {
  const CausalGolden c("llama");
  const auto text = [&](const CacheTypes& types) {
    Engine engine(*c.model, kNothingBreaks, {.cache = types});
    engine.submit({.index = 1, .prompt = prompt(9, 2), .sampling = greedy(), .max_new_tokens = 8});
    return run(engine).at(1);
  };
  const Output wide = text({}), narrow = text({.keys = DType::bf16, .values = DType::bf16});
  ASSERT_EQ(wide.tokens.size(), narrow.tokens.size());
  EXPECT_NE(wide.log_probabilities, narrow.log_probabilities);
  EXPECT_NEAR(wide.log_probabilities[0], narrow.log_probabilities[0], 0.02);
  EXPECT_THAT(error_of([&] { text({.keys = DType::q8_0}); }), testing::HasSubstr("heads of a multiple of 32 numbers"));
}

TEST(Engine, ShiftsItsContextWithGuessesToo) {
  const CausalGolden c("llama");
  const auto text = [&](Drafter* drafter) {
    Engine engine(*c.model, kNothingBreaks, {.context = 10, .shift = true, .keep = 2, .drafter = drafter});
    engine.submit({.index = 1, .prompt = prompt(4, 2), .sampling = greedy(), .max_new_tokens = 30});
    return run(engine).at(1).tokens;
  };
  PromptLookup lookup(1);
  EXPECT_EQ(text(&lookup), text(nullptr));
}

TEST(Engine, ADraftModelIsRightWhereItIsTheModel) {
  const CausalGolden c("llama"), other("mistral");
  const auto submit = [&](Engine& engine) {
    for (std::uint64_t i = 0; i < 4; ++i)
      engine.submit({.index = i, .prompt = prompt(4, static_cast<std::int32_t>(i)), .sampling = greedy(), .max_new_tokens = 10});
  };
  Engine plain(*c.model, kNothingBreaks, {.sequences = 2});
  submit(plain);
  const auto expected = run(plain);
  for (const bool same : {true, false}) {
    DraftModel draft(same ? *c.model : *other.model, 2, 0);
    Engine engine(*c.model, kNothingBreaks, {.sequences = 2, .drafter = &draft});
    submit(engine);
    const auto found = run(engine);
    for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(found.at(i).tokens, expected.at(i).tokens);
    EXPECT_GT(engine.counts().guessed, 0u);
    if (same) {
      EXPECT_EQ(engine.counts().right, engine.counts().guessed);
    }
  }
  // One that is never sure enough says nothing.
  DraftModel silent(*other.model, 2, 1);
  Engine engine(*c.model, kNothingBreaks, {.drafter = &silent});
  submit(engine);
  EXPECT_EQ(run(engine).at(0).tokens, expected.at(0).tokens);
  EXPECT_EQ(engine.counts().guessed, 0u);
}

TEST(PromptLookup, TakesTheLongestMatchAndOfTheseTheLatest) {
  const auto guess = [](const Ids& tokens, std::int64_t most) {
    Drafter::Text text{tokens, most};
    PromptLookup().guess({&text, 1});
    return text.guess;
  };
  EXPECT_EQ(guess({1, 2, 3, 4, 9, 1, 2}, 3), (Ids{3, 4, 9}));
  EXPECT_EQ(guess({1, 2, 3, 4, 1, 2, 7, 8, 1, 2}, 2), (Ids{7, 8}));           // the latest
  EXPECT_EQ(guess({5, 1, 2, 3, 4, 1, 2, 7, 8, 5, 1, 2}, 2), (Ids{3, 4}));     // the longest
  EXPECT_EQ(guess({1, 2, 3, 1, 2}, 9), (Ids{3, 1, 2}));                       // no further than the text
  EXPECT_EQ(guess({6, 6, 6}, 4), (Ids{6}));
  EXPECT_EQ(guess({1, 2, 3, 2}, 4), Ids{});                                   // one token is not enough
  EXPECT_EQ(guess({1}, 4), Ids{});
  EXPECT_EQ(guess({}, 4), Ids{});
}

TEST(Engine, RefusesWhatDoesNotFit) {
  const CausalGolden c("gpt2");  // 16 positions
  Engine engine(*c.model, kNothingBreaks);
  EXPECT_THAT(error_of([&] { engine.submit({.prompt = prompt(16, 1)}); }), testing::HasSubstr("the prompt has 16 tokens, and the context holds 16"));
  EXPECT_THAT(error_of([&] { engine.submit({.prompt = {}}); }), testing::HasSubstr("empty prompt"));
  EXPECT_THAT(error_of([&] { engine.submit({.prompt = {31}}); }), testing::HasSubstr("vocabulary of 31"));
  EXPECT_THAT(error_of([&] { Engine(*c.model, kNothingBreaks, {.context = 17}); }), testing::HasSubstr("positions for 16"));
}

}  // namespace
}  // namespace glossa::test
