#include "generate/few_shot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "support/error_of.h"

namespace glossa::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Texts = std::vector<std::string>;

TEST(FewShotTemplate, WritesExamplesAndTheQueryUpToItsLabel) {
  const auto form = FewShotTemplate::parse("Q: {text} ({source}, {text})\nA:  {label}!", "label");
  EXPECT_THAT(form.fields(), ElementsAre("text", "source"));
  const Texts values{"one", "two"};
  EXPECT_EQ(form.example(values, "yes"), "Q: one (two, one)\nA:  yes!");
  EXPECT_EQ(form.query(values), "Q: one (two, one)\nA:");
  EXPECT_EQ(form.completion("yes"), "  yes");
  EXPECT_EQ(form.query(values) + form.completion("yes") + "!", form.example(values, "yes"));
  EXPECT_EQ(form.answer_context(), ")\nA:");
}

TEST(FewShotTemplate, TheAnswersContextIsWhatStandsBeforeTheLabel) {
  EXPECT_EQ(FewShotTemplate::parse("{text}\nAnswer: {label}", "label").answer_context(), "Answer:");
  EXPECT_EQ(FewShotTemplate::parse("{text} It was {y}.", "y").answer_context(), "It was");
  EXPECT_EQ(FewShotTemplate::parse("{text} {label}", "label").answer_context(), "");
  EXPECT_EQ(FewShotTemplate::parse("{a}{label}", "label").answer_context(), "");
}

TEST(FewShotTemplate, ValuesAreNeverReadAsTemplates) {
  const auto form = FewShotTemplate::parse("{{{text}}} {label}{{}}", "label");
  EXPECT_EQ(form.example(Texts{"{label} {{"}, "{text}"), "{{label} {{} {text}{}");
}

TEST(FewShotTemplate, LineFeedsBeforeTheLabelAreThePrompts) {
  const auto form = FewShotTemplate::parse("{text}\n {label}", "label");
  EXPECT_EQ(form.query(Texts{"a"}), "a\n");
  EXPECT_EQ(form.completion("b"), " b");
}

TEST(FewShotTemplate, RefusesByByte) {
  const auto refusal = [](const char* text) {
    return error_of([&] { FewShotTemplate::parse(text, "label"); });
  };
  EXPECT_THAT(refusal("{text} {label"), HasSubstr("byte 7"));
  EXPECT_THAT(refusal("text} {label}"), HasSubstr("byte 4"));
  EXPECT_THAT(refusal("{} {label}"), HasSubstr("byte 0"));
  EXPECT_THAT(refusal("{a{b}} {label}"), HasSubstr("byte 0"));
  EXPECT_THAT(refusal("{text}"), HasSubstr("has no {label}"));
  EXPECT_THAT(refusal("{text} {label} {label}"), HasSubstr("more than once"));
  EXPECT_THAT(refusal("{label} {text}"), HasSubstr("no field stands before {label}"));
  EXPECT_THAT(refusal(""), HasSubstr("has no {label}"));
}

// Labels 0, 1 and 2, of which there are many, many and three.
std::vector<std::size_t> labels() {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < 40; ++i) all.push_back(i % 13 == 7 ? 2 : i % 2);
  return all;
}

TEST(ExampleDraw, IsAFunctionOfSeedAndNumber) {
  const auto all = labels();
  const ExampleDraw draw(all, 3, {.shots = 10, .seed = 5});
  const auto first = draw(0);
  EXPECT_EQ(draw(0), first);
  EXPECT_NE(draw(1), first);
  EXPECT_NE(ExampleDraw(all, 3, {.shots = 10, .seed = 6})(0), first);
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), 10u);
  for (const std::size_t i : first) EXPECT_LT(i, all.size());
  const auto everything = ExampleDraw(all, 3, {.shots = 40})(3);
  EXPECT_EQ(std::set(everything.begin(), everything.end()).size(), 40u);
  EXPECT_TRUE(ExampleDraw(all, 3, {.shots = 0})(0).empty());
}

TEST(ExampleDraw, DrawsEveryExampleAlikeOften) {
  const auto all = labels();
  const ExampleDraw draw(all, 3, {.shots = 4});
  std::vector<int> times(all.size());
  for (std::uint64_t i = 0; i < 4000; ++i)
    for (const std::size_t e : draw(i)) ++times[e];
  for (const int n : times) EXPECT_NEAR(n, 400, 100);  // five standard deviations
}

TEST(ExampleDraw, BalancedShowsEveryLabelAlikeOften) {
  const auto all = labels();
  std::map<std::size_t, int> more;
  std::set<std::size_t> first_labels;
  for (std::uint64_t d = 0; d < 60; ++d) {
    const auto chosen = ExampleDraw(all, 3, {.shots = 7, .balanced = true})(d);
    std::map<std::size_t, int> counts;
    for (const std::size_t e : chosen) ++counts[all[e]];
    for (std::size_t label = 0; label < 3; ++label) EXPECT_THAT(counts[label], testing::AnyOf(2, 3));
    for (const auto& [label, count] : counts) more[label] += count == 3;
    first_labels.insert(all[chosen[0]]);
  }
  for (std::size_t label = 0; label < 3; ++label) EXPECT_GT(more[label], 5);
  EXPECT_EQ(first_labels.size(), 3u);  // not one label after the other
}

TEST(ExampleDraw, RefusesMoreThanThereAre) {
  const auto all = labels();
  EXPECT_THAT(error_of([&] { ExampleDraw(all, 3, {.shots = 41}); }),
              HasSubstr("41 examples are wanted, and there are 40"));
  const ExampleDraw scarce(all, 3, {.shots = 12, .balanced = true});
  EXPECT_EQ(scarce.scarce(), 2u);
  EXPECT_THAT(error_of([&] { scarce(0); }), HasSubstr("4 examples of a label are wanted, and there are 3"));
  EXPECT_EQ(ExampleDraw(all, 3, {.shots = 9, .balanced = true}).scarce(), 3u);
}

TEST(FewShotPrompt, IsInstructionExamplesAndQuery) {
  const FewShotFrame frame{.instruction = "Do.", .separator = "|"};
  const Texts examples{"a", "b"};
  const FewShotPrompt prompt = few_shot_prompt(frame, examples, "q");
  EXPECT_EQ(prompt.text, "Do.|a|b|q");
  EXPECT_EQ(prompt.beginning, 8u);
  EXPECT_EQ(prompt.shots, 2u);
  EXPECT_EQ(few_shot_prompt({}, examples, "q").text, "a\n\nb\n\nq");
  EXPECT_EQ(few_shot_prompt({}, {}, "q").beginning, 0u);
}

TEST(FewShotPrompt, LeavesTheLastExamplesOutUntilItFits) {
  const Texts examples{"a", "bb", "ccc", "dddd", "eeeee"};
  const FewShotFrame frame{.instruction = "", .separator = "|"};
  for (std::size_t room = 0; room < 25; ++room) {
    const auto fits = [&](const FewShotPrompt& p) { return p.text.size() <= room; };
    const FewShotPrompt prompt = fitting_prompt(frame, examples, "q", fits);
    std::size_t most = 0;
    for (std::size_t n = 0; n <= examples.size(); ++n)
      if (fits(few_shot_prompt(frame, std::span(examples).first(n), "q"))) most = n;
    EXPECT_EQ(prompt.shots, most) << room;
    EXPECT_EQ(prompt.text, few_shot_prompt(frame, std::span(examples).first(most), "q").text);
  }
}

}  // namespace
}  // namespace glossa::test
