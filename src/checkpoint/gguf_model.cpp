#include "checkpoint/gguf_model.h"

#include <algorithm>

#include "base/error.h"
#include "checkpoint/gguf_rotary.h"
#include "models/config_keys.h"

namespace glossa {
namespace {

struct Architecture {
  const char *name, *model_type;
};
// Of several models of one architecture the first is what its files are read as.
constexpr Architecture kArchitectures[] = {{"gemma2", "gemma2"}, {"gemma3", "gemma3_text"}, {"gpt2", "gpt2"},
                                           {"llama", "llama"},   {"llama", "mistral"},      {"phi3", "phi3"},
                                           {"qwen2", "qwen2"},   {"qwen3", "qwen3"}};

const Architecture& architecture_of(const GgufFile& file) {
  const std::string& name = file.metadata().text("general.architecture");
  std::string known;
  const char* last = "";
  for (const Architecture& a : kArchitectures) {
    if (name == a.name) return a;
    if (a.name != std::string_view(last)) known += (known.empty() ? "" : ", ") + std::string(a.name);
    last = a.name;
  }
  fail(Code::config, "{}: the architecture {} is not supported; supported: {}", shown(file.path()),
       quoted(name), known);
}

Json gpt2_config(const GgufFile& file, std::int64_t vocabulary) {
  const GgufMetadata& m = file.metadata();
  m.number("gpt2.attention.layer_norm_epsilon", {0, 1});  // it must be there
  return {{"model_type", "gpt2"},
          {"vocab_size", vocabulary},
          {"n_positions", m.integer("gpt2.context_length", {1, kMostPositions})},
          {"n_embd", m.integer("gpt2.embedding_length", {1, kMostWidth})},
          {"n_layer", m.integer("gpt2.block_count", {1, kMostLayers})},
          {"n_head", m.integer("gpt2.attention.head_count", {1, kMostWidth})},
          {"n_inner", m.integer("gpt2.feed_forward_length", {1, 8 * kMostWidth})},
          {"layer_norm_epsilon", gguf_number(m, "gpt2.attention.layer_norm_epsilon", 1e-5, {0, 1})},
          {"tie_word_embeddings", file.info("output.weight") == nullptr}};
}

// Which layers see a window: said by name, or every so many one sees everything.
void put_layer_types(const GgufMetadata& m, const std::string& key, std::int64_t layers, std::int64_t usual,
                     Json& j) {
  std::vector<std::int64_t> windowed;
  const GgufValue* const value = m.find(key);
  if (const auto* array = value ? std::get_if<GgufArray>(value) : nullptr) {
    if (array->type() != GgufType::boolean) m.integers(key, {0, 1});  // whether it is what it must be
    for (std::uint64_t i = 0; i < array->size(); ++i) windowed.push_back(array->integer(i));
    check(static_cast<std::int64_t>(windowed.size()) == layers, Code::config,
          "{}: {} has {} values, and there are {} layers", m.origin(), key, windowed.size(), layers);
  } else {
    const std::int64_t every = m.integer_or(key, usual, {0, kMostLayers});
    for (std::int64_t i = 1; i <= layers; ++i) windowed.push_back(every == 0 || i % every != 0);
  }
  for (const std::int64_t w : windowed)
    j["layer_types"].push_back(w ? "sliding_attention" : "full_attention");
}

void put_gemma(const GgufFile& file, const std::string& architecture, const Json& rope, Json& j) {
  const GgufMetadata& m = file.metadata();
  const std::string prefix = architecture + ".";
  const bool second = architecture == "gemma2";
  const std::int64_t layers = j.at("num_hidden_layers");
  j["query_pre_attn_scalar"] =
      gemma_score_scale(second, layers, j.at("hidden_size"), j.at("num_attention_heads"), j.at("head_dim"));
  if (second) {
    check(!j.at("sliding_window").is_null(), Code::config, "{}: {}attention.sliding_window is missing",
          shown(file.path()), prefix);
    j["attn_logit_softcapping"] = gguf_number(m, prefix + "attn_logit_softcapping", 50, {1e-3, 1e6});
    j["final_logit_softcapping"] = gguf_number(m, prefix + "final_logit_softcapping", 30, {1e-3, 1e6});
  } else {
    if (m.has(prefix + "final_logit_softcapping"))
      j["final_logit_softcapping"] = gguf_number(m, prefix + "final_logit_softcapping", 30, {1e-3, 1e6});
    const double local = gguf_number(m, prefix + "rope.freq_base_swa", 10000, {1e-3, 1e12});
    j["rope_parameters"] = {{"full_attention", rope},
                            {"sliding_attention", {{"rope_theta", local}, {"rope_type", "default"}}}};
  }
  // Without a window, as some have it, all layers see everything.
  const bool windows = !j.at("sliding_window").is_null();
  if (!windows) j["sliding_window"] = 4096;
  put_layer_types(m, prefix + "attention.sliding_window_pattern", layers, windows ? second ? 2 : 6 : 1, j);
}

}  // namespace

double gemma_score_scale(bool second, std::int64_t layers, std::int64_t width, std::int64_t heads,
                         std::int64_t head_dim) {
  return static_cast<double>(layers == (second ? 46 : 62) ? width / heads : head_dim);
}

std::string gguf_architecture(const std::string& model_type, const std::string& origin) {
  for (const Architecture& a : kArchitectures)
    if (model_type == a.model_type) return a.name;
  fail(Code::config, "{}: GGUF files have no architecture for model_type {}", origin, quoted(model_type));
}

Json gguf_config(const GgufFile& file) {
  const Architecture& architecture = architecture_of(file);
  const GgufMetadata& m = file.metadata();
  const std::string name = architecture.name, prefix = name + ".";
  const GgufTensorInfo* embedding = file.info("token_embd.weight");
  check(embedding && embedding->rank == 2, Code::weights, "{}: token_embd.weight is missing",
        shown(file.path()));
  if (name == "gpt2") return gpt2_config(file, embedding->dims[0]);

  const std::int64_t heads = m.integer(prefix + "attention.head_count", {1, kMostWidth});
  const std::int64_t width = m.integer(prefix + "embedding_length", {1, kMostWidth});
  const std::int64_t head_dim = m.integer_or(prefix + "attention.key_length", width / heads, {2, 4096});
  Json j = {{"model_type", architecture.model_type},
            {"vocab_size", embedding->dims[0]},
            {"hidden_size", width},
            {"intermediate_size", m.integer(prefix + "feed_forward_length", {1, 8 * kMostWidth})},
            {"num_hidden_layers", m.integer(prefix + "block_count", {1, kMostLayers})},
            {"num_attention_heads", heads},
            {"num_key_value_heads", m.integer_or(prefix + "attention.head_count_kv", heads, {1, kMostWidth})},
            {"head_dim", head_dim},
            {"max_position_embeddings", m.integer(prefix + "context_length", {1, 1 << 30})},
            {"rms_norm_eps", gguf_number(m, prefix + "attention.layer_norm_rms_epsilon", 1e-6, {0, 1})},
            {"tie_word_embeddings", file.info("output.weight") == nullptr},
            {"sliding_window", nullptr}};
  m.number(prefix + "attention.layer_norm_rms_epsilon");  // it must be there
  const Json rope = gguf_rope_parameters(file, prefix, head_dim);
  j["rope_parameters"] = rope;
  if (const std::int64_t window = m.integer_or(prefix + "attention.sliding_window", 0, {0, 1 << 30});
      window > 0)
    j["sliding_window"] = window;
  if (name == "llama") {
    if (!j["sliding_window"].is_null()) j["model_type"] = "mistral";
    j["attention_bias"] = file.info("blk.0.attn_q.bias") != nullptr,
    j["mlp_bias"] = file.info("blk.0.ffn_down.bias") != nullptr;
  }
  if (name.starts_with("gemma")) put_gemma(file, name, rope, j);
  return j;
}

}  // namespace glossa
