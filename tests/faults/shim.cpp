// shim.cpp -- a library for LD_PRELOAD that makes one chosen system call of a program go wrong, or kills the
// program just before it. Calls count only if they concern files below a folder, so that the loader's and
// standard output's do not.
//
//   FAULT_FOLDER  the folder
//   FAULT_CALL    open, write, fsync, close, mkdir, rename, or any
//   FAULT_AT      which of these calls, from 1
//   FAULT_HOW     the number of an errno, "short" (half of a write), or "kill"
//   FAULT_LASTS   "once" or "forever": whether later calls fail too
//   FAULT_LOG     a file that gets a line for each call: what, the file's name, and FAULT if it went wrong
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Read once, at the first call: the program does not change them.
struct Plan {
  std::string folder = setting("FAULT_FOLDER"), call = setting("FAULT_CALL"), how = setting("FAULT_HOW");
  long at = std::atol(setting("FAULT_AT").c_str());
  bool forever = setting("FAULT_LASTS") == "forever";
  int log = -1;
  std::atomic<long> count{0};

  Plan() {
    const std::string name = setting("FAULT_LOG");
    if (!name.empty())
      log = static_cast<int>(
          syscall(SYS_openat, AT_FDCWD, name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  }
};

Plan& plan() {
  static Plan p;
  return p;
}

std::string path_of(int descriptor) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const long n = syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), path, sizeof path);
  return n > 0 ? std::string(path, static_cast<std::size_t>(n)) : "";
}

// Whether this call is to go wrong. `path` is the file it is about.
bool goes_wrong(const char* call, const std::string& path) {
  Plan& p = plan();
  if (p.folder.empty() || !path.starts_with(p.folder)) return false;
  const bool counted = p.call == call || p.call == "any";
  const long n = counted ? ++p.count : 0;
  const bool wrong = counted && p.at > 0 && (p.forever ? n >= p.at : n == p.at);
  const std::string line =
      std::string(call) + " " + path.substr(path.rfind('/') + 1) + (wrong ? " FAULT\n" : "\n");
  if (p.log >= 0) syscall(SYS_write, p.log, line.data(), line.size());
  if (wrong && p.how == "kill") raise(SIGKILL);
  return wrong;
}

long failed() {
  errno = std::atoi(plan().how.c_str());
  return -1;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
  va_end(arguments);
  if (goes_wrong("open", path)) return static_cast<int>(failed());
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

ssize_t write(int descriptor, const void* data, size_t size) {
  if (goes_wrong("write", path_of(descriptor))) {
    if (plan().how != "short") return failed();
    size = (size + 1) / 2;
  }
  return syscall(SYS_write, descriptor, data, size);
}

int fsync(int descriptor) {
  if (goes_wrong("fsync", path_of(descriptor))) return static_cast<int>(failed());
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

int close(int descriptor) {
  const bool wrong = goes_wrong("close", path_of(descriptor));
  const long result = syscall(SYS_close, descriptor);  // Linux closes even where it reports an error
  return static_cast<int>(wrong ? failed() : result);
}

int mkdir(const char* path, mode_t mode) {
  if (goes_wrong("mkdir", path)) return static_cast<int>(failed());
  return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  if (goes_wrong("rename", to)) return static_cast<int>(failed());
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int rename(const char* from, const char* to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

}  // extern "C"
