#include <gtest/gtest.h>

#include "models.h"

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
