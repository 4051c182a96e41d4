// batches.h -- small batches of sentence pairs, and models made for tests.
#pragma once
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/transformer.h"

namespace glossa::test {

constexpr Device kCpu{Device::cpu}, kReference{Device::reference};

using Ids = std::vector<std::int32_t>;

inline Tokens tokens(const std::vector<Ids>& sentences, Device device) {
  Ids flat;
  std::vector<std::int32_t> lengths;
  for (const Ids& s : sentences) {
    flat.insert(flat.end(), s.begin(), s.end());
    lengths.push_back(static_cast<std::int32_t>(s.size()));
  }
  return {Tensor::of(flat, device), Sequences::of_lengths(lengths, device)};
}

inline Ids sentence(std::size_t length, std::uint64_t seed, std::int64_t vocabulary) {
  const Philox random(seed, Purpose::sample);
  Ids ids(length);
  for (std::size_t i = 0; i < length; ++i)
    ids[i] = static_cast<std::int32_t>(random.below(i, static_cast<std::uint64_t>(vocabulary)));
  return ids;
}

// Parameters and the model over them.
struct Model {
  ParameterList parameters;
  Transformer transformer;
  Model(const TransformerConfig& config, ParameterList::Options options)
      : parameters(std::move(options)), transformer(parameters, config) {}
};

inline TransformerConfig small_config(const std::string& type) {
  TransformerConfig c;
  c.model_type = type;
  c.vocab_size = 37;
  c.d_model = 24;
  c.encoder_layers = 2, c.decoder_layers = 3;
  c.encoder_attention_heads = 4, c.decoder_attention_heads = 2;
  c.encoder_ffn_dim = 40, c.decoder_ffn_dim = 28;
  c.activation_function = Unary::gelu;
  c.dropout = 0.2, c.attention_dropout = 0.1, c.activation_dropout = 0.1;
  c.max_position_embeddings = 32;
  return c;
}

inline double at(const Tensor& x, std::int64_t i) {
  return x.dtype() == DType::f64 ? x.data<double>()[i] : x.data<float>()[i];
}

// Largest difference as a share of the largest of `wanted`, or of `floor` if that is larger.
inline double relative_error(const Tensor& found, const Tensor& wanted, double floor = 0) {
  if (found.shape() != wanted.shape()) return INFINITY;
  const Tensor f = found.contiguous(), w = wanted.contiguous();
  double error = 0, largest = floor;
  for (std::int64_t i = 0; i < w.elements(); ++i) {
    const double difference = std::fabs(at(f, i) - at(w, i));
    if (!std::isfinite(difference)) return INFINITY;
    error = std::max(error, difference);
    largest = std::max(largest, std::fabs(at(w, i)));
  }
  return error == 0 ? 0 : error / largest;
}

inline double largest(const Tensor& x) {
  double most = 0;
  for (std::int64_t i = 0; i < x.elements(); ++i) most = std::max(most, std::fabs(at(x, i)));
  return most;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.contiguous(), y = b.contiguous();
  return x.shape() == y.shape() && x.dtype() == y.dtype() &&
         std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
}

}  // namespace glossa::test
