// digest.h -- cryptographic digests of bytes as they come, by libcrypto.
#pragma once
#include <memory>
#include <string>

#include "base/file.h"

namespace glossa {

class Digest {
 public:
  enum class Kind : std::uint8_t { sha1, sha256 };
  explicit Digest(Kind kind);
  void update(Bytes bytes);
  std::string hexadecimal();  // of all bytes; once

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace glossa
