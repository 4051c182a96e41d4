// prepare.h -- from sentence pairs as text to a dataset of token ids: encode in parallel, leave out what does
// not qualify, count why, and keep the result in a cache file that is built anew when anything it depends on
// has changed.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/pair_dataset.h"
#include "data/pair_reader.h"
#include "data/prepared.h"

namespace glossa {

// Appends the ids of a sentence, without the tokens that begin or end it. Called from several threads at
// once.
using Encode = std::function<void(std::string_view text, std::vector<std::int32_t>& ids)>;

struct PairFilter {
  std::int64_t min_length = 1, max_length = 256;  // of each side, in tokens, begin and end not counted
  double max_length_ratio = 0;                    // the longer side over the shorter; 0: no limit
  // Refuse the first pair that does not qualify: Error(text_data) with its line and reason.
  bool strict = false;
};

// What was read, and why pairs were left out: each counts under the first reason that applies. All counts are
// of pairs unless they say otherwise.
struct DataReport : EncodingReport {
  std::uint64_t read = 0, kept = 0;
  std::uint64_t empty = 0;      // a side without text, or of spaces only
  std::uint64_t long_line = 0;  // more bytes than a line may have
  std::uint64_t too_short = 0, too_long = 0, ratio = 0;
  std::uint64_t identical = 0;                         // kept though both sides are the same text
  std::uint64_t source_tokens = 0, target_tokens = 0;  // of pairs kept
  std::uint64_t overlap = 0;                           // pairs of the training data; see count_overlap

  std::uint64_t skipped() const { return read - kept; }
  // What a user should look at, one sentence each; empty when all is well.
  std::vector<std::string> warnings() const;
  std::string summary() const;  // one line: read, kept, skipped by reason
};

struct Preparation {
  std::string name = {};  // of the data, for messages
  PairStream pairs = {};
  std::function<CorpusNotes()> notes = {};  // asked for when the pairs have ended
  Encode encode = {};
  std::uint64_t vocabulary = 0;  // ids are less than this
  std::int32_t unknown = -1;     // the id of unknown pieces, to count them; -1: there is none
  PairFilter filter = {};
  bool keep_text = false;  // for encodings that change from epoch to epoch (BPE-dropout)
  fs::path cache = {};     // empty: in memory
  // Everything the result depends on besides what is above: the files' identity_of and the tokenizer's hash.
  // Empty: the cache is written but never taken from an earlier run.
  std::string identity = {};
};

using PreparedPairs = Prepared<PairDataset, DataReport>;

// Error(empty) if no pair is left. Reads everything before it returns, so that faults show before training
// begins; memory is bounded when there is a cache file.
PreparedPairs prepare_pairs(const Preparation& how);
// From files: reads them, checks that they did not change meanwhile (Error(changed)), fills in name, pairs,
// notes and identity (to which `tokenizer_hash` and the text options belong).
PreparedPairs prepare_pairs(const CorpusFiles& files, const TextOptions& options,
                            const std::string& tokenizer_hash, Preparation how);

// How many pairs of `held_out` are also in `train`, by a 64-bit hash of both texts.
inline std::uint64_t count_overlap(const PairDataset& train, const PairDataset& held_out) {
  return count_overlap(train, held_out, &PairDataset::size);
}
// Whether the source of `held_out` looks like the target of `train` and the other way round, by how often
// each token occurs in the first pairs of both.
bool sides_look_swapped(const PairDataset& train, const PairDataset& held_out);

}  // namespace glossa
