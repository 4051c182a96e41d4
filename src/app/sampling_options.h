// sampling_options.h -- the options that choose tokens, under llama.cpp's names, for all commands that generate.
#pragma once
#include <CLI/CLI.hpp>

#include "generate/sampling.h"

namespace glossa::app {

// Adds the options to a command; they change `config`, which must outlive it.
void add_sampling_options(CLI::App& command, SamplingConfig& config);

}  // namespace glossa::app
