// transformer.h -- "Attention Is All You Need" (Vaswani et al., 2017), and its descendants with norms moved and positions
// learned (see TransformerConfig). Parameters carry Hugging Face's names.
#pragma once
#include <vector>

#include "models/transformer_config.h"
#include "nn/kv_cache.h"
#include "nn/layers.h"

namespace glossa {

// Self-attention, or attention of the decoder over the encoder's output (section 3.2).
struct MultiHeadSelfAttention {
  Linear qkv, out;
  std::int64_t count;
  MultiHeadSelfAttention(const Scope& s, std::int64_t width, std::int64_t heads);
};

struct MultiHeadCrossAttention {
  Linear query, key_value, out;
  std::int64_t count;
  MultiHeadCrossAttention(const Scope& s, std::int64_t width, std::int64_t heads);
};

struct FeedForward {  // section 3.3
  Linear fc1, fc2;
  FeedForward(const Scope& s, std::int64_t width, std::int64_t inner) : fc1(s / "fc1", width, inner), fc2(s / "fc2", inner, width) {}
};

struct EncoderLayer {
  MultiHeadSelfAttention self_attn;
  LayerNorm self_attn_layer_norm;
  FeedForward feed_forward;
  LayerNorm final_layer_norm;
  EncoderLayer(const Scope& s, const TransformerConfig& c);
};

struct DecoderLayer {
  MultiHeadSelfAttention self_attn;
  LayerNorm self_attn_layer_norm;
  MultiHeadCrossAttention encoder_attn;
  LayerNorm encoder_attn_layer_norm;
  FeedForward feed_forward;
  LayerNorm final_layer_norm;
  DecoderLayer(const Scope& s, const TransformerConfig& c);
};

// Embedding, positions and the norms around a stack of layers.
struct StackEnds {
  Parameter tokens, positions;
  Tensor sinusoids;  // the table, where positions are not learned
  std::vector<LayerNorm> embedding_norm, final_norm;  // none or one
  StackEnds(const Scope& s, const TransformerConfig& c, Parameter embedding);
};

class Transformer {
 public:
  Transformer(ParameterList& parameters, const TransformerConfig& config);

  const TransformerConfig& config() const { return config_; }
  Device device() const { return device_; }

  // Mean cross entropy of the labels in nats, [1].
  Tensor loss(const Seq2SeqBatch& batch, const LossOptions& options = {}) const;
  Tensor encode(const Tokens& source, bool recompute = false) const;  // [source tokens, d_model]
  Tensor decode(const Tokens& target, const Tensor& memory, const Sequences& sources, bool recompute = false) const;
  Tensor logits(const Tensor& hidden) const;  // [rows, target vocabulary], only for the rows asked for

  // Decoding with caches. `remember` encodes sentences and writes the keys and values of all layers into the given rows
  // of `memory`; `step` gives the hidden state of each new token.
  KvCache make_cache() const;
  void remember(const Tokens& source, const Tensor& rows, KvCache& memory) const;
  Tensor step(const DecodeStep& step, KvCache& self, KvCache& memory) const;
  // Probabilities of the last decoder layer's attention over the source, averaged over its heads, for each target token:
  // [target tokens, longest source], zero where the source is shorter.
  Tensor alignments(const Seq2SeqBatch& batch) const;

  // How many tokens a sequence may have.
  std::int64_t longest() const { return config_.max_position_embeddings; }

 private:
  Tensor embedded(const StackEnds& ends, const Tensor& ids, const Tensor& positions) const;
  // One residual branch: norm, `branch`, sum, in the order that the family wants.
  template <class Branch>
  Tensor residual(const LayerNorm& norm, const Tensor& x, Branch&& branch) const;
  Tensor feed_forward(const FeedForward& f, const Tensor& x, const Tensor& onto) const;
  Tensor encoder_layer(const EncoderLayer& layer, const Tensor& x, const Sequences& sequences) const;
  Tensor decoder_layer(const DecoderLayer& layer, const Tensor& x, const Sequences& targets, const Tensor& memory,
                       const Sequences& sources) const;

  TransformerConfig config_;
  Device device_;
  DType dtype_;
  Parameter shared_;  // the embedding of both sides, where they share it
  StackEnds encoder_ends_, decoder_ends_;
  std::vector<EncoderLayer> encoder_;
  std::vector<DecoderLayer> decoder_;
  Parameter head_, head_bias_;
};

}  // namespace glossa
