#include "models/config_keys.h"

#include <algorithm>
#include <array>
#include <utility>

namespace glossa {
namespace {

constexpr std::array<std::pair<Unary, const char*>, 6> kActivations{{{Unary::relu, "relu"},
                                                                     {Unary::gelu, "gelu"},
                                                                     {Unary::gelu_tanh, "gelu_new"},
                                                                     {Unary::silu, "swish"},
                                                                     {Unary::tanh, "tanh"},
                                                                     {Unary::sigmoid, "sigmoid"}}};

// Keys of Hugging Face's configurations that say nothing about what these models compute.
constexpr std::string_view kIndifferent[] = {
    "architectures", "transformers_version", "torch_dtype", "dtype", "is_encoder_decoder", "is_decoder", "use_cache",
    "num_hidden_layers", "hidden_size", "num_attention_heads", "encoder_layerdrop", "decoder_layerdrop", "layerdrop",
    "static_position_embeddings", "normalize_before", "normalize_embedding", "add_final_layer_norm", "add_bias_logits",
    "extra_pos_embeddings", "bos_token_id", "sep_token_id", "unk_token_id", "forced_eos_token_id", "force_bos_token_to_be_generated",
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

}  // namespace

Unary unary_from_name(const std::string& name, const std::string& origin) {
  if (name == "silu") return Unary::silu;  // Hugging Face knows it by both names
  if (name == "gelu_pytorch_tanh") return Unary::gelu_tanh;
  std::string known;
  for (const auto& [act, word] : kActivations) {
    if (name == word) return act;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  fail(Code::config, "{}: the activation {} is not supported; supported: {}", origin, quoted(name), known);
}

std::string name_of(Unary act) {
  for (const auto& [a, word] : kActivations)
    if (a == act) return word;
  return "none";
}

void note_unknown_keys(const Json& json, const std::string& origin, const std::vector<std::string_view>& known,
                       std::vector<std::string>& notes) {
  for (const auto& [key, value] : json.items()) {
    if (has(known, key) || has(kIndifferent, key) || key.starts_with('_')) continue;
    if (has(kCode, key)) {
      notes.push_back(fmt::format("{}: {} is passed over: code in models is never run", origin, key));
      continue;
    }
    const std::string meant = closest(key, known);
    notes.push_back(fmt::format("{}: unknown key {} has no effect{}", origin, quoted(key),
                                meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
  }
}

}  // namespace glossa
