// pair_dataset.h -- sentence pairs as token ids, by index, in one compact layout that lies in memory or in a
// mapped file. Reading a pair costs no memory that grows, whatever the size of the data.
//
// Layout (little-endian): a magic line; blocks of kBlockPairs pairs (the last may hold fewer), each a table
// of records, then the ids (16 bits each if the vocabulary allows), then, if kept, the text; a table of
// blocks; a description in JSON; a trailer. Blocks, table, description and trailer carry CRC-32 sums, and all
// is verified when it is opened.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/cache_layout.h"

namespace glossa {

inline constexpr std::uint64_t kBlockPairs = 4096;

namespace pair_layout {

struct Record {
  std::uint64_t ids, text;  // where the pair's begin, in its block: in ids, in bytes of text
  std::uint64_t hash, line;
  std::uint32_t source_ids, target_ids, source_bytes, target_bytes;
};
struct Block {
  std::uint64_t offset, ids, text;  // of the block in the file; how much it holds
  std::uint32_t pairs, crc;
  std::uint64_t bytes(unsigned id_bytes) const;
};

}  // namespace pair_layout

struct PairLengths {
  std::uint32_t source = 0, target = 0;  // in tokens, without the tokens that begin and end a sentence
};

// Thread-safe for reading. Copies share the data.
class PairDataset {
 public:
  PairDataset() = default;
  // Verifies everything; Error(text_data) with what is wrong.
  static PairDataset of_memory(std::shared_ptr<const std::string> bytes);
  static PairDataset of_file(const fs::path& path);

  std::uint64_t size() const { return pairs_; }
  PairLengths lengths(std::uint64_t index) const;
  // Into memory for as many ids as lengths() says.
  void copy_source(std::uint64_t index, std::int32_t* ids) const;
  void copy_target(std::uint64_t index, std::int32_t* ids) const;
  std::uint64_t line(std::uint64_t index) const;  // where the pair stood in its file, from 1
  std::uint64_t hash(std::uint64_t index) const;  // of both texts
  bool has_text() const { return has_text_; }
  std::string_view source_text(std::uint64_t index) const;
  std::string_view target_text(std::uint64_t index) const;

  const std::string& description() const { return description_; }  // JSON of the writer's
  void check_intact() const { cache_.check_intact(); }

 private:
  struct Found {
    const pair_layout::Record* record;
    const std::byte *ids, *text;
  };
  void open();
  // Whether the blocks lie one behind the other, up to `end`.
  bool blocks_fill(std::uint64_t end) const;
  void verify(const pair_layout::Block& block) const;
  Found find(std::uint64_t index) const;

  CacheBytes cache_;
  const pair_layout::Block* blocks_ = nullptr;
  std::uint64_t pairs_ = 0, block_count_ = 0;
  unsigned id_bytes_ = 4;
  bool has_text_ = false;
  std::string description_;
};

// Writes the layout from front to back, holding one block.
class PairWriter {
 public:
  using Write = std::function<void(std::string_view)>;
  PairWriter(Write write, std::uint64_t vocabulary, bool keep_text);
  struct Encoded {
    std::span<const std::int32_t> source, target;
    std::string_view source_text, target_text;
    std::uint64_t line;
  };
  void add(const Encoded& pair);
  void finish(const std::string& description);

 private:
  void flush();

  Write write_;
  std::uint64_t vocabulary_;
  bool keep_text_;
  std::vector<pair_layout::Record> records_;
  std::string ids_, text_;
  std::vector<pair_layout::Block> blocks_;
  std::uint64_t offset_ = 0, pairs_ = 0;
};

// Of both texts of a pair, to find the same pair in other data.
std::uint64_t pair_hash(std::string_view source, std::string_view target);

}  // namespace glossa
