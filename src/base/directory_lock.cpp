#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "base/error.h"
#include "base/file.h"
#include "base/system_call.h"

namespace glossa {
namespace {

constexpr const char* kLock = "LOCK";

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

bool same_file(int descriptor, const fs::path& path) {
  struct stat a, b;
  return fstat(descriptor, &a) == 0 && stat(path.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

std::string holder_of(const fs::path& path) {
  try {
    std::string text = read_file(path, 4096);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.empty() ? "a process that has just begun" : quoted(text);
  } catch (const Error&) {
    return "another process";
  }
}

}  // namespace

DirectoryLock::DirectoryLock(const fs::path& directory) {
  const fs::path path = directory / kLock;
  for (;;) {
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    handle_ = FileHandle::adopt(retried([&] { return ::open(path.c_str(), flags, 0666); }), path);
    if (handle_.descriptor() < 0) system_failure(Code::open, "opening", path, errno);
    // flock belongs to the open file, not to the process: a second handle in this process is refused as well,
    // and closing some other handle of the file releases nothing.
    if (retried([&] { return flock(handle_.descriptor(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) system_failure(Code::open, "locking", path, errno);
      fail(Code::locked, "{}: is in use by {}", shown(directory), holder_of(path));
    }
    // The holder removes the file as it leaves; a lock on a removed file locks nothing.
    if (same_file(handle_.descriptor(), path)) break;
  }
  if (ftruncate(handle_.descriptor(), 0) != 0) system_failure(Code::write, "truncating", path, errno);
  handle_.write(as_bytes(
      fmt::format("process {} on {} since {}\n", static_cast<long>(getpid()), host_name(), now_text())));
}

DirectoryLock::~DirectoryLock() {
  ::unlink(handle_.path().c_str());
}

}  // namespace glossa
