// presets.h -- the models and batches that benchmarks run on, with random weights: no data needed.
#pragma once
#include <string>
#include <vector>

#include "models/transformer.h"

namespace glossa::app {

struct Preset {
  std::string name;
  TransformerConfig config;
  std::int32_t sentences, length;  // of a training batch: so many pairs of so many tokens a side
};

// encdec-base: 6+6 layers of 512; encdec-small: 3+3 layers of 256; both with a vocabulary of 10,000. encdec-tiny: 2+2
// layers of 64 with a vocabulary of 1,000, to try the commands out.
const std::vector<std::string>& preset_names();
Preset preset(const std::string& name);

// Pairs of random tokens.
Seq2SeqBatch random_batch(const Preset& preset, std::uint64_t seed);

// Floating-point operations of matrix products and attention in translating the preset's sentences to translations of
// the same length.
double translate_flops(const Preset& preset, std::int64_t beams);

}  // namespace glossa::app
