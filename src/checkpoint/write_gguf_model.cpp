#include <cmath>

#include "base/error.h"
#include "checkpoint/gguf_model.h"
#include "checkpoint/gguf_rotary.h"
#include "models/gemma.h"
#include "models/gpt2.h"
#include "models/llama.h"

namespace glossa {
namespace {

// Puts keys of an architecture, and refuses what it cannot say.
class Keys {
 public:
  Keys(std::string architecture, const std::string& origin)
      : name_(std::move(architecture)), origin_(origin) {
    keys_.metadata.set("general.architecture", name_);
    keys_.metadata.set("general.type", std::string("model"));
  }

  void whole(const char* key, std::int64_t value) {
    keys_.metadata.set(name_ + "." + key, static_cast<std::uint32_t>(value));
  }
  void real(const char* key, double value) {
    keys_.metadata.set(name_ + "." + key, static_cast<float>(value));
  }
  void must(bool holds, std::string_view key, const std::string& found) const {
    check(holds, Code::config, "{}: {} is {}, which a GGUF file of the architecture {} cannot say", origin_,
          key, found, name_);
  }
  void note(std::string line) { keys_.notes.push_back(fmt::format("{}: {}", origin_, line)); }
  void rope(const RotaryConfig& rope) {
    put_gguf_rope(rope, name_ + ".", origin_, keys_.metadata, keys_.tensors);
  }
  void layers(const std::vector<bool>& windowed, std::int64_t usual) {
    bool as_usual = true;
    for (std::size_t i = 0; i < windowed.size(); ++i)
      as_usual &= windowed[i] == ((static_cast<std::int64_t>(i) + 1) % usual != 0);
    if (as_usual) return;
    std::string bytes;
    for (const bool w : windowed) bytes += static_cast<char>(w);
    keys_.metadata.set(name_ + ".attention.sliding_window_pattern",
                       GgufArray(GgufType::boolean, as_bytes(bytes)));
  }
  GgufModelKeys take() { return std::move(keys_); }

 private:
  std::string name_;
  const std::string& origin_;
  GgufModelKeys keys_;
};

template <class Config>
void put_sizes(const Config& c, Keys& k) {
  k.whole("block_count", c.num_hidden_layers);
  k.whole("context_length", c.max_position_embeddings);
  k.whole("embedding_length", c.hidden_size);
  k.whole("feed_forward_length", c.intermediate_size);
  k.whole("attention.head_count", c.num_attention_heads);
  k.whole("attention.head_count_kv", c.num_key_value_heads);
  k.whole("attention.key_length", c.head_dim);
  k.whole("attention.value_length", c.head_dim);
  k.real("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  k.whole("vocab_size", c.vocab_size);
}

std::string yes_or_no(bool value) {
  return value ? "true" : "false";
}

void put_llama(const LlamaConfig& c, Keys& k) {
  put_sizes(c, k);
  const bool qwen = c.model_type.starts_with("qwen");
  k.must(c.hidden_act == Unary::silu, "hidden_act", name_of(c.hidden_act));
  k.must(c.model_type != "qwen3" || !c.qkv_bias, "attention_bias", "true");
  k.must(!qwen || c.sliding_window == 0, "use_sliding_window", "true");
  k.rope(c.rope);
  const bool some = std::find(c.windowed.begin(), c.windowed.end(), true) != c.windowed.end();
  const bool all = std::find(c.windowed.begin(), c.windowed.end(), false) == c.windowed.end();
  k.must(qwen || !some || all, "layer_types", "not the same for all layers");
  if (c.model_type == "phi3") {
    if (c.rope.scaling != RotaryConfig::Scaling::longrope)
      k.whole("rope.scaling.original_context_length", c.max_position_embeddings);
    k.whole("attention.sliding_window", some ? c.sliding_window : 0);  // 0 tells Phi-4 from Phi-3
  } else if (some) {
    k.whole("attention.sliding_window", c.sliding_window);
  }
  if (some && c.sliding_window < c.max_position_embeddings)
    k.note(
        fmt::format("the window of {} tokens is written, and llama.cpp passes it over: there, longer texts "
                    "are seen whole",
                    c.sliding_window));
  const bool own_dim = c.head_dim * c.num_attention_heads != c.hidden_size;
  if (own_dim && (c.model_type == "phi3" || c.model_type == "qwen2"))
    k.note(
        fmt::format("head_dim {} is not hidden_size / num_attention_heads, without which llama.cpp does not "
                    "load this architecture",
                    c.head_dim));
}

void put_gemma(const GemmaConfig& c, Keys& k) {
  put_sizes(c, k);
  const bool second = c.model_type == "gemma2";
  k.must(c.hidden_activation == Unary::gelu_tanh, "hidden_activation", name_of(c.hidden_activation));
  k.must(!c.attention_bias, "attention_bias", "true");
  k.must(!second || c.tie_word_embeddings, "tie_word_embeddings", "false");
  const double scale =
      gemma_score_scale(second, c.num_hidden_layers, c.hidden_size, c.num_attention_heads, c.head_dim);
  k.must(c.query_pre_attn_scalar == scale, "query_pre_attn_scalar",
         fmt::format("{}, not {}", c.query_pre_attn_scalar, scale));
  k.must(second == (c.attn_logit_softcapping > 0), "attn_logit_softcapping",
         fmt::format("{}", c.attn_logit_softcapping));
  k.must(!second || c.final_logit_softcapping > 0, "final_logit_softcapping", "null");
  if (second) k.real("attn_logit_softcapping", c.attn_logit_softcapping);
  if (c.final_logit_softcapping > 0) k.real("final_logit_softcapping", c.final_logit_softcapping);
  k.rope(c.rope);
  if (!second) {
    k.must(c.local_rope.scaling == RotaryConfig::Scaling::none, "rope_parameters of sliding_attention",
           "scaled");
    k.real("rope.freq_base_swa", c.local_rope.theta);
  }
  k.whole("attention.sliding_window", c.sliding_window);
  k.layers(c.windowed, second ? 2 : 6);
}

void put_gpt2(const Gpt2Config& c, Keys& k) {
  k.whole("block_count", c.n_layer);
  k.whole("context_length", c.n_positions);
  k.whole("embedding_length", c.n_embd);
  k.whole("feed_forward_length", c.n_inner);
  k.whole("attention.head_count", c.n_head);
  k.real("attention.layer_norm_epsilon", c.layer_norm_epsilon);
  k.must(c.activation_function == Unary::gelu_tanh, "activation_function", name_of(c.activation_function));
  k.must(c.scale_attn_weights, "scale_attn_weights", yes_or_no(c.scale_attn_weights));
  k.must(!c.scale_attn_by_inverse_layer_idx, "scale_attn_by_inverse_layer_idx",
         yes_or_no(c.scale_attn_by_inverse_layer_idx));
}

}  // namespace

GgufModelKeys gguf_keys(const Json& config, const std::string& origin) {
  const std::string type = config.at("model_type");
  Keys keys(gguf_architecture(type, origin), origin);
  if (type == "gpt2")
    put_gpt2(Gpt2Config::from_json(config, origin), keys);
  else if (type.starts_with("gemma"))
    put_gemma(GemmaConfig::from_json(config, origin), keys);
  else
    put_llama(LlamaConfig::from_json(config, origin), keys);
  return keys.take();
}

}  // namespace glossa
