#include "data/prepare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "data/text_chunk.h"

namespace glossa {
namespace {

// Text that is encoded at a time: enough that threads are busy, little enough to stay in the cache of the
// processor.
constexpr std::size_t kChunkBytes = 1u << 20;
constexpr std::size_t kChunkPairs = 8192;
constexpr std::int64_t kPairsPerTask = 64;

constexpr std::array kCounts{
    Count<DataReport>{"read", &DataReport::read},
    Count<DataReport>{"kept", &DataReport::kept},
    Count<DataReport>{"empty", &DataReport::empty},
    Count<DataReport>{"long_line", &DataReport::long_line},
    Count<DataReport>{"too_short", &DataReport::too_short},
    Count<DataReport>{"too_long", &DataReport::too_long},
    Count<DataReport>{"ratio", &DataReport::ratio},
    Count<DataReport>{"identical", &DataReport::identical},
    Count<DataReport>{"source_tokens", &DataReport::source_tokens},
    Count<DataReport>{"target_tokens", &DataReport::target_tokens},
    Count<DataReport>{"unknown_tokens", &DataReport::unknown_tokens},
    Count<DataReport>{"repaired_lines", &DataReport::repaired_lines},
    Count<DataReport>{"nul_bytes", &DataReport::nul_bytes},
    Count<DataReport>{"byte_order_marks", &DataReport::byte_order_marks},
    Count<DataReport>{"text_bytes", &DataReport::text_bytes},
};

std::string key_of(const Preparation& how) {
  if (how.identity.empty()) return "";
  return sha256(as_bytes(fmt::format("{}\n{} {} {} {} {} {} {}", how.identity, how.vocabulary, how.unknown,
                                     how.filter.min_length, how.filter.max_length,
                                     how.filter.max_length_ratio, how.filter.strict, how.keep_text)));
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\f\v") == std::string_view::npos;
}

// A pair, and what it is encoded to.
struct Entry {
  std::size_t begin, middle, end;  // source and target in the text
  std::uint64_t line;
  bool too_long;
  std::vector<std::int32_t> source, target;
};
using Chunk = TextChunk<Entry>;

std::string_view source_of(const Chunk& chunk, const Entry& e) {
  return chunk.part(e.begin, e.middle);
}
std::string_view target_of(const Chunk& chunk, const Entry& e) {
  return chunk.part(e.middle, e.end);
}

void fill(const PairStream& pairs, Chunk& chunk) {
  Pair pair;
  while (chunk.text.size() < kChunkBytes && chunk.size() < kChunkPairs && pairs(pair)) {
    Entry& e = chunk.add();
    e.begin = chunk.text.size();
    chunk.text += pair.source;
    e.middle = chunk.text.size();
    chunk.text += pair.target;
    e.end = chunk.text.size();
    e.line = pair.line, e.too_long = pair.too_long;
  }
}

void encode_all(const Encode& encode, Chunk& chunk) {
  const std::span<Entry> entries = chunk.entries();
  parallel_for(static_cast<std::int64_t>(entries.size()), kPairsPerTask,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   Entry& e = entries[static_cast<std::size_t>(i)];
                   e.source.clear(), e.target.clear();
                   const std::string_view source = source_of(chunk, e), target = target_of(chunk, e);
                   if (e.too_long || blank(source) || blank(target)) continue;
                   encode(source, e.source);
                   encode(target, e.target);
                 }
               });
}

struct Reason {
  std::uint64_t DataReport::*count = nullptr;  // null: none
  std::string text;
};

Reason reason_to_skip(const Entry& e, const PairFilter& filter) {
  const auto source = static_cast<std::int64_t>(e.source.size()),
             target = static_cast<std::int64_t>(e.target.size());
  const std::int64_t less = std::min(source, target), more = std::max(source, target);
  if (e.too_long) return {&DataReport::long_line, "has more bytes than a line may have"};
  if (less == 0) return {&DataReport::empty, "has an empty side"};
  if (less < filter.min_length)
    return {&DataReport::too_short,
            fmt::format("has {} tokens on a side, and data.min_length is {}", less, filter.min_length)};
  if (more > filter.max_length)
    return {&DataReport::too_long,
            fmt::format("has {} tokens on a side, and data.max_length is {}", more, filter.max_length)};
  const double ratio = static_cast<double>(more) / static_cast<double>(less);
  if (filter.max_length_ratio > 0 && ratio > filter.max_length_ratio)
    return {&DataReport::ratio, fmt::format("has sides of {} and {} tokens, and data.max_length_ratio is {}",
                                            source, target, filter.max_length_ratio)};
  return {};
}

void count_tokens(const Preparation& how, const Chunk& chunk, const Entry& e, DataReport& report) {
  report.source_tokens += e.source.size(), report.target_tokens += e.target.size();
  report.identical += source_of(chunk, e) == target_of(chunk, e);
  if (how.unknown < 0) return;
  const auto unknown = [&](const std::vector<std::int32_t>& ids) {
    return static_cast<std::uint64_t>(std::count(ids.begin(), ids.end(), how.unknown));
  };
  const std::uint64_t in_source = unknown(e.source), in_target = unknown(e.target);
  report.unknown_tokens += in_source + in_target;
  if (in_source + in_target > 0 && report.unknown_example.empty())
    report.unknown_example = in_source > 0 ? source_of(chunk, e) : target_of(chunk, e);
}

// Counts the pairs of an encoded chunk, and writes those that qualify.
void write_chunk(const Preparation& how, Chunk& chunk, DataReport& report, PairWriter& writer) {
  for (const Entry& e : chunk.entries()) {
    ++report.read;
    if (const Reason reason = reason_to_skip(e, how.filter); reason.count) {
      check(!how.filter.strict, Code::text_data,
            "{}: line {}: the pair {}; without data.strict it would be skipped", how.name, e.line,
            reason.text);
      ++(report.*reason.count);
      continue;
    }
    ++report.kept;
    count_tokens(how, chunk, e, report);
    writer.add({e.source, e.target, source_of(chunk, e), target_of(chunk, e), e.line});
  }
}

DataReport write_pairs(const Preparation& how, const PairWriter::Write& write, const std::string& key) {
  DataReport report;
  PairWriter writer(write, how.vocabulary, how.keep_text);
  for_each_chunk<Entry>([&](Chunk& chunk) { fill(how.pairs, chunk); },
                        [&](Chunk& chunk) {
                          encode_all(how.encode, chunk);
                          write_chunk(how, chunk, report, writer);
                        });
  if (how.notes) static_cast<CorpusNotes&>(report) = how.notes();
  check(report.kept > 0, Code::empty, "{}: no pairs to use: {}", how.name, report.summary());
  writer.finish(describe(kCounts, report, key));
  return report;
}

}  // namespace

PreparedPairs prepare_pairs(const Preparation& how) {
  const std::string key = key_of(how);
  return CacheUse<PairDataset, DataReport, kCounts.size()>{
      .file = how.cache,
      .key = key,
      .changed = "the data, the tokenizer or the filters have changed",
      .counts = kCounts,
      .build = [&](const PairWriter::Write& write) { return write_pairs(how, write, key); }}();
}

PreparedPairs prepare_pairs(const CorpusFiles& files, const TextOptions& options,
                            const std::string& tokenizer_hash, Preparation how) {
  const SourceFiles sources(files.paths(), files.names());
  TextOptions reading = options;
  reading.pass_over_long_lines = !how.filter.strict;
  // Opened when the first pair is asked for: a cache that serves needs no reading.
  std::unique_ptr<PairReader> reader;
  how.name = files.names();
  how.pairs = [&](Pair& pair) {
    if (!reader) reader = std::make_unique<PairReader>(files, reading);
    return reader->next(pair);
  };
  how.notes = [&] {
    sources.check_unchanged();
    return reader->notes();
  };
  if (!sources.identity().empty())
    how.identity =
        fmt::format("{}{} {} {}\n{}\n{}\n{}\n{}\n{}", sources.identity(), static_cast<int>(files.format),
                    static_cast<int>(options.invalid_utf8), options.limits.line_bytes, tokenizer_hash,
                    files.source_column, files.target_column, files.source_lang, files.target_lang);
  return sources.reading([&] { return prepare_pairs(how); });
}

namespace {

constexpr std::size_t kBins = 4096;
using Histogram = std::array<double, kBins>;
struct Sides {
  Histogram source{}, target{};
};

// How often each token occurs in the first pairs.
std::unique_ptr<Sides> token_counts(const PairDataset& data) {
  constexpr std::uint64_t kPairs = 20'000;
  auto sides = std::make_unique<Sides>();
  std::vector<std::int32_t> ids;
  const auto count = [&](std::uint32_t length, Histogram& histogram) {
    for (std::uint32_t t = 0; t < length; ++t) ++histogram[static_cast<std::uint32_t>(ids[t]) % kBins];
  };
  for (std::uint64_t i = 0; i < std::min(data.size(), kPairs); ++i) {
    const PairLengths lengths = data.lengths(i);
    ids.resize(std::max(lengths.source, lengths.target));
    data.copy_source(i, ids.data());
    count(lengths.source, sides->source);
    data.copy_target(i, ids.data());
    count(lengths.target, sides->target);
  }
  return sides;
}

// The cosine of the angle between two histograms.
double likeness(const Histogram& a, const Histogram& b) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < kBins; ++i) dot += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return dot / std::sqrt(std::max(aa * bb, 1e-300));
}

}  // namespace

bool sides_look_swapped(const PairDataset& train, const PairDataset& held_out) {
  const auto a = token_counts(train), b = token_counts(held_out);
  const double straight = likeness(a->source, b->source) + likeness(a->target, b->target);
  const double crossed = likeness(a->source, b->target) + likeness(a->target, b->source);
  return crossed > straight + 0.2;
}

std::string DataReport::summary() const {
  std::string out = fmt::format("{} pairs read, {} kept", read, kept);
  const auto tell = [&](std::uint64_t count, const char* what) {
    if (count > 0) out += fmt::format(", {} {}", count, what);
  };
  tell(empty, "with an empty side");
  tell(long_line, "with too many bytes");
  tell(too_short, "too short");
  tell(too_long, "too long");
  tell(ratio, "of unlike lengths");
  return out;
}

std::vector<std::string> DataReport::warnings() const {
  std::vector<std::string> out;
  const auto percent = [](std::uint64_t part, std::uint64_t whole) {
    return 100 * static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(whole, 1));
  };
  if (const double p = percent(skipped(), read); p > 20)
    out.push_back(fmt::format("{:.1f} % of the pairs are skipped", p));
  if (const double p = percent(identical, kept); p > 5)
    out.push_back(fmt::format("in {} pairs ({:.1f} %) source and target are the same text", identical, p));
  if (overlap > 0) out.push_back(fmt::format("{} pairs are also in the training data", overlap));
  const std::vector<std::string> of_text = warnings_of(source_tokens + target_tokens);
  out.insert(out.end(), of_text.begin(), of_text.end());
  return out;
}

}  // namespace glossa
