#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "causal_golden.h"
#include "generate/causal_decoder.h"
#include "models.h"
#include "support/error_of.h"

// What Hugging Face's generate finds with a random tiny model (tools/make_generation_goldens.py).
namespace glossa::test {
namespace {

class HuggingFaceSearch : public testing::TestWithParam<Device> {};

TEST_P(HuggingFaceSearch, FindsTheSameTokensAndScores) {
  const auto model = golden_model(GetParam());
  const Json golden = read_json(kGolden + "/goldens.json");
  const auto sources = golden["sources"].get<std::vector<Ids>>();
  for (const Json& example : golden["cases"]) {
    SCOPED_TRACE(example["options"].dump());
    Json options = example["options"];
    const Ids prefix = options.value("prefix", Ids{});
    options.erase("prefix");
    std::vector<std::string> notes;
    const auto config = GenerationConfig::from_json(options, "options", config_of(*model), &notes);
    EXPECT_TRUE(notes.empty());
    const auto found =
        search({&model->transformer}, config, sources, {}, std::vector<Ids>(sources.size(), prefix));
    for (std::size_t s = 0; s < sources.size(); ++s) {
      const Json& wanted = example["outputs"][s];
      ASSERT_EQ(found[s].hypotheses.size(), wanted.size()) << "sentence " << s;
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_EQ(found[s].hypotheses[i].tokens, wanted[i]["tokens"].get<Ids>())
            << "sentence " << s << ", rank " << i;
        if (!wanted[i]["score"].is_null()) {
          EXPECT_NEAR(found[s].hypotheses[i].score, wanted[i]["score"].get<double>(), 1e-4)
              << "sentence " << s << ", rank " << i;
        }
      }
    }
  }
}

TEST(HuggingFace, BeamsOfLanguageModelsAreTheSame) {
  for (const Json& golden : read_json(kGolden + "/causal.json")) {
    const CausalGolden of(golden["model"]);
    const auto prompts = golden["prompts"].get<std::vector<Ids>>();
    for (const Json& example : golden["cases"]) {
      SCOPED_TRACE(golden["model"].get<std::string>() + " " + example["options"].dump());
      GenerationConfig config;
      config.eos_token_id = golden["ends"].get<Ids>();
      config = GenerationConfig::from_json(example["options"], "options", config);
      // Together, and so few at a time that some wait.
      for (const std::int64_t together : {64, 2}) {
        Search search(std::make_unique<CausalDecoder>(*of.model), config, {.batch_size = together});
        for (std::size_t i = 0; i < prompts.size(); ++i) search.submit({.index = i, .source = {}, .prefix = prompts[i]});
        std::vector<SearchResult> found;
        while (!search.idle()) search.step(found);
        EXPECT_EQ(search.rows_in_use(), 0);
        ASSERT_EQ(found.size(), prompts.size());
        for (const SearchResult& result : found) {
          const Json& wanted = example["outputs"][result.index];
          ASSERT_EQ(result.hypotheses.size(), wanted.size());
          for (std::size_t i = 0; i < wanted.size(); ++i) {
            EXPECT_EQ(result.hypotheses[i].tokens, wanted[i]["tokens"].get<Ids>()) << "prompt " << result.index << ", rank " << i;
            if (!wanted[i]["score"].is_null()) {
              EXPECT_NEAR(result.hypotheses[i].score, wanted[i]["score"].get<double>(), 1e-4);
            }
          }
        }
      }
    }
  }
}

TEST(CausalSearch, RefusesWhatItCannotDo) {
  const CausalGolden of("llama");
  GenerationConfig config;
  config.num_beams = 2, config.max_new_tokens = 4;
  Search search(std::make_unique<CausalDecoder>(*of.model), config);
  EXPECT_THAT(error_of([&] { search.submit({.index = 0, .source = {3}, .prefix = {4}}); }), testing::HasSubstr("reads no source"));
  EXPECT_THAT(error_of([&] { search.submit({.index = 0, .source = {}, .prefix = {}}); }), testing::HasSubstr("an empty prompt"));
  EXPECT_THAT(error_of([&] { search.submit({.index = 0, .source = {}, .prefix = Ids(64, 3)}); }), testing::HasSubstr("leaves nothing of 64"));
  config.coverage_penalty = 1;
  Search covering(std::make_unique<CausalDecoder>(*of.model), config);
  covering.submit({.index = 0, .source = {}, .prefix = {3}});
  EXPECT_THAT(error_of([&] {
    std::vector<SearchResult> results;
    while (!covering.idle()) covering.step(results);
  }), testing::HasSubstr("no coverage to count"));
}

TEST(HuggingFace, SamplingChoosesAmongTheSameTokens) {
  const Json golden = read_json(kGolden + "/goldens.json");
  for (const Json& example : golden["filters"]) {
    GenerationConfig config;
    config.eos_token_id = {0};
    config = GenerationConfig::from_json(example["options"], "options", config);
    std::vector<Choice> choices;
    for (const Json& logit : example["logits"])
      choices.push_back({static_cast<std::int32_t>(choices.size()), logit.get<double>()});
    filter(config, choices);
    Ids left;
    for (const Choice& c : choices) left.push_back(c.token);
    std::sort(left.begin(), left.end());
    EXPECT_EQ(left, example["left"].get<Ids>()) << example["options"].dump();
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, HuggingFaceSearch,
                         testing::Values(Device{Device::reference}, Device{Device::cpu}),
                         [](const auto& of) { return of.param.kind == Device::cpu ? "cpu" : "reference"; });

}  // namespace
}  // namespace glossa::test
