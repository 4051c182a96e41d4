#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "base/manifest.h"
#include "models/transformer.h"
#include "train/checkpoints.h"
#include "train/corpus.h"
#include "training_run.h"

// What a run refuses before its first step, what it says, and what it leaves behind when something is wrong.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

class Training : public TrainingRun {
 protected:
  static Recipe recipe(const std::vector<std::string>& changes = {}) {
    Recipe r = Recipe::read(GLOSSA_SOURCE_DIR "/recipes/reverse-digits.yaml");
    for (const char* s : {"data.generated_examples=300", "data.generated_valid_examples=10", "data.generated_max_digits=4", "data.max_length=20",
                          "model.d_model=16", "model.encoder_layers=1", "model.decoder_layers=1", "model.encoder_attention_heads=2",
                          "model.decoder_attention_heads=2", "model.encoder_ffn_dim=16", "model.decoder_ffn_dim=16",
                          "model.max_position_embeddings=32", "train.max_steps=12", "train.max_tokens=256", "train.warmup_steps=4",
                          "train.eval_steps=0", "train.save_steps=4", "decode.max_length=8"})
      r.set(s);
    for (const std::string& s : changes) r.set(s);
    return r;
  }
  Recipe of_files(const std::string& source, const std::string& target) const {
    return recipe({"data.task=translation", "data.train_source=" + (folder / source).native(), "data.train_target=" + (folder / target).native(),
                   "tokenizer.vocab_size=40", "tokenizer.min_frequency=1"});
  }
};

TEST_F(Training, DataToTrainOnAreEnough) {
  put("s", "a b\nc d\ne f\n"), put("t", "b a\nd c\nf e\n");
  EXPECT_EQ(train(of_files("s", "t"), options_).step, 12);
  EXPECT_TRUE(fs::exists(options_.output_directory / "model.safetensors"));
}

TEST_F(Training, F01_F05_F09_OddDataAreNotedAndTrainedOn) {
  put("s", "\xEF\xBB\xBF" "a b\n\nc d\ne f\n"), put("t", "b a\nx\nd c\nf \xFF" "e\n");
  EXPECT_EQ(refusal(of_files("s", "t")).first, Code::utf8);
  Recipe repaired = of_files("s", "t");
  repaired.set("data.invalid_utf8=replace");
  train(repaired, options_);
  EXPECT_THAT(notes_, AllOf(Contains(HasSubstr("with an empty side")), Contains(HasSubstr("byte order mark")), Contains(HasSubstr("not UTF-8"))));
}

TEST_F(Training, F16_ValidationPairsThatAreTrainedOnAreSaid) {
  put("s", "a b\nc d\ne f\n"), put("t", "b a\nd c\nf e\n");
  Recipe r = of_files("s", "t");
  r.set("data.valid_source=" + (folder / "s").native()), r.set("data.valid_target=" + (folder / "t").native());
  train(r, options_);
  EXPECT_THAT(notes_, Contains(HasSubstr("3 of 3 validation pairs are also in the training data")));
}

TEST_F(Training, F18_AVocabularyThatDoesNotKnowTheTextIsSaid) {
  put("s", "a b\na b\nx y\nz w\n"), put("t", "b a\nb a\nu v\nr s\n");
  Recipe r = of_files("s", "t");
  for (const char* s : {"tokenizer.type=words", "tokenizer.min_frequency=2", "tokenizer.vocab_size=8"}) r.set(s);
  train(r, options_);
  EXPECT_THAT(notes_, Contains(HasSubstr("tokens are unknown to the vocabulary, as in")));
}

TEST_F(Training, F20_StandardInputServesOneSideOnce) {
  Recipe r = recipe({"data.task=translation", "data.train_source=-", "data.train_target=-"});
  EXPECT_EQ(refusal(r).first, Code::recipe);
  put("s", "a\n");
  r = of_files("s", "s");
  r.set("data.valid_source=-"), r.set("data.valid_target=" + (folder / "s").native());
  EXPECT_THAT(refusal(r).second, HasSubstr("standard input can only be training data"));
}

TEST_F(Training, E06_G30_AModelThatMemoryCannotHoldIsRefusedBeforeItIsAllocated) {
  const auto [code, message] = refusal(recipe({"model.d_model=65536", "model.encoder_layers=100"}));
  EXPECT_EQ(code, Code::memory);
  EXPECT_THAT(message, AllOf(HasSubstr("parameters"), HasSubstr("MiB"), HasSubstr("are free"), HasSubstr("model.d_model")));
}

TEST_F(Training, TheCountOfParametersIsThatOfTheModel) {
  for (const char* norm : {"after", "before"})
    for (const char* positions : {"sinusoidal", "learned"})
      for (const char* tied : {"true", "false"}) {
        const Recipe r = recipe({std::string("model.normalize=") + norm, std::string("model.position_embeddings=") + positions,
                                 std::string("model.tie_word_embeddings=") + tied});
        const Corpus corpus = read_corpus(r, {});
        const TransformerConfig config = model_config(r, corpus.tokenizer);
        ParameterList parameters({});
        const Transformer model(parameters, config);
        std::int64_t elements = config.learned_positions() ? 0 : config.max_position_embeddings * config.d_model;
        for (const auto& [name, tensor] : parameters.values()) elements += tensor.elements();
        EXPECT_EQ(config.parameters(), elements) << config.model_type << ' ' << tied;
      }
}

TEST_F(Training, G05_ADiskTooSmallForTheCheckpointsIsRefusedBeforeTheFirstStep) {
  const auto [code, message] = refusal(recipe({"model.d_model=1024", "train.save_total_limit=100000"}));
  EXPECT_EQ(code, Code::write);
  EXPECT_THAT(message, AllOf(HasSubstr("MiB of disk"), HasSubstr("100003 checkpoints"), HasSubstr("free"), HasSubstr("train.save_total_limit")));
  EXPECT_TRUE(checkpoint_steps(options_.output_directory).empty());
}

TEST_F(Training, G12_AnOldCheckpointGoesOnlyWhenTheNewOneIsVerified) {
  const fs::path run = options_.output_directory;
  train(recipe({"train.save_total_limit=1"}), options_);
  EXPECT_EQ(checkpoint_steps(run), std::vector<std::int64_t>{12});
  fs::copy(checkpoint_path(run, 12), checkpoint_path(run, 16), fs::copy_options::recursive);
  std::ofstream(checkpoint_path(run, 16) / "model.safetensors", std::ios::app) << "x";
  EXPECT_THROW(prune_checkpoints(run, 16, {.save_steps = 4, .regular = 1, .best_step = 0}), Error);
  EXPECT_EQ(newest_checkpoint(run).path, checkpoint_path(run, 12));
}

TEST_F(Training, G15_WhatIsThereIsReplacedOnlyWhenAskedAndOnlyByARunThatCanBegin) {
  train(recipe(), options_);
  const std::string before = sha256_of_file(options_.output_directory / "model.safetensors");
  EXPECT_EQ(refusal(recipe({"train.seed=3"})).first, Code::output_exists);
  options_.overwrite = true;
  put("s", "a\nb\n"), put("t", "a\n");
  EXPECT_EQ(refusal(of_files("s", "t")).first, Code::line_counts);
  EXPECT_EQ(refusal(recipe({"model.d_model=65536", "model.encoder_layers=100"})).first, Code::memory);
  EXPECT_EQ(sha256_of_file(options_.output_directory / "model.safetensors"), before);
  EXPECT_EQ(newest_checkpoint(options_.output_directory).path, checkpoint_path(options_.output_directory, 12));
  put("run/mine", "not the run's");
  train(recipe({"train.seed=3", "train.max_steps=8"}), options_);
  EXPECT_NE(sha256_of_file(options_.output_directory / "model.safetensors"), before);
  EXPECT_EQ(checkpoint_steps(options_.output_directory).back(), 8);
  EXPECT_TRUE(fs::exists(options_.output_directory / "mine"));
}

TEST_F(Training, G22_ARunThatGoesOnOnAnotherInstructionSetSaysSo) {
  train(recipe(), options_);
  const fs::path checkpoint = checkpoint_path(options_.output_directory, 12), state = checkpoint / kStateName;
  Json json = read_json(state);
  json["instruction_set"] = "another";
  write_file(state, json.dump());
  fs::remove(checkpoint / kManifestName);
  write_file(checkpoint / kManifestName, to_text(sync_and_list(checkpoint)));
  options_.resume = true, options_.override_keys = {"train.max_steps"};
  train(recipe({"train.max_steps=14"}), options_);
  EXPECT_THAT(notes_, Contains(HasSubstr("the run began on another and goes on on")));
}

TEST_F(Training, E17_G11_ACheckpointOfALaterFormatIsNotPassedOver) {
  train(recipe(), options_);
  const fs::path newest = checkpoint_path(options_.output_directory, 12), manifest = newest / kManifestName;
  Json json = read_json(manifest);
  json["format"] = 7;
  write_file(manifest, json.dump());
  options_.resume = true;
  const auto [code, message] = refusal(recipe());
  EXPECT_EQ(code, Code::run_state);
  EXPECT_THAT(message, AllOf(HasSubstr("format 7"), HasSubstr("reads format 1")));
  EXPECT_EQ(checkpoint_steps(options_.output_directory).back(), 12);
}

TEST_F(Training, G25_KeysThatMayDifferMustBeKeys) {
  train(recipe(), options_);
  options_.override_keys = {"train.max_steps"};
  EXPECT_THAT(refusal(recipe()).second, HasSubstr("--override goes with --resume"));
  options_.resume = true, options_.override_keys = {"train.max_stepz"};
  EXPECT_THAT(refusal(recipe()).second, HasSubstr("did you mean train.max_steps?"));
  options_.override_keys = {"train.max_steps"};
  train(recipe({"train.max_steps=14"}), options_);
  EXPECT_THAT(read_file(options_.output_directory / kRecipeName), HasSubstr("max_steps: 14"));
}

TEST_F(Training, G26_GradientsThatAreNotFiniteAreNotAppliedAndEndTheRun) {
  const auto [code, message] = refusal(recipe({"train.optim=sgd", "train.learning_rate=1e6", "train.lr_scheduler_type=constant", "train.warmup_steps=0",
                                               "train.max_grad_norm=0", "train.save_steps=1", "train.max_bad_steps=2", "train.max_steps=1000"}));
  EXPECT_EQ(code, Code::nonfinite);
  EXPECT_THAT(message, AllOf(HasSubstr("step "), HasSubstr("loss "), HasSubstr("gradient norm "), HasSubstr("train.max_bad_steps"), HasSubstr("batch "),
                             HasSubstr("the last good checkpoint is ")));
  for (const std::int64_t step : checkpoint_steps(options_.output_directory))
    EXPECT_NO_THROW(TensorDirectory(checkpoint_path(options_.output_directory, step)).check_finite()) << step;
  EXPECT_FALSE(fs::exists(options_.output_directory / "model.safetensors"));
}

TEST_F(Training, G29_RatesAndCountsThatCannotBeAreRefused) {
  const std::vector<std::string> cases[] = {
      {"train.learning_rate=0"}, {"train.learning_rate=1e30"}, {"train.learning_rate=-1"}, {"train.learning_rate=nan"}, {"train.warmup_steps=100"},
      {"train.max_steps=0"}, {"train.max_steps=-1"}, {"train.max_steps=1.5"}, {"train.max_steps="}, {"train.max_steps=1e30"}, {"train.max_tokens=0"},
      {"train.max_tokens=10"}, {"train.gradient_accumulation_steps=0"}, {"train.label_smoothing_factor=1"}, {"train.adam_beta2=1"},
      {"train.seed=-1"}, {"train.optim=adamm"}, {"model.dropout=1.5"}, {"model.d_model=33"}, {"model.encoder_attention_heads=5"}, {"data.max_length=40"},
      {"decode.num_beams=0"}};
  for (const auto& changes : cases) {
    try {
      recipe(changes).validate();
      ADD_FAILURE() << changes[0];
    } catch (const Error& e) {
      EXPECT_EQ(e.exit(), Exit::usage) << changes[0];
      EXPECT_THAT(e.what(), HasSubstr(changes[0].substr(0, changes[0].find('=')))) << changes[0];
    }
  }
}

TEST_F(Training, G39_ManyEntriesAndLeftoversDoNotMatter) {
  const fs::path run = options_.output_directory;
  make_directories(run);
  for (int i = 0; i < 300; ++i) fs::create_directory(run / fmt::format(".checkpoint-{}.tmp-999999999-{}", i, i));
  options_.resume = true;  // of a run that was killed before its first checkpoint
  train(recipe(), options_);
  for (const auto& entry : fs::directory_iterator(run)) EXPECT_THAT(entry.path().filename().native(), testing::Not(HasSubstr(".tmp-")));
}

}  // namespace
}  // namespace glossa::test
