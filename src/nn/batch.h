// batch.h -- what models are given: ragged runs of tokens, for training and for decoding.
#pragma once
#include "backend/backend.h"

namespace glossa {

// Sequences of tokens laid end to end. There is no padding.
struct Tokens {
  Tensor ids;           // i32 [tokens]
  Sequences sequences;  // where each begins
};

struct LossOptions {
  float label_smoothing = 0;
  double denominator = 0;  // tokens by which the sum is divided; 0: those of the batch
  bool recompute = false;  // keep only the inputs of layers, and run each again in the backward pass
};

// Sentence pairs to learn from.
struct Seq2SeqBatch {
  Tokens source;
  Tokens target;  // decoder inputs: the start token, then the target shifted right
  Tensor labels;  // i32 [target tokens]: the target with its end token
};

// The place of each token within its sequence, counted from `first`: i32 [tokens].
Tensor positions_of(const Sequences& sequences, std::int32_t first = 0);

}  // namespace glossa
