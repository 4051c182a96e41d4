#include "nn/layers.h"

namespace glossa {

Linear Linear::stacked(const Scope& s, const std::vector<std::string>& names, std::int64_t in,
                       const std::vector<std::int64_t>& outs, const LinearOptions& options) {
  std::vector<std::string> weights, biases;
  for (const std::string& name : names) {
    weights.push_back(name + ".weight");
    biases.push_back(name + ".bias");
  }
  return {s.stacked(weights, outs, in, options.init), options.bias ? s.stacked(biases, outs, 0, {Init::zeros}) : Parameter()};
}

}  // namespace glossa
