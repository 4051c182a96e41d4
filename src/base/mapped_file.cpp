#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "base/error.h"
#include "base/file.h"
#include "base/system_call.h"

namespace glossa {
namespace {

// What the handler of SIGBUS may look at: a fixed table of atomics, since it can take no lock.
struct Mapping {
  std::atomic<std::uintptr_t> begin{0}, end{0};
  std::atomic<bool> taken{false}, damaged{false};
};
constexpr int kMappings = 4096;
Mapping mappings[kMappings];
std::uintptr_t page_bytes;
struct sigaction previous_action;

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (info->si_code > 0) {  // a fault, not somebody's kill()
    for (Mapping& mapping : mappings) {
      if (!mapping.taken.load() || address < mapping.begin.load() || address >= mapping.end.load()) continue;
      const std::uintptr_t page = address & ~(page_bytes - 1);
      mapping.damaged.store(true);
      // By number: a sanitizer's wrapper of mmap is not made for signal handlers.
      const long result =
          syscall(SYS_mmap, page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
      errno = saved;
      if (result == static_cast<long>(page)) return;
      break;
    }
  }
  if ((previous_action.sa_flags & SA_SIGINFO) && previous_action.sa_sigaction)
    return previous_action.sa_sigaction(signal, info, context);
  ::signal(signal, SIG_DFL);
  if (info->si_code <= 0) raise(signal);  // a fault repeats by itself when we return
  errno = saved;
}

void install_bus_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous_action);
  });
}

int take_slot(std::uintptr_t begin, std::uintptr_t end) {
  for (int i = 0; i < kMappings; ++i) {
    if (mappings[i].taken.exchange(true)) continue;
    mappings[i].damaged.store(false);
    mappings[i].begin.store(begin);
    mappings[i].end.store(end);
    return i;
  }
  return -1;
}

void release_slot(int slot) {
  mappings[slot].end.store(0);
  mappings[slot].begin.store(0);
  mappings[slot].taken.store(false);
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) : file_(FileHandle::open_regular(path)) {
  struct stat status;
  if (fstat(file_.descriptor(), &status) != 0) system_failure(Code::read, "fstat", path, errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  modified_ = {status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
  if (size == 0) return;
  install_bus_handler();
  void* const address = mmap(nullptr, size, PROT_READ, MAP_SHARED, file_.descriptor(), 0);
  if (address == MAP_FAILED)
    system_failure(errno == ENOMEM ? Code::memory : Code::read, "mapping into memory", path, errno);
  bytes_ = {static_cast<const std::byte*>(address), size};
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  slot_ = take_slot(begin, begin + (size + page_bytes - 1) / page_bytes * page_bytes);
  if (slot_ < 0) {
    munmap(address, size);
    fail(Code::count, "{}: more than {} files are mapped at once", shown(path), kMappings);
  }
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  release_slot(slot_);
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::check_intact() const {
  struct stat status;
  if (fstat(file_.descriptor(), &status) != 0) system_failure(Code::read, "fstat", path(), errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  check(size == bytes_.size(), Code::changed,
        "{}: changed while in use: it had {} bytes when it was opened and has {} now", shown(path()),
        bytes_.size(), size);
  const bool damaged = slot_ >= 0 && mappings[slot_].damaged.load();
  check(!damaged && modified_ == Time{status.st_mtim.tv_sec, status.st_mtim.tv_nsec}, Code::changed,
        "{}: changed while in use: somebody else wrote to it since it was opened", shown(path()));
}

}  // namespace glossa
