// llama2c_tokenizer.h -- the vocabularies of llama2.c as tokenizers, and the other way round.
#pragma once
#include "checkpoint/llama2c.h"
#include "text/make_gguf_vocabulary.h"

namespace glossa {

// Where the tokenizer of a model in that file lies: NAME.tokenizer.bin beside NAME.bin.
fs::path llama2c_tokenizer_of(const fs::path& model);
// SentencePiece's BPE with <unk>, <s> and </s> as 0, 1 and 2, and bytes from 3 on where the file has them.
Tokenizer load_llama2c_tokenizer(const fs::path& path, const Limits& limits = {});
// Error(tokenizer) for one that is not of this kind.
Llama2cTokenizer make_llama2c_tokenizer(const MadeGgufVocabulary& vocabulary, const std::string& origin);

}  // namespace glossa
