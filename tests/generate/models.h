// models.h -- tiny models to decode with, and short ways to search.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "checkpoint/tensor_directory.h"
#include "generate/search.h"

namespace glossa::test {

using Ids = std::vector<std::int32_t>;

inline const std::string kGolden = std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/generate";

struct TinyModel {
  ParameterList parameters;
  Transformer transformer;
  TinyModel(const TransformerConfig& config, ParameterList::Options options)
      : parameters(std::move(options)), transformer(parameters, config) {}
};

// The model of the goldens.
inline std::unique_ptr<TinyModel> golden_model(Device device) {
  const TensorDirectory weights(kGolden + "/model.safetensors");
  return std::make_unique<TinyModel>(
      TransformerConfig::from_json(read_json(kGolden + "/config.json"), "config.json"),
      ParameterList::Options{.source = [&](const std::string& name) { return weights.find(name); },
                             .training = false,
                             .device = device});
}

// Random weights: outputs are lively, and end now and then.
inline TransformerConfig tiny_config(std::int64_t vocabulary) {
  TransformerConfig c;
  c.vocab_size = vocabulary;
  c.d_model = 16;
  c.encoder_layers = 1, c.decoder_layers = 2;
  c.encoder_attention_heads = c.decoder_attention_heads = 2;
  c.encoder_ffn_dim = c.decoder_ffn_dim = 32;
  c.init_std = 0.8;
  c.max_position_embeddings = 40;
  return c;
}

inline std::unique_ptr<TinyModel> random_model(std::int64_t vocabulary, std::uint64_t seed, Device device) {
  return std::make_unique<TinyModel>(
      tiny_config(vocabulary), ParameterList::Options{.seed = seed, .training = false, .device = device});
}

// Sentences of various lengths, ending in the end token.
inline std::vector<Ids> random_sources(std::size_t count, std::int64_t vocabulary, std::uint64_t seed = 1) {
  std::vector<Ids> all;
  for (std::size_t s = 0; s < count; ++s) {
    const Philox random(seed, Purpose::sample, s);
    Ids ids(1 + random.below(0, 12));
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids[i] = static_cast<std::int32_t>(2 + random.below(i + 1, static_cast<std::uint64_t>(vocabulary - 2)));
    ids.push_back(1);
    all.push_back(std::move(ids));
  }
  return all;
}

// Results in the order of the sources.
inline std::vector<SearchResult> search(const std::vector<const Transformer*>& models,
                                        const GenerationConfig& config, const std::vector<Ids>& sources,
                                        const SearchOptions& options = {},
                                        const std::vector<Ids>& prefixes = {}) {
  Search engine(models, config, options);
  for (std::size_t i = 0; i < sources.size(); ++i)
    engine.submit({.index = i, .source = sources[i], .prefix = prefixes.empty() ? Ids{} : prefixes[i]});
  std::vector<SearchResult> results;
  while (!engine.idle()) engine.step(results);
  check(engine.rows_in_use() == 0, Code::internal, "{} rows of the caches leaked", engine.rows_in_use());
  std::sort(results.begin(), results.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
  return results;
}

inline GenerationConfig config_of(const TinyModel& model) {
  return GenerationConfig::of_model(model.transformer.config());
}

}  // namespace glossa::test
