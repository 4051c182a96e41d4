// zip_fuzz.cpp -- any bytes as a zip archive: refused by an Error of exit status 3 or 5, or its entries cover
// the bytes before the central directory without overlap, and what our writer makes of them reads back the
// same. Then the same bytes as a file of torch.save.
#include <algorithm>

#include "checkpoint/torch_file.h"
#include "checkpoint/zip_archive.h"
#include "fuzz.h"

namespace {

using namespace glossa;

void check_entries(Bytes file, const ZipArchive& archive) {
  auto entries = archive.entries();
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.header < b.header; });
  std::uint64_t covered = 0;
  for (const ZipArchive::Entry& entry : entries) {
    require(entry.header >= covered && entry.begin >= entry.header &&
            entry.size <= file.size() - entry.begin);
    covered = entry.begin + entry.size;
    require(archive.find(entry.name) != nullptr && archive.bytes_of(entry).size() == entry.size);
  }
}

void check_rewritten(const ZipArchive& archive) {
  std::string text;
  ZipWriter writer([&](Bytes bytes) { text += as_text(bytes); });
  for (const ZipArchive::Entry& entry : archive.entries()) writer.add(entry.name, archive.bytes_of(entry));
  writer.finish();
  const ZipArchive again(as_bytes(text), "rewritten");
  require(again.entries().size() == archive.entries().size());
  for (const ZipArchive::Entry& entry : archive.entries()) {
    const ZipArchive::Entry* const found = again.find(entry.name);
    require(found && found->begin % 64 == 0);
    require(std::ranges::equal(again.bytes_of(*found), archive.bytes_of(entry)));
    again.check_crc(*found);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes file = as_bytes(fuzz_text(data, size));
  if (const auto archive = read_or_refused([&] { return ZipArchive(file, "input"); })) {
    check_entries(file, *archive);
    check_rewritten(*archive);
  }
  read_or_refused([&] { return read_torch_file(file, "input"); });
  return 0;
}
