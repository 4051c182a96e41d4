// run_seeds.cpp -- runs every file of a folder through a fuzz target once, where there is no libFuzzer.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]), 2;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    const std::string text = glossa::read_file(entry.path());
    // A block of exactly this size, so that a sanitizer sees the first byte read beyond it.
    const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[text.size()]);
    std::copy(text.begin(), text.end(), data.get());
    LLVMFuzzerTestOneInput(data.get(), text.size());
    ++count;
  }
  if (count == 0) return std::fprintf(stderr, "%s: no seeds\n", argv[1]), 1;
  return 0;
}
