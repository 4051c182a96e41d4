#include "nn/layers.h"

namespace glossa {

Linear Linear::stacked(const Scope& s, std::initializer_list<std::string_view> names, std::int64_t in, std::int64_t out) {
  std::vector<std::string> weights, biases;
  for (std::string_view name : names) {
    weights.push_back(std::string(name) + ".weight");
    biases.push_back(std::string(name) + ".bias");
  }
  return {s.stacked(weights, {out, in}), s.stacked(biases, {out}, {Init::zeros})};
}

}  // namespace glossa
