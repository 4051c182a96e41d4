#include "models/transformer.h"

#include <cmath>
#include <numbers>

#include "autograd/recompute.h"

namespace glossa {
namespace {

// Section 3.5, with sines in the first half of the width and cosines in the second, as both families store them.
// marian: wave lengths 10000^(2i / width); m2m_100 (after tensor2tensor): 10000^(i / (width / 2 - 1)).
Tensor sinusoid_table(const TransformerConfig& c, Device device, DType dtype) {
  const std::int64_t half = c.d_model / 2;
  Tensor table = Tensor::empty({c.max_position_embeddings, c.d_model}, DType::f32, {});
  auto* out = table.data<float>();
  const bool marian = c.model_type == "marian";
  // m2m_100 counts positions from the one after the padding token's id.
  const std::int64_t first = marian ? 0 : c.pad_token_id + 1;
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < half; ++i) {
    const double exponent = marian ? static_cast<double>(i) / static_cast<double>(half)
                                   : static_cast<double>(i) / static_cast<double>(std::max<std::int64_t>(half - 1, 1));
    frequencies.push_back(std::pow(10000.0, -exponent));
  }
  for (std::int64_t p = 0; p < c.max_position_embeddings; ++p)
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p + first) * frequencies[static_cast<std::size_t>(i)];
      out[p * c.d_model + i] = static_cast<float>(std::sin(angle));
      out[p * c.d_model + half + i] = static_cast<float>(std::cos(angle));
    }
  return table.to(dtype).to(device);
}

// bart and mbart leave the first two rows of their tables unused (a trace of padding ids in fairseq).
constexpr std::int32_t kLearnedOffset = 2;

Init embedding_init(const TransformerConfig& c) {
  return {Init::normal, c.init_std > 0 ? static_cast<float>(c.init_std)
                                       : static_cast<float>(1 / std::sqrt(static_cast<double>(c.d_model)))};
}

// Queries, keys and values begin as rows of one joint [3 width, width] matrix would: narrower, so that attention begins
// flat. Post-norm with few layers does not learn at high rates otherwise.
constexpr Init kProjectionInit = {Init::xavier_uniform, std::numbers::sqrt2_v<float> / 2};

}  // namespace

MultiHeadSelfAttention::MultiHeadSelfAttention(const Scope& s, std::int64_t width, std::int64_t heads)
    : qkv(Linear::stacked(s, {"q_proj", "k_proj", "v_proj"}, width, {width, width, width}, {.init = kProjectionInit})),
      out(s / "out_proj", width, width),
      count(heads) {}

MultiHeadCrossAttention::MultiHeadCrossAttention(const Scope& s, std::int64_t width, std::int64_t heads)
    : query(s / "q_proj", width, width, {.init = kProjectionInit}),
      key_value(Linear::stacked(s, {"k_proj", "v_proj"}, width, {width, width}, {.init = kProjectionInit})),
      out(s / "out_proj", width, width),
      count(heads) {}

EncoderLayer::EncoderLayer(const Scope& s, const TransformerConfig& c)
    : self_attn(s / "self_attn", c.d_model, c.encoder_attention_heads),
      self_attn_layer_norm(s / "self_attn_layer_norm", c.d_model),
      feed_forward(s, c.d_model, c.encoder_ffn_dim),
      final_layer_norm(s / "final_layer_norm", c.d_model) {}

DecoderLayer::DecoderLayer(const Scope& s, const TransformerConfig& c)
    : self_attn(s / "self_attn", c.d_model, c.decoder_attention_heads),
      self_attn_layer_norm(s / "self_attn_layer_norm", c.d_model),
      encoder_attn(s / "encoder_attn", c.d_model, c.decoder_attention_heads),
      encoder_attn_layer_norm(s / "encoder_attn_layer_norm", c.d_model),
      feed_forward(s, c.d_model, c.decoder_ffn_dim),
      final_layer_norm(s / "final_layer_norm", c.d_model) {}

StackEnds::StackEnds(const Scope& s, const TransformerConfig& c, Parameter embedding)
    : tokens(std::move(embedding)) {
  if (c.learned_positions())
    positions = (s / "embed_positions").parameter("weight", {c.max_position_embeddings + kLearnedOffset, c.d_model}, embedding_init(c));
  if (c.embedding_norm()) embedding_norm.emplace_back(s / "layernorm_embedding", c.d_model);
  if (c.norm_before()) final_norm.emplace_back(s / "layer_norm", c.d_model);
}

namespace {

Parameter embedding_of(const Scope& s, const TransformerConfig& c, const Parameter& shared, const char* side, std::int64_t count) {
  if (shared) return shared;
  // Under which other name a checkpoint may hold the table, being tied to it.
  std::vector<std::string> aliases;
  if (c.share_encoder_decoder_embeddings) aliases = {"model.shared.weight"};
  if (c.tie_word_embeddings && std::string_view(side) == "decoder") aliases = {"lm_head.weight"};
  return (s / side / "embed_tokens").parameter("weight", {count, c.d_model}, embedding_init(c), aliases);
}

}  // namespace

Transformer::Transformer(ParameterList& parameters, const TransformerConfig& config)
    : config_(config),
      device_(parameters.device()),
      dtype_(parameters.dtype()),
      shared_(config.one_embedding()
                  ? (parameters.scope() / "model" / "shared")
                        .parameter("weight", {config.vocab_size, config.d_model}, embedding_init(config),
                                   {"model.decoder.embed_tokens.weight", "model.encoder.embed_tokens.weight", "lm_head.weight"})
                  : Parameter()),
      encoder_ends_(parameters.scope() / "model" / "encoder", config,
                    embedding_of(parameters.scope() / "model", config, shared_, "encoder", config.vocab_size)),
      decoder_ends_(parameters.scope() / "model" / "decoder", config,
                    embedding_of(parameters.scope() / "model", config, shared_, "decoder", config.target_vocab_size())) {
  config_.validate("model configuration");
  const Scope root = parameters.scope();
  for (int i = 0; i < config_.encoder_layers; ++i) encoder_.emplace_back(root / "model" / "encoder" / "layers" / i, config_);
  for (int i = 0; i < config_.decoder_layers; ++i) decoder_.emplace_back(root / "model" / "decoder" / "layers" / i, config_);
  head_ = config_.tie_word_embeddings
              ? decoder_ends_.tokens
              : (root / "lm_head").parameter("weight", {config_.target_vocab_size(), config_.d_model}, embedding_init(config_));
  if (config_.model_type != "m2m_100") head_bias_ = root.constant("final_logits_bias", {1, config_.target_vocab_size()});
  parameters.check_complete();
  if (!config_.learned_positions()) encoder_ends_.sinusoids = decoder_ends_.sinusoids = sinusoid_table(config_, device_, dtype_);
}

Tensor Transformer::embedded(const StackEnds& ends, const Tensor& ids, const Tensor& positions) const {
  const float scale = config_.scale_embedding ? static_cast<float>(std::sqrt(static_cast<double>(config_.d_model))) : 1.0f;
  const auto p = static_cast<float>(config_.dropout);
  const Tensor table = ends.sinusoids ? ends.sinusoids : ends.positions.value();
  if (ends.embedding_norm.empty())
    return embed(ids, ends.tokens, {.scale = scale, .positions = table, .position = positions, .dropout = p});
  const Tensor x = embed(ids, ends.tokens, {.scale = scale, .positions = table, .position = positions});
  return dropout(ends.embedding_norm[0](x), p);
}

template <class Branch>
Tensor Transformer::residual(const LayerNorm& norm, const Tensor& x, Branch&& branch) const {
  return config_.norm_before() ? branch(norm(x), x) : norm(branch(x, x));
}

Tensor Transformer::feed_forward(const FeedForward& f, const Tensor& x, const Tensor& onto) const {
  const Tensor inner = f.fc1(x, {.act = config_.activation_function, .dropout = static_cast<float>(config_.activation_dropout)});
  return f.fc2(inner, {.dropout = static_cast<float>(config_.dropout), .residual = onto});
}

Tensor Transformer::encoder_layer(const EncoderLayer& layer, const Tensor& x, const Sequences& sequences) const {
  const auto p = static_cast<float>(config_.dropout), pa = static_cast<float>(config_.attention_dropout);
  const std::int64_t count = layer.self_attn.count;
  const Tensor h = residual(layer.self_attn_layer_norm, x, [&](const Tensor& in, const Tensor& onto) {
    const auto [q, k, v] = split<3>(layer.self_attn.qkv(in));
    const Tensor a = attention(heads(q, count), heads(k, count), heads(v, count), sequences, sequences, {.dropout = pa});
    return layer.self_attn.out(a, {.dropout = p, .residual = onto});
  });
  return residual(layer.final_layer_norm, h,
                  [&](const Tensor& in, const Tensor& onto) { return feed_forward(layer.feed_forward, in, onto); });
}

Tensor Transformer::decoder_layer(const DecoderLayer& layer, const Tensor& x, const Sequences& targets, const Tensor& memory,
                                  const Sequences& sources) const {
  const auto p = static_cast<float>(config_.dropout), pa = static_cast<float>(config_.attention_dropout);
  const std::int64_t count = layer.self_attn.count;
  Tensor h = residual(layer.self_attn_layer_norm, x, [&](const Tensor& in, const Tensor& onto) {
    const auto [q, k, v] = split<3>(layer.self_attn.qkv(in));
    const Tensor a = attention(heads(q, count), heads(k, count), heads(v, count), targets, targets,
                               {.mask = {.causal = true}, .dropout = pa});
    return layer.self_attn.out(a, {.dropout = p, .residual = onto});
  });
  h = residual(layer.encoder_attn_layer_norm, h, [&](const Tensor& in, const Tensor& onto) {
    const auto [k, v] = split<2>(layer.encoder_attn.key_value(memory));
    const Tensor a = attention(heads(layer.encoder_attn.query(in), count), heads(k, count), heads(v, count), targets, sources,
                               {.dropout = pa});
    return layer.encoder_attn.out(a, {.dropout = p, .residual = onto});
  });
  return residual(layer.final_layer_norm, h,
                  [&](const Tensor& in, const Tensor& onto) { return feed_forward(layer.feed_forward, in, onto); });
}

Tensor Transformer::encode(const Tokens& source, bool again) const {
  check(source.sequences.longest <= longest(), Code::size, "a source of {} tokens; the model's max_position_embeddings is {}",
        source.sequences.longest, longest());
  Tensor x = embedded(encoder_ends_, source.ids, positions_of(source.sequences, config_.learned_positions() ? kLearnedOffset : 0));
  for (const EncoderLayer& layer : encoder_) {
    const auto run = [&layer, this, sequences = source.sequences](const std::vector<Tensor>& in) {
      return encoder_layer(layer, in[0], sequences);
    };
    x = again ? recompute(run, {x}) : run({x});
  }
  return encoder_ends_.final_norm.empty() ? x : encoder_ends_.final_norm[0](x);
}

Tensor Transformer::decode(const Tokens& target, const Tensor& memory, const Sequences& sources, bool again) const {
  check(target.sequences.longest <= longest(), Code::size, "a target of {} tokens; the model's max_position_embeddings is {}",
        target.sequences.longest, longest());
  Tensor x = embedded(decoder_ends_, target.ids, positions_of(target.sequences, config_.learned_positions() ? kLearnedOffset : 0));
  for (const DecoderLayer& layer : decoder_) {
    const auto run = [&layer, this, targets = target.sequences, sources](const std::vector<Tensor>& in) {
      return decoder_layer(layer, in[0], targets, in[1], sources);
    };
    x = again ? recompute(run, {x, memory}) : run({x, memory});
  }
  return decoder_ends_.final_norm.empty() ? x : decoder_ends_.final_norm[0](x);
}

Tensor Transformer::logits(const Tensor& hidden) const { return linear(hidden, head_, head_bias_); }

Tensor Transformer::loss(const Seq2SeqBatch& batch, const LossOptions& options) const {
  const Tensor memory = encode(batch.source, options.recompute);
  const Tensor hidden = decode(batch.target, memory, batch.source.sequences, options.recompute);
  return cross_entropy(hidden, head_, head_bias_, batch.labels,
                       {.smoothing = options.label_smoothing, .denominator = options.denominator});
}

KvCache Transformer::make_cache() const {
  const std::int64_t count = config_.decoder_attention_heads;
  return {static_cast<int>(config_.decoder_layers), count, config_.d_model / count, device_, dtype_};
}

void Transformer::remember(const Tokens& source, const Tensor& rows, KvCache& memory) const {
  const Tensor encoded = encode(source);
  memory.reserve();
  for (std::size_t i = 0; i < decoder_.size(); ++i) {
    const auto [k, v] = split<2>(decoder_[i].encoder_attn.key_value(encoded));
    memory.write(static_cast<int>(i), k, v, rows);
  }
}

Tensor Transformer::step(const DecodeStep& step, KvCache& self, KvCache& memory) const {
  Tensor positions = step.positions;
  if (config_.learned_positions()) {
    positions = Tensor::empty(step.positions.shape(), DType::i32, device_);
    for (std::int64_t i = 0; i < positions.elements(); ++i)
      positions.data<std::int32_t>()[i] = step.positions.data<std::int32_t>()[i] + kLearnedOffset;
  }
  self.reserve();
  Tensor x = embedded(decoder_ends_, step.tokens.ids, positions);
  const auto attend = [](const Tensor& q, const KvCache::Layer& cache, std::int64_t count, const Sequences& queries,
                         const CachedKeys& seen, const Mask& mask) {
    return attention(heads(q, count), heads(cache.keys, count), heads(cache.values, count), queries, seen.keys,
                     {.mask = mask, .key_rows = seen.rows});
  };
  for (std::size_t i = 0; i < decoder_.size(); ++i) {
    const DecoderLayer& layer = decoder_[i];
    const int index = static_cast<int>(i);
    const std::int64_t count = layer.self_attn.count;
    Tensor h = residual(layer.self_attn_layer_norm, x, [&](const Tensor& in, const Tensor& onto) {
      const auto [q, k, v] = split<3>(layer.self_attn.qkv(in));
      self.write(index, k, v, step.new_rows);
      const Tensor a = attend(q, self.layer(index), count, step.tokens.sequences, step.past, {.causal = true});
      return layer.self_attn.out(a, {.residual = onto});
    });
    h = residual(layer.encoder_attn_layer_norm, h, [&](const Tensor& in, const Tensor& onto) {
      const Tensor a = attend(layer.encoder_attn.query(in), memory.layer(index), count, step.groups, step.memory, {});
      return layer.encoder_attn.out(a, {.residual = onto});
    });
    x = residual(layer.final_layer_norm, h,
                 [&](const Tensor& in, const Tensor& onto) { return feed_forward(layer.feed_forward, in, onto); });
  }
  return decoder_ends_.final_norm.empty() ? x : decoder_ends_.final_norm[0](x);
}

Tensor Transformer::alignments(const Seq2SeqBatch& batch) const {
  const Tensor memory = encode(batch.source);
  Tensor x = embedded(decoder_ends_, batch.target.ids,
                      positions_of(batch.target.sequences, config_.learned_positions() ? kLearnedOffset : 0));
  for (std::size_t i = 0; i + 1 < decoder_.size(); ++i)
    x = decoder_layer(decoder_[i], x, batch.target.sequences, memory, batch.source.sequences);
  // The last layer up to its cross-attention, whose probabilities are then spelled out: the fused op never has them.
  const DecoderLayer& last = decoder_.back();
  const std::int64_t count = last.self_attn.count, dim = config_.d_model / count;
  const Tensor h = residual(last.self_attn_layer_norm, x, [&](const Tensor& in, const Tensor& onto) {
    const auto [q, k, v] = split<3>(last.self_attn.qkv(in));
    const Tensor a = attention(heads(q, count), heads(k, count), heads(v, count), batch.target.sequences, batch.target.sequences,
                               {.mask = {.causal = true}});
    return last.self_attn.out(a, {.residual = onto});
  });
  const Tensor query = last.encoder_attn.query(config_.norm_before() ? last.encoder_attn_layer_norm(h) : h).to(DType::f32);
  const Tensor key = last.encoder_attn.key_value(memory).slice(1, 0, config_.d_model).contiguous().to(DType::f32);
  const auto targets = batch.target.sequences.starts.span<std::int32_t>(), sources = batch.source.sequences.starts.span<std::int32_t>();
  Tensor out = Tensor::zeros({query.rows(), batch.source.sequences.longest}, DType::f32, device_);
  std::vector<double> p;
  for (std::int32_t s = 0; s < batch.target.sequences.count; ++s)
    for (std::int32_t t = targets[s]; t < targets[s + 1]; ++t)
      for (std::int64_t head = 0; head < count; ++head) {
        const float* q = query.data<float>() + t * config_.d_model + head * dim;
        p.assign(static_cast<std::size_t>(sources[s + 1] - sources[s]), 0);
        double largest = -INFINITY, sum = 0;
        for (std::size_t j = 0; j < p.size(); ++j) {
          const float* k = key.data<float>() + (sources[s] + static_cast<std::int64_t>(j)) * config_.d_model + head * dim;
          for (std::int64_t d = 0; d < dim; ++d) p[j] += static_cast<double>(q[d]) * k[d];
          p[j] /= std::sqrt(static_cast<double>(dim));
          largest = std::max(largest, p[j]);
        }
        for (double& x_j : p) sum += x_j = std::exp(x_j - largest);
        float* row = out.data<float>() + t * out.cols();
        for (std::size_t j = 0; j < p.size(); ++j) row[j] += static_cast<float>(p[j] / sum / static_cast<double>(count));
      }
  return out;
}

}  // namespace glossa
