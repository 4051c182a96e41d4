#include "data/prepare_documents.h"

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "data/text_chunk.h"

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

// A part of a document, and what it is encoded to.
struct Entry {
  std::size_t begin, end;  // in the text
  bool first;
  std::vector<std::int32_t> ids;
};
using Chunk = TextChunk<Entry>;

void fill(DocumentReader& reader, Chunk& chunk) {
  DocumentPart part;
  const auto threads = static_cast<std::size_t>(thread_count());
  const auto full = [&] {
    return chunk.text.size() >= (chunk.size() < threads ? kMostChunkBytes : kChunkBytes);
  };
  while (!full() && reader.next(part)) {
    Entry& e = chunk.add();
    e.begin = chunk.text.size();
    chunk.text += part.text;
    e.end = chunk.text.size(), e.first = part.first;
  }
}

void encode_all(const Encode& encode, Chunk& chunk) {
  const std::span<Entry> entries = chunk.entries();
  parallel_tasks(static_cast<std::int64_t>(entries.size()), [&](std::int64_t i) {
    Entry& e = entries[static_cast<std::size_t>(i)];
    e.ids.clear();
    encode(chunk.part(e.begin, e.end), e.ids);
  });
}

void write_chunk(const DocumentPreparation& how, Chunk& chunk, TextReport& report, TokenWriter& writer) {
  constexpr std::size_t kExampleBytes = 120;
  for (const Entry& e : chunk.entries()) {
    const std::string_view text = chunk.part(e.begin, e.end);
    if (e.first) {
      writer.begin_document();
      if (how.begin >= 0) writer.add(std::span(&how.begin, 1), "");
    }
    writer.add(e.ids, text);
    if (how.unknown < 0) continue;
    const auto unknown = static_cast<std::uint64_t>(std::count(e.ids.begin(), e.ids.end(), how.unknown));
    report.unknown_tokens += unknown;
    if (unknown > 0 && report.unknown_example.empty()) report.unknown_example = text.substr(0, kExampleBytes);
  }
}

void check_some(const DocumentFiles& files, const DocumentReader& reader) {
  check(reader.counts().documents > 0, Code::empty, "{}: no text: 0 documents in {} file{}", files.names(),
        files.paths.size(), files.paths.size() == 1 ? "" : "s");
}

TextReport write_tokens(const DocumentPreparation& how, const TokenWriter::Write& write,
                        const std::string& key) {
  DocumentReader reader(how.files, how.text);
  TextReport report;
  TokenWriter writer(write, how.vocabulary);
  for_each_chunk<Entry>([&](Chunk& chunk) { fill(reader, chunk); },
                        [&](Chunk& chunk) {
                          encode_all(how.encode, chunk);
                          write_chunk(how, chunk, report, writer);
                        });
  static_cast<CorpusNotes&>(report) = reader.notes();
  report.documents = writer.documents(), report.tokens = writer.tokens();
  report.bytes = reader.counts().bytes, report.blank = reader.counts().blank;
  check_some(how.files, reader);
  writer.finish(describe(kCounts, report, key));
  return report;
}

// What is read, but for the range; empty if it cannot be known.
std::string key_of(const SourceFiles& sources, const DocumentFiles& files, const TextOptions& text) {
  if (sources.identity().empty()) return "";
  return fmt::format("{}{} {} {} {}\n{}\n", sources.identity(), static_cast<int>(files.format),
                     static_cast<int>(files.documents), static_cast<int>(text.invalid_utf8),
                     text.limits.line_bytes, files.text_column);
}

// Everything that the tokens depend on; empty if it cannot be known.
std::string key_of(const SourceFiles& sources, const DocumentPreparation& how) {
  const std::string text = key_of(sources, how.files, how.text);
  if (text.empty()) return "";
  return sha256(as_bytes(fmt::format("{}{} {} {} {} {}\n{}", text, how.files.begin, how.files.end,
                                     how.vocabulary, how.unknown, how.begin, how.tokenizer_hash)));
}

// What a file says that text_bytes wrote under this key; 0 if it serves nothing.
std::uint64_t noted_bytes(const fs::path& noted, const std::string& key) {
  std::error_code ignored;
  if (key.empty() || !fs::exists(noted, ignored)) return 0;
  try {
    const Json json = read_configuration(noted);
    const JsonView view(json, shown(noted));
    return view.string("key", "") == key ? static_cast<std::uint64_t>(view.integer("bytes", 0, 0, INT64_MAX))
                                         : 0;
  } catch (const Error&) {
    return 0;  // it is written anew
  }
}

}  // namespace

PreparedTokens prepare_documents(const DocumentPreparation& how) {
  const SourceFiles sources(how.files.paths, how.files.names());
  const std::string key = key_of(sources, how);
  return sources.reading([&] {
    return CacheUse<TokenDataset, TextReport, kCounts.size()>{
        .file = how.cache,
        .key = key,
        .changed = "the data, the tokenizer or how documents are read have changed",
        .counts = kCounts,
        .build = [&](const TokenWriter::Write& write) {
          TextReport report = write_tokens(how, write, key);
          sources.check_unchanged();
          return report;
        }}();
  });
}

std::uint64_t text_bytes(const DocumentFiles& files, const TextOptions& text, const fs::path& noted) {
  for (const fs::path& path : files.paths)
    FileHandle::open_regular(path);  // one that is not there shows at once
  const SourceFiles sources(files.paths, files.names());
  std::string key = key_of(sources, files, text);
  if (!key.empty()) key = sha256(as_bytes(key));
  if (const std::uint64_t bytes = noted_bytes(noted, key); bytes > 0) return bytes;
  return sources.reading([&] {
    DocumentReader reader(files, text);
    DocumentPart part;
    while (reader.next(part)) {
    }
    check_some(files, reader);
    sources.check_unchanged();
    if (!noted.empty()) write_file(noted, to_text({{"key", key}, {"bytes", reader.counts().bytes}}));
    return reader.counts().bytes;
  });
}

std::string TextReport::summary() const {
  return fmt::format("{} document{}, {} bytes, {} tokens{}", documents, documents == 1 ? "" : "s", bytes,
                     tokens, blank > 0 ? fmt::format("; {} of white space passed over", blank) : "");
}

}  // namespace glossa
