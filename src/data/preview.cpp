#include "data/preview.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count)
    at += std::max<std::size_t>(utf8_length_at(text, at), 1);
  return count;
}

// Two rows: pieces, and under each its id, both as wide as the wider.
std::string rows(const char* title, std::span<const std::int32_t> ids, const PieceOf& piece_of) {
  std::string pieces = fmt::format("  {:<8}", title), numbers(pieces.size(), ' ');
  for (const std::int32_t id : ids) {
    const std::string piece = id == -100 ? "-" : piece_of(id), number = std::to_string(id);
    const std::size_t width = std::max(characters(piece), number.size());
    pieces += ' ' + piece + std::string(width - characters(piece), ' ');
    numbers += ' ' + number + std::string(width - number.size(), ' ');
  }
  const auto without_end = [](const std::string& line) {
    return line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  };
  return without_end(pieces) + without_end(numbers);
}

std::span<const std::int32_t> sentence(const Tensor& ids, const Sequences& sequences, std::size_t i) {
  const auto starts = sequences.starts.span<std::int32_t>();
  return ids.span<std::int32_t>().subspan(static_cast<std::size_t>(starts[i]),
                                          static_cast<std::size_t>(starts[i + 1] - starts[i]));
}

// The share of real tokens, if the sequences were padded to the longest.
double padded_share(const Sequences& s) {
  return static_cast<double>(s.tokens()) / (static_cast<double>(s.longest) * static_cast<double>(s.count));
}

}  // namespace

std::string preview(const Seq2SeqBatch& batch, std::span<const std::uint64_t> pairs, const PairDataset& data,
                    const PieceOf& piece_of, std::size_t sentences) {
  const Sequences &source = batch.source.sequences, &target = batch.target.sequences;
  std::string out = fmt::format(
      "{} pairs; {} source tokens, at most {} in a sentence; {} target tokens, at most {}; no padding "
      "(padded, source and "
      "target would be {:.1f} % and {:.1f} % full)\n",
      pairs.size(), source.tokens(), source.longest, target.tokens(), target.longest,
      100 * padded_share(source), 100 * padded_share(target));
  for (std::size_t i = 0; i < std::min(sentences, pairs.size()); ++i) {
    out += fmt::format("\npair {}, line {}\n", pairs[i], data.line(pairs[i]));
    out += rows("source", sentence(batch.source.ids, source, i), piece_of);
    out += rows("input", sentence(batch.target.ids, target, i), piece_of);
    out += rows("label", sentence(batch.labels, target, i), piece_of);
  }
  return out;
}

std::string preview(const CausalBatch& batch, const PieceOf& piece_of, std::size_t sequences) {
  const Sequences& s = batch.tokens.sequences;
  std::string out =
      fmt::format("{} sequences, {} tokens, at most {} in one; no padding\n", s.count, s.tokens(), s.longest);
  for (std::size_t i = 0; i < std::min(sequences, static_cast<std::size_t>(s.count)); ++i) {
    const std::span<const std::int32_t> ids = sentence(batch.tokens.ids, s, i);
    const std::int32_t last = sentence(batch.labels, s, i).back();
    out += fmt::format("\nsequence {}, {} tokens\n ", i, ids.size());
    for (const std::int32_t id : ids) out += " " + piece_of(id);
    out += fmt::format("\n  then {}\n", last < 0 ? "nothing" : piece_of(last));
  }
  return out;
}

}  // namespace glossa
