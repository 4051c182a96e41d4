// gguf_tokenizer.h -- the vocabulary inside a GGUF file as a tokenizer.
#pragma once
#include "checkpoint/gguf_file.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace glossa {

// What the metadata say under tokenizer.ggml.*, as views into them.
GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata);
// Error(tokenizer) for kinds that are not supported, by name.
Tokenizer gguf_tokenizer(const GgufFile& file);

}  // namespace glossa
