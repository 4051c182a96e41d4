#include "base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr std::size_t kChunk = 1 << 20;  // bytes of one read when a file is streamed
constexpr int kManifestFormat = 1;
constexpr const char* kManifest = "MANIFEST.json";
constexpr const char* kLock = "LOCK";

std::string words(int error) {
  return std::generic_category().message(error);
}

[[noreturn]] void system_failure(Code code, const char* doing, const fs::path& path, int error) {
  fail(code, "{}: {} failed: {}", shown(path), doing, words(error));
}

template <class Call>
auto retried(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

const char* kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    case S_IFIFO:
      return "a pipe";
    case S_IFSOCK:
      return "a socket";
    default:
      return "no regular file";
  }
}

void check_regular(const fs::path& path, mode_t mode) {
  check(S_ISREG(mode), Code::not_regular, "{}: is {}, and a regular file is needed", shown(path),
        kind_of(mode));
}

int open_to_write(const fs::path& path, int flags) {
  const int descriptor =
      retried([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666); });
  if (descriptor < 0) system_failure(Code::open, "opening to write", path, errno);
  return descriptor;
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

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
      if (retried([&] { return make(path); }) >= 0) {
        std::lock_guard lock(mutex_);
        live_.insert(path.filename().native());
        return path;
      }
      if (errno != EEXIST) system_failure(Code::open, "creating", path, errno);
    }
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
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return;
  check((status.st_mode & S_IFMT) == wanted, Code::not_regular, "{}: is {} and will not be replaced by {}",
        shown(path), S_ISREG(status.st_mode) ? "a file" : kind_of(status.st_mode),
        wanted == S_IFDIR ? "a directory" : "a file");
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, Code::internal,
          "SHA-256 is not available in libcrypto");
  }
  void update(Bytes bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hexadecimal() {
    std::array<unsigned char, 32> digest;
    EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
    std::string out;
    for (unsigned char byte : digest) out += fmt::format("{:02x}", byte);
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

std::string digest_of(const FileHandle& file) {
  Sha256 hash;
  std::vector<std::byte> buffer(kChunk);
  while (const std::size_t n = file.read_some(buffer)) hash.update({buffer.data(), n});
  return hash.hexadecimal();
}

}  // namespace

std::string shown(const fs::path& path) {
  const std::string& name = path.native();
  std::string safe = quoted(name, 400);
  const bool plain = safe.size() == name.size() + 2 && name.find(' ') == std::string::npos;
  return plain ? name : safe;
}

// ---- FileHandle ----

FileHandle FileHandle::open_regular(const fs::path& path) {
  // Asked before opening, because opening some devices has effects; and again afterwards, because names can
  // change.
  struct stat status;
  if (stat(path.c_str(), &status) != 0) system_failure(Code::open, "opening", path, errno);
  check_regular(path, status.st_mode);
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  FileHandle file(retried([&] { return ::open(path.c_str(), flags); }), path);
  if (file.descriptor_ < 0) system_failure(Code::open, "opening", path, errno);
  if (fstat(file.descriptor_, &status) != 0) system_failure(Code::open, "fstat", path, errno);
  check_regular(path, status.st_mode);
  struct statfs system;
  if (fstatfs(file.descriptor_, &system) == 0)
    check(system.f_type != PROC_SUPER_MAGIC && system.f_type != SYSFS_MAGIC, Code::not_regular,
          "{}: is made by the kernel as it is read, and a regular file is needed", shown(path));
  return file;
}

FileHandle FileHandle::create(const fs::path& path) {
  return {open_to_write(path, O_TRUNC), path};
}
FileHandle FileHandle::append(const fs::path& path) {
  return {open_to_write(path, O_APPEND), path};
}

FileHandle::FileHandle(FileHandle&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint64_t FileHandle::size() const {
  struct stat status;
  if (fstat(descriptor_, &status) != 0) system_failure(Code::read, "fstat", path_, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

void FileHandle::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = retried([&] {
      return pread(descriptor_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    });
    if (n < 0) system_failure(Code::read, "reading", path_, errno);
    check(n > 0, Code::read, "{}: ends at byte {}, {} bytes before what is needed", shown(path_),
          offset + done, into.size() - done);
    done += static_cast<std::size_t>(n);
  }
}

std::size_t FileHandle::read_some(std::span<std::byte> into) const {
  const ssize_t n = retried([&] { return read(descriptor_, into.data(), into.size()); });
  if (n < 0) system_failure(Code::read, "reading", path_, errno);
  return static_cast<std::size_t>(n);
}

void FileHandle::write(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = retried([&] { return ::write(descriptor_, bytes.data(), bytes.size()); });
    if (n < 0) system_failure(Code::write, "writing", path_, errno);
    check(n > 0, Code::write, "{}: the system accepts no more bytes", shown(path_));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void FileHandle::sync() {
  if (retried([&] { return fsync(descriptor_); }) != 0) system_failure(Code::sync, "fsync", path_, errno);
}

void FileHandle::close() {
  // Linux has closed the descriptor whatever it returns, EINTR included, so there is nothing to repeat.
  if (descriptor_ >= 0 && ::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR)
    system_failure(Code::write, "closing", path_, errno);
}

std::string read_file(const fs::path& path, std::uint64_t most) {
  const FileHandle file = FileHandle::open_regular(path);
  const std::uint64_t size = file.size();
  check(size <= most, Code::size, "{}: has {} bytes, and at most {} are read", shown(path), size, most);
  std::string text(size, '\0');
  file.read_at(0, {reinterpret_cast<std::byte*>(text.data()), text.size()});
  return text;
}

// ---- MappedFile ----

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
  if (!done_) remove_quietly(temporary_);
}

void AtomicFile::commit() {
  handle_.sync();
  handle_.close();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    system_failure(Code::write, "renaming to", path_, errno);
  done_ = true;
  temporaries().forget(temporary_);
  sync_directory(parent_of(path_));
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

// ---- AtomicDirectory ----

namespace {

struct Entry {
  std::string name;  // relative, with '/'
  fs::path path;
};

// All files below `directory` but the manifest, by name. Anything but files and directories is an Error.
std::vector<Entry> files_below(const fs::path& directory, std::vector<fs::path>* directories = nullptr) {
  std::vector<Entry> files;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(directory, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    if (fs::is_directory(status)) {
      if (directories) directories->push_back(it->path());
      continue;
    }
    check(fs::is_regular_file(status), Code::not_regular, "{}: is neither a file nor a directory",
          shown(it->path()));
    std::string name = it->path().lexically_relative(directory).generic_string();
    if (name != kManifest) files.push_back({std::move(name), it->path()});
  }
  if (error) system_failure(Code::read, "listing", directory, error.value());
  std::sort(files.begin(), files.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return files;
}

std::string synced_manifest(const fs::path& directory) {
  std::vector<fs::path> directories;
  auto listed = OrderedJson::array();
  for (const Entry& entry : files_below(directory, &directories)) {
    FileHandle file = FileHandle::open_regular(entry.path);
    file.sync();
    check(!utf8_error(entry.name), Code::utf8, "{}: a file's name must be UTF-8", shown(entry.path));
    listed.push_back({{"name", entry.name}, {"size", file.size()}, {"sha256", digest_of(file)}});
  }
  for (const fs::path& d : directories) sync_directory(d);
  return to_text({{"format", kManifestFormat}, {"files", std::move(listed)}});
}

void rename_whole(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST) {
    // The old one leaves in the same instant in which the new one appears; its remains now bear the temporary
    // name.
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
  } else if (errno == EINVAL ||
             errno == ENOSYS) {  // a file system without renameat2: only where nothing is in the way
    if (::rename(from.c_str(), to.c_str()) == 0) return;
  }
  system_failure(Code::write, "renaming to", to, errno);
}

}  // namespace

AtomicDirectory::AtomicDirectory(fs::path path) : path_(std::move(path)) {
  check_replaceable(path_, S_IFDIR);
  temporary_ = temporaries().create(path_, [](const fs::path& name) { return ::mkdir(name.c_str(), 0777); });
}

AtomicDirectory::~AtomicDirectory() {
  if (!done_) remove_quietly(temporary_);
}

void AtomicDirectory::commit() {
  check(!done_, Code::internal, "{}: committed a second time", shown(path_));
  try {
    const std::string manifest = synced_manifest(temporary_);
    FileHandle file = FileHandle::create(temporary_ / kManifest);
    file.write(as_bytes(manifest));
    file.sync();
    file.close();
    sync_directory(temporary_);
    rename_whole(temporary_, path_);
  } catch (...) {
    // After a failed fsync the kernel may report success for pages it has dropped, so there is no second try.
    remove_quietly(temporary_);
    done_ = true;
    throw;
  }
  done_ = true;
  remove_quietly(temporary_);  // what an exchange has left there
  sync_directory(parent_of(path_));
}

namespace {

std::string fault_of_entry(const fs::path& directory, const Json& entry) {
  const auto name = entry.find("name"), size = entry.find("size"), digest = entry.find("sha256");
  if (name == entry.end() || !name->is_string() || size == entry.end() || !size->is_number_unsigned() ||
      digest == entry.end() || !digest->is_string())
    return "an entry lacks name, size or sha256";
  const auto& text = name->get_ref<const std::string&>();
  const FileHandle file = FileHandle::open_regular(directory / text);
  if (file.size() != size->get<std::uint64_t>())
    return fmt::format("{} has {} bytes, and {} were written", quoted(text), file.size(),
                       size->get<std::uint64_t>());
  if (digest_of(file) != digest->get_ref<const std::string&>())
    return fmt::format("the checksum of {} differs", quoted(text));
  return "";
}

std::string fault_of_manifest(const fs::path& directory) {
  const Json manifest = read_json((directory / kManifest).native());
  if (!manifest.is_object() || !manifest.contains("format") || !manifest["format"].is_number_integer() ||
      !manifest.contains("files") || !manifest["files"].is_array())
    return "it has no format and files";
  if (const auto format = manifest["format"].get<std::int64_t>(); format != kManifestFormat)
    return fmt::format("it was written in format {}, and this program reads format {}", format,
                       kManifestFormat);
  std::set<std::string> listed;
  for (const Json& entry : manifest["files"])
    if (entry.is_object() && entry.contains("name") && entry["name"].is_string())
      listed.insert(entry["name"]);
  std::set<std::string> present;
  for (const Entry& entry : files_below(directory)) present.insert(entry.name);
  for (const std::string& name : present)
    if (!listed.contains(name)) return fmt::format("{} is there and not listed", quoted(name));
  for (const std::string& name : listed)
    if (!present.contains(name)) return fmt::format("{} is missing", quoted(name));
  for (const Json& entry : manifest["files"])
    if (std::string fault = fault_of_entry(directory, entry); !fault.empty()) return fault;
  return "";
}

}  // namespace

std::string manifest_fault(const fs::path& directory) {
  const fs::path manifest = directory / kManifest;
  try {
    std::error_code ignored;
    if (!fs::exists(manifest, ignored)) return fmt::format("{}: has no {}", shown(directory), kManifest);
    const std::string fault = fault_of_manifest(directory);
    return fault.empty() ? "" : fmt::format("{}: {}", shown(manifest), fault);
  } catch (const Error& error) {
    return error.what();
  }
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

void make_directories(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) system_failure(Code::open, "creating the directory", directory, error.value());
}

void sync_directory(const fs::path& directory) {
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  FileHandle handle = FileHandle::adopt(retried([&] { return ::open(directory.c_str(), flags); }), directory);
  if (handle.descriptor() < 0) system_failure(Code::sync, "opening", directory, errno);
  // Some network file systems have no fsync of directories, and say so by EINVAL: their renames need none.
  if (retried([&] { return fsync(handle.descriptor()); }) != 0 && errno != EINVAL)
    system_failure(Code::sync, "fsync", directory, errno);
}

// ---- the rest ----

std::string sha256(Bytes bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hexadecimal();
}

std::string sha256_of_file(const fs::path& path) {
  return digest_of(FileHandle::open_regular(path));
}

namespace {

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

std::uint64_t free_space(const fs::path& directory) {
  struct statvfs status;
  if (retried([&] { return statvfs(directory.c_str(), &status); }) != 0)
    system_failure(Code::open, "asking for the free space of", directory, errno);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace glossa
