// byte_stream.h -- the bytes of a text source from front to back: a file, standard input, or memory; gzip and
// Zstandard are recognised by their content, not by their name, and inflated on the way.
//
// A stream may consist of several members or frames, one after the other. Truncated or damaged ones end in
// Error(compressed) with the byte of the compressed file; one that inflates beyond belief in Error(size).
// Memory does not depend on the length. Not thread-safe; errors end the use of a stream.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "base/limits.h"

namespace glossa {

enum class Compression : std::uint8_t { none, gzip, zstd };

class ByteStream {
 public:
  // A regular file, or standard input if `path` is "-". Archives and compressions that are not read (zip, xz,
  // bzip2, 7z) are refused by name.
  static ByteStream open(const fs::path& path, const Limits& limits = {});
  // Bytes that the caller keeps; `name` is for messages.
  static ByteStream of_bytes(Bytes bytes, std::string name, const Limits& limits = {});
  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;
  ~ByteStream();

  // At least one byte, unless the stream has ended: then 0.
  std::size_t read(std::span<std::byte> into);
  const std::string& name() const;
  Compression compression() const;
  std::uint64_t bytes_read() const;  // of the file, before inflation

 private:
  struct State;
  explicit ByteStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Writes all of standard input, as it comes, to a file that appears when it is complete: data that are read
// more than once, or that a resumed run must find again.
void keep_standard_input(const fs::path& file);

// The archive or compression, among those that are not read, that bytes begin with: "zip", say; or "".
std::string_view unreadable_format(Bytes beginning);

}  // namespace glossa
