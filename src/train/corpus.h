// corpus.h -- what a run learns from and is measured by, as its recipe says: a tokenizer, pairs as ids, and
// texts to compare translations with.
#pragma once
#include <string>
#include <vector>

#include "data/batch_loader.h"
#include "data/prepare.h"
#include "models/transformer_config.h"
#include "text/train_tokenizer.h"
#include "train/recipe.h"
#include "train/task.h"

namespace glossa {

struct TextPairs {
  std::vector<std::string> source, target;
  bool empty() const { return source.empty(); }
};

struct Corpus {
  Tokenizer tokenizer;
  PreparedPairs train;
  PreparedPairs valid;    // no pairs if the recipe names no validation data
  TextPairs valid_texts;  // of the pairs in `valid`, in their order
  TextPairs test;         // all lines; empty if the recipe names no test data

  bool has_valid() const { return valid.data.size() > 0; }
  // Of the training pairs, in their order: a resumed run must see the same.
  std::string digest() const;
};

// Reads, filters and encodes everything, so that what is wrong with the data shows before training begins.
Corpus read_corpus(const Recipe& recipe, const TaskOptions& options);

// The model that a recipe describes for a vocabulary. Error(tokenizer) if that has no token to end sentences
// or to pad.
TransformerConfig model_config(const Recipe& recipe, const Tokenizer& tokenizer);

// What data and tokenizer sections say of reading and of learning a vocabulary, for all tasks.
TextOptions text_options(const DataRecipe& recipe);
TokenizerTraining tokenizer_training(const TokenizerRecipe& recipe);

// If `path` is standard input, keeps that as a file in the cache, and puts the file in its place: the
// tokenizer, the encoder and a resumed run all read the training data, and a pipe can be read once only.
void keep_pipe(fs::path& path, const TaskOptions& options);

BatchOptions batch_options(const Recipe& recipe);
SentenceEnds sentence_ends(const TransformerConfig& config);

}  // namespace glossa
