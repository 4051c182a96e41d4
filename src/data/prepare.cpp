#include "data/prepare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <future>
#include <memory>
#include <unordered_set>

#include "base/error.h"
#include "base/parallel.h"

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

// One chunk of pairs: their text side by side, and what they are encoded to.
class Chunk {
 public:
  struct Entry {
    std::size_t begin, middle, end;  // source and target in the text
    std::uint64_t line;
    bool too_long;
    std::vector<std::int32_t> source, target;
  };

  // Takes pairs until the chunk is full; false when there was none.
  bool fill(const PairStream& pairs) {
    text_.clear();
    count_ = 0;
    Pair pair;
    while (text_.size() < kChunkBytes && count_ < kChunkPairs && pairs(pair)) {
      if (count_ == entries_.size()) entries_.emplace_back();
      Entry& e = entries_[count_++];
      e.begin = text_.size();
      text_ += pair.source;
      e.middle = text_.size();
      text_ += pair.target;
      e.end = text_.size();
      e.line = pair.line, e.too_long = pair.too_long;
    }
    return count_ > 0;
  }
  void encode(const Encode& encode) {
    parallel_for(static_cast<std::int64_t>(count_), kPairsPerTask, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        Entry& e = entries_[static_cast<std::size_t>(i)];
        e.source.clear(), e.target.clear();
        if (e.too_long || blank(source(e)) || blank(target(e))) continue;
        encode(source(e), e.source);
        encode(target(e), e.target);
      }
    });
  }
  std::span<const Entry> entries() const { return {entries_.data(), count_}; }
  std::string_view source(const Entry& e) const {
    return std::string_view(text_).substr(e.begin, e.middle - e.begin);
  }
  std::string_view target(const Entry& e) const {
    return std::string_view(text_).substr(e.middle, e.end - e.middle);
  }

 private:
  std::string text_;
  std::vector<Entry>
      entries_;  // only the first count_ belong to this chunk; the others keep their memory for the next
  std::size_t count_ = 0;
};

struct Reason {
  std::uint64_t DataReport::*count = nullptr;  // null: none
  std::string text;
};

Reason reason_to_skip(const Chunk::Entry& e, const PairFilter& filter) {
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

void count_tokens(const Preparation& how, const Chunk& chunk, const Chunk::Entry& e, DataReport& report) {
  report.source_tokens += e.source.size(), report.target_tokens += e.target.size();
  report.identical += chunk.source(e) == chunk.target(e);
  if (how.unknown < 0) return;
  const auto unknown = [&](const std::vector<std::int32_t>& ids) {
    return static_cast<std::uint64_t>(std::count(ids.begin(), ids.end(), how.unknown));
  };
  const std::uint64_t in_source = unknown(e.source), in_target = unknown(e.target);
  report.unknown_tokens += in_source + in_target;
  if (in_source + in_target > 0 && report.unknown_example.empty())
    report.unknown_example = in_source > 0 ? chunk.source(e) : chunk.target(e);
}

// Counts the pairs of an encoded chunk, and writes those that qualify.
void write_chunk(const Preparation& how, const Chunk& chunk, DataReport& report, PairWriter& writer) {
  for (const Chunk::Entry& e : chunk.entries()) {
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
    writer.add({e.source, e.target, chunk.source(e), chunk.target(e), e.line});
  }
}

DataReport write_pairs(const Preparation& how, const PairWriter::Write& write, const std::string& key) {
  DataReport report;
  PairWriter writer(write, how.vocabulary, how.keep_text);
  Chunk chunk, following;
  for (bool some = chunk.fill(how.pairs); some;) {
    // Inflating takes as long as encoding: the next chunk is read while this one is encoded.
    std::future<bool> reading = std::async(std::launch::async, [&] { return following.fill(how.pairs); });
    chunk.encode(how.encode);
    write_chunk(how, chunk, report, writer);
    some = reading.get();
    std::swap(chunk, following);
  }
  if (how.notes) {
    const CorpusNotes notes = how.notes();
    report.repaired_lines = notes.repaired_lines, report.nul_bytes = notes.nul_bytes;
    report.byte_order_marks = notes.byte_order_marks, report.text_bytes = notes.text_bytes;
  }
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
  const std::string before = identity_of(files.paths());
  const auto check_unchanged = [&] {
    check(identity_of(files.paths()) == before, Code::changed, "{}: changed while it was being read", files.names());
  };
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
    check_unchanged();
    return reader->notes();
  };
  if (!before.empty())
    how.identity =
        fmt::format("{}{} {} {}\n{}\n{}\n{}\n{}\n{}", before, static_cast<int>(files.format),
                    static_cast<int>(options.invalid_utf8), options.limits.line_bytes, tokenizer_hash,
                    files.source_column, files.target_column, files.source_lang, files.target_lang);
  try {
    return prepare_pairs(how);
  } catch (const Error&) {
    check_unchanged();  // what else is wrong with a file that is being written does not matter
    throw;
  }
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

std::uint64_t count_overlap(const PairDataset& train, const PairDataset& held_out) {
  std::unordered_multiset<std::uint64_t> wanted;
  for (std::uint64_t i = 0; i < held_out.size(); ++i) wanted.insert(held_out.hash(i));
  std::uint64_t found = 0;
  for (std::uint64_t i = 0; i < train.size() && !wanted.empty(); ++i) found += wanted.erase(train.hash(i));
  return found;
}

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
  if (const double p = percent(unknown_tokens, source_tokens + target_tokens); p > 20)
    out.push_back(fmt::format("{:.1f} % of the tokens are unknown to the vocabulary, as in {}", p,
                              quoted(unknown_example)));
  if (overlap > 0) out.push_back(fmt::format("{} pairs are also in the training data", overlap));
  if (repaired_lines > 0)
    out.push_back(fmt::format("{} lines had bytes that are not UTF-8, now U+FFFD", repaired_lines));
  if (byte_order_marks > 0)
    out.push_back(fmt::format("{} of the files begin with a byte order mark, which is no part of the text", byte_order_marks));
  if (nul_bytes > 0) out.push_back(fmt::format("there are {} NUL bytes, which are kept", nul_bytes));
  return out;
}

}  // namespace glossa
