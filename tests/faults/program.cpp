// program.cpp -- what the tests run under faults: program JOB FOLDER. Exits as glossa does.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace glossa {
namespace {

void put(const fs::path& path, const std::string& text) {
  FileHandle file = FileHandle::create(path);
  file.write(as_bytes(text.substr(0, text.size() / 2)));
  file.write(as_bytes(text.substr(text.size() / 2)));
  file.close();
}

void save_file(const fs::path& folder) {
  AtomicFile file(folder / "model");
  file.write("new ");
  file.write("content");
  file.commit();
}

void save_directory(const fs::path& path) {
  AtomicDirectory directory(path);
  put(directory.path() / "optimizer", "new optimizer");
  put(directory.path() / "weights", "new weights");
  make_directories(directory.path() / "sub");
  put(directory.path() / "sub" / "state", "new state");
  directory.commit();
}

// Under a limit on the size of files, which holds for standard error too and is therefore lifted again.
void save_file_limited(const fs::path& folder) {
  struct Limited {
    rlimit before{};
    Limited() {
      getrlimit(RLIMIT_FSIZE, &before);
      const rlimit six = {6, before.rlim_max};
      setrlimit(RLIMIT_FSIZE, &six);
      std::signal(SIGXFSZ, SIG_IGN);
    }
    ~Limited() { setrlimit(RLIMIT_FSIZE, &before); }
  } limited;
  save_file(folder);
}

int run(const std::string& job, const fs::path& folder) {
  if (job == "file") return save_file(folder), 0;
  if (job == "directory") return save_directory(folder / "checkpoint-2"), 0;
  if (job == "replace") return save_directory(folder / "checkpoint-1"), 0;
  if (job == "clean") return remove_leftovers(folder), 0;
  if (job == "limited") return save_file_limited(folder), 0;
  fail(Code::usage, "unknown job {}", job);
}

}  // namespace
}  // namespace glossa

int main(int argc, char** argv) {
  try {
    return argc == 3 ? glossa::run(argv[1], argv[2]) : 2;
  } catch (const glossa::Error& error) {
    std::fprintf(stderr, "E%d %s\n", static_cast<int>(error.code()), error.what());
    return static_cast<int>(error.exit());
  }
}
