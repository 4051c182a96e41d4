// cache_layout.h -- what the layouts of encoded data (pair_dataset.h, token_dataset.h) share: ids of two or four bytes,
// checksums, a trailer of 48 bytes at the end, and bytes that come from a mapped file or from memory.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace glossa {

static_assert(std::endian::native == std::endian::little, "the layouts are little-endian");

std::uint32_t crc_of(Bytes bytes);
// Of what stands before the trailer's last field, its own checksum.
template <class Trailer>
std::uint32_t crc_of_trailer(const Trailer& trailer) {
  static_assert(sizeof(Trailer) == 48);
  return crc_of(std::as_bytes(std::span(&trailer, 1)).first(44));
}

template <class T>
std::string_view view_of(const std::vector<T>& values) {
  return as_text(std::as_bytes(std::span(values)));
}

// Bytes of an id of a vocabulary of so many.
constexpr std::uint32_t id_bytes_of(std::uint64_t vocabulary) { return vocabulary <= 65536 ? 2 : 4; }
// Error(tokenizer) for an id outside of the vocabulary.
void append_ids(std::span<const std::int32_t> ids, std::uint64_t vocabulary, std::string& to);
void copy_ids(const std::byte* from, std::uint64_t count, std::uint32_t id_bytes, std::int32_t* ids);

// The bytes of a cache of `kind` ("pairs"). Copies share them. They begin at a multiple of eight, being mapped or those of
// a string that is too long to lie within itself.
class CacheBytes {
 public:
  CacheBytes() = default;
  static CacheBytes of_memory(std::shared_ptr<const std::string> bytes, const char* kind);
  static CacheBytes of_file(const fs::path& path, const char* kind);

  Bytes bytes() const { return file_ ? file_->bytes() : memory_ ? as_bytes(*memory_) : Bytes(); }
  void check_intact() const;  // Error(changed) if a mapped file was written to since it was opened

  // Error(text_data): the cache is damaged, and where.
  template <class... Args>
  void sound(bool condition, fmt::format_string<Args...> where, Args&&... args) const {
    if (condition) return;
    fail(Code::text_data, "{}: is a damaged cache of {}: {}", name_, kind_, fmt::format(where, std::forward<Args>(args)...));
  }
  // Error(text_data) for bytes that do not begin with `magic`, or whose trailer is not whole.
  template <class Trailer>
  Trailer trailer(std::string_view magic) const {
    check(as_text(bytes()).starts_with(magic), Code::text_data, "{}: is not a cache of {} of this version", name_, kind_);
    sound(bytes().size() >= magic.size() + sizeof(Trailer), "it is cut off");
    Trailer trailer;
    std::memcpy(&trailer, bytes().data() + bytes().size() - sizeof trailer, sizeof trailer);
    sound(trailer.crc == crc_of_trailer(trailer), "the checksum of its trailer");
    sound(trailer.id_bytes == 2 || trailer.id_bytes == 4, "the size of its ids");
    return trailer;
  }

 private:
  std::shared_ptr<const std::string> memory_;
  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  const char* kind_ = "";
};

}  // namespace glossa
