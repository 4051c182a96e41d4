// in_folder.h -- a test with a folder of its own, which goes with it.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string_view>

#include "base/file.h"

namespace glossa {

class InFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "glossa-test-XXXXXX").native();
    folder = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder); }
  fs::path put(const fs::path& name, std::string_view text) const {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  }
  fs::path folder;
};

}  // namespace glossa
