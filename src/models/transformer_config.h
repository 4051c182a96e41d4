// transformer_config.h -- the sizes and variants of the encoder-decoder Transformer, in Hugging Face's words.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/config_keys.h"

namespace glossa {

// Fields carry the names of config.json. The four families are one architecture in four layouts:
//   marian     norms after each sub-layer (as in the paper), sinusoidal positions
//   bart       norms after, learned positions, a norm on the embeddings
//   m2m_100    norms before, sinusoidal positions, a norm at the end of each stack
//   mbart      norms before, learned positions, norms on the embeddings and at the end
struct TransformerConfig {
  std::string model_type = "marian";
  std::int64_t vocab_size = 0;          // of the source, and of the target unless decoder_vocab_size says otherwise
  std::int64_t decoder_vocab_size = 0;  // 0: vocab_size
  std::int64_t d_model = 512;
  std::int64_t encoder_layers = 6, decoder_layers = 6;
  std::int64_t encoder_attention_heads = 8, decoder_attention_heads = 8;
  std::int64_t encoder_ffn_dim = 2048, decoder_ffn_dim = 2048;
  Unary activation_function = Unary::relu;
  double dropout = 0.1, attention_dropout = 0, activation_dropout = 0;
  std::int64_t max_position_embeddings = 512;
  bool scale_embedding = true;
  bool share_encoder_decoder_embeddings = true;
  bool tie_word_embeddings = true;  // the head is the target's embedding
  double init_std = 0;              // 0: Xavier for products, d_model^-1/2 for embeddings
  std::int64_t pad_token_id = 0, eos_token_id = 1, decoder_start_token_id = 0;
  std::int64_t forced_bos_token_id = -1;

  bool norm_before() const { return model_type == "m2m_100" || model_type == "mbart"; }
  bool learned_positions() const { return model_type == "bart" || model_type == "mbart"; }
  bool embedding_norm() const { return learned_positions(); }
  // Hugging Face shares the tables of both sides only where the head is tied to them too.
  bool one_embedding() const { return share_encoder_decoder_embeddings && tie_word_embeddings; }
  std::int64_t target_vocab_size() const { return decoder_vocab_size ? decoder_vocab_size : vocab_size; }

  // How many numbers the weights and tables of such a model hold.
  std::int64_t parameters() const;

  // Error(config) names the file, the key, what was found and what is allowed. `notes` gets a line for each key that
  // is passed over though somebody may think that it matters.
  static TransformerConfig from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes = nullptr);
  OrderedJson to_json() const;
  void validate(const std::string& origin) const;
};

}  // namespace glossa
