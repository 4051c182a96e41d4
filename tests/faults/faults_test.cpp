// Cases G01, G04, G06, G07 and G08 for everything that is written: under each fault at each call, the target
// is the old version or the new one, whole; the exit status says which; and nothing else remains.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace glossa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Fault {
  std::string call, how, lasts = "once";
  int at = 0;
};

struct Result {
  int status = -1;  // exit status, or 128 + signal
  std::string message;
  std::vector<std::string> calls;
  bool struck() const {
    return std::any_of(calls.begin(), calls.end(),
                       [](const std::string& line) { return line.ends_with(" FAULT"); });
  }
};

class Faults : public testing::Test {
 protected:
  void SetUp() override {
    // In memory where there is such a place: thousands of real syncs would only wait for the disk.
    const fs::path memory = "/dev/shm";
    const fs::path place = access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path();
    std::string pattern = (place / "glossa-faults-XXXXXX").native();
    outside = mkdtemp(pattern.data());
    folder = outside / "run";
    // The folder as it is before: a file, and a complete directory.
    fs::create_directory(outside / "before");
    write_file(outside / "before" / "model", "old");
    AtomicDirectory directory(outside / "before" / "checkpoint-1");
    std::ofstream(directory.path() / "weights") << "old";
    directory.commit();
    reset();
  }
  void TearDown() override { fs::remove_all(outside); }

  void reset() {
    fs::remove_all(folder);
    fs::copy(outside / "before", folder, fs::copy_options::recursive);
  }

  Result run(const std::string& job, const Fault& fault) const {
    const fs::path log = outside / "log", messages = outside / "messages";
    fs::remove(log);
    std::map<std::string, std::string> settings = {
        {"LD_PRELOAD", FAULT_SHIM},  {"FAULT_FOLDER", folder.native()},
        {"FAULT_CALL", fault.call},  {"FAULT_AT", std::to_string(fault.at)},
        {"FAULT_HOW", fault.how},    {"FAULT_LASTS", fault.lasts},
        {"FAULT_LOG", log.native()}, {"ASAN_OPTIONS", "verify_asan_link_order=0"}};
    std::vector<std::string> words;
    for (const auto& [name, value] : settings) words.push_back(name + "=" + value);
    std::vector<char*> environment;
    for (std::string& word : words) environment.push_back(word.data());
    environment.push_back(nullptr);
    std::string program = FAULT_PROGRAM, job_word = job, folder_word = folder.native();
    char* arguments[] = {program.data(), job_word.data(), folder_word.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = -1;
    EXPECT_EQ(posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environment.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    waitpid(child, &status, 0);
    Result result;
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    result.message = read_file(messages);
    std::ifstream lines(log);
    for (std::string line; std::getline(lines, line);) result.calls.push_back(without_numbers(line));
    return result;
  }

  static std::string without_numbers(std::string line) {
    if (const auto at = line.find(".tmp-"); at != std::string::npos) {
      const auto end = line.find_first_not_of("0123456789-", at + 5);
      line.erase(at + 4, (end == std::string::npos ? line.size() : end) - at - 4);
    }
    return line;
  }

  enum class State { absent, old, renewed, broken };
  State file_state() const {
    const std::string text = read_file(folder / "model");
    return text == "old" ? State::old : text == "new content" ? State::renewed : State::broken;
  }
  State directory_state(const char* name) const {
    if (!fs::exists(folder / name)) return State::absent;
    if (!manifest_fault(folder / name).empty()) return State::broken;
    const std::string text = read_file(folder / name / "weights");
    return text == "old" ? State::old : text == "new weights" ? State::renewed : State::broken;
  }
  State target_state(const std::string& job) const {
    return job == "file" ? file_state()
                         : directory_state(job == "directory" ? "checkpoint-2" : "checkpoint-1");
  }
  void expect_neighbours_intact(const std::string& job) const {
    EXPECT_EQ(file_state() == State::old, job != "file" || target_state(job) == State::old);
    EXPECT_EQ(directory_state("checkpoint-1") == State::old,
              job != "replace" || target_state(job) == State::old);
  }
  std::vector<std::string> leftovers() const {
    std::vector<std::string> list;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().filename().native().starts_with(".")) list.push_back(entry.path().filename());
    return list;
  }

  // Runs the job with the fault at the first, second, ... call until there is no such call, and gives their
  // number.
  template <class Judge>
  int at_every_call(const std::string& job, Fault fault, Judge judge) {
    for (fault.at = 1;; ++fault.at) {
      SCOPED_TRACE(testing::Message()
                   << job << ": " << fault.call << " " << fault.at << " " << fault.how << " " << fault.lasts);
      reset();
      const Result result = run(job, fault);
      if (!result.struck()) {
        EXPECT_EQ(result.status, 0) << result.message;
        return fault.at - 1;
      }
      judge(result);
      expect_neighbours_intact(job);
      if (testing::Test::HasFailure()) return fault.at;
    }
  }

  fs::path outside, folder;
};

const std::vector<std::string> kJobs = {"file", "directory", "replace"};

TEST_F(Faults, WithoutAFaultAFileIsWrittenSyncedRenamedAndItsFolderSynced) {
  const Result result = run("file", {});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.calls,
              ElementsAre("open .model.tmp", "write .model.tmp", "write .model.tmp", "fsync .model.tmp",
                          "close .model.tmp", "rename model", "open run", "fsync run", "close run"));
  EXPECT_EQ(file_state(), State::renewed);
}

TEST_F(Faults, WithoutAFaultADirectoryIsSyncedWholeBeforeItsNameAppears) {
  for (const std::string job : {"directory", "replace"}) {
    reset();
    const Result result = run(job, {});
    ASSERT_EQ(result.status, 0);
    const std::string name = job == "directory" ? "checkpoint-2" : "checkpoint-1",
                      temporary = "." + name + ".tmp";
    std::vector<std::string> durable;
    for (const std::string& call : result.calls)
      if (call.starts_with("fsync") || call.starts_with("rename") || call.starts_with("write MANIFEST"))
        durable.push_back(call);
    if (job == "replace") {  // the name is taken: a second call exchanges the two
      ASSERT_EQ(std::count(durable.begin(), durable.end(), "rename " + name), 2);
      durable.erase(std::find(durable.begin(), durable.end(), "rename " + name));
    }
    EXPECT_THAT(durable, ElementsAre("fsync optimizer", "fsync state", "fsync weights", "fsync sub",
                                     "write MANIFEST.json", "fsync MANIFEST.json", "fsync " + temporary,
                                     "rename " + name, "fsync run"));
    EXPECT_EQ(target_state(job), State::renewed);
    EXPECT_THAT(leftovers(), ElementsAre());
  }
}

class Failing : public Faults, public testing::WithParamInterface<const char*> {};

// G04 (no space), G06 (quota, size, read-only, device error) and G07 (a sync that fails once and then claims
// success).
TEST_P(Failing, EachCallOnceAndForever) {
  const std::string call = GetParam();
  const int errors[] = {ENOSPC, EDQUOT, EFBIG, EROFS, EIO};
  for (const std::string& job : kJobs) {
    for (const int error : errors) {
      if (error != ENOSPC && job != "file") continue;
      for (const char* lasts : {"once", "forever"}) {
        const int calls = at_every_call(job, {call, std::to_string(error), lasts}, [&](const Result& result) {
          EXPECT_EQ(result.status, 4) << result.message;
          EXPECT_THAT(result.message, HasSubstr(std::strerror(error)));
          EXPECT_THAT(result.message, HasSubstr(folder.native()));
          // Only when the new version is whole and in its place may the sync of its folder fail.
          const bool late =
              std::find(result.calls.begin(), result.calls.end(), "fsync run FAULT") != result.calls.end() ||
              std::find(result.calls.begin(), result.calls.end(), "open run FAULT") != result.calls.end();
          EXPECT_EQ(target_state(job), late                 ? State::renewed
                                       : job == "directory" ? State::absent
                                                            : State::old);
          EXPECT_THAT(leftovers(), ElementsAre());
        });
        if (call != "mkdir" || job != "file") {
          EXPECT_GT(calls, 0) << job;
        }
        if (error != ENOSPC) break;  // the others once each, since they go the same way
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(G04_G06_G07, Failing, testing::Values("open", "write", "fsync", "mkdir", "rename"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST_F(Faults, G08_AnErrorOfCloseIsAnErrorWhereItCouldMeanLostBytes) {
  for (const std::string& job : kJobs) {
    at_every_call(job, {"close", std::to_string(EIO)}, [&](const Result& result) {
      EXPECT_TRUE(result.status == 4 || result.status == 0);  // 0: what was open to read, or synced already
      EXPECT_NE(target_state(job), State::broken);
      EXPECT_TRUE(result.status == 4 || target_state(job) == State::renewed);
      EXPECT_THAT(leftovers(), ElementsAre());
    });
  }
}

TEST_F(Faults, G08_ShortWritesGoOn) {
  for (const std::string& job : kJobs) {
    for (const char* lasts : {"once", "forever"}) {
      const int calls = at_every_call(job, {"write", "short", lasts}, [&](const Result& result) {
        EXPECT_EQ(result.status, 0) << result.message;
        EXPECT_EQ(target_state(job), State::renewed);
      });
      EXPECT_GT(calls, 1);
    }
  }
}

TEST_F(Faults, G08_InterruptedCallsAreRepeated) {
  for (const std::string& job : kJobs) {
    for (const char* call : {"open", "write", "fsync", "close"}) {
      at_every_call(job, {call, std::to_string(EINTR)}, [&](const Result& result) {
        EXPECT_EQ(result.status, 0) << result.message;
        EXPECT_EQ(target_state(job), State::renewed);
        EXPECT_THAT(leftovers(), ElementsAre());
      });
    }
  }
}

TEST_F(Faults, G01_KilledBeforeEachCallTheTargetIsWholeAndTheNextStartCleansUp) {
  for (const std::string& job : kJobs) {
    const int calls = at_every_call(job, {"any", "kill"}, [&](const Result& result) {
      EXPECT_EQ(result.status, 128 + SIGKILL);
      const State state = target_state(job);
      EXPECT_TRUE(state == State::renewed || state == (job == "directory" ? State::absent : State::old));
      EXPECT_EQ(run("clean", {}).status, 0);
      EXPECT_THAT(leftovers(), ElementsAre());
      EXPECT_EQ(target_state(job), state);
      EXPECT_EQ(run(job, {}).status, 0);
      EXPECT_EQ(target_state(job), State::renewed);
    });
    EXPECT_GE(calls, job == "file" ? 9 : 30);
  }
}

TEST_F(Faults, G06_TheLimitOnFileSizesIsAnErrorAndNoSignal) {
  const Result result = run("limited", {});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.message, HasSubstr("File too large"));
  EXPECT_EQ(file_state(), State::old);
  EXPECT_THAT(leftovers(), ElementsAre());
}

TEST_F(Faults, G04_ADeviceThatIsFull) {
  FileHandle file = FileHandle::append("/dev/full");
  try {
    file.write(as_bytes("x"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::write);
    EXPECT_STREQ(error.what(), "/dev/full: writing failed: No space left on device");
  }
}

TEST_F(Faults, G09_AFolderThatCannotBeWrittenToOrIsGone) {
  fs::remove_all(folder);
  EXPECT_EQ(run("file", {}).status, 4);
  EXPECT_EQ(run("directory", {}).status, 4);
}

}  // namespace
}  // namespace glossa
