// file.h -- every byte that enters or leaves goes through here: whole reads, mappings that survive
// truncation, files and directories that appear complete or not at all, and locks.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace glossa {

namespace fs = std::filesystem;
using Bytes = std::span<const std::byte>;

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// A path as messages show it: as it is where that is safe and clear, else quoted.
std::string shown(const fs::path& path);

// An owned file descriptor. All calls continue after EINTR and short transfers, and throw
// Error(open|read|write|sync) with the path and the system's words.
class FileHandle {
 public:
  FileHandle() = default;
  // Opens a regular file to read; directories, devices, pipes and sockets are refused (Code::not_regular)
  // before anything is read.
  static FileHandle open_regular(const fs::path& path);
  static FileHandle create(const fs::path& path);  // truncates
  static FileHandle append(const fs::path& path);
  static FileHandle adopt(int descriptor, const fs::path& path) { return {descriptor, path}; }
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  int descriptor() const { return descriptor_; }
  const fs::path& path() const { return path_; }
  std::uint64_t size() const;
  void read_at(std::uint64_t offset, std::span<std::byte> into) const;  // all of it, or an Error
  std::size_t read_some(std::span<std::byte> into) const;               // 0 at the end
  void write(Bytes bytes);
  void sync();
  void close();  // reports what the system reports on closing; the destructor cannot

 private:
  FileHandle(int descriptor, fs::path path) : descriptor_(descriptor), path_(std::move(path)) {}
  int descriptor_ = -1;
  fs::path path_;
};

// A whole regular file in memory; Code::size if it has more than `most` bytes.
std::string read_file(const fs::path& path, std::uint64_t most = UINT64_MAX);

// A regular file mapped read-only. If the file is truncated while mapped, reads see zeros instead of killing
// the process, and `check_intact` says so.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return bytes_; }
  const fs::path& path() const { return file_.path(); }
  void check_intact() const;  // Error(changed) if it was written to, cut or extended since it was mapped

 private:
  using Time = std::pair<std::int64_t, std::int64_t>;  // seconds, nanoseconds
  FileHandle file_;
  Bytes bytes_;
  Time modified_;
  int slot_ = -1;  // in the table of mappings that the handler of SIGBUS reads
};

// A file that appears under its name only when `commit` has written, synced and renamed it; a file of that
// name is replaced. Without a commit nothing remains. If syncing the parent directory fails after the rename,
// `commit` throws and the new file, complete, is there: only its survival of a power cut is not certain.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(Bytes bytes) { handle_.write(bytes); }
  void write(std::string_view text) { handle_.write(as_bytes(text)); }
  void commit();

 private:
  fs::path path_, temporary_;
  FileHandle handle_;
  bool tried_ = false;
};

void write_file(const fs::path& path, std::string_view text);  // atomically

// A directory that appears complete or not at all. Files are made inside `path()`; `commit` syncs each of
// them and the directory, writes `MANIFEST.json` (name, size and SHA-256 of every file) last, renames the
// whole to its name, and syncs the parent. A directory of that name is exchanged for the new one in one step,
// and removed when this object goes.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(fs::path path);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;
  const fs::path& path() const { return temporary_; }
  void commit();

 private:
  fs::path path_, temporary_;
  bool tried_ = false;
};

// Verifies a directory that AtomicDirectory wrote: every file listed is there with its size and digest.
// Returns what is wrong in one line, or "".
std::string manifest_fault(const fs::path& directory);
// Removes what interrupted writers of dead processes left in `directory` (their temporary files and
// directories).
void remove_leftovers(const fs::path& directory);
void sync_directory(const fs::path& directory);
void make_directories(const fs::path& directory);  // with its parents; that it exists already is fine

// SHA-256 in hexadecimal.
std::string sha256(Bytes bytes);
std::string sha256_of_file(const fs::path& path);
std::string sha256_of_file(const FileHandle& file);  // from where it stands to its end

// Holds a directory for one process: a LOCK file held by the kernel's lock. Error(locked) names the holder.
class DirectoryLock {
 public:
  explicit DirectoryLock(const fs::path& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  FileHandle handle_;
};

std::uint64_t free_space(const fs::path& directory);  // bytes available to this user

}  // namespace glossa
