#include "models/gemma.h"

namespace glossa {
namespace {

constexpr std::string_view kKnown[] = {
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "head_dim", "hidden_activation", "hidden_act", "max_position_embeddings", "rms_norm_eps", "initializer_range", "rope_theta",
    "rope_local_base_freq", "rope_scaling", "rope_parameters", "attention_bias", "query_pre_attn_scalar", "sliding_window",
    "sliding_window_pattern", "layer_types", "attn_logit_softcapping", "final_logit_softcapping", "attention_dropout",
    "tie_word_embeddings", "use_bidirectional_attention", "eos_token_id", "pad_token_id", "cache_implementation"};

std::vector<bool> windowed_layers(const JsonView& j, std::int64_t count, std::int64_t pattern) {
  std::vector<bool> windowed;
  if (!j.has("layer_types")) {
    const std::int64_t every = j.integer("sliding_window_pattern", pattern, 1, kMostLayers);
    for (std::int64_t i = 1; i <= count; ++i) windowed.push_back(i % every != 0);
    return windowed;
  }
  const Json& types = j.json().at("layer_types");
  check(types.is_array() && static_cast<std::int64_t>(types.size()) == count, Code::config,
        "{}: layer_types must be a list of num_hidden_layers = {} names", j.origin(), count);
  for (const Json& type : types) {
    check(type == "full_attention" || type == "sliding_attention", Code::config,
          "{}: the layer type {} is not supported; supported: full_attention, sliding_attention", j.origin(), quoted(type.dump()));
    windowed.push_back(type == "sliding_attention");
  }
  return windowed;
}

// Of a number that may be null. What is absent is null in Gemma 3, and `otherwise` in Gemma 2.
double cap(const JsonView& j, const char* key, double otherwise) {
  return j.json().contains(key) && j.json().at(key).is_null() ? 0 : j.number(key, otherwise, 1e-3, 1e6);
}

}  // namespace

GemmaConfig GemmaConfig::from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes) {
  const JsonView j(json, origin);
  GemmaConfig c;
  c.model_type = j.string("model_type", "");
  check(c.model_type == "gemma2" || c.model_type == "gemma3_text", Code::config,
        "{}: model_type {} is not supported here; supported: gemma2, gemma3_text", origin, quoted(c.model_type));
  const bool second = c.model_type == "gemma2";
  if (notes) note_unknown_keys(json, origin, {std::begin(kKnown), std::end(kKnown)}, *notes);
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"})
    check(j.has(key), Code::config, "{}: {} is missing", origin, key);
  c.vocab_size = j.integer("vocab_size", 0, 1, kMostTokens);
  c.hidden_size = j.integer("hidden_size", 0, 1, kMostWidth);
  c.intermediate_size = j.integer("intermediate_size", 0, 1, 8 * kMostWidth);
  c.num_hidden_layers = j.integer("num_hidden_layers", 0, 1, kMostLayers);
  c.num_attention_heads = j.integer("num_attention_heads", 0, 1, kMostWidth);
  c.num_key_value_heads = j.integer("num_key_value_heads", 4, 1, kMostWidth);
  check(c.num_attention_heads % c.num_key_value_heads == 0, Code::config,
        "{}: num_attention_heads {} is not divisible by num_key_value_heads {}", origin, c.num_attention_heads, c.num_key_value_heads);
  c.head_dim = j.integer("head_dim", 256, 1, 4096);
  c.hidden_activation = unary_from_name(j.string("hidden_activation", "gelu_pytorch_tanh"), origin);
  c.max_position_embeddings = j.integer("max_position_embeddings", second ? 8192 : 131072, 1, 1 << 30);
  c.rms_norm_eps = j.number("rms_norm_eps", 1e-6, 0, 1);
  c.initializer_range = j.number("initializer_range", 0.02, 0, 100);
  c.rope = RotaryConfig::from_json(json, origin, c.head_dim, second ? 10000 : 1e6, "full_attention");
  c.local_rope = c.rope;
  if (!second) {
    Json local = {{"rope_theta", j.number("rope_local_base_freq", 10000, 1e-3, 1e12)}};
    if (const auto all = json.find("rope_parameters"); all != json.end() && all->is_object() && all->contains("sliding_attention"))
      local["rope_parameters"] = *all;
    c.local_rope = RotaryConfig::from_json(local, origin, c.head_dim, 10000, "sliding_attention");
  }
  c.attention_bias = j.boolean("attention_bias", false);
  c.query_pre_attn_scalar = j.number("query_pre_attn_scalar", 256, 1e-3, 1e6);
  c.sliding_window = j.integer("sliding_window", 4096, 1, 1 << 30);
  c.windowed = windowed_layers(j, c.num_hidden_layers, second ? 2 : 6);
  c.attn_logit_softcapping = cap(j, "attn_logit_softcapping", second ? 50 : 0);
  c.final_logit_softcapping = cap(j, "final_logit_softcapping", second ? 30 : 0);
  c.attention_dropout = j.number("attention_dropout", 0, 0, 0.999);
  c.tie_word_embeddings = j.boolean("tie_word_embeddings", true);
  check(!j.boolean("use_bidirectional_attention", false), Code::config, "{}: use_bidirectional_attention is true; only false is supported",
        origin);
  return c;
}

OrderedJson GemmaConfig::to_json() const {
  OrderedJson j;
  const bool second = model_type == "gemma2";
  j["architectures"] = {second ? "Gemma2ForCausalLM" : "Gemma3ForCausalLM"};
  j["model_type"] = model_type;
  j["vocab_size"] = vocab_size;
  j["hidden_size"] = hidden_size;
  j["intermediate_size"] = intermediate_size;
  j["num_hidden_layers"] = num_hidden_layers;
  j["num_attention_heads"] = num_attention_heads;
  j["num_key_value_heads"] = num_key_value_heads;
  j["head_dim"] = head_dim;
  j["hidden_activation"] = hidden_activation == Unary::gelu_tanh ? "gelu_pytorch_tanh" : name_of(hidden_activation);
  j["max_position_embeddings"] = max_position_embeddings;
  j["rms_norm_eps"] = rms_norm_eps;
  j["initializer_range"] = initializer_range;
  if (second) {
    j["rope_parameters"] = rope.to_json();
  } else {
    j["rope_parameters"]["full_attention"] = rope.to_json();
    j["rope_parameters"]["sliding_attention"] = local_rope.to_json();
    j["rope_local_base_freq"] = local_rope.theta;  // this and the next for readers that know only the older keys
  }
  j["rope_theta"] = rope.theta;
  j["attention_bias"] = attention_bias;
  const auto whole = static_cast<std::int64_t>(query_pre_attn_scalar);  // transformers takes no 64.0
  j["query_pre_attn_scalar"] = static_cast<double>(whole) == query_pre_attn_scalar ? OrderedJson(whole) : OrderedJson(query_pre_attn_scalar);
  j["sliding_window"] = sliding_window;
  for (const bool w : windowed) j["layer_types"].push_back(w ? "sliding_attention" : "full_attention");
  const auto cap_or_null = [](double cap) { return cap > 0 ? OrderedJson(cap) : OrderedJson(nullptr); };
  j["attn_logit_softcapping"] = cap_or_null(attn_logit_softcapping);
  j["final_logit_softcapping"] = cap_or_null(final_logit_softcapping);
  j["attention_dropout"] = attention_dropout;
  j["tie_word_embeddings"] = tie_word_embeddings;
  j["dtype"] = "float32";
  return j;
}

}  // namespace glossa
