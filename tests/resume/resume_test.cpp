#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "train/checkpoints.h"
#include "train/trainer.h"
#include "support/in_folder.h"

// A run that is stopped, killed or refused its disk at any moment can be resumed, and ends with the bits of a run that was
// never disturbed.
namespace glossa::test {
namespace {

const std::vector<std::string>& settings() {
  static const std::vector<std::string> all{
      "data.generated_examples=400", "data.generated_valid_examples=20", "data.generated_max_digits=8", "data.max_length=20",
      "model.d_model=16", "model.encoder_layers=1", "model.decoder_layers=1", "model.encoder_attention_heads=2",
      "model.decoder_attention_heads=2", "model.encoder_ffn_dim=32", "model.decoder_ffn_dim=32", "model.max_position_embeddings=32",
      "model.dropout=0.1", "model.attention_dropout=0.1", "train.max_steps=240", "train.max_tokens=256", "train.warmup_steps=20",
      "train.eval_steps=80", "train.save_steps=8", "train.logging_steps=10", "train.save_total_limit=2", "train.average_checkpoints=3",
      "decode.max_length=32"};
  return all;
}

const char* kRecipe = GLOSSA_SOURCE_DIR "/recipes/reverse-digits.yaml";

class Resume : public InFolder {};

// A language model of some lines of text.
std::vector<std::string> language_settings(const fs::path& text) {
  return {"data.train_file=" + text.native(), "data.block_size=16", "model.hidden_size=16", "model.num_hidden_layers=1",
          "model.num_attention_heads=2", "model.max_position_embeddings=16", "model.dropout=0.1", "train.max_steps=240",
          "train.max_tokens=64", "train.warmup_steps=20", "train.eval_steps=80", "train.save_steps=8", "train.logging_steps=10",
          "train.save_total_limit=2", "decode.max_new_tokens=5"};
}

const char* kLanguageRecipe = GLOSSA_SOURCE_DIR "/recipes/shakespeare-char.yaml";

struct Start {
  fs::path output;
  bool resume = false;
  int threads = 1;
  std::vector<std::string> environment = {};  // "NAME=value"
  const char* recipe = kRecipe;
  std::vector<std::string> changes = settings();
};

pid_t start(const Start& how) {
  std::vector<std::string> words{GLOSSA_PROGRAM, "train", how.recipe, "--output-dir", how.output.native(), "--threads", std::to_string(how.threads)};
  if (how.resume) words.push_back("--resume");
  for (const std::string& s : how.changes) words.insert(words.end(), {"--set", s});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = how.output.native() + ".log";
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
    dup2(file, 1), dup2(file, 2);
    for (const std::string& variable : how.environment) putenv(const_cast<char*>(variable.c_str()));
    execv(GLOSSA_PROGRAM, arguments.data());
    _exit(127);
  }
  return child;
}

// Exit status, or 1000 and the signal.
int finish(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int run(const Start& how) { return finish(start(how)); }

std::string weights(const fs::path& run) { return sha256_of_file(run / "model.safetensors"); }

int wanted_kills() {
  const char* given = std::getenv("GLOSSA_KILLS");
  return given ? std::atoi(given) : 12;
}

// Kills runs like `how` until there were enough kills, and compares what they end with.
void kill_and_compare(const fs::path& folder, Start how) {
  how.output = folder / "whole", how.threads = 2;
  ASSERT_EQ(run(how), 0) << read_file(how.output.native() + ".log");
  const std::string wanted = weights(how.output);
  std::mt19937 random(std::random_device{}());
  int kills = 0, runs = 0;
  while (kills < wanted_kills()) {
    how.output = folder / fmt::format("killed{}", runs++);
    int status = 1000;
    for (how.resume = false; status >= 1000; how.resume = true) {
      how.threads = 1 + static_cast<int>(random() % 2);
      const pid_t child = start(how);
      if (kills < wanted_kills()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
        kills += kill(child, SIGKILL) == 0;
      }
      status = finish(child);
    }
    ASSERT_EQ(status, 0) << read_file(how.output.native() + ".log");
    EXPECT_EQ(weights(how.output), wanted);
    fs::remove_all(how.output);
  }
}

TEST_F(Resume, G02_G20_KilledAtAnyMomentItEndsWithTheSameWeights) { kill_and_compare(folder, {.output = {}}); }

TEST_F(Resume, G02_G20_SoDoesALanguageModel) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += fmt::format("{} and {}\n", i, i * i);
  kill_and_compare(folder, {.output = {}, .recipe = kLanguageRecipe, .changes = language_settings(put("text.txt", text))});
}

TEST_F(Resume, G16_K13_StoppedBySignalsItSays75AndGoesOn) {
  ASSERT_EQ(run({.output = folder / "whole"}), 0);
  const fs::path output = folder / "stopped";
  std::mt19937 random(5);
  int status = -1;
  for (int i = 0; status != 0; ++i) {
    const pid_t child = start({.output = output, .resume = i > 0});
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 300));
    kill(child, i % 2 ? SIGINT : SIGTERM);
    status = finish(child);
    // A signal that comes before the handler is there ends the process the system's way.
    ASSERT_THAT(status, testing::AnyOf(0, 75, 1000 + SIGTERM, 1000 + SIGINT)) << read_file(output.native() + ".log");
    if (i > 6 && status != 0) status = run({.output = output, .resume = true});
  }
  EXPECT_EQ(weights(output), weights(folder / "whole"));
}

TEST_F(Resume, G18_HaltedAndContinuedItGoesOn) {
  ASSERT_EQ(run({.output = folder / "whole"}), 0);
  const pid_t child = start({.output = folder / "halted"});
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    kill(child, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    kill(child, SIGCONT);
  }
  ASSERT_EQ(finish(child), 0) << read_file((folder / "halted").native() + ".log");
  EXPECT_EQ(weights(folder / "halted"), weights(folder / "whole"));
}

// The calls of saving fail one after the other, as on a full or dying disk.
TEST_F(Resume, G04_AFailingDiskIsStatus4AndNothingIsLost) {
  ASSERT_EQ(run({.output = folder / "whole"}), 0);
  const std::string wanted = weights(folder / "whole");
  for (const char* fault : {"write", "fsync", "rename"}) {
    const fs::path output = folder / fault;
    const Start failing{.output = output,
                        .environment = {std::string("LD_PRELOAD=") + FAULT_SHIM, "FAULT_FOLDER=" + output.native(),
                                        std::string("FAULT_CALL=") + fault, "FAULT_AT=40", fmt::format("FAULT_HOW={}", ENOSPC),
                                        "FAULT_LASTS=forever"}};
    EXPECT_EQ(run(failing), 4) << fault << read_file(output.native() + ".log");
    ASSERT_EQ(run({.output = output, .resume = true}), 0) << fault << read_file(output.native() + ".log");
    EXPECT_EQ(weights(output), wanted) << fault;
  }
}

TEST_F(Resume, E19_G25_AnotherRecipeIsRefusedUnlessTheKeyMayDiffer) {
  Recipe recipe = Recipe::read(kRecipe);
  for (const std::string& s : settings()) recipe.set(s);
  recipe.set("train.max_steps=40");
  recipe.set("train.eval_steps=0");
  TrainingOptions options{.output_directory = folder / "run"};
  EXPECT_FALSE(train(recipe, options).stopped);
  try {
    train(recipe, options);
    ADD_FAILURE() << "an occupied directory was taken";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::output_exists) << e.what();
  }
  recipe.set("train.max_steps=48");
  options.resume = true;
  try {
    train(recipe, options);
    ADD_FAILURE() << "another recipe was taken";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::run_state);
    EXPECT_THAT(e.what(), testing::HasSubstr("train.max_steps: 40 -> 48"));
  }
  options.override_keys = {"train.max_steps"};
  EXPECT_EQ(train(recipe, options).step, 48);
}

// Stopped after every so many steps within one process, a run ends with the same bits.
TEST_F(Resume, G24_StoppedInProcessAtManySteps) {
  Recipe recipe = Recipe::read(kRecipe);
  for (const std::string& s : settings()) recipe.set(s);
  recipe.set("train.max_steps=60");
  recipe.set("train.ema_decay=0.9");
  recipe.set("train.average_checkpoints=1");
  train(recipe, {.output_directory = folder / "whole"});
  int steps = 0;
  TrainingOptions options{.output_directory = folder / "parts"};
  options.hooks.stop = [&] { return ++steps % 7 == 0; };
  TrainingResult result = train(recipe, options);
  options.resume = true;
  while (result.stopped) result = train(recipe, options);
  EXPECT_EQ(result.step, 60);
  EXPECT_EQ(weights(folder / "parts"), weights(folder / "whole"));
  const Json whole = read_json(folder / "whole" / kStateName), parts = read_json(folder / "parts" / kStateName);
  for (std::size_t i = 0; i < whole["log_history"].size(); ++i)
    if (whole["log_history"][i].contains("loss")) {
      EXPECT_EQ(whole["log_history"][i]["loss"], parts["log_history"][i]["loss"]);
    }
}

// Damage to the newest checkpoint is said, and the one before it serves.
TEST_F(Resume, G10_G13_ADamagedCheckpointIsPassedOver) {
  ASSERT_EQ(run({.output = folder / "run"}), 0);
  const std::string wanted = weights(folder / "run");
  const fs::path newest = newest_checkpoint(folder / "run").path / kOptimizerName;
  std::string bytes = read_file(newest);
  bytes[bytes.size() / 2] ^= 1;
  write_file(newest, bytes);
  ASSERT_EQ(run({.output = folder / "run", .resume = true}), 0);
  EXPECT_THAT(read_file((folder / "run").native() + ".log"), testing::HasSubstr("passed over"));
  EXPECT_EQ(weights(folder / "run"), wanted);
}

TEST_F(Resume, G14_TwoProcessesDoNotShareADirectory) {
  const DirectoryLock lock([&] {
    make_directories(folder / "run");
    return folder / "run";
  }());
  EXPECT_EQ(run({.output = folder / "run"}), 7);
}

}  // namespace
}  // namespace glossa::test
