#include "data/cache_layout.h"

#include <zlib.h>

namespace glossa {

std::uint32_t crc_of(Bytes bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

void append_ids(std::span<const std::int32_t> ids, std::uint64_t vocabulary, std::string& to) {
  const std::uint32_t id_bytes = id_bytes_of(vocabulary);
  const std::size_t begin = to.size();
  to.resize(begin + ids.size() * id_bytes);
  char* at = to.data() + begin;
  for (const std::int32_t id : ids) {
    check(id >= 0 && static_cast<std::uint64_t>(id) < vocabulary, Code::tokenizer, "token {} in a vocabulary of {}", id, vocabulary);
    std::memcpy(at, &id, id_bytes);  // the lower bytes come first
    at += id_bytes;
  }
}

void copy_ids(const std::byte* from, std::uint64_t count, std::uint32_t id_bytes, std::int32_t* ids) {
  if (id_bytes == 4) {
    std::memcpy(ids, from, count * 4);
    return;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint16_t id;
    std::memcpy(&id, from + i * 2, 2);
    ids[i] = id;
  }
}

CacheBytes CacheBytes::of_memory(std::shared_ptr<const std::string> bytes, const char* kind) {
  CacheBytes all;
  all.memory_ = std::move(bytes);
  all.name_ = std::string(kind) + " in memory", all.kind_ = kind;
  return all;
}

CacheBytes CacheBytes::of_file(const fs::path& path, const char* kind) {
  CacheBytes all;
  all.file_ = std::make_shared<const MappedFile>(path);
  all.name_ = shown(path), all.kind_ = kind;
  return all;
}

void CacheBytes::check_intact() const {
  if (file_) file_->check_intact();
}

}  // namespace glossa
