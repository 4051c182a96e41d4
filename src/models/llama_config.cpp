#include <algorithm>
#include <array>

#include "models/llama.h"

namespace glossa {
namespace {

struct Family {
  const char *type, *architecture;
  std::int64_t kv_heads;  // 0: as many as heads
  std::int64_t positions, window;
  double eps;
};
// Defaults of Hugging Face's configurations.
constexpr std::array<Family, 5> kFamilies{{{"llama", "LlamaForCausalLM", 0, 2048, 0, 1e-6},
                                           {"mistral", "MistralForCausalLM", 8, 131072, 4096, 1e-6},
                                           {"phi3", "Phi3ForCausalLM", 0, 4096, 0, 1e-5},
                                           {"qwen2", "Qwen2ForCausalLM", 32, 32768, 4096, 1e-6},
                                           {"qwen3", "Qwen3ForCausalLM", 32, 32768, 4096, 1e-6}}};

const Family& family_of(const std::string& type, const std::string& origin) {
  std::string known;
  for (const Family& f : kFamilies) {
    if (type == f.type) return f;
    known += (known.empty() ? "" : ", ") + std::string(f.type);
  }
  fail(Code::config, "{}: model_type {} is not supported here; supported: {}", origin, quoted(type), known);
}

constexpr std::string_view kKnown[] = {
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps", "initializer_range", "rope_theta", "rope_scaling",
    "rope_parameters", "partial_rotary_factor", "original_max_position_embeddings", "attention_bias", "mlp_bias", "sliding_window",
    "use_sliding_window", "max_window_layers", "layer_types", "attention_dropout", "resid_pdrop", "embd_pdrop", "tie_word_embeddings",
    "eos_token_id", "pad_token_id", "pretraining_tp"};

// Which layers see a window only: by name, or by the older keys.
std::vector<bool> windowed_layers(const JsonView& j, const LlamaConfig& c) {
  const auto count = static_cast<std::size_t>(c.num_hidden_layers);
  const bool qwen = c.model_type.starts_with("qwen");
  if (j.has("layer_types")) {
    const Json& types = j.json().at("layer_types");
    check(types.is_array() && types.size() == count, Code::config, "{}: layer_types must be a list of num_hidden_layers = {} names",
          j.origin(), count);
    std::vector<bool> windowed;
    for (const Json& type : types) {
      check(type == "full_attention" || type == "sliding_attention", Code::config,
            "{}: the layer type {} is not supported; supported: full_attention, sliding_attention", j.origin(), quoted(type.dump()));
      windowed.push_back(type == "sliding_attention" && c.sliding_window > 0);
    }
    return windowed;
  }
  if (!qwen) return std::vector<bool>(count, c.sliding_window > 0);
  const std::int64_t first = j.integer("max_window_layers", 28, 0, kMostLayers);
  std::vector<bool> windowed(count, false);
  for (std::size_t i = 0; i < count; ++i) windowed[i] = c.sliding_window > 0 && static_cast<std::int64_t>(i) >= first;
  return windowed;
}

}  // namespace

LlamaConfig LlamaConfig::from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes) {
  const JsonView j(json, origin);
  LlamaConfig c;
  c.model_type = j.string("model_type", "");
  const Family& family = family_of(c.model_type, origin);
  if (notes) note_unknown_keys(json, origin, {std::begin(kKnown), std::end(kKnown)}, *notes);
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"})
    check(j.has(key), Code::config, "{}: {} is missing", origin, key);
  c.vocab_size = j.integer("vocab_size", 0, 1, kMostTokens);
  c.hidden_size = j.integer("hidden_size", 0, 1, kMostWidth);
  c.intermediate_size = j.integer("intermediate_size", 0, 1, 8 * kMostWidth);
  c.num_hidden_layers = j.integer("num_hidden_layers", 0, 1, kMostLayers);
  c.num_attention_heads = j.integer("num_attention_heads", 0, 1, kMostWidth);
  c.num_key_value_heads = j.integer("num_key_value_heads", family.kv_heads ? family.kv_heads : c.num_attention_heads, 1, kMostWidth);
  check(c.num_attention_heads % c.num_key_value_heads == 0, Code::config,
        "{}: num_attention_heads {} is not divisible by num_key_value_heads {}", origin, c.num_attention_heads, c.num_key_value_heads);
  const bool given = j.has("head_dim");
  check(given || c.qk_norm() || c.hidden_size % c.num_attention_heads == 0, Code::config,
        "{}: hidden_size {} is not divisible by num_attention_heads {}", origin, c.hidden_size, c.num_attention_heads);
  c.head_dim = j.integer("head_dim", c.qk_norm() ? 128 : c.hidden_size / c.num_attention_heads, 1, 4096);
  c.hidden_act = unary_from_name(j.string("hidden_act", "silu"), origin);
  c.max_position_embeddings = j.integer("max_position_embeddings", family.positions, 1, 1 << 30);
  c.rms_norm_eps = j.number("rms_norm_eps", family.eps, 0, 1);
  c.initializer_range = j.number("initializer_range", 0.02, 0, 100);
  c.rope = RotaryConfig::from_json(json, origin, c.head_dim, 10000);
  const bool bias = j.boolean("attention_bias", false);
  c.qkv_bias = c.model_type == "qwen2" || (bias && c.model_type != "phi3" && c.model_type != "mistral");
  c.o_bias = bias && (c.model_type == "llama" || c.model_type == "qwen3");
  c.mlp_bias = c.model_type == "llama" && j.boolean("mlp_bias", false);
  const bool window = !c.model_type.starts_with("qwen") || j.boolean("use_sliding_window", false);
  const bool no_window = json.contains("sliding_window") && json.at("sliding_window").is_null();
  if (c.model_type != "llama" && window && !no_window)
    c.sliding_window = j.integer("sliding_window", family.window, 0, 1 << 30);
  c.windowed = windowed_layers(j, c);
  c.attention_dropout = j.number("attention_dropout", 0, 0, 0.999);
  if (c.model_type == "phi3") c.resid_pdrop = j.number("resid_pdrop", 0, 0, 0.999), c.embd_pdrop = j.number("embd_pdrop", 0, 0, 0.999);
  c.tie_word_embeddings = j.boolean("tie_word_embeddings", false);
  return c;
}

OrderedJson LlamaConfig::to_json() const {
  OrderedJson j;
  j["architectures"] = {family_of(model_type, "the model").architecture};
  j["model_type"] = model_type;
  j["vocab_size"] = vocab_size;
  j["hidden_size"] = hidden_size;
  j["intermediate_size"] = intermediate_size;
  j["num_hidden_layers"] = num_hidden_layers;
  j["num_attention_heads"] = num_attention_heads;
  j["num_key_value_heads"] = num_key_value_heads;
  j["head_dim"] = head_dim;
  j["hidden_act"] = hidden_act == Unary::silu ? "silu" : name_of(hidden_act);
  j["max_position_embeddings"] = max_position_embeddings;
  j["rms_norm_eps"] = rms_norm_eps;
  j["initializer_range"] = initializer_range;
  j["rope_parameters"] = rope.to_json();
  j["rope_theta"] = rope.theta;  // for readers that know only the older key
  if (model_type == "llama" || model_type == "qwen3") j["attention_bias"] = o_bias;
  if (model_type == "llama") j["mlp_bias"] = mlp_bias;
  if (model_type != "llama") j["sliding_window"] = sliding_window > 0 ? OrderedJson(sliding_window) : OrderedJson(nullptr);
  if (model_type.starts_with("qwen")) {
    j["use_sliding_window"] = sliding_window > 0;
    for (const bool w : windowed) j["layer_types"].push_back(w ? "sliding_attention" : "full_attention");
  }
  j["attention_dropout"] = attention_dropout;
  if (model_type == "phi3") j["resid_pdrop"] = resid_pdrop, j["embd_pdrop"] = embd_pdrop;
  j["tie_word_embeddings"] = tie_word_embeddings;
  j["dtype"] = "float32";
  return j;
}

}  // namespace glossa
