#include "models/gpt2.h"

#include <cmath>

#include "autograd/recompute.h"

namespace glossa {
namespace {

constexpr std::string_view kKnown[] = {
    "model_type", "vocab_size", "n_positions", "n_ctx", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "embd_pdrop",
    "attn_pdrop", "resid_pdrop", "layer_norm_epsilon", "initializer_range", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
    "tie_word_embeddings", "eos_token_id", "pad_token_id", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj"};

// Section 2.3: layers that write into the residual stream begin smaller by the number of them.
double residual_init(const Gpt2Config& c) { return c.initializer_range / std::sqrt(2.0 * static_cast<double>(c.n_layer)); }

}  // namespace

Gpt2Block::Gpt2Block(const Scope& s, const Gpt2Config& c)
    : ln_1(s / "ln_1", c.n_embd, c.layer_norm_epsilon),
      c_attn(s / "attn" / "c_attn", c.n_embd, 3 * c.n_embd, c.initializer_range),
      attn_proj(s / "attn" / "c_proj", c.n_embd, c.n_embd, residual_init(c)),
      ln_2(s / "ln_2", c.n_embd, c.layer_norm_epsilon),
      c_fc(s / "mlp" / "c_fc", c.n_embd, c.n_inner, c.initializer_range),
      mlp_proj(s / "mlp" / "c_proj", c.n_inner, c.n_embd, residual_init(c)) {}

Gpt2::Gpt2(ParameterList& parameters, const Gpt2Config& config)
    : config_(config),
      device_(parameters.device()),
      dtype_(parameters.dtype()),
      wte_((parameters.scope() / "transformer" / "wte")
               .parameter("weight", {config.vocab_size, config.n_embd}, {Init::normal, static_cast<float>(config.initializer_range)})),
      wpe_((parameters.scope() / "transformer" / "wpe")
               .parameter("weight", {config.n_positions, config.n_embd}, {Init::normal, static_cast<float>(config.initializer_range)})),
      blocks_([&] {
        std::vector<Gpt2Block> blocks;
        for (int i = 0; i < config.n_layer; ++i) blocks.emplace_back(parameters.scope() / "transformer" / "h" / i, config);
        return blocks;
      }()),
      ln_f_(parameters.scope() / "transformer" / "ln_f", config.n_embd, config.layer_norm_epsilon),
      head_(config.tie_word_embeddings
                ? wte_
                : (parameters.scope() / "lm_head")
                      .parameter("weight", {config.vocab_size, config.n_embd},
                                 {Init::normal, static_cast<float>(config.initializer_range)})) {
  parameters.check_complete();
}

Tensor Gpt2::block(int index, const Tensor& x, const CausalInput& in) const {
  const Gpt2Config& c = config_;
  const Gpt2Block& b = blocks_[index];
  const double dim = static_cast<double>(c.n_embd / c.n_head);
  double scale = c.scale_attn_weights ? 1 / std::sqrt(dim) : 1;
  if (c.scale_attn_by_inverse_layer_idx) scale /= index + 1;
  const auto p = static_cast<float>(c.resid_pdrop);
  const auto [q, k, v] = split<3>(b.c_attn(b.ln_1(x)));
  const Tensor a = causal_attention(in, heads(q, c.n_head), heads(k, c.n_head), heads(v, c.n_head),
                                    {.layer = index, .scale = static_cast<float>(scale), .dropout = static_cast<float>(c.attn_pdrop)});
  const Tensor h = b.attn_proj(a, {.dropout = p, .residual = x});
  return b.mlp_proj(b.c_fc(b.ln_2(h), {.act = c.activation_function}), {.dropout = p, .residual = h});
}

Tensor Gpt2::hidden(const CausalInput& in, bool again) const {
  if (in.cache) in.cache->reserve();
  Tensor x = embed(in.tokens.ids, wte_, {.positions = wpe_, .position = in.positions, .dropout = static_cast<float>(config_.embd_pdrop)});
  for (int i = 0; i < static_cast<int>(blocks_.size()); ++i) {
    const auto run = [this, i, in](const std::vector<Tensor>& inputs) { return block(i, inputs[0], in); };
    x = again ? recompute(run, {x}) : run({x});
  }
  return ln_f_(x);
}

Tensor Gpt2::loss(const CausalBatch& batch, const LossOptions& options) const {
  return cross_entropy(hidden(CausalInput::whole(batch.tokens), options.recompute), head_, {}, batch.labels,
                       {.smoothing = options.label_smoothing, .denominator = options.denominator});
}

KvCache Gpt2::make_cache(const CacheTypes& types) const {
  return {static_cast<int>(config_.n_layer), config_.n_head, config_.n_embd / config_.n_head, device_, dtype_, types};
}

Gpt2Config Gpt2Config::from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes) {
  const JsonView j(json, origin);
  const std::string type = j.string("model_type", "");
  check(type == "gpt2", Code::config, "{}: model_type {} is not supported here; supported: gpt2", origin, quoted(type));
  if (notes) note_unknown_keys(json, origin, {std::begin(kKnown), std::end(kKnown)}, *notes);
  Gpt2Config c;
  c.vocab_size = j.integer("vocab_size", 50257, 1, kMostTokens);
  c.n_positions = j.integer("n_positions", j.integer("n_ctx", 1024, 1, kMostPositions), 1, kMostPositions);
  c.n_embd = j.integer("n_embd", 768, 1, kMostWidth);
  c.n_layer = j.integer("n_layer", 12, 1, kMostLayers);
  c.n_head = j.integer("n_head", 12, 1, kMostWidth);
  check(c.n_embd % c.n_head == 0, Code::config, "{}: n_embd {} is not divisible by n_head {}", origin, c.n_embd, c.n_head);
  c.n_inner = j.integer("n_inner", 4 * c.n_embd, 1, 8 * kMostWidth);
  c.activation_function = unary_from_name(j.string("activation_function", "gelu_new"), origin);
  c.embd_pdrop = j.number("embd_pdrop", 0.1, 0, 0.999);
  c.attn_pdrop = j.number("attn_pdrop", 0.1, 0, 0.999);
  c.resid_pdrop = j.number("resid_pdrop", 0.1, 0, 0.999);
  c.layer_norm_epsilon = j.number("layer_norm_epsilon", 1e-5, 0, 1);
  c.initializer_range = j.number("initializer_range", 0.02, 0, 100);
  c.scale_attn_weights = j.boolean("scale_attn_weights", true);
  c.scale_attn_by_inverse_layer_idx = j.boolean("scale_attn_by_inverse_layer_idx", false);
  c.tie_word_embeddings = j.boolean("tie_word_embeddings", true);
  return c;
}

OrderedJson Gpt2Config::to_json() const {
  OrderedJson j;
  j["architectures"] = {"GPT2LMHeadModel"};
  j["model_type"] = "gpt2";
  j["vocab_size"] = vocab_size;
  j["n_positions"] = n_positions;
  j["n_embd"] = n_embd;
  j["n_layer"] = n_layer;
  j["n_head"] = n_head;
  j["n_inner"] = n_inner;
  j["activation_function"] = name_of(activation_function);
  j["embd_pdrop"] = embd_pdrop;
  j["attn_pdrop"] = attn_pdrop;
  j["resid_pdrop"] = resid_pdrop;
  j["layer_norm_epsilon"] = layer_norm_epsilon;
  j["initializer_range"] = initializer_range;
  j["scale_attn_weights"] = scale_attn_weights;
  j["scale_attn_by_inverse_layer_idx"] = scale_attn_by_inverse_layer_idx;
  j["tie_word_embeddings"] = tie_word_embeddings;
  j["dtype"] = "float32";
  return j;
}

}  // namespace glossa
