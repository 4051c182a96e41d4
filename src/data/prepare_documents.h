// prepare_documents.h -- from documents as text to one run of token ids: encode in parallel, put the token of
// beginnings before each, count, and keep the result in a cache file that is built anew when anything it
// depends on has changed.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/document_reader.h"
#include "data/prepare.h"
#include "data/token_dataset.h"

namespace glossa {

struct TextReport : EncodingReport {
  std::uint64_t documents = 0, tokens = 0, bytes = 0;  // tokens with those that begin documents
  std::uint64_t blank = 0;                             // documents of white space, passed over

  std::vector<std::string> warnings() const { return warnings_of(tokens); }
  std::string summary() const;
};

struct DocumentPreparation {
  DocumentFiles files = {};
  TextOptions text = {};
  Encode encode = {};
  std::uint64_t vocabulary = 0;  // ids are less than this
  std::int32_t unknown = -1;     // the id of unknown pieces, to count them; -1: there is none
  std::int32_t begin = -1;       // put before each document; -1: nothing
  std::string tokenizer_hash = {};
  fs::path cache = {};  // empty: in memory
};

using PreparedTokens = Prepared<TokenDataset, TextReport>;

// Error(empty) if there is no document; Error(changed) if a file changes meanwhile. Memory is bounded when
// there is a cache file, but for 16 bytes a document.
PreparedTokens prepare_documents(const DocumentPreparation& how);

// Bytes of the text of all documents, which are read to their ends, so that what is wrong with them shows.
// Error(empty) if there is none. With a file `noted`, what was found is kept there, and serves until the
// files or how they are read have changed.
std::uint64_t text_bytes(const DocumentFiles& files, const TextOptions& text, const fs::path& noted = {});

// How many documents of `held_out` are also in `train`, by a 64-bit hash of their texts.
inline std::uint64_t count_overlap(const TokenDataset& train, const TokenDataset& held_out) {
  return count_overlap(train, held_out, &TokenDataset::documents);
}

}  // namespace glossa
