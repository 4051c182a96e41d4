#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "app/command.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

// What `glossa score` prints, against goldens.json, which tools/make_score_goldens.py wrote from the command sacrebleu.
namespace glossa::test {
namespace {

class ScoreCommand : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "glossa-score-XXXXXX").native();
    folder_ = mkdtemp(pattern.data());
    before_ = fs::current_path();
    fs::current_path(folder_);
  }
  void TearDown() override {
    fs::current_path(before_);
    fs::remove_all(folder_);
  }
  static void put(const std::string& name, std::string_view text) { std::ofstream(name, std::ios::binary) << text; }

  static std::string output(std::vector<std::string> words) {
    CLI::App program("test", "glossa");
    program.require_subcommand(1);
    app::add_score(program);
    words.insert(words.begin(), "score");
    std::reverse(words.begin(), words.end());
    testing::internal::CaptureStdout();
    try {
      program.parse(words);
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    return testing::internal::GetCapturedStdout();
  }
  static Error refusal(const std::vector<std::string>& words) {
    try {
      output(words);
    } catch (const Error& e) {
      return e;
    }
    return {Code::internal, "nothing was refused"};
  }

 private:
  fs::path folder_, before_;
};

TEST_F(ScoreCommand, PrintsWhatSacrebleuPrints) {
  const Json goldens = read_json(GLOSSA_SOURCE_DIR "/tests/score/goldens.json");
  for (const auto& [name, text] : goldens["files"].items()) put(name, text.get<std::string>());
  for (const Json& run : goldens["runs"]) {
    const auto arguments = run["arguments"].get<std::vector<std::string>>();
    EXPECT_EQ(output(arguments), run["printed"].get<std::string>()) << run["arguments"];
  }
}

TEST_F(ScoreCommand, RefusesFilesOfDifferentLengthWithBothCounts) {
  put("reference", "a\nb\nc\n");
  put("system", "a\nb\n");
  const Error e = refusal({"reference", "-i", "system"});
  EXPECT_EQ(e.code(), Code::line_counts);
  EXPECT_NE(std::string(e.what()).find('3'), std::string::npos) << e.what();
  EXPECT_NE(std::string(e.what()).find('2'), std::string::npos) << e.what();
}

TEST_F(ScoreCommand, NamesTheFileThatIsNotThere) {
  put("reference", "a\n");
  const Error e = refusal({"reference", "-i", "nowhere"});
  EXPECT_EQ(e.code(), Code::open);
  EXPECT_NE(std::string(e.what()).find("nowhere"), std::string::npos) << e.what();
}

}  // namespace
}  // namespace glossa::test
