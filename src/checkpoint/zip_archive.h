// zip_archive.h -- zip archives whose entries are stored and not compressed, as torch.save writes them
// (PKWARE's APPNOTE.TXT 6.3.10): read as ranges of the archive's bytes, and written.
//
// Read strictly, so that no two readers see two archives in one file: the entries cover the file from its
// first byte to the central directory without hole or overlap, that directory and the local headers say the
// same of each, the end record is the file's last and has no comment, and names are relative paths that name
// no parent. Refused are compressed, encrypted and split archives, and comments.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/limits.h"

namespace glossa {

class ZipArchive {
 public:
  struct Entry {
    std::string_view name;              // within the archive's bytes
    std::uint64_t header = 0;           // where its local header begins
    std::uint64_t begin = 0, size = 0;  // where its bytes are in the archive
    std::uint32_t crc = 0;              // CRC-32 of its bytes
  };

  // Error(torch_file) for everything that is wrong, Error(count) for more than limits.zip_entries. Of the
  // entries' own bytes none is read.
  ZipArchive(Bytes archive, std::string_view origin, const Limits& limits = {});

  const std::vector<Entry>& entries() const { return entries_; }  // sorted by name
  const Entry* find(std::string_view name) const;                 // null if there is none
  Bytes bytes_of(const Entry& entry) const { return archive_.subspan(entry.begin, entry.size); }
  // Error(torch_file) unless the entry's bytes have its CRC. A CRC of 0 means that none was computed:
  // torch.serialization.set_crc32_options(False) leaves it out.
  void check_crc(const Entry& entry) const;

 private:
  Bytes archive_;
  std::string origin_;
  std::vector<Entry> entries_;
};

// Writes an archive from front to back. Every entry's bytes begin at a multiple of 64, as torch.save has
// them, and sizes always stand in zip64 fields, so that there is one form for all sizes. The same entries
// give the same bytes.
class ZipWriter {
 public:
  explicit ZipWriter(std::function<void(Bytes)> write) : write_(std::move(write)) {}
  void add(std::string_view name, Bytes bytes);
  void finish();  // writes the central directory

 private:
  void put(std::string_view text);

  std::function<void(Bytes)> write_;
  std::uint64_t written_ = 0, count_ = 0;
  std::string directory_;
};

}  // namespace glossa
