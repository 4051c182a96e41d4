#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/manifest.h"
#include "base/system_call.h"

namespace glossa {
namespace {

// Temporary names are `.NAME.tmp-PID-NUMBER`, and those of this process are kept in a set: in a container a
// restarted program often gets the pid of the one that died, so a pid alone does not say whose a temporary
// is.
class Temporaries {
 public:
  // Calls `make(path)` with fresh names beside `target` until it does not find the name taken.
  template <class Make>
  fs::path create(const fs::path& target, Make make) {
    std::string stem = target.filename().native();
    stem.resize(std::min<std::size_t>(stem.size(), 200));  // names have at most 255 bytes
    for (;;) {
      const fs::path path =
          parent_of(target) /
          fmt::format(".{}.tmp-{}-{}", stem, static_cast<long>(getpid()), number_.fetch_add(1));
      remember(path);  // before it is there, so that nobody takes it for a leftover
      if (retried([&] { return make(path); }) >= 0) return path;
      const int error = errno;
      forget(path);
      if (error != EEXIST) system_failure(Code::open, "creating", target, error);
    }
  }
  void remember(const fs::path& path) {
    std::lock_guard lock(mutex_);
    live_.insert(path.filename().native());
  }
  void forget(const fs::path& path) {
    std::lock_guard lock(mutex_);
    live_.erase(path.filename().native());
  }
  // Whether `name` is a temporary of a process that is gone.
  bool is_leftover(std::string_view name) {
    const auto tag = name.rfind(".tmp-");
    if (name.empty() || name[0] != '.' || tag == std::string_view::npos) return false;
    const char* const end = name.data() + name.size();
    long pid = 0;
    std::uint64_t number = 0;
    const auto first = std::from_chars(name.data() + tag + 5, end, pid);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-' || pid <= 0) return false;
    const auto second = std::from_chars(first.ptr + 1, end, number);
    if (second.ec != std::errc() || second.ptr != end) return false;
    if (pid == getpid()) {
      std::lock_guard lock(mutex_);
      return !live_.contains(std::string(name));
    }
    return kill(static_cast<pid_t>(pid), 0) == -1 && errno == ESRCH;
  }

 private:
  std::atomic<std::uint64_t> number_{0};
  std::mutex mutex_;
  std::set<std::string> live_;
};

Temporaries& temporaries() {
  static Temporaries t;
  return t;
}

void remove_quietly(const fs::path& path) {
  std::error_code
      ignored;  // nothing better can be done on the way out of a failure; remove_leftovers comes later
  fs::remove_all(path, ignored);
  temporaries().forget(path);
}

void check_replaceable(const fs::path& path, mode_t wanted) {
  check(path.has_filename(), Code::bad_value, "{}: is not a name to write to", shown(path));
  // Not followed: a link in the place of a result, /dev/stdout or a cache's, would be replaced, and not what it leads to.
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return;
  check((status.st_mode & S_IFMT) == wanted, Code::open, "{}: is {} and will not be replaced by {}", shown(path),
        S_ISREG(status.st_mode) ? "a file" : kind_of(status.st_mode),
        wanted == S_IFDIR ? "a directory" : "a file");
}

// After a failed fsync the kernel may report success for pages it has dropped: there is no second try.
void check_first_commit(const fs::path& path, bool& tried) {
  check(!std::exchange(tried, true), Code::internal, "{}: committed a second time", shown(path));
}

}  // namespace

// ---- AtomicFile ----

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  check_replaceable(path_, S_IFREG);
  int descriptor = -1;
  temporary_ = temporaries().create(path_, [&](const fs::path& name) {
    return descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  });
  handle_ = FileHandle::adopt(descriptor, temporary_);
}

AtomicFile::~AtomicFile() {
  remove_quietly(temporary_);
}

void AtomicFile::commit() {
  check_first_commit(path_, tried_);
  handle_.sync();
  handle_.close();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    system_failure(Code::write, "renaming to", path_, errno);
  sync_directory(parent_of(path_));
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

// ---- AtomicDirectory ----

namespace {

void rename_whole(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST) {
    // The old one leaves in the instant in which the new one appears, and bears the temporary name from then
    // on.
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
  } else if (errno == EINVAL || errno == ENOSYS) {
    // A file system without renameat2: only where nothing is in the way.
    if (::rename(from.c_str(), to.c_str()) == 0) return;
  }
  system_failure(Code::write, "renaming to", to, errno);
}

}  // namespace

AtomicDirectory::AtomicDirectory(fs::path path) : path_(std::move(path)) {
  check_replaceable(path_, S_IFDIR);
  temporary_ = temporaries().create(path_, [](const fs::path& name) { return ::mkdir(name.c_str(), 0777); });
}

// What bears the temporary name at the end is either what was not committed, or the old directory after an
// exchange.
AtomicDirectory::~AtomicDirectory() {
  remove_quietly(temporary_);
}

void AtomicDirectory::commit() {
  check_first_commit(path_, tried_);
  const std::string manifest = to_text(sync_and_list(temporary_));
  FileHandle file = FileHandle::create(temporary_ / kManifestName);
  file.write(as_bytes(manifest));
  file.sync();
  file.close();
  sync_directory(temporary_);
  rename_whole(temporary_, path_);
  sync_directory(parent_of(path_));  // before the old one is removed: until then both may be needed
}

void remove_leftovers(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::directory_iterator();
       it.increment(error))
    if (temporaries().is_leftover(it->path().filename().native())) leftovers.push_back(it->path());
  if (error) system_failure(Code::read, "listing", directory, error.value());
  for (const fs::path& path : leftovers) {
    fs::remove_all(path, error);
    if (error) system_failure(Code::write, "removing", path, error.value());
  }
}

}  // namespace glossa
