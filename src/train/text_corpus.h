// text_corpus.h -- what a language model learns from and is measured by, as its recipe says: a tokenizer, and
// documents as tokens.
#pragma once
#include <optional>

#include "data/block_plan.h"
#include "data/prepare_documents.h"
#include "text/tokenizer.h"
#include "train/task.h"

namespace glossa {

struct TextCorpus {
  Tokenizer tokenizer;
  Token begin = -1, end = -1;  // tokens before and after a document; -1: the tokenizer has none
  PreparedTokens train;
  std::optional<PreparedTokens> valid = {};
};

// Reads and encodes everything, so that what is wrong with the data shows before training begins.
// `tokenizer`: that of the model to go on from; absent: what the recipe says. Error(text_data) for fewer
// tokens than a batch has.
TextCorpus read_text_corpus(const Recipe& recipe, const TaskOptions& options,
                            std::optional<Tokenizer> tokenizer = {});

BlockOptions block_options(const Recipe& recipe, const TextCorpus& corpus);

}  // namespace glossa
