// recipe.h -- everything a training run is told, in one YAML file of five sections. Each key is declared
// once, in recipe_fields.cpp: from there come parsing, defaults, ranges, "did you mean", the JSON schema, and
// the written-out recipe.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace glossa {

inline constexpr const char* kLanguageModeling = "language-modeling";  // a value of data.task

struct DataRecipe {
  std::string task, train_source, train_target, valid_source, valid_target, test_source, test_target;
  std::vector<std::string> train_file, valid_file;
  std::string format, source_lang, target_lang, source_column, target_column, text_column, documents,
      invalid_utf8;
  double validation_split_percentage;
  std::int64_t block_size;
  std::int64_t max_length, min_length;
  double max_length_ratio;
  bool strict;
  std::int64_t generated_examples, generated_valid_examples, generated_max_digits;
};

struct TokenizerRecipe {
  std::string file, type, normalization;
  std::int64_t vocab_size, min_frequency;
  bool lowercase;
  double dropout;
};

struct ModelRecipe {
  std::string model_type, config_name, model_name_or_path;
  std::int64_t hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, intermediate_size;
  std::string normalize, position_embeddings, activation_function;
  std::int64_t d_model, encoder_layers, decoder_layers, encoder_attention_heads, decoder_attention_heads,
      encoder_ffn_dim, decoder_ffn_dim, max_position_embeddings;
  double dropout, attention_dropout, activation_dropout;
  bool scale_embedding, share_encoder_decoder_embeddings, tie_word_embeddings;
};

struct TrainRecipe {
  std::int64_t max_steps, max_tokens, gradient_accumulation_steps, warmup_steps, decay_steps;
  std::string optim, lr_scheduler_type, precision;
  double learning_rate, min_learning_rate, adam_beta1, adam_beta2, adam_epsilon, momentum, weight_decay,
      max_grad_norm, label_smoothing_factor, ema_decay;
  std::int64_t average_checkpoints, eval_steps, save_steps, save_total_limit, logging_steps,
      early_stopping_patience, seed, max_bad_steps, eval_num_beams, eval_sentences;
  bool gradient_checkpointing, load_best_model_at_end;
  std::string metric_for_best_model;
};

struct DecodeRecipe {
  std::int64_t num_beams, max_length;
  double length_penalty;
  std::string prompt;
  std::int64_t max_new_tokens, top_k;
  double temperature, top_p;
};

struct Recipe {
  DataRecipe data;
  TokenizerRecipe tokenizer;
  ModelRecipe model;
  TrainRecipe train;
  DecodeRecipe decode;

  Recipe();  // the defaults
  // Reads YAML text. Unknown keys, wrong types, values out of range, duplicate keys: Error(recipe) with line
  // and suggestion. Paths of data are taken relative to `directory`.
  static Recipe parse(const std::string& yaml, const std::string& origin, const fs::path& directory);
  static Recipe read(const fs::path& path);
  // "section.key=value", as given to --set.
  void set(const std::string& assignment);
  void validate() const;  // contradictions between keys
  bool language() const { return data.task == kLanguageModeling; }

  std::string to_yaml() const;  // every key with its value, in the order of the schema
  std::string hash() const;     // SHA-256 of to_yaml()
  // Keys in which two recipes differ, as "train.seed: 42 -> 43".
  std::vector<std::string> differences(const Recipe& other) const;
  // Error(recipe), with a suggestion, unless there is such a key ("train.seed"). `where` begins the message.
  static void check_key(const std::string& name, const std::string& where);
  // The key, with its section, that a word most likely means: "train.learning_rate" for "lerning-rate"; or
  // "".
  static std::string key_like(std::string_view word);
  static OrderedJson json_schema();
  static std::string reference();  // the documentation of all keys, as Markdown
};

}  // namespace glossa
