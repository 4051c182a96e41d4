#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/causal_model.h"
#include "data/block_plan.h"
#include "generate/perplexity.h"
#include "support/environment.h"
#include "train/checkpoints.h"
#include "train/language_model.h"
#include "training_run.h"

// Runs of language modelling: what they learn from, what they write, that they resume to the same bits, and
// what they refuse.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

class LanguageModelling : public TrainingRun {
 protected:
  void SetUp() override {
    TrainingRun::SetUp();
    std::string text;
    for (int i = 0; i < 400; ++i)
      text += fmt::format("{} and {} is {}.\n{}", i, i + 1, 2 * i + 1, i % 7 ? "" : "\n");
    put("sums.txt", text);
  }
  Recipe recipe(const std::vector<std::string>& changes = {}) const {
    Recipe r;
    for (const std::string& s :
         {std::string("data.task=language-modeling"), "data.train_file=" + (folder / "sums.txt").native(),
          std::string("data.validation_split_percentage=10"), std::string("data.block_size=24"),
          std::string("data.documents=blank_line"), std::string("tokenizer.vocab_size=280"),
          std::string("model.hidden_size=16"), std::string("model.num_hidden_layers=2"),
          std::string("model.num_attention_heads=2"), std::string("model.max_position_embeddings=32"),
          std::string("train.max_steps=24"), std::string("train.max_tokens=96"),
          std::string("train.warmup_steps=4"), std::string("train.learning_rate=0.01"),
          std::string("train.eval_steps=12"), std::string("train.save_steps=6"),
          std::string("train.logging_steps=4"), std::string("decode.max_new_tokens=10")})
      r.set(s);
    for (const std::string& s : changes) r.set(s);
    return r;
  }
  static Recipe language_defaults() {
    Recipe r;
    r.set("data.task=language-modeling");
    return r;
  }
  static std::string weights(const fs::path& run) { return sha256_of_file(run / "model.safetensors"); }
};

TEST_F(LanguageModelling, AllRecipesAreRead) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(GLOSSA_SOURCE_DIR "/recipes")) {
    EXPECT_NO_THROW(Recipe::read(entry.path()).validate()) << entry.path();
    const Recipe r = Recipe::read(entry.path());
    EXPECT_TRUE(Recipe::parse(r.to_yaml(), "written", "").differences(r).empty()) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 8);
}

TEST_F(LanguageModelling, LearnsAndLeavesAModelThatOthersRead) {
  for (const char* type : {"gpt2", "llama", "qwen3"}) {
    options_.overwrite = true;
    const TrainingResult result = train(recipe({std::string("model.model_type=") + type}), options_);
    const fs::path run = options_.output_directory;
    const LoadedCausalModel loaded = load_causal_model(run);
    EXPECT_TRUE(loaded.notes.empty()) << loaded.notes[0];
    EXPECT_EQ(loaded.stop_tokens, std::vector<Token>{0});
    ASSERT_TRUE(result.scores);
    const double loss = result.scores->metrics["eval_loss"].get<double>();
    EXPECT_LT(loss, 5.2) << type;  // a guess of 280 costs 5.63
    EXPECT_NEAR(result.scores->metrics["perplexity"].get<double>(), std::exp(loss), 1e-6);
    EXPECT_TRUE(fs::exists(run / "samples" / "step-000012.txt"));
    EXPECT_EQ(read_json(run / "config.json")["eos_token_id"], 0);
    EXPECT_EQ(read_json(run / "generation_config.json")["do_sample"], true);
    EXPECT_THAT(read_file(run / "README.md"),
                AllOf(HasSubstr("pipeline_tag: text-generation"), HasSubstr("perplexity"),
                      HasSubstr("AutoModelForCausalLM")));
    const Json line =
        Json::parse(read_file(run / "metrics.jsonl").substr(0, read_file(run / "metrics.jsonl").find('\n')));
    EXPECT_TRUE(line.contains("loss") && line.contains("tokens_per_second"));
  }
}

// Each document alone, by the scorer of `glossa perplexity`, against blocks in which several lie together.
TEST_F(LanguageModelling, PackedDocumentsAreLearntFromAsIfAlone) {
  train(recipe({"train.max_steps=6"}), options_);
  const LoadedCausalModel loaded = load_causal_model(options_.output_directory);
  const std::vector<std::string> texts{"1 and 2 is 3.", "no", "4 and 5 is 9. 5 and 6"};
  auto bytes = std::make_shared<std::string>();
  TokenWriter writer([&](std::string_view part) { bytes->append(part); }, 280);
  double sum = 0;
  std::int64_t count = 0;
  for (const std::string& text : texts) {
    std::vector<Token> ids{0};
    loaded.tokenizer.encode(text, ids, false);
    writer.begin_document();
    writer.add(ids, text);
    ids.push_back(0);
    score_tokens(
        *loaded.model, ids,
        {.context = static_cast<std::int64_t>(ids.size()), .stride = static_cast<std::int64_t>(ids.size())},
        [&](std::span<const ScoredToken> scored) {
          for (const ScoredToken& s : scored) sum += s.surprise, ++count;
        });
  }
  writer.finish("{}");
  const TokenDataset data = TokenDataset::of_memory(bytes);
  const auto all = static_cast<std::int64_t>(data.size());
  const CausalBatch packed =
      BlockPlan(data, {.block_size = all, .max_tokens = all, .shuffle = false, .end = 0}).batch(0, 0);
  EXPECT_EQ(packed.tokens.sequences.count, 3);
  EXPECT_EQ(counted_labels(packed), count);
  EXPECT_NEAR(loaded.model->loss(packed).item<float>(), sum / static_cast<double>(count), 1e-5);
}

TEST_F(LanguageModelling, G02_G24_StoppedAtManyStepsItEndsWithTheSameWeights) {
  const Recipe r = recipe({"model.dropout=0.1", "model.attention_dropout=0.1", "train.ema_decay=0.9",
                           "train.gradient_accumulation_steps=2"});
  options_.output_directory = folder / "whole";
  train(r, options_);
  int steps = 0;
  options_.output_directory = folder / "parts";
  options_.hooks.stop = [&] { return ++steps % 5 == 0; };
  TrainingResult result = train(r, options_);
  options_.resume = true;
  while (result.stopped) result = train(r, options_);
  EXPECT_EQ(weights(folder / "parts"), weights(folder / "whole"));
  EXPECT_EQ(read_file(folder / "parts" / "samples" / "step-000024.txt"),
            read_file(folder / "whole" / "samples" / "step-000024.txt"));
}

TEST_F(LanguageModelling, E19_F15_AResumedRunMustSeeTheSameText) {
  options_.hooks.stop = [] { return true; };
  train(recipe(), options_);
  options_.resume = true;
  put("sums.txt", read_file(folder / "sums.txt") + "one more\n");
  const auto [code, message] = refusal(recipe());
  EXPECT_EQ(code, Code::run_state);
  EXPECT_THAT(message, HasSubstr("the training data have changed"));
}

TEST_F(LanguageModelling, ChineseJsonLinesByCharactersComeBackAsTheyWere) {
  std::string lines;
  for (int i = 0; i < 60; ++i)
    lines += fmt::format("{{\"body\": \"\xE5\xA4\xA9\xE5\x9C\xB0 \xE7\x8E\x84\xE9\xBB\x84\\n{}\"}}\n", i);
  put("zh.jsonl", lines);
  Recipe r = recipe({"data.train_file=" + (folder / "zh.jsonl").native(), "data.text_column=body",
                     "tokenizer.type=chars", "tokenizer.min_frequency=1", "data.documents=file"});
  train(r, options_);
  const Tokenizer tokenizer = Tokenizer::load(options_.output_directory);
  const std::string text = "\xE5\xA4\xA9 \xE9\xBB\x84\n 12";
  EXPECT_EQ(tokenizer.encode(text).size(), 7u);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

TEST_F(LanguageModelling, GoesOnFromAModelThatIsThere) {
  train(recipe(), options_);
  const double before = read_json(options_.output_directory / "all_results.json")["eval_loss"].get<double>();
  Recipe r;
  for (const std::string& s :
       {std::string("data.task=language-modeling"), "data.train_file=" + (folder / "sums.txt").native(),
        std::string("data.validation_split_percentage=10"), std::string("data.block_size=24"),
        std::string("data.documents=blank_line"), std::string("train.max_steps=20"),
        std::string("train.max_tokens=96"), std::string("train.warmup_steps=2"),
        std::string("train.learning_rate=1e-3"),
        "model.model_name_or_path=" + options_.output_directory.native()})
    r.set(s);
  options_.output_directory = folder / "on";
  const TrainingResult result = train(r, options_);
  EXPECT_LT(result.scores->metrics["eval_loss"].get<double>(), before);
  EXPECT_EQ(read_file(folder / "on" / "tokenizer.json"), read_file(folder / "run" / "tokenizer.json"));
  r.set("data.block_size=33");
  options_.overwrite = true;
  EXPECT_THAT(refusal(r).second, HasSubstr("data.block_size is 33, and the model has 32 positions"));
  r.set("tokenizer.vocab_size=300");
  EXPECT_THAT(refusal(r).second,
              HasSubstr("comes with its tokenizer, and tokenizer.vocab_size must not be set"));
  r.tokenizer = language_defaults().tokenizer;
  r.set("model.hidden_size=64");
  EXPECT_THAT(refusal(r).second, HasSubstr("model.hidden_size is given by model.model_name_or_path"));
}

// What a run began with may be gone or another when it is resumed: its checkpoints have everything.
TEST_F(LanguageModelling, AResumedRunGoesOnWithoutTheModelThatItBeganWith) {
  options_.output_directory = folder / "base";
  train(recipe({"train.max_steps=4", "train.eval_steps=0"}), options_);
  fs::create_directories(folder / "described");
  fs::copy_file(folder / "base" / "config.json", folder / "described" / "config.json");
  for (const char* key : {"model.model_name_or_path=", "model.config_name="}) {
    const bool pretrained = key[6] == 'm';
    Recipe r = recipe({"train.max_steps=8", "train.eval_steps=0"});
    r.model = Recipe().model;
    r.set("model.dropout=0");
    if (pretrained) r.tokenizer = language_defaults().tokenizer;
    const fs::path from = pretrained ? folder / "base" : folder / "described" / "config.json";
    r.set(key + from.native());
    options_.output_directory = folder / "whole";
    options_.overwrite = true;
    train(r, options_);
    options_.overwrite = false;
    options_.output_directory = folder / (pretrained ? "on" : "anew");
    int steps = 0;
    options_.hooks.stop = [&] { return ++steps == 3; };
    ASSERT_TRUE(train(r, options_).stopped);
    options_.hooks.stop = [] { return false; };
    fs::remove_all(from);
    options_.resume = true;
    train(r, options_);
    options_.resume = false;
    EXPECT_EQ(weights(options_.output_directory), weights(folder / "whole")) << key;
  }
}

TEST_F(LanguageModelling, AResumedRunKeepsItsRecordsAsTheyWere) {
  const auto metrics = [&] { return read_file(options_.output_directory / "metrics.jsonl"); };
  int steps = 0;
  options_.hooks.stop = [&] { return ++steps == 14; };
  train(recipe(), options_);
  const std::string before = metrics();
  options_.hooks.stop = [] { return false; };
  options_.resume = true;
  train(recipe(), options_);
  EXPECT_TRUE(metrics().starts_with(before)) << before << metrics();
}

TEST_F(LanguageModelling, AConfigurationMayDescribeTheModel) {
  put("config.json",
      R"({"model_type": "gemma2", "vocab_size": 5, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
      "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64})");
  Recipe r = recipe();
  r.model = Recipe().model;
  r.set("model.config_name=" + (folder / "config.json").native());
  r.set("model.dropout=0");
  train(r, options_);
  EXPECT_EQ(read_json(options_.output_directory / "config.json")["model_type"], "gemma2");
  EXPECT_EQ(read_json(options_.output_directory / "config.json")["vocab_size"], 280);
  r.set("model.dropout=0.1"), options_.overwrite = true;
  EXPECT_THAT(refusal(r).second, HasSubstr("gemma2 has none; model.attention_dropout it has"));
}

TEST_F(LanguageModelling, F06_F07_TooLittleTextIsRefusedWithNumbers) {
  put("blank.txt", " \n\n");
  EXPECT_THAT(refusal(recipe({"data.train_file=" + (folder / "blank.txt").native()})).second,
              HasSubstr("0 documents in 1 file"));
  put("short.txt", "a b c");
  const auto [code, message] = refusal(
      recipe({"data.train_file=" + (folder / "short.txt").native(), "data.validation_split_percentage=0"}));
  EXPECT_EQ(code, Code::text_data);
  EXPECT_THAT(message,
              AllOf(HasSubstr("6 tokens to train on"), HasSubstr("96"), HasSubstr("train.max_tokens")));
}

TEST_F(LanguageModelling, F07_ValidationTextThatCannotBeReadIsRefusedBeforeAllWork) {
  const auto with = [&](const std::string& name) {
    return recipe({"data.validation_split_percentage=0", "data.valid_file=" + (folder / name).native()});
  };
  put("blank.txt", "\n \n"), put("bad.txt", "a\xFF");
  EXPECT_THAT(refusal(with("none.txt")).second, HasSubstr("none.txt"));
  EXPECT_THAT(refusal(with("bad.txt")).second, HasSubstr("bad.txt"));
  EXPECT_THAT(refusal(with("blank.txt")).second,
              AllOf(HasSubstr("blank.txt"), HasSubstr("no text: 0 documents")));
  EXPECT_TRUE(notes_.empty()) << notes_[0];  // nothing was prepared
  EXPECT_FALSE(fs::exists(options_.output_directory / "cache" / "train.tokens"));
}

TEST_F(LanguageModelling, F14_F16_RepeatedTextsAreSaid) {
  put("list.yaml",
      "data: {task: language-modeling, train_file: [sums.txt, ./sums.txt], valid_file: sums.txt, documents: "
      "line, block_size: 8}\n"
      "model: {hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1}\n"
      "train: {max_steps: 2, max_tokens: 16, warmup_steps: 0}\n");
  train(Recipe::read(folder / "list.yaml"), options_);
  EXPECT_THAT(notes_,
              AllOf(Contains(HasSubstr("more than once among the training data")),
                    Contains(HasSubstr("400 of 400 validation documents are also in the training data"))));
}

TEST_F(LanguageModelling, E06_G30_AModelThatMemoryCannotHoldIsRefusedBeforeItIsAllocated) {
  const auto [code, message] = refusal(recipe({"model.hidden_size=131072", "model.num_hidden_layers=1000"}));
  EXPECT_EQ(code, Code::memory);
  EXPECT_THAT(message, AllOf(HasSubstr("parameters"), HasSubstr("model.hidden_size")));
}

TEST_F(LanguageModelling, E06_G30_AModelToGoOnFromThatMemoryCannotHoldIsRefused) {
  options_.output_directory = folder / "base";
  train(recipe({"train.max_steps=4"}), options_);
  Recipe r = recipe({"model.model_name_or_path=" + options_.output_directory.native()});
  const std::string path = r.model.model_name_or_path;
  r.model = language_defaults().model, r.tokenizer = language_defaults().tokenizer;
  r.model.model_name_or_path = path;
  options_.output_directory = folder / "run";
  Environment environment;
  environment.set("GLOSSA_MEMORY", "0");
  const auto [code, message] = refusal(r);
  EXPECT_EQ(code, Code::memory);
  // 280 x 16 and 32 x 16 of embeddings; two layers of 32 + 816 + 272 + 32 + 1088 + 1040; a norm of 32.
  EXPECT_THAT(message, HasSubstr("a model of 11584 parameters (by model.model_name_or_path)"));
}

TEST_F(LanguageModelling, G29_APromptThatTheModelHasNoPositionsForIsRefusedAtOnce) {
  std::string prompt;
  for (int i = 0; i < 40; ++i) prompt += static_cast<char>('a' + i * i % 26);
  const auto [code, message] = refusal(recipe({"decode.prompt=" + prompt}));
  EXPECT_EQ(code, Code::recipe);
  EXPECT_THAT(message, AllOf(HasSubstr("decode.prompt has "), HasSubstr("32 positions")));
  EXPECT_TRUE(checkpoint_steps(options_.output_directory).empty());
  options_.overwrite = true;
  EXPECT_NO_THROW(
      train(recipe({"decode.prompt=" + prompt, "decode.max_new_tokens=0", "train.max_steps=4"}), options_));
}

TEST_F(LanguageModelling, G29_KeysThatContradictEachOtherOrAreOfAnotherTaskAreRefused) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"model.d_model=64"}, "model.d_model is a key of translation, and data.task is language-modeling"},
      {{"tokenizer.dropout=0.1"}, "tokenizer.dropout is a key of translation"},
      {{"decode.num_beams=2"}, "decode.num_beams is a key of translation"},
      {{"train.metric_for_best_model=eval_bleu"}, "eval_loss"},
      {{"data.block_size=33"}, "model.max_position_embeddings 32"},
      {{"train.max_tokens=10"}, "data.block_size 24"},
      {{"model.num_attention_heads=3"}, "not divisible"},
      {{"model.model_type=llama", "model.dropout=0.1"}, "llama has none"},
      {{"model.num_key_value_heads=1"}, "gpt2 has as many"},
      {{"model.model_type=bert"}, "gpt2, llama"},
      {{"data.valid_file=x"}, "not both"},
      {{"data.format=tsv"}, "documents come as text or jsonl"}};
  for (const auto& [changes, what] : cases) {
    try {
      recipe(changes).validate();
      ADD_FAILURE() << changes[0];
    } catch (const Error& e) {
      EXPECT_EQ(e.exit(), Exit::usage) << changes[0];
      EXPECT_THAT(e.what(), HasSubstr(what)) << changes[0];
    }
  }
  Recipe translation;
  translation.set("data.train_source=a"), translation.set("data.train_target=b"),
      translation.set("data.block_size=3");
  try {
    translation.validate();
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("data.block_size is a key of language-modeling"));
  }
}

}  // namespace
}  // namespace glossa::test
