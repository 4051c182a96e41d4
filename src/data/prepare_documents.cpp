#include "data/prepare_documents.h"

#include <algorithm>
#include <array>
#include <future>
#include <memory>
#include <unordered_set>

#include "base/error.h"
#include "base/parallel.h"

namespace glossa {
namespace {

// Text that is encoded at a time: a part for each thread at least, if they are long.
constexpr std::size_t kChunkBytes = 1u << 20, kMostChunkBytes = 16u << 20;

constexpr std::array kCounts{
    Count<TextReport>{"documents", &TextReport::documents},
    Count<TextReport>{"tokens", &TextReport::tokens},
    Count<TextReport>{"bytes", &TextReport::bytes},
    Count<TextReport>{"blank", &TextReport::blank},
    Count<TextReport>{"unknown_tokens", &TextReport::unknown_tokens},
    Count<TextReport>{"repaired_lines", &TextReport::repaired_lines},
    Count<TextReport>{"nul_bytes", &TextReport::nul_bytes},
    Count<TextReport>{"byte_order_marks", &TextReport::byte_order_marks},
};

// Documents side by side, and what they are encoded to.
class Chunk {
 public:
  struct Entry {
    std::size_t begin, end;  // in the text
    bool first, last;
    std::vector<std::int32_t> ids;
  };
  // Takes parts until the chunk is full; false when there was none.
  bool fill(DocumentReader& reader) {
    text_.clear();
    count_ = 0;
    DocumentPart part;
    const auto threads = static_cast<std::size_t>(thread_count());
    while ((text_.size() < kChunkBytes || (count_ < threads && text_.size() < kMostChunkBytes)) &&
           reader.next(part)) {
      if (count_ == entries_.size()) entries_.emplace_back();
      Entry& e = entries_[count_++];
      e.begin = text_.size();
      text_ += part.text;
      e.end = text_.size(), e.first = part.first, e.last = part.last;
    }
    return count_ > 0;
  }
  void encode(const Encode& encode) {
    parallel_tasks(static_cast<std::int64_t>(count_), [&](std::int64_t i) {
      Entry& e = entries_[static_cast<std::size_t>(i)];
      e.ids.clear();
      encode(text(e), e.ids);
    });
  }
  std::span<const Entry> entries() const { return {entries_.data(), count_}; }
  std::string_view text(const Entry& e) const {
    return std::string_view(text_).substr(e.begin, e.end - e.begin);
  }

 private:
  std::string text_;
  std::vector<Entry>
      entries_;  // only the first count_ belong to this chunk; the others keep their memory for the next
  std::size_t count_ = 0;
};

void write_chunk(const DocumentPreparation& how, const Chunk& chunk, TextReport& report,
                 TokenWriter& writer) {
  constexpr std::size_t kExampleBytes = 120;
  for (const Chunk::Entry& e : chunk.entries()) {
    if (e.first) {
      writer.begin_document();
      if (how.begin >= 0) writer.add(std::span(&how.begin, 1), "");
    }
    writer.add(e.ids, chunk.text(e));
    if (how.unknown < 0) continue;
    const auto unknown = static_cast<std::uint64_t>(std::count(e.ids.begin(), e.ids.end(), how.unknown));
    report.unknown_tokens += unknown;
    if (unknown > 0 && report.unknown_example.empty())
      report.unknown_example = chunk.text(e).substr(0, kExampleBytes);
  }
}

TextReport write_tokens(const DocumentPreparation& how, const TokenWriter::Write& write,
                        const std::string& key) {
  DocumentReader reader(how.files, how.text);
  TextReport report;
  TokenWriter writer(write, how.vocabulary);
  Chunk chunk, following;
  for (bool some = chunk.fill(reader); some;) {
    std::future<bool> reading = std::async(std::launch::async, [&] { return following.fill(reader); });
    chunk.encode(how.encode);
    write_chunk(how, chunk, report, writer);
    some = reading.get();
    std::swap(chunk, following);
  }
  const CorpusNotes notes = reader.notes();
  report.documents = writer.documents(), report.tokens = writer.tokens();
  report.bytes = reader.counts().bytes, report.blank = reader.counts().blank;
  report.repaired_lines = notes.repaired_lines, report.nul_bytes = notes.nul_bytes;
  report.byte_order_marks = notes.byte_order_marks;
  check(report.documents > 0, Code::empty, "{}: no training text: 0 documents in {} files", how.files.names(),
        how.files.paths.size());
  writer.finish(describe(kCounts, report, key));
  return report;
}

// Everything that the tokens depend on; empty if it cannot be known.
std::string key_of(const DocumentPreparation& how, const std::string& identity) {
  if (identity.empty()) return "";
  return sha256(as_bytes(
      fmt::format("{}{} {} {} {} {} {} {} {} {}\n{}\n{}", identity, static_cast<int>(how.files.format),
                  static_cast<int>(how.files.documents), how.files.begin, how.files.end,
                  static_cast<int>(how.text.invalid_utf8), how.text.limits.line_bytes, how.vocabulary,
                  how.unknown, how.begin, how.files.text_column, how.tokenizer_hash)));
}

}  // namespace

PreparedTokens prepare_documents(const DocumentPreparation& how) {
  const std::string before = identity_of(how.files.paths), key = key_of(how, before);
  const auto check_unchanged = [&] {
    check(identity_of(how.files.paths) == before, Code::changed, "{}: changed while it was being read",
          how.files.names());
  };
  try {
    return CacheUse<TokenDataset, TextReport, kCounts.size()>{
        .file = how.cache,
        .key = key,
        .changed = "the data, the tokenizer or how documents are read have changed",
        .counts = kCounts,
        .build = [&](const TokenWriter::Write& write) {
          TextReport report = write_tokens(how, write, key);
          check_unchanged();
          return report;
        }}();
  } catch (const Error&) {
    check_unchanged();  // what else is wrong with a file that is being written does not matter
    throw;
  }
}

std::uint64_t count_overlap(const TokenDataset& train, const TokenDataset& held_out) {
  std::unordered_multiset<std::uint64_t> wanted;
  for (std::uint64_t d = 0; d < held_out.documents(); ++d) wanted.insert(held_out.hash(d));
  std::uint64_t found = 0;
  for (std::uint64_t d = 0; d < train.documents() && !wanted.empty(); ++d)
    found += wanted.erase(train.hash(d));
  return found;
}

std::string TextReport::summary() const {
  return fmt::format("{} document{}, {} bytes, {} tokens{}", documents, documents == 1 ? "" : "s", bytes,
                     tokens, blank > 0 ? fmt::format("; {} of white space passed over", blank) : "");
}

std::vector<std::string> TextReport::warnings() const {
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
