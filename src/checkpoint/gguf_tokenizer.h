// gguf_tokenizer.h -- the vocabulary inside a GGUF file as a tokenizer.
#pragma once
#include "checkpoint/gguf_file.h"
#include "text/tokenizer.h"

namespace glossa {

// Byte-level BPE (tokenizer.ggml.model gpt2) with the ways of cutting words named default, gpt-2, smollm, llama-bpe and
// qwen2. Error(tokenizer) for others, by name.
Tokenizer gguf_tokenizer(const GgufFile& file);

}  // namespace glossa
