#include "checkpoint/gguf_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "checkpoint/gguf_tokenizer.h"
#include "models/all.h"
#include "models/config_keys.h"

namespace glossa {
namespace {

struct Architecture {
  const char *name, *model_type;
  bool interleaved;  // rotary pairs are neighbours in rows of queries and keys, not halves of heads
};
constexpr Architecture kArchitectures[] = {{"gemma2", "gemma2", false}, {"gemma3", "gemma3_text", false}, {"gpt2", "gpt2", false},
                                           {"llama", "llama", true},    {"phi3", "phi3", false},          {"qwen2", "qwen2", false},
                                           {"qwen3", "qwen3", false}};

const Architecture& architecture_of(const GgufFile& file) {
  const std::string& name = file.metadata().text("general.architecture");
  std::string known;
  for (const Architecture& a : kArchitectures) {
    if (name == a.name) return a;
    known += (known.empty() ? "" : ", ") + std::string(a.name);
  }
  fail(Code::config, "{}: the architecture {} is not supported; supported: {}", shown(file.path()), quoted(name), known);
}

// Numbers of a vector of the file.
std::vector<double> numbers(const Tensor& t) {
  const Tensor f = t.to(DType::f32).contiguous();
  return {f.data<float>(), f.data<float>() + f.elements()};
}

Json rope_parameters(const GgufFile& file, const std::string& prefix, std::int64_t head_dim) {
  const GgufMetadata& m = file.metadata();
  Json j = {{"rope_theta", m.number_or(prefix + "rope.freq_base", 10000, {1e-3, 1e12})}, {"rope_type", "default"}};
  const std::int64_t turned = m.integer_or(prefix + "rope.dimension_count", head_dim, {2, 4096});
  j["partial_rotary_factor"] = static_cast<double>(turned) / static_cast<double>(head_dim);
  const std::string kind = m.text_or(prefix + "rope.scaling.type", "none");
  if (kind == "linear" || kind == "yarn") {
    j["rope_type"] = kind;
    j["factor"] = m.number_or(prefix + "rope.scaling.factor", 1, {1e-3, 1e6});
    if (m.has(prefix + "rope.scaling.original_context_length"))
      j["original_max_position_embeddings"] = m.integer(prefix + "rope.scaling.original_context_length", {1, 1 << 30});
  } else if (kind != "none" && kind != "longrope") {
    fail(Code::config, "{}: {}rope.scaling.type is {}; supported: none, linear, yarn, longrope", shown(file.path()), prefix, quoted(kind));
  }
  if (const Tensor lengthened = file.find("rope_factors_long.weight"), usual = file.find("rope_factors_short.weight"); lengthened && usual) {
    j["rope_type"] = "longrope";
    j["long_factor"] = numbers(lengthened), j["short_factor"] = numbers(usual);
    j["original_max_position_embeddings"] = m.integer(prefix + "rope.scaling.original_context_length", {1, 1 << 30});
    if (m.has(prefix + "rope.scaling.attn_factor")) j["attention_factor"] = m.number(prefix + "rope.scaling.attn_factor", {1e-3, 1e3});
  } else if (const Tensor divisors = file.find("rope_freqs.weight")) {
    // Llama 3's scaling, written out for each frequency: as one list for all lengths.
    j["rope_type"] = "longrope";
    j["long_factor"] = j["short_factor"] = numbers(divisors);
    j["factor"] = 1, j["attention_factor"] = 1;
  }
  return j;
}

Json gpt2_config(const GgufFile& file, std::int64_t vocabulary) {
  const GgufMetadata& m = file.metadata();
  return {{"model_type", "gpt2"},
          {"vocab_size", vocabulary},
          {"n_positions", m.integer("gpt2.context_length", {1, kMostPositions})},
          {"n_embd", m.integer("gpt2.embedding_length", {1, kMostWidth})},
          {"n_layer", m.integer("gpt2.block_count", {1, kMostLayers})},
          {"n_head", m.integer("gpt2.attention.head_count", {1, kMostWidth})},
          {"n_inner", m.integer("gpt2.feed_forward_length", {1, 8 * kMostWidth})},
          {"layer_norm_epsilon", m.number("gpt2.attention.layer_norm_epsilon", {0, 1})},
          {"tie_word_embeddings", file.info("output.weight") == nullptr}};
}

struct Rename {
  std::string_view hugging_face, gguf;
};
constexpr Rename kOutside[] = {{"model.embed_tokens.weight", "token_embd.weight"}, {"model.norm.weight", "output_norm.weight"},
                               {"lm_head.weight", "output.weight"},               {"transformer.wte.weight", "token_embd.weight"},
                               {"transformer.wpe.weight", "position_embd.weight"}, {"transformer.ln_f.weight", "output_norm.weight"},
                               {"transformer.ln_f.bias", "output_norm.bias"}};
constexpr Rename kInLayers[] = {{"self_attn.q_proj", "attn_q"},       {"self_attn.k_proj", "attn_k"},
                                {"self_attn.v_proj", "attn_v"},       {"self_attn.qkv_proj", "attn_qkv"},
                                {"self_attn.o_proj", "attn_output"},  {"self_attn.q_norm", "attn_q_norm"},
                                {"self_attn.k_norm", "attn_k_norm"},  {"mlp.gate_proj", "ffn_gate"},
                                {"mlp.up_proj", "ffn_up"},            {"mlp.gate_up_proj", "ffn_up"},
                                {"mlp.down_proj", "ffn_down"},        {"input_layernorm", "attn_norm"},
                                {"post_attention_layernorm", "ffn_norm"}, {"pre_feedforward_layernorm", "ffn_norm"},
                                {"post_feedforward_layernorm", "post_ffw_norm"},
                                {"ln_1", "attn_norm"},                {"ln_2", "ffn_norm"},
                                {"attn.c_attn", "attn_qkv"},          {"attn.c_proj", "attn_output"},
                                {"mlp.c_fc", "ffn_up"},               {"mlp.c_proj", "ffn_down"}};

// "" for a name that no tensor of a GGUF file answers to.
std::string gguf_name(const std::string& name, bool gemma) {
  for (const auto& [from, to] : kOutside)
    if (name == from) return std::string(to);
  for (const std::string_view prefix : {"model.layers.", "transformer.h."}) {
    if (!name.starts_with(prefix)) continue;
    const std::size_t dot = name.find('.', prefix.size()), last = name.rfind('.');
    if (dot == name.npos || last <= dot) return "";
    const std::string layer = name.substr(prefix.size(), dot - prefix.size()), part = name.substr(dot + 1, last - dot - 1);
    if (gemma && part == "post_attention_layernorm") return "blk." + layer + ".post_attention_norm" + name.substr(last);
    for (const auto& [from, to] : kInLayers)
      if (part == from) return "blk." + layer + "." + std::string(to) + name.substr(last);
  }
  return "";
}

// Rows of each head from neighbours to halves: row 2 j + i of a head becomes row i * dim / 2 + j.
Tensor halves(const Tensor& t, std::int64_t heads) {
  const Tensor x = t.contiguous();
  const std::int64_t rows = x.size(0), dim = rows / heads;
  check(rows % heads == 0 && dim % 2 == 0, Code::weights, "{} rows of queries or keys are not {} heads of even size", rows, heads);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const std::size_t row_bytes = x.bytes() / static_cast<std::size_t>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t head = r / dim, place = r % dim, from = head * dim + 2 * (place % (dim / 2)) + place / (dim / 2);
    std::memcpy(static_cast<char*>(y.raw()) + static_cast<std::size_t>(r) * row_bytes,
                static_cast<const char*>(x.raw()) + static_cast<std::size_t>(from) * row_bytes, row_bytes);
  }
  return y;
}

Tensor transposed(const Tensor& t) {
  const Tensor x = t.to(DType::f32).contiguous();
  Tensor y = Tensor::empty({x.size(1), x.size(0)});
  for (std::int64_t r = 0; r < y.size(0); ++r)
    for (std::int64_t c = 0; c < y.size(1); ++c) y.data<float>()[r * y.size(1) + c] = x.data<float>()[c * x.size(1) + r];
  return y;
}

}  // namespace

Json gguf_config(const GgufFile& file) {
  const Architecture& architecture = architecture_of(file);
  const GgufMetadata& m = file.metadata();
  const std::string prefix = std::string(architecture.name) + ".";
  const GgufTensorInfo* embedding = file.info("token_embd.weight");
  check(embedding && embedding->rank == 2, Code::weights, "{}: token_embd.weight is missing", shown(file.path()));
  if (architecture.model_type == std::string_view("gpt2")) return gpt2_config(file, embedding->dims[0]);

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
            {"rms_norm_eps", m.number(prefix + "attention.layer_norm_rms_epsilon", {0, 1})},
            {"tie_word_embeddings", file.info("output.weight") == nullptr},
            {"sliding_window", nullptr}};
  const bool gemma = std::string_view(architecture.name).starts_with("gemma");
  const Json rope = rope_parameters(file, prefix, head_dim);
  if (architecture.model_type == std::string_view("llama"))
    j["attention_bias"] = file.info("blk.0.attn_q.bias") != nullptr, j["mlp_bias"] = file.info("blk.0.ffn_down.bias") != nullptr;
  if (const std::int64_t window = m.integer_or(prefix + "attention.sliding_window", 0, {0, 1 << 30}); window > 0)
    j["sliding_window"] = window;
  j["rope_parameters"] = rope;
  if (!gemma) return j;
  check(!j["sliding_window"].is_null(), Code::config, "{}: {}attention.sliding_window is missing", shown(file.path()), prefix);
  j["query_pre_attn_scalar"] = head_dim;
  if (architecture.model_type == std::string_view("gemma2")) {
    j["attn_logit_softcapping"] = m.number_or(prefix + "attn_logit_softcapping", 50, {1e-3, 1e6});
    j["final_logit_softcapping"] = m.number_or(prefix + "final_logit_softcapping", 30, {1e-3, 1e6});
  } else {
    j["rope_parameters"] = {{"full_attention", rope},
                            {"sliding_attention",
                             {{"rope_theta", m.number_or(prefix + "rope.freq_base_swa", 10000, {1e-3, 1e12})}, {"rope_type", "default"}}}};
  }
  return j;
}

Tensor gguf_weight(const GgufFile& file, const Json& config, const std::string& name) {
  const std::string type = config.at("model_type");
  const bool gemma = type.starts_with("gemma");
  const std::string gguf = gguf_name(name, gemma);
  Tensor t = gguf.empty() ? Tensor() : file.find(gguf);
  if (!t) return t;
  if (architecture_of(file).interleaved) {
    if (name.find(".q_proj.") != name.npos) return halves(t, config.at("num_attention_heads"));
    if (name.find(".k_proj.") != name.npos) return halves(t, config.at("num_key_value_heads"));
  }
  if (gemma && name.find("norm.weight") != name.npos) {  // gains, where Hugging Face keeps their distance from one
    Tensor less = Tensor::empty(t.shape());
    const Tensor gains = t.to(DType::f32).contiguous();
    for (std::int64_t i = 0; i < gains.elements(); ++i) less.data<float>()[i] = gains.data<float>()[i] - 1;
    return less;
  }
  const bool conv = type == "gpt2" && t.rank() == 2 && name.starts_with("transformer.h.");
  return conv ? transposed(t) : t;
}

LoadedCausalModel load_gguf_model(const fs::path& path, const LoadOptions& options) {
  const GgufFile file(path, options.limits);
  Json config = gguf_config(file);
  if (options.change_config) options.change_config(config);
  LoadedCausalModel loaded{.parameters = std::make_unique<ParameterList>(ParameterList::Options{
                               .source = [&](const std::string& name) { return gguf_weight(file, config, name); },
                               .origin = shown(path),
                               .training = options.training,
                               .device = options.device,
                               .keep_narrow = true}),
                           .model = nullptr,
                           .tokenizer = gguf_tokenizer(file),
                           .stop_tokens = {}};
  loaded.model = make_causal_model(config, shown(path), *loaded.parameters);
  const std::int64_t vocabulary = loaded.model->vocabulary();
  check(loaded.tokenizer.size() <= vocabulary, Code::tokenizer, "{}: {} tokens, and the embedding has {} rows", shown(path),
        loaded.tokenizer.size(), vocabulary);
  std::vector<Token> ends;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"})
    if (file.metadata().has(key)) ends.push_back(static_cast<Token>(file.metadata().integer(key, {0, vocabulary - 1})));
  loaded.stop_tokens = stop_tokens(std::move(ends), loaded.tokenizer, vocabulary);
  return loaded;
}

LoadedCausalModel load_causal(const fs::path& path, const LoadOptions& options) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? load_causal_directory(path, options) : load_gguf_model(path, options);
}

}  // namespace glossa
