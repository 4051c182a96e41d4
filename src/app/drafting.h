// drafting.h -- the options of commands that write text, on guesses ahead.
#pragma once
#include <memory>
#include <string>

#include "app/causal.h"

namespace glossa::app {

struct DraftOptions {
  bool lookup = false;
  std::string model = {};  // "": none
  double least_probability = 0.75;
};
void add_draft_options(CLI::App& command, DraftOptions& options, EngineOptions& engine);

// What guesses as the options say; null if nothing does. `tokenizer`: of the model that draft
// models must share their tokens with.
std::unique_ptr<Drafter> make_drafter(const DraftOptions& options, const Tokenizer& tokenizer, std::int64_t sequences);

EngineOptions with_drafter(EngineOptions engine, Drafter* drafter);

// "; 40 of 52 guesses were right", or nothing if there were none.
std::string guesses_said(const Engine::Counts& counts);

}  // namespace glossa::app
