// validation.h -- how good weights are on text that they have not learnt from.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"
#include "evaluate/bleu.h"
#include "generate/generation_config.h"
#include "models/transformer.h"
#include "train/corpus.h"

namespace glossa {

// A source of copies of weights, which may go on changing.
WeightSource copies_of(const NamedTensors& weights);

// A model for inference over copies of the given weights, which may go on changing.
struct InferenceModel {
  InferenceModel(const TransformerConfig& config, const NamedTensors& weights);
  ParameterList parameters;
  Transformer model;
};

struct Validation {
  double loss = 0;  // mean cross entropy of a token in nats, not smoothed
  BleuScore bleu = {};
  double seconds = 0;
  std::int64_t sentences = 0;  // translated
};

struct ValidationOptions {
  GenerationConfig generation = {};
  std::int64_t sentences = 0;  // how many to translate, from the first; 0: all
  BatchOptions batches = {};
  BleuOptions bleu = {};
};

Validation validate(const Transformer& model, const Corpus& corpus, const ValidationOptions& options);

// The best translation of each line; lines longer than the model's positions are cut.
std::vector<std::string> translate_all(const Transformer& model, const Tokenizer& tokenizer, const GenerationConfig& generation,
                                       std::span<const std::string> lines);

// The tokenization that scores of a language are usually given in.
BleuTokenizer bleu_tokenizer_for(const std::string& language);

}  // namespace glossa
