// config_keys.h -- what the readers of config.json share: bounds, names of activations, keys without effect.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "base/json.h"

namespace glossa {

// Nobody's model has more; a configuration that claims more is a fault, not a reason to allocate.
constexpr std::int64_t kMostTokens = 16'000'000, kMostWidth = 1 << 17, kMostLayers = 1024, kMostPositions = 1 << 20;

Unary unary_from_name(const std::string& name, const std::string& origin);
std::string name_of(Unary act);

// Adds a line to `notes` for each key that is neither known nor known to have no effect.
void note_unknown_keys(const Json& json, const std::string& origin, const std::vector<std::string_view>& known,
                       std::vector<std::string>& notes);

}  // namespace glossa
