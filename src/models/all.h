// all.h -- the decoder-only architectures by name.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/causal.h"
#include "nn/parameter.h"

namespace glossa {

// Whether model_type of a config.json names a decoder-only model that this program has.
bool is_causal(const std::string& model_type);
// Error(config) for one that it does not have, or a configuration that contradicts itself; Error(weights) as
// ParameterList::check_complete.
std::unique_ptr<CausalModel> make_causal_model(const Json& config, const std::string& origin, ParameterList& parameters,
                                               std::vector<std::string>* notes = nullptr);

}  // namespace glossa
