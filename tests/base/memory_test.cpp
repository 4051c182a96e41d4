#include "base/memory.h"

#include <gtest/gtest.h>

#include "support/environment.h"
#include "support/error_of.h"
#include "support/in_folder.h"

// What is free, by a tree of files as the kernel shows them.
namespace glossa {
namespace {

class Memory : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    environment_.set("GLOSSA_MEMORY", nullptr);
    put_in("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 8000 kB\n");
  }
  void put_in(const fs::path& name, std::string_view text) const {
    fs::create_directories((folder / name).parent_path());
    put(name, text);
  }
  std::uint64_t kib() const { return available_memory(folder) >> 10; }

  Environment environment_;
};

TEST_F(Memory, IsWhatTheMachineHasFree) {
  EXPECT_EQ(kib(), 8000u);
  EXPECT_GT(available_memory(), 0u);
}

TEST_F(Memory, G32_IsWhatControlGroupsLeave) {
  put_in("proc/self/cgroup", "0::/a/b\n");
  put_in("sys/fs/cgroup/a/b/memory.max", "max\n");
  put_in("sys/fs/cgroup/a/b/memory.current", "1024\n");
  EXPECT_EQ(kib(), 8000u);
  put_in("sys/fs/cgroup/a/memory.max", "4096000\n");  // of the group around it
  put_in("sys/fs/cgroup/a/memory.current", "1024000\n");
  EXPECT_EQ(kib(), 3000u);
  put_in("sys/fs/cgroup/a/memory.stat", "anon 1\nactive_file 102400\ninactive_file 409600\n");
  EXPECT_EQ(kib(), 3500u);
  put_in("sys/fs/cgroup/memory.max", "1000\n");  // of the outermost, and more is in use than allowed
  put_in("sys/fs/cgroup/memory.current", "2000\n");
  EXPECT_EQ(kib(), 0u);
}

TEST_F(Memory, G32_IsWhatControlGroupsOfVersionOneLeave) {
  put_in("proc/self/cgroup", "9:name=systemd:/\n4:memory:/x\n0::/\n");
  put_in("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put_in("sys/fs/cgroup/memory/memory.usage_in_bytes", "1024\n");
  EXPECT_EQ(kib(), 8000u);
  put_in("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "2048000\n");
  put_in("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1024000\n");
  EXPECT_EQ(kib(), 1000u);
}

TEST_F(Memory, IsNoMoreThanTheEnvironmentAllows) {
  environment_.set("GLOSSA_MEMORY", "2");
  EXPECT_EQ(available_memory(folder), 2u << 20);
  environment_.set("GLOSSA_MEMORY", "1000000");
  EXPECT_EQ(kib(), 8000u);
  for (const char* wrong : {"1G", "-1", "99999999999999999"}) {
    environment_.set("GLOSSA_MEMORY", wrong);
    EXPECT_EQ(error_of([&] { available_memory(folder); }),
              std::string("E2002 GLOSSA_MEMORY is \"") + wrong + "\", wanted a number of MiB");
  }
}

}  // namespace
}  // namespace glossa
