// token_dataset.h -- documents as one run of token ids with the places where they begin, in one compact
// layout that lies in memory or in a mapped file.
//
// Layout (little-endian): a magic line; the ids (16 bits each if the vocabulary allows), filled up to eight
// bytes; where each document begins and a hash of each, 64 bits a number; CRC-32 sums of every 4 MiB of all
// that; a description in JSON; a trailer. Everything is verified when it is opened.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/cache_layout.h"

namespace glossa {

// Thread-safe for reading. Copies share the data.
class TokenDataset {
 public:
  TokenDataset() = default;
  // Verifies everything; Error(text_data) with what is wrong.
  static TokenDataset of_memory(std::shared_ptr<const std::string> bytes);
  static TokenDataset of_file(const fs::path& path);

  std::uint64_t size() const { return tokens_; }
  std::uint64_t documents() const { return starts_.size(); }
  std::uint64_t start(std::uint64_t document) const { return starts_[document]; }
  std::uint64_t hash(std::uint64_t document) const { return hashes_[document]; }  // of its text
  // The first document that begins at `token` or later; documents() if there is none.
  std::uint64_t document_from(std::uint64_t token) const;
  // Tokens [begin, end) into memory for so many.
  void copy(std::uint64_t begin, std::uint64_t end, std::int32_t* ids) const;

  std::uint32_t checksum() const { return checksum_; }             // of all content
  const std::string& description() const { return description_; }  // JSON of the writer's
  void check_intact() const { cache_.check_intact(); }

 private:
  void open();
  CacheBytes cache_;
  const std::byte* ids_ = nullptr;
  std::uint64_t tokens_ = 0;
  std::span<const std::uint64_t> starts_, hashes_;
  std::uint32_t id_bytes_ = 4, checksum_ = 0;
  std::string description_;
};

// Writes the layout from front to back; memory holds two numbers for each document, and a block.
class TokenWriter {
 public:
  using Write = std::function<void(std::string_view)>;
  TokenWriter(Write write, std::uint64_t vocabulary);
  void begin_document() { begins_ = true; }  // what is added next; one without tokens does not count
  void add(std::span<const std::int32_t> ids, std::string_view text);
  void finish(const std::string& description);
  std::uint64_t tokens() const { return tokens_; }
  std::uint64_t documents() const { return starts_.size(); }

 private:
  void put(std::string_view bytes);
  Write write_;
  std::uint64_t vocabulary_;
  std::uint64_t tokens_ = 0, offset_ = 0;
  bool begins_ = false;
  std::string block_;
  std::vector<std::uint64_t> starts_, hashes_;
  std::vector<std::uint32_t> sums_;
};

}  // namespace glossa
