// rotary.h -- the angles of rotary positions: "RoFormer" (Su et al., 2021), and the ways of stretching them over longer
// contexts than a model was trained on.
#pragma once
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/json.h"

namespace glossa {

struct RotaryConfig {
  // linear   positions are divided by `factor` (Chen et al., 2023)
  // dynamic  the base grows with the sequence beyond `original` positions (NTK-aware)
  // llama3   low frequencies are divided by `factor`, high ones kept, those between interpolated (Llama Team, 2024)
  // yarn     the same by a ramp over dimensions, and scores sharpened (Peng et al., 2023)
  // longrope each frequency has a factor of its own, from one list or another by the length (Ding et al., 2024)
  enum class Scaling : std::uint8_t { none, linear, dynamic, llama3, yarn, longrope } scaling = Scaling::none;
  std::int64_t dim = 0;  // how many elements of each head turn; even
  double theta = 10000;
  double factor = 1;
  double original = 0;  // positions the model was first trained on
  double low_freq_factor = 1, high_freq_factor = 4;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;  // yarn: whole numbers of dimensions
  double attention_factor = 1;  // cosines and sines are multiplied by it
  std::vector<double> short_factor, long_factor;  // [dim / 2]

  // Reads `rope_theta` and `rope_scaling` of a config.json, or `rope_parameters` as newer ones have it (`layers`: the part
  // of it for one type of layers, where it is divided so). Error(config) for what is unknown.
  static RotaryConfig from_json(const Json& config, const std::string& origin, std::int64_t head_dim, double theta,
                                const std::string& layers = "");
  OrderedJson to_json() const;  // rope_parameters
};

class Rotary {
 public:
  explicit Rotary(RotaryConfig config);
  // [tokens, dim]: cosines, then sines, of token t at positions[t] of a sequence of lengths[t] so far; see `rotary` in ops.h.
  Tensor angles(const Tensor& positions, const Tensor& lengths, DType dtype, Device device) const;

 private:
  std::vector<float> frequencies(double length) const;

  RotaryConfig config_;
  std::vector<float> usual_;  // frequencies of sequences that fit into `original`
};

}  // namespace glossa
