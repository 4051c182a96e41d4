// blob.h -- a content of the cache while it is written: a file DIGEST.incomplete, the digest of what is in it so far, and
// the lock that the Python library knows.
#pragma once
#include <cstdint>
#include <string>

#include "base/digest.h"
#include "base/file.h"

namespace glossa {

// Holds `path` by the kernel's lock, as Python's filelock does; the file stays, as it does there. Error(locked) if another
// process has it, with `what` in the message.
class BlobLock {
 public:
  BlobLock(const fs::path& path, const std::string& what);

 private:
  FileHandle handle_;
};

class IncompleteBlob {
 public:
  // Goes on with what is in `path`.INCOMPLETE, which is read once for its digest. `size` is that of the whole.
  IncompleteBlob(fs::path path, std::string digest, std::uint64_t size);

  std::uint64_t bytes() const { return bytes_; }
  void restart();           // empty again
  void append(Bytes bytes);
  // Its digest is right: written to the disk, it takes its place, and true. Else it is thrown away.
  bool finish();
  const std::string& found() const { return found_; }  // the digest, after `finish`

 private:
  Digest begin() const;
  fs::path path_, incomplete_;
  std::string wanted_, found_;
  std::uint64_t size_, bytes_ = 0;
  FileHandle handle_;
  Digest digest_;
};

fs::path incomplete_path(const fs::path& blob);

}  // namespace glossa
