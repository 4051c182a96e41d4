#include "models/transformer_config.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace glossa {
namespace {

constexpr std::array<std::pair<Unary, const char*>, 6> kActivations{{{Unary::relu, "relu"},
                                                                     {Unary::gelu, "gelu"},
                                                                     {Unary::gelu_tanh, "gelu_new"},
                                                                     {Unary::silu, "swish"},
                                                                     {Unary::tanh, "tanh"},
                                                                     {Unary::sigmoid, "sigmoid"}}};

constexpr std::int64_t kMostTokens = 16'000'000, kMostWidth = 1 << 17, kMostLayers = 1024, kMostPositions = 1 << 20;

// Keys that may not be null: where one is absent, its family's default holds, but null stands for a mistake.
constexpr std::string_view kNeeded[] = {
    "vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads",
    "encoder_ffn_dim", "decoder_ffn_dim", "activation_function", "dropout", "attention_dropout", "activation_dropout",
    "max_position_embeddings", "scale_embedding", "share_encoder_decoder_embeddings", "tie_word_embeddings", "init_std"};
constexpr std::string_view kOthers[] = {"model_type", "decoder_vocab_size", "pad_token_id", "eos_token_id", "decoder_start_token_id",
                                        "forced_bos_token_id"};

// Keys of Hugging Face's configurations that say nothing about what these models compute.
constexpr std::string_view kIndifferent[] = {
    "architectures", "transformers_version", "torch_dtype", "dtype", "is_encoder_decoder", "is_decoder", "use_cache",
    "num_hidden_layers", "hidden_size", "num_attention_heads", "encoder_layerdrop", "decoder_layerdrop", "layerdrop",
    "static_position_embeddings", "normalize_before", "normalize_embedding", "add_final_layer_norm", "add_bias_logits",
    "extra_pos_embeddings", "bos_token_id", "sep_token_id", "forced_eos_token_id", "force_bos_token_to_be_generated",
    "bad_words_ids", "num_beams", "max_length", "min_length", "length_penalty", "no_repeat_ngram_size", "early_stopping",
    "do_sample", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "diversity_penalty", "num_beam_groups",
    "num_return_sequences", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "suppress_tokens",
    "begin_suppress_tokens", "remove_invalid_values", "return_dict_in_generate", "output_scores", "output_attentions",
    "output_hidden_states", "output_past", "return_dict", "chunk_size_feed_forward", "gradient_checkpointing", "pruned_heads",
    "id2label", "label2id", "num_labels", "problem_type", "classif_dropout", "classifier_dropout", "task_specific_params",
    "tokenizer_class", "prefix", "finetuning_task", "save_step", "tf_legacy_loss", "torchscript", "use_bfloat16",
    "add_cross_attention", "cross_attention_hidden_size", "tie_encoder_decoder", "name_or_path"};

constexpr std::string_view kCode[] = {"auto_map", "trust_remote_code", "custom_code", "custom_pipelines"};

template <class List>
bool has(const List& list, std::string_view key) {
  return std::find(std::begin(list), std::end(list), key) != std::end(list);
}

void check_keys(const Json& json, const std::string& origin, std::vector<std::string>* notes) {
  std::vector<std::string_view> known(std::begin(kNeeded), std::end(kNeeded));
  known.insert(known.end(), std::begin(kOthers), std::end(kOthers));
  for (const auto& [key, value] : json.items()) {
    check(!value.is_null() || !has(kNeeded, key), Code::config, "{}: {} is null; give a value, or leave the key out", origin, key);
    if (!notes || has(known, key) || has(kIndifferent, key) || key.starts_with('_')) continue;
    if (has(kCode, key)) {
      notes->push_back(fmt::format("{}: {} is passed over: code in models is never run", origin, key));
      continue;
    }
    const std::string meant = closest(key, known);
    notes->push_back(fmt::format("{}: unknown key {} has no effect{}", origin, quoted(key),
                                 meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
  }
}

}  // namespace

Unary unary_from_name(const std::string& name, const std::string& origin) {
  if (name == "silu") return Unary::silu;  // Hugging Face knows it by both names
  if (name == "gelu_pytorch_tanh") return Unary::gelu_tanh;
  std::string known;
  for (const auto& [act, word] : kActivations) {
    if (name == word) return act;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  fail(Code::config, "{}: activation_function {} is not supported; supported: {}", origin, quoted(name), known);
}

std::string name_of(Unary act) {
  for (const auto& [a, word] : kActivations)
    if (a == act) return word;
  return "none";
}

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
