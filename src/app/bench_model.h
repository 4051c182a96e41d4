// bench_model.h -- the speed of a language model from a file: reading a prompt, writing one text, writing many.
#pragma once
#include <cstdint>

#include "app/causal.h"

namespace glossa::app {

struct ModelBench {
  ModelOptions files;
  CacheTypes cache;
  std::int64_t prompt = 512, generate = 64, batch = 32;
  int runs = 5;
  bool json = false;
};

// Medians over the runs. Prompts are random tokens; no text ends before its last token.
void bench_model(const ModelBench& options);

}  // namespace glossa::app
