// corpus.h -- what a run learns from and is measured by, as its recipe says: a tokenizer, pairs as ids, and texts to
// compare translations with.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/batch_loader.h"
#include "data/prepare.h"
#include "models/transformer_config.h"
#include "text/tokenizer.h"
#include "train/recipe.h"

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

struct CorpusOptions {
  fs::path cache = {};      // a folder for what is costly to make; empty: everything in memory
  bool resume = false;      // standard input was kept in `cache` by an earlier start, and is not read again
  fs::path tokenizer = {};  // a tokenizer.json, or a folder with one, instead of what the recipe says
  std::function<void(std::string_view)> note = [](std::string_view) {};  // a line for people
};

// Reads, filters and encodes everything, so that what is wrong with the data shows before training begins.
Corpus read_corpus(const Recipe& recipe, const CorpusOptions& options);

// The model that a recipe describes for a vocabulary. Error(tokenizer) if that has no token to end sentences or to pad.
TransformerConfig model_config(const Recipe& recipe, const Tokenizer& tokenizer);

BatchOptions batch_options(const Recipe& recipe);
SentenceEnds sentence_ends(const TransformerConfig& config);

}  // namespace glossa
