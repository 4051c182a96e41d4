// shell.h -- runs the program as its users do: lines of bash in a folder of the test's own, and what came of them.
#pragma once
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
