#include "data/token_dataset.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/parallel.h"
#include "data/pair_dataset.h"

namespace glossa {
namespace {

constexpr const char* kKind = "tokens";
constexpr std::string_view kMagic("glossa tokens 1\n", 16);
constexpr std::uint64_t kBlock = 4u << 20;  // bytes under one checksum

struct Trailer {
  std::uint64_t tokens, documents, sums, description;  // counts, the last of bytes
  std::uint32_t id_bytes, tail_crc;                    // the checksum of sums and description
  std::uint32_t reserved, crc;                         // the checksum of the trailer before this
};
static_assert(sizeof(Trailer) == 48);

std::uint64_t padding(std::uint64_t bytes) {
  return (8 - bytes % 8) % 8;
}

}  // namespace

// ---- TokenWriter ----

TokenWriter::TokenWriter(Write write, std::uint64_t vocabulary)
    : write_(std::move(write)), vocabulary_(vocabulary) {
  put(kMagic);
}

void TokenWriter::put(std::string_view bytes) {
  offset_ += bytes.size();
  while (!bytes.empty()) {
    const std::size_t n = std::min<std::size_t>(bytes.size(), kBlock - block_.size());
    block_ += bytes.substr(0, n);
    bytes.remove_prefix(n);
    if (block_.size() < kBlock) break;
    sums_.push_back(crc_of(as_bytes(block_)));
    write_(block_);
    block_.clear();
  }
}

void TokenWriter::add(std::span<const std::int32_t> ids, std::string_view text) {
  if (ids.empty()) return;
  if (std::exchange(begins_, false)) starts_.push_back(tokens_), hashes_.push_back(0);
  std::string bytes;
  append_ids(ids, vocabulary_, bytes);
  put(bytes);
  tokens_ += ids.size();
  hashes_.back() = std::rotl(hashes_.back(), 1) ^ pair_hash(text, "");
}

void TokenWriter::finish(const std::string& description) {
  put(std::string(padding(offset_), '\0'));
  put(view_of(starts_));
  put(view_of(hashes_));
  if (!block_.empty()) sums_.push_back(crc_of(as_bytes(block_)));
  write_(block_);
  std::string tail(view_of(sums_));
  tail.append(padding(tail.size()), '\0');
  tail += description;
  Trailer trailer{.tokens = tokens_,
                  .documents = starts_.size(),
                  .sums = sums_.size(),
                  .description = description.size(),
                  .id_bytes = id_bytes_of(vocabulary_),
                  .tail_crc = crc_of(as_bytes(tail)),
                  .reserved = 0,
                  .crc = 0};
  trailer.crc = crc_of_trailer(trailer);
  write_(tail);
  write_(as_text(std::as_bytes(std::span(&trailer, 1))));
}

// ---- TokenDataset ----

TokenDataset TokenDataset::of_memory(std::shared_ptr<const std::string> bytes) {
  TokenDataset data;
  data.cache_ = CacheBytes::of_memory(std::move(bytes), kKind);
  data.open();
  return data;
}

TokenDataset TokenDataset::of_file(const fs::path& path) {
  TokenDataset data;
  data.cache_ = CacheBytes::of_file(path, kKind);
  data.open();
  data.check_intact();
  return data;
}

void TokenDataset::open() {
  const auto trailer = cache_.trailer<Trailer>(kMagic);
  const Bytes bytes = cache_.bytes();
  const std::uint64_t end = bytes.size() - sizeof trailer;
  const std::uint64_t ids = checked_mul(trailer.tokens, trailer.id_bytes);
  const std::uint64_t index = checked_add(checked_add(kMagic.size(), ids), padding(kMagic.size() + ids));
  const std::uint64_t content = checked_add(index, checked_mul(trailer.documents, 16));
  const std::uint64_t sums = checked_mul(trailer.sums, 4);
  const std::uint64_t tail = checked_add(checked_add(sums, padding(sums)), trailer.description);
  cache_.sound(checked_add(content, tail) == end && trailer.sums == (content + kBlock - 1) / kBlock, "its size");
  cache_.sound(trailer.tail_crc == crc_of(bytes.subspan(content, tail)), "the checksum of its table");
  const auto* expected = reinterpret_cast<const std::uint32_t*>(bytes.data() + content);
  parallel_for(static_cast<std::int64_t>(trailer.sums), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      const std::uint64_t at = static_cast<std::uint64_t>(b) * kBlock;
      cache_.sound(crc_of(bytes.subspan(at, std::min(kBlock, content - at))) == expected[b],
            "the checksum of a block");
    }
  });
  const auto* numbers = reinterpret_cast<const std::uint64_t*>(bytes.data() + index);
  starts_ = {numbers, trailer.documents}, hashes_ = {numbers + trailer.documents, trailer.documents};
  cache_.sound(trailer.tokens == 0 || (!starts_.empty() && starts_[0] == 0), "where its documents begin");
  for (std::size_t d = 1; d < starts_.size(); ++d)
    cache_.sound(starts_[d] > starts_[d - 1], "the order of its documents");
  cache_.sound(starts_.empty() || starts_.back() < trailer.tokens, "the end of its documents");
  ids_ = bytes.data() + kMagic.size();
  tokens_ = trailer.tokens, id_bytes_ = trailer.id_bytes;
  description_ = as_text(bytes.subspan(content + sums + padding(sums), trailer.description));
  checksum_ = crc_of(bytes.subspan(content, sums));
}

std::uint64_t TokenDataset::document_from(std::uint64_t token) const {
  return static_cast<std::uint64_t>(std::lower_bound(starts_.begin(), starts_.end(), token) -
                                    starts_.begin());
}

void TokenDataset::copy(std::uint64_t begin, std::uint64_t end, std::int32_t* ids) const {
  check(begin <= end && end <= tokens_, Code::internal, "tokens {} to {} of {}", begin, end, tokens_);
  copy_ids(ids_ + begin * id_bytes_, end - begin, id_bytes_, ids);
}

}  // namespace glossa
