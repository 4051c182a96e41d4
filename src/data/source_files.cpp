#include "data/source_files.h"

#include <sys/stat.h>

#include <algorithm>

namespace glossa {

std::string identity_of(const std::vector<fs::path>& files) {
  constexpr std::uint64_t kEnd = 1u << 20;
  std::string all;
  for (const fs::path& path : files) {
    if (path == "-") return "";
    const FileHandle file = FileHandle::open_regular(path);
    struct stat status;
    check(fstat(file.descriptor(), &status) == 0, Code::read, "{}: cannot be examined", shown(path));
    const auto size = static_cast<std::uint64_t>(status.st_size);
    std::string ends(std::min(size, 2 * kEnd), '\0');
    const auto bytes = std::as_writable_bytes(std::span(ends));
    const std::uint64_t head = std::min<std::uint64_t>(bytes.size(), size <= 2 * kEnd ? size : kEnd);
    file.read_at(0, bytes.first(head));
    file.read_at(size - (bytes.size() - head), bytes.subspan(head));
    all +=
        fmt::format("{} {}.{:09} {}\n", size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, sha256(bytes));
  }
  return all;
}

void SourceFiles::check_unchanged() const {
  check(identity_of(paths_) == identity_, Code::changed, "{}: changed while it was being read", names_);
}

void CorpusNotes::add(const TextNotes& notes) {
  repaired_lines += notes.repaired, nul_bytes += notes.nul_bytes;
  byte_order_marks += notes.byte_order_mark, text_bytes += notes.bytes;
}

std::vector<std::string> EncodingReport::warnings_of(std::uint64_t tokens) const {
  std::vector<std::string> out;
  const double share =
      100 * static_cast<double>(unknown_tokens) / static_cast<double>(std::max<std::uint64_t>(tokens, 1));
  if (share > 20)
    out.push_back(fmt::format("{:.1f} % of the tokens are unknown to the vocabulary, as in {}", share,
                              quoted(unknown_example)));
  if (repaired_lines > 0)
    out.push_back(fmt::format("{} lines had bytes that are not UTF-8, now U+FFFD", repaired_lines));
  if (byte_order_marks > 0)
    out.push_back(fmt::format("{} of the files begin with a byte order mark, which is no part of the text",
                              byte_order_marks));
  if (nul_bytes > 0) out.push_back(fmt::format("there are {} NUL bytes, which are kept", nul_bytes));
  return out;
}

}  // namespace glossa
