// shell.h -- runs the program as its users do: lines of bash in a folder of the test's own, and what came of them.
#pragma once
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"

namespace glossa::test {

struct Outcome {
  int status;  // as bash has it: 128 and more for a signal
  std::string out, err;
};

// One folder for all tests of a suite, so that a model in it is trained once.
class Shell : public testing::Test {
 protected:
  static void make_folder() {
    std::string pattern = (fs::temp_directory_path() / "glossa-program-XXXXXX").native();
    folder() = mkdtemp(pattern.data());
  }
  static void TearDownTestSuite() { fs::remove_all(folder()); }

  // Runs a line of bash in the folder, with `glossa` as the program and $recipe as that of the generated task.
  static Outcome shell(const std::string& line) {
    const std::string command = "cd '" + folder().native() + "' && recipe='" GLOSSA_SOURCE_DIR "/recipes/reverse-digits.yaml' && glossa() { '" GLOSSA_PROGRAM
                                "' \"$@\"; }; { " + line + "; } >.out 2>.err";
    const int status = std::system(("bash -c '" + replaced(command) + "'").c_str());
    return {WEXITSTATUS(status), text(".out"), text(".err")};
  }
  static std::string text(const std::string& name) {
    std::ifstream in(folder() / name);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }
  static void put(const std::string& name, const std::string& text) { std::ofstream(folder() / name, std::ios::binary) << text; }
  // model/: the small random LLaMA of tests/golden, with a tokenizer whose tokens are letters.
  static void put_letters_model() {
    fs::create_directory(folder() / "model");
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(fs::path(GLOSSA_SOURCE_DIR) / "tests/golden/llama" / name, folder() / "model" / name);
    std::string vocabulary;
    for (int i = 0; i < 31; ++i)
      vocabulary += fmt::format(R"({}"{}": {})", i ? ", " : "", i < 26 ? std::string(1, static_cast<char>('a' + i)) : fmt::format("<{}>", i), i);
    put("model/tokenizer.json",
        fmt::format(R"({{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
          "pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}},
          "post_processor": null, "decoder": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}},
          "model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                     "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {{{}}}, "merges": []}}}})", vocabulary));
  }
  static fs::path& folder() {
    static fs::path path;
    return path;
  }
  // One line on standard error, with all `parts` in it, and this exit status.
  static void refused(const std::string& line, int status, const std::vector<std::string>& parts) {
    const Outcome o = shell(line);
    EXPECT_EQ(o.status, status) << line << "\n" << o.err;
    for (const std::string& part : parts) EXPECT_THAT(o.err, testing::HasSubstr(part)) << line;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << line << "\n" << o.err;
  }

 private:
  static std::string replaced(std::string text) {
    for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 4) text.replace(at, 1, "'\\''");
    return text;
  }
};

}  // namespace glossa::test
