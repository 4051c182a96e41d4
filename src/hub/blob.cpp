#include "hub/blob.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <vector>

#include "base/error.h"
#include "base/system_call.h"

namespace glossa {
namespace {

constexpr std::size_t kChunk = 1 << 20;
constexpr std::size_t kSha1 = 40;  // digits

FileHandle open_incomplete(const fs::path& path) {
  // A link in its place, which would lead the bytes elsewhere, is not followed.
  const int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
  const int descriptor = retried([&] { return ::open(path.c_str(), flags, 0666); });
  if (descriptor < 0) system_failure(Code::open, "opening to write", path, errno);
  return FileHandle::adopt(descriptor, path);
}

}  // namespace

fs::path incomplete_path(const fs::path& blob) {
  return blob.native() + ".incomplete";
}

BlobLock::BlobLock(const fs::path& path, const std::string& what) {
  make_directories(path.parent_path());
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  handle_ = FileHandle::adopt(retried([&] { return ::open(path.c_str(), flags, 0664); }), path);
  if (handle_.descriptor() < 0) system_failure(Code::open, "opening", path, errno);
  if (retried([&] { return flock(handle_.descriptor(), LOCK_EX | LOCK_NB); }) == 0) return;
  if (errno != EWOULDBLOCK) system_failure(Code::open, "locking", path, errno);
  fail(Code::locked, "{}: another process is fetching it", what);
}

IncompleteBlob::IncompleteBlob(fs::path path, std::string digest, std::uint64_t size)
    : path_(std::move(path)), incomplete_(incomplete_path(path_)), wanted_(std::move(digest)), size_(size),
      handle_(open_incomplete(incomplete_)), digest_(begin()) {
  bytes_ = handle_.size();
  if (bytes_ > size_) restart();
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, bytes_)));
  for (std::uint64_t at = 0; at < bytes_; at += buffer.size()) {
    buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, bytes_ - at)));
    handle_.read_at(at, buffer);
    digest_.update(buffer);
  }
}

// Git's name of a file is the SHA-1 of a header with its size and the bytes.
Digest IncompleteBlob::begin() const {
  if (wanted_.size() != kSha1) return Digest(Digest::Kind::sha256);
  Digest digest(Digest::Kind::sha1);
  const std::string header = fmt::format("blob {}", size_);
  digest.update(as_bytes({header.c_str(), header.size() + 1}));  // with a final zero
  return digest;
}

void IncompleteBlob::restart() {
  if (retried([&] { return ftruncate(handle_.descriptor(), 0); }) != 0)
    system_failure(Code::write, "truncating", incomplete_, errno);
  bytes_ = 0;
  digest_ = begin();
}

void IncompleteBlob::append(Bytes bytes) {
  handle_.write(bytes);
  digest_.update(bytes);
  bytes_ += bytes.size();
}

bool IncompleteBlob::finish() {
  found_ = digest_.hexadecimal();
  if (found_ != wanted_) {
    restart();
    return false;
  }
  handle_.sync();
  if (::rename(incomplete_.c_str(), path_.c_str()) != 0) system_failure(Code::write, "renaming to", path_, errno);
  sync_directory(path_.parent_path());
  return true;
}

}  // namespace glossa
