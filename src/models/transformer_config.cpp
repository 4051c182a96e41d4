#include "models/transformer_config.h"

#include <string_view>

namespace glossa {
namespace {

// Keys that may not be null: where one is absent, its family's default holds, but null stands for a mistake.
constexpr std::string_view kNeeded[] = {
    "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads",
    "encoder_ffn_dim", "decoder_ffn_dim", "activation_function", "dropout", "attention_dropout", "activation_dropout",
    "max_position_embeddings", "scale_embedding", "share_encoder_decoder_embeddings", "tie_word_embeddings", "init_std"};
constexpr std::string_view kOthers[] = {"model_type", "decoder_vocab_size", "pad_token_id", "eos_token_id", "decoder_start_token_id",
                                        "forced_bos_token_id"};

void check_keys(const Json& json, const std::string& origin, std::vector<std::string>* notes) {
  for (const std::string_view key : kNeeded)
    check(!json.contains(key) || !json.at(key).is_null(), Code::config, "{}: {} is null; give a value, or leave the key out", origin, key);
  std::vector<std::string_view> known(std::begin(kNeeded), std::end(kNeeded));
  known.insert(known.end(), std::begin(kOthers), std::end(kOthers));
  if (notes) note_unknown_keys(json, origin, known, *notes);
}

}  // namespace

TransformerConfig TransformerConfig::from_json(const Json& json, const std::string& origin, std::vector<std::string>* notes) {
  const JsonView j(json, origin);
  TransformerConfig c;
  c.model_type = j.string("model_type", "");
  check(c.model_type == "marian" || c.model_type == "bart" || c.model_type == "m2m_100" || c.model_type == "mbart",
        Code::config, "{}: model_type {} is not supported here; supported: marian, bart, m2m_100, mbart", origin,
        quoted(c.model_type));
  const bool marian = c.model_type == "marian";
  check_keys(json, origin, notes);
  check(j.has("vocab_size"), Code::config, "{}: vocab_size is missing", origin);
  c.vocab_size = j.integer("vocab_size", 0, 1, kMostTokens);
  c.decoder_vocab_size = j.integer("decoder_vocab_size", 0, 0, kMostTokens);
  c.d_model = j.integer("d_model", 1024, 1, kMostWidth);
  c.encoder_layers = j.integer("encoder_layers", 12, 1, kMostLayers);
  c.decoder_layers = j.integer("decoder_layers", 12, 1, kMostLayers);
  c.encoder_attention_heads = j.integer("encoder_attention_heads", 16, 1, kMostWidth);
  c.decoder_attention_heads = j.integer("decoder_attention_heads", 16, 1, kMostWidth);
  c.encoder_ffn_dim = j.integer("encoder_ffn_dim", 4096, 1, kMostWidth * 8);
  c.decoder_ffn_dim = j.integer("decoder_ffn_dim", 4096, 1, kMostWidth * 8);
  c.activation_function = unary_from_name(j.string("activation_function", c.model_type == "m2m_100" ? "relu" : "gelu"), origin);
  c.dropout = j.number("dropout", 0.1, 0, 0.999);
  c.attention_dropout = j.number("attention_dropout", 0, 0, 0.999);
  c.activation_dropout = j.number("activation_dropout", 0, 0, 0.999);
  c.max_position_embeddings = j.integer("max_position_embeddings", 1024, 1, kMostPositions);
  c.scale_embedding = j.boolean("scale_embedding", c.model_type == "m2m_100");
  c.share_encoder_decoder_embeddings = !marian || j.boolean("share_encoder_decoder_embeddings", true);
  c.tie_word_embeddings = j.boolean("tie_word_embeddings", true);
  c.init_std = j.number("init_std", 0.02, 0, 100);
  c.pad_token_id = j.integer("pad_token_id", marian ? 58100 : 1, 0, kMostTokens);
  c.eos_token_id = j.integer("eos_token_id", marian ? 0 : 2, 0, kMostTokens);
  c.decoder_start_token_id = j.integer("decoder_start_token_id", marian ? 58100 : 2, 0, kMostTokens);
  c.forced_bos_token_id = j.integer("forced_bos_token_id", -1, -1, kMostTokens);
  c.validate(origin);
  return c;
}

void TransformerConfig::validate(const std::string& origin) const {
  check(d_model % encoder_attention_heads == 0, Code::config, "{}: d_model {} is not divisible by encoder_attention_heads {}",
        origin, d_model, encoder_attention_heads);
  check(d_model % decoder_attention_heads == 0, Code::config, "{}: d_model {} is not divisible by decoder_attention_heads {}",
        origin, d_model, decoder_attention_heads);
  check(learned_positions() || d_model % 2 == 0, Code::config, "{}: d_model {} must be even for sinusoidal positions", origin,
        d_model);
  check(!share_encoder_decoder_embeddings || target_vocab_size() == vocab_size, Code::config,
        "{}: shared embeddings need one vocabulary, but vocab_size is {} and decoder_vocab_size {}", origin, vocab_size,
        decoder_vocab_size);
  const auto in_target = [&](std::int64_t id, const char* key) {
    check(id < target_vocab_size(), Code::config, "{}: {} is {}, outside a vocabulary of {}", origin, key, id, target_vocab_size());
  };
  in_target(pad_token_id, "pad_token_id");
  in_target(eos_token_id, "eos_token_id");
  in_target(decoder_start_token_id, "decoder_start_token_id");
  in_target(forced_bos_token_id, "forced_bos_token_id");
}

std::int64_t TransformerConfig::parameters() const {
  const std::int64_t d = d_model, norm = 2 * d, square = d * d + d;
  const auto feed_forward = [&](std::int64_t inner) { return 2 * d * inner + inner + d; };
  const std::int64_t encoder = 4 * square + feed_forward(encoder_ffn_dim) + 2 * norm;
  const std::int64_t decoder = 8 * square + feed_forward(decoder_ffn_dim) + 3 * norm;
  std::int64_t n = encoder_layers * encoder + decoder_layers * decoder;
  n += (one_embedding() ? vocab_size : vocab_size + target_vocab_size()) * d;
  if (!tie_word_embeddings) n += target_vocab_size() * d;
  if (model_type != "m2m_100") n += target_vocab_size();  // the head's bias
  n += (learned_positions() ? 2 * (max_position_embeddings + 2) : max_position_embeddings) * d;
  return n + 2 * norm * (embedding_norm() + norm_before());
}

OrderedJson TransformerConfig::to_json() const {
  static const std::string_view kClasses[][2] = {{"marian", "MarianMTModel"},
                                                 {"bart", "BartForConditionalGeneration"},
                                                 {"m2m_100", "M2M100ForConditionalGeneration"},
                                                 {"mbart", "MBartForConditionalGeneration"}};
  OrderedJson j;
  for (const auto& [type, name] : kClasses)
    if (model_type == type) j["architectures"] = {name};
  j["model_type"] = model_type;
  j["vocab_size"] = vocab_size;
  if (model_type == "marian") j["decoder_vocab_size"] = target_vocab_size();
  j["d_model"] = d_model;
  j["encoder_layers"] = encoder_layers;
  j["decoder_layers"] = decoder_layers;
  j["num_hidden_layers"] = encoder_layers;
  j["encoder_attention_heads"] = encoder_attention_heads;
  j["decoder_attention_heads"] = decoder_attention_heads;
  j["encoder_ffn_dim"] = encoder_ffn_dim;
  j["decoder_ffn_dim"] = decoder_ffn_dim;
  j["activation_function"] = name_of(activation_function);
  j["dropout"] = dropout;
  j["attention_dropout"] = attention_dropout;
  j["activation_dropout"] = activation_dropout;
  j["encoder_layerdrop"] = 0.0;
  j["decoder_layerdrop"] = 0.0;
  j["max_position_embeddings"] = max_position_embeddings;
  j["scale_embedding"] = scale_embedding;
  if (model_type == "marian") {
    j["static_position_embeddings"] = true;
    j["share_encoder_decoder_embeddings"] = one_embedding();
    j["normalize_before"] = false;
  }
  j["tie_word_embeddings"] = tie_word_embeddings;
  j["init_std"] = init_std > 0 ? init_std : 0.02;
  j["is_encoder_decoder"] = true;
  j["use_cache"] = true;
  j["pad_token_id"] = pad_token_id;
  j["eos_token_id"] = eos_token_id;
  j["bos_token_id"] = nullptr;
  j["decoder_start_token_id"] = decoder_start_token_id;
  if (forced_bos_token_id >= 0) j["forced_bos_token_id"] = forced_bos_token_id;
  j["forced_eos_token_id"] = nullptr;
  j["dtype"] = "float32";
  return j;
}

}  // namespace glossa
