// presets.h -- the models and batches that benchmarks run on, with random weights: no data needed.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "models/transformer.h"
#include "nn/causal.h"

namespace glossa::app {

struct Preset {
  std::string name;
  TransformerConfig config;
  std::int32_t sentences, length;  // of a training batch: so many pairs of so many tokens a side
};

// A language model, and a batch of so many sequences of so many tokens.
struct CausalPreset {
  std::string name;
  Json config;
  std::int32_t sequences, length;
};

// encdec-base: 6+6 layers of 512; encdec-small: 3+3 layers of 256; both with a vocabulary of 10,000. encdec-tiny: 2+2
// layers of 64 with a vocabulary of 1,000, to try the commands out.
const std::vector<std::string>& preset_names();
Preset preset(const std::string& name);

// gpt2-124m: GPT-2's smallest, 12 layers of 768 with its vocabulary, 4 sequences of 256; gpt-small: 6 layers of 384 with a
// vocabulary of 8,000, 16 sequences of 256. Both without dropout.
const std::vector<std::string>& causal_preset_names();
CausalPreset causal_preset(const std::string& name);

// Pairs of random tokens, and sequences of such.
Seq2SeqBatch random_batch(const Preset& preset, std::uint64_t seed);
CausalBatch random_batch(const CausalPreset& preset, std::uint64_t seed);

// Floating-point operations of matrix products and attention in translating the preset's sentences to translations of
// the same length.
double translate_flops(const Preset& preset, std::int64_t beams);

}  // namespace glossa::app
