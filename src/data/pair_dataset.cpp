#include "data/pair_dataset.h"

#include <cstring>
#include <type_traits>

#include "base/checked.h"
#include "base/error.h"
#include "base/parallel.h"

namespace glossa {

using pair_layout::Block;
using pair_layout::Record;

namespace {

static_assert(sizeof(Record) == 48 && sizeof(Block) == 32 && std::is_trivially_copyable_v<Record>);

constexpr const char* kKind = "pairs";
constexpr std::string_view kMagic("glossa pairs 1\n\0", 16);

struct Trailer {
  std::uint64_t pairs, blocks, table,
      description;  // counts; where the table begins; bytes of the description
  std::uint32_t id_bytes, has_text;
  std::uint32_t tail_crc;  // of table and description
  std::uint32_t crc;       // of the trailer before this
};
static_assert(sizeof(Trailer) == 48);

constexpr std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + 7) / 8 * 8;
}

// FNV-1a over eight bytes at a time, then a mixer, since the last bytes would hardly be mixed otherwise.
std::uint64_t hash_of(std::string_view text, std::uint64_t h) {
  constexpr std::uint64_t kPrime = 0x100000001B3;
  h = (h ^ text.size()) * kPrime;
  while (!text.empty()) {
    std::uint64_t word = 0;
    const std::size_t n = std::min<std::size_t>(8, text.size());
    std::memcpy(&word, text.data(), n);
    h = (h ^ word) * kPrime;
    h ^= h >> 29;
    text.remove_prefix(n);
  }
  h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD;
  return h ^ h >> 33;
}

}  // namespace

std::uint64_t pair_hash(std::string_view source, std::string_view target) {
  return hash_of(target, hash_of(source, 0xCBF29CE484222325));
}

// ---- PairWriter ----

PairWriter::PairWriter(Write write, std::uint64_t vocabulary, bool keep_text)
    : write_(std::move(write)),
      vocabulary_(vocabulary),
      keep_text_(keep_text) {
  write_(kMagic);
  offset_ = kMagic.size();
}

void PairWriter::add(const Encoded& pair) {
  const auto size = [](auto n) {
    check(n <= UINT32_MAX, Code::size, "a sentence of {} bytes or tokens", n);
    return static_cast<std::uint32_t>(n);
  };
  Record r{.ids = ids_.size() / id_bytes_of(vocabulary_),
           .text = text_.size(),
           .hash = pair_hash(pair.source_text, pair.target_text),
           .line = pair.line,
           .source_ids = size(pair.source.size()),
           .target_ids = size(pair.target.size()),
           .source_bytes = 0,
           .target_bytes = 0};
  append_ids(pair.source, vocabulary_, ids_);
  append_ids(pair.target, vocabulary_, ids_);
  if (keep_text_) {
    r.source_bytes = size(pair.source_text.size()), r.target_bytes = size(pair.target_text.size());
    text_ += pair.source_text;
    text_ += pair.target_text;
  }
  records_.push_back(r);
  ++pairs_;
  if (records_.size() == kBlockPairs) flush();
}

void PairWriter::flush() {
  if (records_.empty()) return;
  Block block{.offset = offset_,
              .ids = ids_.size() / id_bytes_of(vocabulary_),
              .text = text_.size(),
              .pairs = static_cast<std::uint32_t>(records_.size()),
              .crc = 0};
  std::string bytes(view_of(records_));
  bytes += ids_;
  bytes += text_;
  bytes.resize(padded(bytes.size()));
  block.crc = crc_of(as_bytes(bytes));
  write_(bytes);
  offset_ += bytes.size();
  blocks_.push_back(block);
  records_.clear(), ids_.clear(), text_.clear();
}

void PairWriter::finish(const std::string& description) {
  flush();
  std::string tail(view_of(blocks_));
  tail += description;
  Trailer trailer{.pairs = pairs_,
                  .blocks = blocks_.size(),
                  .table = offset_,
                  .description = description.size(),
                  .id_bytes = id_bytes_of(vocabulary_),
                  .has_text = keep_text_,
                  .tail_crc = crc_of(as_bytes(tail)),
                  .crc = 0};
  trailer.crc = crc_of_trailer(trailer);
  write_(tail);
  write_(as_text(std::as_bytes(std::span(&trailer, 1))));
}

// ---- PairDataset ----

PairDataset PairDataset::of_memory(std::shared_ptr<const std::string> bytes) {
  PairDataset data;
  data.cache_ = CacheBytes::of_memory(std::move(bytes), kKind);
  data.open();
  return data;
}

PairDataset PairDataset::of_file(const fs::path& path) {
  PairDataset data;
  data.cache_ = CacheBytes::of_file(path, kKind);
  data.open();
  data.check_intact();
  return data;
}

void PairDataset::open() {
  const auto trailer = cache_.trailer<Trailer>(kMagic);
  const Bytes bytes = cache_.bytes();
  const std::uint64_t end = bytes.size() - sizeof trailer;
  const std::uint64_t tail = checked_add(checked_mul(trailer.blocks, sizeof(Block)), trailer.description);
  cache_.sound(trailer.table % 8 == 0 && trailer.table >= kMagic.size() && checked_add(trailer.table, tail) == end,
        "its size");
  cache_.sound(trailer.tail_crc == crc_of(bytes.subspan(trailer.table, tail)), "the checksum of its table");
  cache_.sound(trailer.blocks == trailer.pairs / kBlockPairs + (trailer.pairs % kBlockPairs > 0),
        "the number of its blocks");

  pairs_ = trailer.pairs, block_count_ = trailer.blocks;
  id_bytes_ = trailer.id_bytes, has_text_ = trailer.has_text != 0;
  blocks_ = reinterpret_cast<const Block*>(bytes.data() + trailer.table);
  description_ = as_text(bytes.subspan(trailer.table + trailer.blocks * sizeof(Block), trailer.description));
  cache_.sound(blocks_fill(trailer.table), "its table of blocks");
  parallel_for(static_cast<std::int64_t>(block_count_), 4, [&](std::int64_t begin, std::int64_t last) {
    for (std::int64_t b = begin; b < last; ++b) verify(blocks_[b]);
  });
}

bool PairDataset::blocks_fill(std::uint64_t end) const {
  std::uint64_t offset = kMagic.size();
  for (std::uint64_t b = 0; b < block_count_; ++b) {
    const Block& block = blocks_[b];
    if (block.offset != offset || block.pairs != std::min(kBlockPairs, pairs_ - b * kBlockPairs))
      return false;
    offset = checked_add(offset, block.bytes(id_bytes_));
    if (offset > end) return false;
  }
  return offset == end;
}

std::uint64_t Block::bytes(unsigned id_bytes) const {
  const std::uint64_t used =
      checked_add(checked_add(pairs * sizeof(Record), checked_mul(ids, id_bytes)), text);
  return checked_add(used, 7) / 8 * 8;
}

void PairDataset::verify(const Block& block) const {
  const Bytes bytes = cache_.bytes().subspan(block.offset, block.bytes(id_bytes_));
  cache_.sound(crc_of(bytes) == block.crc, "byte {}: the checksum of a block", block.offset);
  const auto* records = reinterpret_cast<const Record*>(bytes.data());
  for (std::uint32_t i = 0; i < block.pairs; ++i) {
    const Record& r = records[i];
    cache_.sound(r.ids <= block.ids && std::uint64_t{r.source_ids} + r.target_ids <= block.ids - r.ids &&
                     r.text <= block.text && std::uint64_t{r.source_bytes} + r.target_bytes <= block.text - r.text,
                 "byte {}: pair {} of a block", block.offset, i);
  }
}

PairDataset::Found PairDataset::find(std::uint64_t index) const {
  check(index < pairs_, Code::internal, "pair {} of {}", index, pairs_);
  const Block& block = blocks_[index / kBlockPairs];
  const std::byte* begin = cache_.bytes().data() + block.offset;
  const std::byte* ids = begin + block.pairs * sizeof(Record);
  return {reinterpret_cast<const Record*>(begin) + index % kBlockPairs, ids, ids + block.ids * id_bytes_};
}

PairLengths PairDataset::lengths(std::uint64_t index) const {
  const Record& r = *find(index).record;
  return {r.source_ids, r.target_ids};
}

void PairDataset::copy_source(std::uint64_t index, std::int32_t* ids) const {
  const Found f = find(index);
  copy_ids(f.ids + f.record->ids * id_bytes_, f.record->source_ids, id_bytes_, ids);
}

void PairDataset::copy_target(std::uint64_t index, std::int32_t* ids) const {
  const Found f = find(index);
  copy_ids(f.ids + (f.record->ids + f.record->source_ids) * id_bytes_, f.record->target_ids, id_bytes_, ids);
}

std::uint64_t PairDataset::line(std::uint64_t index) const {
  return find(index).record->line;
}
std::uint64_t PairDataset::hash(std::uint64_t index) const {
  return find(index).record->hash;
}

std::string_view PairDataset::source_text(std::uint64_t index) const {
  const Found f = find(index);
  return {reinterpret_cast<const char*>(f.text + f.record->text), f.record->source_bytes};
}

std::string_view PairDataset::target_text(std::uint64_t index) const {
  const Found f = find(index);
  return {reinterpret_cast<const char*>(f.text + f.record->text + f.record->source_bytes),
          f.record->target_bytes};
}

}  // namespace glossa
