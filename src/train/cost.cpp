#include "train/cost.h"

#include <algorithm>

namespace glossa {

double update_flops(const TransformerConfig& c, const Seq2SeqBatch& batch) {
  const auto d = static_cast<double>(c.d_model);
  const auto source = static_cast<double>(batch.source.ids.elements()),
             target = static_cast<double>(batch.target.ids.elements());
  const auto layers = [](std::int64_t n) { return static_cast<double>(n); };
  // Multiplications of one forward pass.
  double products =
      layers(c.encoder_layers) * source * (4 * d * d + 2 * d * static_cast<double>(c.encoder_ffn_dim));
  products += layers(c.decoder_layers) *
              (target * (6 * d * d + 2 * d * static_cast<double>(c.decoder_ffn_dim)) + source * 2 * d * d);
  products += target * d * static_cast<double>(c.target_vocab_size());
  const auto s = batch.source.sequences.starts.span<std::int32_t>(),
             t = batch.target.sequences.starts.span<std::int32_t>();
  for (std::int32_t i = 0; i < batch.source.sequences.count; ++i) {
    const double n = s[i + 1] - s[i], m = t[i + 1] - t[i];
    products += 2 * d * (layers(c.encoder_layers) * n * n + layers(c.decoder_layers) * (m * m / 2 + m * n));
  }
  return 2 * 3 * products;  // a multiplication and an addition; the backward pass costs twice the forward
}

// By the inputs that the gradients of models/transformer.cpp capture.
std::uint64_t floats_per_token(const TransformerConfig& c) {
  const auto d = static_cast<std::uint64_t>(c.d_model);
  const auto f = static_cast<std::uint64_t>(c.encoder_ffn_dim),
             g = static_cast<std::uint64_t>(c.decoder_ffn_dim);
  const std::uint64_t self = 3 * d + d + 2 * d;  // queries, keys and values; their mix; sum and norm
  const std::uint64_t cross = d + 2 * d + d + 2 * d;
  const std::uint64_t inner =
      c.activation_function == Unary::relu ? 1 : 2;  // after the activation, and before
  return static_cast<std::uint64_t>(c.encoder_layers) * (self + inner * f + 2 * d) +
         static_cast<std::uint64_t>(c.decoder_layers) * (self + cross + inner * g + 2 * d);
}

CausalShape CausalShape::of(const Json& config) {
  const auto size = [&](std::initializer_list<const char*> names) -> std::int64_t {
    constexpr std::int64_t kMost = 1 << 24;  // products of three such fit
    for (const char* name : names)
      if (const auto it = config.find(name); it != config.end() && it->is_number_integer())
        return std::clamp<std::int64_t>(it->get<std::int64_t>(), 0, kMost);
    return 0;
  };
  const auto word = [&](const char* key) {
    const auto it = config.find(key);
    return it != config.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  CausalShape s;
  s.layers = size({"num_hidden_layers", "n_layer"}), s.width = size({"hidden_size", "n_embd"});
  const std::int64_t heads = std::max<std::int64_t>(size({"num_attention_heads", "n_head"}), 1);
  const std::int64_t given = size({"num_key_value_heads"}), dim = size({"head_dim"});
  s.queries = dim > 0 ? heads * dim : s.width;
  s.keys = given > 0 ? s.queries / heads * given : s.queries;
  s.inner = size({"intermediate_size", "n_inner"});
  const bool gpt2 = word("model_type") == "gpt2";
  if (gpt2 && s.inner == 0) s.inner = 4 * s.width;
  s.vocabulary = size({"vocab_size"});
  s.gated = !gpt2;
  return s;
}

double CausalShape::update_flops(const Sequences& sequences) const {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const double linear =
      number(layers) * number(width) * number(2 * queries + 2 * keys + (gated ? 3 : 2) * inner) +
      number(width) * number(vocabulary);
  double products = number(sequences.tokens()) * linear;
  const auto starts = sequences.starts.span<std::int32_t>();
  for (std::int32_t i = 0; i < sequences.count; ++i) {
    const double n = starts[i + 1] - starts[i];
    products +=
        number(layers) * number(queries) * n * n;  // half of all scores, and the mix of as many values
  }
  return 2 * 3 * products;
}

// By the inputs that the gradients of models/gpt2.cpp and models/llama.cpp capture.
std::uint64_t CausalShape::floats_per_token() const {
  const std::int64_t attention = 2 * width + 2 * queries + 2 * keys +
                                 (gated ? queries + keys : 0);  // sum and norm; q, k, v and their mix; turned
  const std::int64_t forward = 2 * width + (gated ? 3 : 2) * inner;
  return static_cast<std::uint64_t>(layers * (attention + forward));
}

}  // namespace glossa
