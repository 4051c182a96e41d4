#include "base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/system_call.h"

namespace glossa {
namespace {

constexpr std::size_t kChunk = 1 << 20;  // bytes of one read when a file is streamed

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

}  // namespace

const char* kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFLNK:
      return "a symbolic link";
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

std::string shown(const fs::path& path) {
  const std::string& name = path.native();
  std::string safe = quoted(name, 400);
  const bool plain = !name.empty() && safe.size() == name.size() + 2 && name.find(' ') == std::string::npos;
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

// ---- directories and digests ----

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

std::string sha256(Bytes bytes) {
  Digest hash(Digest::Kind::sha256);
  hash.update(bytes);
  return hash.hexadecimal();
}

std::string sha256_of_file(const FileHandle& file) {
  Digest hash(Digest::Kind::sha256);
  std::vector<std::byte> buffer(kChunk);
  while (const std::size_t n = file.read_some(buffer)) hash.update({buffer.data(), n});
  return hash.hexadecimal();
}

std::string sha256_of_file(const fs::path& path) {
  return sha256_of_file(FileHandle::open_regular(path));
}

std::uint64_t free_space(const fs::path& directory) {
  struct statvfs status;
  if (retried([&] { return statvfs(directory.c_str(), &status); }) != 0)
    system_failure(Code::open, "asking for the free space of", directory, errno);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace glossa
