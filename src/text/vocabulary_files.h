// vocabulary_files.h -- the tokenizer of a directory, whichever files it is in: tokenizer.json, a
// SentencePiece model, vocab.json and merges.txt, or vocab.txt.
#pragma once
#include "base/file.h"
#include "text/parts.h"

namespace glossa {

// A directory, or one of these files (then what else its directory holds is used too, but for a
// tokenizer.json). Error(tokenizer), and of reading.
TokenizerParts read_tokenizer(const fs::path& path, const Limits& limits = {});

// A piece a line; the first is 0.
WordPieceModel parse_vocab_txt(std::string_view text, std::string_view origin, const Limits& limits = {});
// An object of pieces and ids; and two pieces a line, those that merge first first.
BpeModel parse_vocab_json(std::string_view json, std::string_view merges, std::string_view origin,
                          std::string_view merges_origin, const Limits& limits = {});

}  // namespace glossa
