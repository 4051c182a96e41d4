#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

// Rules of the source tree that a compiler does not know.
namespace glossa {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = GLOSSA_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> lines(const fs::path& path) {
  std::vector<std::string> all;
  std::istringstream in(read(path));
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

std::vector<fs::path> sources(const char* folder) {
  std::vector<fs::path> all;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder))
    if (const auto e = entry.path().extension(); e == ".h" || e == ".cpp") all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

std::string shown(const fs::path& path) {
  return fs::relative(path, kRoot).string();
}
std::string layer_of(const fs::path& path) {
  return fs::relative(path, kRoot / "src").begin()->string();
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> all;
  for (std::string w; in >> w;) all.push_back(w);
  return all;
}

// Each layer with all that it may include, by the glossa_layer lines of CMakeLists.txt.
struct Layers {
  std::vector<std::string> order;
  std::map<std::string, std::set<std::string>> above;
};

Layers layers() {
  Layers result;
  for (const std::string& line : lines(kRoot / "CMakeLists.txt")) {
    if (!line.starts_with("glossa_layer(")) continue;
    std::string inside = line.substr(13);
    inside.resize(inside.find(')'));
    const auto all = words(inside);
    auto& above = result.above[all[0]];
    above.insert(all[0]);
    bool uses = false;
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (all[i] == "USES" || all[i] == "LINKS") {
        uses = all[i] == "USES";
      } else if (uses) {
        EXPECT_TRUE(result.above.contains(all[i]))
            << all[0] << " uses " << all[i] << ", which does not stand above it";
        above.insert(result.above[all[i]].begin(), result.above[all[i]].end());
      }
    }
    result.order.push_back(all[0]);
  }
  return result;
}

// The text without comments and the insides of string and character literals.
std::string code_of(const std::string& text) {
  std::string out;
  enum { code, line, block, quoted } in = code;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
    switch (in) {
      case code:
        if (c == '/' && next == '/')
          in = line;
        else if (c == '/' && next == '*')
          in = block;
        else if (c == '"' || (c == '\'' && !(i && std::isalnum(static_cast<unsigned char>(text[i - 1])))))
          in = quoted, quote = c;
        out += in == code || in == quoted ? c : ' ';
        break;
      case line:
        if (c == '\n') in = code, out += c;
        break;
      case block:
        if (c == '*' && next == '/')
          in = code, ++i;
        else if (c == '\n')
          out += c;
        break;
      case quoted:
        if (c == '\\')
          ++i;
        else if (c == quote)
          in = code, out += c;
        break;
    }
  }
  return out;
}

bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// Whether the name at `at` follows another, a type: `Exit exit() const;`.
bool declared_at(const std::string& code, std::size_t at) {
  std::size_t end = at;
  while (end > 0 && code[end - 1] == ' ') --end;
  std::size_t begin = end;
  while (begin > 0 && is_name(code[begin - 1])) --begin;
  const std::string before = code.substr(begin, end - begin);
  return end < at && !before.empty() && before != "else" && before != "do" && before != "return";
}

// Whether `word` stands in the code as a name of its own, followed by `after` if that is given.
bool uses(const std::string& code, const std::string& word, char after = 0) {
  for (std::size_t at = code.find(word); at != std::string::npos; at = code.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool whole = (at == 0 || !is_name(code[at - 1])) && (end == code.size() || !is_name(code[end]));
    const bool member = at > 0 && (code[at - 1] == '.' || (at > 1 && code.compare(at - 2, 2, "->") == 0));
    const std::size_t next = code.find_first_not_of(" \n", end);
    if (whole && !member && !declared_at(code, at) &&
        (!after || (next != std::string::npos && code[next] == after)))
      return true;
  }
  return false;
}

TEST(Structure, FoldersIncludeOnlyWhatStandsAboveThem) {
  const Layers all = layers();
  ASSERT_GT(all.order.size(), 5u);
  for (const fs::path& path : sources("src")) {
    const std::string layer = layer_of(path);
    ASSERT_TRUE(all.above.contains(layer)) << shown(path) << ": no layer " << layer << " in CMakeLists.txt";
    for (const std::string& line : lines(path)) {
      if (!line.starts_with("#include \"")) continue;
      const std::string target = line.substr(10, line.find('"', 10) - 10),
                        folder = target.substr(0, target.find('/'));
      if (!fs::exists(kRoot / "src" / target)) {
        EXPECT_TRUE(target.starts_with("hwy/") || target == "base/version.h")
            << shown(path) << " includes " << target << ": write the path from src/";
        continue;
      }
      EXPECT_TRUE(all.above.at(layer).contains(folder))
          << shown(path) << " includes " << target << ", but " << layer << " may not use " << folder;
    }
  }
}

TEST(Structure, LayersStandInCMakeAsInTheTree) {
  const Layers all = layers();
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(kRoot / "src"))
    if (entry.is_directory()) folders.insert(entry.path().filename().string());
  for (const std::string& folder : folders)
    EXPECT_TRUE(all.above.contains(folder)) << "src/" << folder << " is no layer";
}

TEST(Structure, TheLibraryNeitherPrintsNorEndsTheProcess) {
  for (const fs::path& path : sources("src")) {
    if (const std::string layer = layer_of(path); layer == "app" || layer == "serve") continue;
    const std::string code = code_of(read(path));
    for (const char* name : {"abort", "exit", "_exit", "_Exit", "quick_exit", "terminate", "printf",
                             "fprintf", "puts", "putchar", "perror"})
      EXPECT_FALSE(uses(code, name, '(')) << shown(path) << " calls " << name << "()";
    for (const char* name : {"cout", "cerr", "clog", "stdout", "stderr"})
      EXPECT_FALSE(uses(code, name)) << shown(path) << " uses " << name;
    EXPECT_EQ(code.find("fmt::print"), std::string::npos) << shown(path) << " prints";
  }
}

TEST(Structure, NothingIsLeftForLater) {
  const std::string marks[] = {std::string("TO") + "DO", std::string("FIX") + "ME", std::string("XX") + "X",
                               std::string("HA") + "CK"};
  for (const char* folder : {"src", "tests", "bench"})
    for (const fs::path& path : sources(folder))
      for (const std::string& mark : marks)
        EXPECT_FALSE(uses(read(path), mark)) << shown(path) << " says " << mark;
}

TEST(Structure, NoRegularExpressionsOfTheStandardLibrary) {
  for (const fs::path& path : sources("src")) {
    const std::string code = code_of(read(path));
    EXPECT_EQ(code.find("std::regex"), std::string::npos) << shown(path);
    EXPECT_EQ(code.find("#include <regex>"), std::string::npos) << shown(path);
  }
}

TEST(Structure, HeadersSayInTheirFirstLineWhatTheyAre) {
  for (const fs::path& path : sources("src")) {
    if (path.extension() != ".h") continue;
    const auto all = lines(path);
    const std::string start = "// " + path.filename().string() + " -- ";
    ASSERT_FALSE(all.empty()) << shown(path);
    EXPECT_TRUE(all[0].starts_with(start)) << shown(path) << " begins with: " << all[0];
    EXPECT_GT(all[0].size(), start.size() + 8) << shown(path);
    const bool once = std::find(all.begin(), all.end(), "#pragma once") != all.end();
    EXPECT_TRUE(once || path.string().ends_with("-inl.h")) << shown(path) << " may be included twice";
  }
}

TEST(Structure, FilesHoldOneIdea) {
  for (const char* folder : {"src", "tests", "bench"})
    for (const fs::path& path : sources(folder)) EXPECT_LE(lines(path).size(), 500u) << shown(path);
}

TEST(Structure, TheCheckOfCodeSeesThroughCommentsAndStrings) {
  EXPECT_FALSE(uses(code_of("// exit(1)\nconst char* s = \"exit(1)\"; /* exit(1) */ atexit(f); x.exit();"),
                    "exit", '('));
  EXPECT_FALSE(uses(code_of("Exit exit() const;"), "exit", '('));
  EXPECT_TRUE(uses(code_of("if (a) std::exit (1);"), "exit", '('));
  EXPECT_TRUE(uses(code_of("else exit(1);"), "exit", '('));
  EXPECT_TRUE(uses(code_of("1'000; '\"'; std::cout << 1;"), "cout"));
}

}  // namespace
}  // namespace glossa
