// README.md of a finished model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "train/model_card.h"
#include "train/translation.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ModelCard : public testing::Test {
 protected:
  ModelCard() {
    recipe.set("data.task=reverse-digits");
    recipe.set("data.generated_examples=50");
    recipe.set("data.generated_valid_examples=10");
    corpus.emplace(read_corpus(recipe, {}));
    recipe.set("data.task=translation");
    recipe.set("data.train_source=texts/train.no");
    state.step = 1200, state.epoch = 3.5, state.seconds = 90, state.instruction_set = "avx2";
  }
  std::string card(const std::optional<TestScores>& test = {}) {
    return model_card({.recipe = recipe,
                       .run = run,
                       .state = state,
                       .parameters = 15000,
                       .command = command,
                       .parts = translation_card({.recipe = recipe, .corpus = *corpus, .config = config, .run = run, .test = test})});
  }
  static YAML::Node front_matter(const std::string& card) {
    EXPECT_THAT(card, testing::StartsWith("---\n"));
    return YAML::Load(card.substr(4, card.find("\n---\n", 4) - 3));
  }

  Recipe recipe;
  std::optional<Corpus> corpus;
  TransformerConfig config;
  RunState state;
  fs::path run = "runs/my model: 2/";
  std::string command = "glossa train r.yaml";
};

TEST_F(ModelCard, TheHubCanReadItsFrontMatter) {
  recipe.set("data.source_lang=no");  // Norwegian, which is `false` to a careless writer of YAML
  const YAML::Node found = front_matter(card(TestScores{.bleu = 39.126, .chrf = 60}));
  EXPECT_EQ(found["language"][0].Tag(), "!");  // a string, and nothing that a reader may resolve
  EXPECT_EQ(found["language"][0].as<std::string>(), "no");
  EXPECT_EQ(found["pipeline_tag"].as<std::string>(), "translation");
  const YAML::Node model = found["model-index"][0];
  EXPECT_EQ(model["name"].as<std::string>(), "my model: 2");
  EXPECT_EQ(model["results"][0]["metrics"][0]["type"].as<std::string>(), "bleu");
  EXPECT_EQ(model["results"][0]["metrics"][0]["value"].as<double>(), 39.13);
  EXPECT_FALSE(found["license"]);  // which we do not know
}

TEST_F(ModelCard, SaysWhatItIsHowItWasMadeAndHowToUseIt) {
  EXPECT_THAT(card(), AllOf(HasSubstr("# my model: 2\n"), HasSubstr("0.01 million parameters"),
                            HasSubstr("1200 steps (3.5 epochs, 1.5 minutes, avx2)"),
                            HasSubstr("training (`train.no`): 50 pairs read, 50 kept"),
                            HasSubstr("glossa translate --model 'runs/my model: 2/'"),
                            HasSubstr("MarianMTModel.from_pretrained(\"runs/my model: 2/\")"),
                            HasSubstr("glossa train r.yaml"), HasSubstr(recipe.to_yaml()), HasSubstr(recipe.hash())));
}

TEST_F(ModelCard, SignaturesStayInTheirCells) {
  const std::string text = card(TestScores{.bleu_signature = "nrefs:1|case:mixed"});
  EXPECT_THAT(text, HasSubstr("| `nrefs:1\\|case:mixed` |"));
}

TEST_F(ModelCard, WithoutTestDataThereAreNoScores) {
  EXPECT_THAT(card(), AllOf(Not(HasSubstr("## Scores")), Not(HasSubstr("model-index"))));
}

TEST_F(ModelCard, OnlyModelsThatTransformersHasUnderThisNameGetItsSnippet) {
  config.model_type = "transformer";
  EXPECT_THAT(card(), Not(HasSubstr("MarianMTModel")));
}

}  // namespace
}  // namespace glossa
