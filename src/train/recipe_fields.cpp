#include "train/recipe_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "base/error.h"

namespace glossa {
namespace {

constexpr double kMany = 9e15;

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, StringList>) {
    std::string all;
    for (const std::string& word : value) all += (all.empty() ? "" : ", ") + word;
    return all;
  } else {
    return fmt::format("{}", value);
  }
}

const char* type_name(const RecipeField& f) {
  static const char* kNames[] = {"a string", "a whole number", "a number", "true or false",
                                 "a string or a list of such"};
  return kNames[f.place.index()];
}

}  // namespace

std::vector<RecipeField> fields_of(Recipe& r) {
  const bool language = r.language();
  using S = std::string;
  using I = std::int64_t;
  auto& d = r.data;
  auto& k = r.tokenizer;
  auto& m = r.model;
  auto& t = r.train;
  auto& g = r.decode;
  constexpr KeyOf A = KeyOf::all, T = KeyOf::translation, L = KeyOf::language;
  // A line for each key, and more only where one is too short.
  // clang-format off
  return {
      {A, "data", "task", &d.task, S("translation"),
       "What is learnt: translation from files; reverse-digits, a generated task of that kind; or "
       "language-modeling", 0, 0, {"translation", "reverse-digits", kLanguageModeling}},
      {T, "data", "train_source", &d.train_source, S(""),
       "Source sentences, one a line (plain, .gz or .zst; - for standard input)", 0, 0, {}, true},
      {T, "data", "train_target", &d.train_target, S(""), "Their translations, line by line", 0, 0, {}, true},
      {A, "data", "train_file", &d.train_file, StringList{},
       "translation: both sides in one file instead, tsv or jsonl. language-modeling: texts or jsonl, as "
       "files, folders or patterns (- for standard input); one or a list", 0, 0, {}, true},
      {T, "data", "valid_source", &d.valid_source, S(""), "Source sentences to validate on", 0, 0, {}, true},
      {T, "data", "valid_target", &d.valid_target, S(""), "Their translations", 0, 0, {}, true},
      {A, "data", "valid_file", &d.valid_file, StringList{}, "The same to validate on", 0, 0, {}, true},
      {T, "data", "test_source", &d.test_source, S(""),
       "Source sentences that the finished model is scored on", 0, 0, {}, true},
      {T, "data", "test_target", &d.test_target, S(""), "Their translations", 0, 0, {}, true},
      {A, "data", "format", &d.format, S("auto"),
       "Of train_file and valid_file; auto: by the name", 0, 0, {"auto", "tsv", "jsonl", "text"}},
      {T, "data", "source_lang", &d.source_lang, S("en"),
       "Language code of the source, for the model card and jsonl"},
      {T, "data", "target_lang", &d.target_lang, S("de"), "Language code of the target"},
      {T, "data", "source_column", &d.source_column, S("source"), "jsonl key of the source sentence"},
      {T, "data", "target_column", &d.target_column, S("target"), "jsonl key of the target sentence"},
      {L, "data", "text_column", &d.text_column, S("text"), "jsonl key of a document"},
      {L, "data", "documents", &d.documents, S("file"),
       "What a document of a text is: the whole file, what stands between blank lines, or each line",
       0, 0, {"file", "blank_line", "line"}},
      {L, "data", "validation_split_percentage", &d.validation_split_percentage, 0.0,
       "Without valid_file: so much of the training text, from its end, is held out to validate on", 0, 90},
      {L, "data", "block_size", &d.block_size, I(256),
       "Tokens that the model sees at a time: longer documents are cut, shorter ones share such a block",
       1, 1 << 20},
      {A, "data", "invalid_utf8", &d.invalid_utf8, S("error"),
       "What to do with bytes that are not UTF-8", 0, 0, {"error", "replace"}},
      {T, "data", "max_length", &d.max_length, I(256),
       "Pairs with a longer side, in tokens, are skipped and counted", 1, 1 << 20},
      {T, "data", "min_length", &d.min_length, I(1),
       "Pairs with a shorter side, in tokens, are skipped and counted", 0, 1 << 20},
      {T, "data", "max_length_ratio", &d.max_length_ratio, 0.0,
       "Pairs of which one side is so many times longer are skipped; 0: no limit", 0, 1e6},
      {T, "data", "strict", &d.strict, false, "Refuse data instead of skipping pairs"},
      {T, "data", "generated_examples", &d.generated_examples, I(50000),
       "reverse-digits: how many pairs to train on", 1, 1e9},
      {T, "data", "generated_valid_examples", &d.generated_valid_examples, I(1000),
       "reverse-digits: how many pairs to validate and to test on", 1, 1e9},
      {T, "data", "generated_max_digits", &d.generated_max_digits, I(25),
       "reverse-digits: the longest sequence", 1, 1000},

      {A, "tokenizer", "file", &k.file, S(""),
       "A tokenizer.json to use as it is; empty: train one on the training data", 0, 0, {}, true},
      {A, "tokenizer", "type", &k.type, language ? S("byte_bpe") : S("bpe"),
       "bpe (with a mark at word beginnings), byte_bpe (byte-level), chars or words",
       0, 0, {"bpe", "byte_bpe", "chars", "words"}},
      {A, "tokenizer", "vocab_size", &k.vocab_size, I(8000),
       "Tokens to learn, special ones included, for both languages of translation together", 8, 16e6},
      {A, "tokenizer", "min_frequency", &k.min_frequency, I(2),
       "Pairs (or words) seen more seldom are not merged (or kept)", 0, kMany},
      {A, "tokenizer", "normalization", &k.normalization, S("nfc"),
       "Unicode normalization before anything else; byte_bpe keeps text as it is",
       0, 0, {"none", "nfc", "nfkc"}},
      {A, "tokenizer", "lowercase", &k.lowercase, false, "Lower-case all text"},
      {T, "tokenizer", "dropout", &k.dropout, 0.0,
       "BPE-dropout: probability with which a merge is passed over in training", 0, 0.999},

      {L, "model", "model_type", &m.model_type, S("gpt2"),
       "Architecture of a language model", 0, 0, {"gpt2", "llama", "mistral", "qwen2", "qwen3"}},
      {L, "model", "config_name", &m.config_name, S(""),
       "A config.json that describes the model instead of the keys here, but for its vocab_size",
       0, 0, {}, true},
      {L, "model", "model_name_or_path", &m.model_name_or_path, S(""),
       "A model to go on from, with its tokenizer: a folder as Hugging Face has it, or a .gguf file",
       0, 0, {}, true},
      {L, "model", "hidden_size", &m.hidden_size, I(384), "Width of a language model", 2, 1 << 17},
      {L, "model", "num_hidden_layers", &m.num_hidden_layers, I(6), "Its layers", 1, 1024},
      {L, "model", "num_attention_heads", &m.num_attention_heads, I(6), "Its attention heads", 1, 1 << 17},
      {L, "model", "num_key_value_heads", &m.num_key_value_heads, I(0),
       "Its heads of keys and values, each of which serves several; 0: as many as attention heads",
       0, 1 << 17},
      {L, "model", "intermediate_size", &m.intermediate_size, I(0),
       "Inner width of its feed-forward layers; 0: four times the width, or 8/3 times where they are gated",
       0, 1 << 20},
      {T, "model", "normalize", &m.normalize, S("after"),
       "Layer norm after each sub-layer, as in the paper, or before", 0, 0, {"after", "before"}},
      {T, "model", "position_embeddings", &m.position_embeddings, S("sinusoidal"),
       "Positions: sinusoidal or learned", 0, 0, {"sinusoidal", "learned"}},
      {T, "model", "d_model", &m.d_model, I(512), "Width of the model", 2, 1 << 17},
      {T, "model", "encoder_layers", &m.encoder_layers, I(6), "Layers of the encoder", 1, 1024},
      {T, "model", "decoder_layers", &m.decoder_layers, I(6), "Layers of the decoder", 1, 1024},
      {T, "model", "encoder_attention_heads", &m.encoder_attention_heads, I(8),
       "Attention heads of the encoder", 1, 1 << 17},
      {T, "model", "decoder_attention_heads", &m.decoder_attention_heads, I(8),
       "Attention heads of the decoder", 1, 1 << 17},
      {T, "model", "encoder_ffn_dim", &m.encoder_ffn_dim, I(2048),
       "Inner width of the encoder's feed-forward layers", 1, 1 << 20},
      {T, "model", "decoder_ffn_dim", &m.decoder_ffn_dim, I(2048),
       "Inner width of the decoder's feed-forward layers", 1, 1 << 20},
      {T, "model", "activation_function", &m.activation_function, S("relu"),
       "Activation between the feed-forward layers", 0, 0, {"relu", "gelu", "gelu_new", "swish"}},
      {A, "model", "max_position_embeddings", &m.max_position_embeddings, I(512),
       "Longest sequence, in tokens", 8, 1 << 20},
      {A, "model", "dropout", &m.dropout, language ? 0.0 : 0.1,
       "Dropout on embeddings and on each sub-layer's output (of translation, gpt2 and phi3)", 0, 0.999},
      {A, "model", "attention_dropout", &m.attention_dropout, 0.0,
       "Dropout on attention probabilities", 0, 0.999},
      {T, "model", "activation_dropout", &m.activation_dropout, 0.0,
       "Dropout after the activation", 0, 0.999},
      {T, "model", "scale_embedding", &m.scale_embedding, true,
       "Multiply embeddings by the square root of d_model"},
      {T, "model", "share_encoder_decoder_embeddings", &m.share_encoder_decoder_embeddings, true,
       "One embedding for both sides"},
      {A, "model", "tie_word_embeddings", &m.tie_word_embeddings, true,
       "The output layer is the (target's) embedding"},

      {A, "train", "max_steps", &t.max_steps, I(10000), "Updates of the weights", 1, kMany},
      {A, "train", "max_tokens", &t.max_tokens, I(4096),
       "Tokens in a batch; of translation: the longer of both sides, summed over its sentences", 1, 1 << 24},
      {A, "train", "gradient_accumulation_steps", &t.gradient_accumulation_steps, I(1),
       "Batches for one update, averaged over all their tokens", 1, 1 << 16},
      {A, "train", "optim", &t.optim, S("adamw"), "Optimizer", 0, 0, {"adam", "adamw", "sgd", "adafactor"}},
      {A, "train", "learning_rate", &t.learning_rate, 5e-4,
       "Peak learning rate; with noam: the factor before it", 0, 1e6},
      {A, "train", "min_learning_rate", &t.min_learning_rate, 0.0,
       "Where linear, cosine and warmup_stable_decay end", 0, 1e6},
      {A, "train", "lr_scheduler_type", &t.lr_scheduler_type, S("inverse_sqrt"),
       "Course of the learning rate",
       0, 0,
       {"noam", "inverse_sqrt", "linear", "cosine", "constant", "constant_with_warmup", "warmup_stable_decay"}},
      {A, "train", "warmup_steps", &t.warmup_steps, I(4000),
       "Steps over which the learning rate rises from 0", 0, kMany},
      {A, "train", "decay_steps", &t.decay_steps, I(0),
       "warmup_stable_decay: steps of the final decline", 0, kMany},
      {A, "train", "adam_beta1", &t.adam_beta1, 0.9, "Decay of the first moment", 0, 0.999999},
      {A, "train", "adam_beta2", &t.adam_beta2, 0.98, "Decay of the second moment", 0, 0.9999999},
      {A, "train", "adam_epsilon", &t.adam_epsilon, 1e-9, "Added to the root of the second moment", 1e-20, 1},
      {A, "train", "momentum", &t.momentum, 0.9, "Momentum of sgd", 0, 0.999999},
      {A, "train", "weight_decay", &t.weight_decay, 0.0,
       "Decoupled weight decay (adamw, sgd, adafactor)", 0, 10},
      {A, "train", "max_grad_norm", &t.max_grad_norm, 1.0,
       "Longer gradients are shortened to this; 0: never", 0, 1e9},
      {A, "train", "label_smoothing_factor", &t.label_smoothing_factor, language ? 0.0 : 0.1,
       "Probability spread over the whole vocabulary in the target", 0, 0.999},
      {A, "train", "precision", &t.precision, S("auto"),
       "Matrix products in f32 or bf16 (sums, moments and weights stay f32); auto: bf16 where the processor "
       "has it", 0, 0, {"auto", "f32", "bf16"}},
      {A, "train", "gradient_checkpointing", &t.gradient_checkpointing, false,
       "Recompute activations in the backward pass, to save memory"},
      {A, "train", "ema_decay", &t.ema_decay, 0.0,
       "Exponential average of the weights, used for validation and the final model; 0: none", 0, 0.999999},
      {A, "train", "average_checkpoints", &t.average_checkpoints, I(1),
       "The final model is the mean of so many last checkpoints", 1, 1000},
      {A, "train", "eval_steps", &t.eval_steps, I(1000),
       "Steps between validations; 0: only at the end", 0, kMany},
      {T, "train", "eval_num_beams", &t.eval_num_beams, I(1), "Beams of the BLEU during training", 1, 64},
      {T, "train", "eval_sentences", &t.eval_sentences, I(0),
       "How many validation sentences the BLEU during training translates; 0: all", 0, kMany},
      {A, "train", "save_steps", &t.save_steps, I(1000),
       "Steps between checkpoints; 0: only at the end", 0, kMany},
      {A, "train", "save_total_limit", &t.save_total_limit, I(3),
       "Checkpoints kept, the best aside (never fewer than average_checkpoints)", 1, 100000},
      {A, "train", "logging_steps", &t.logging_steps, I(100), "Steps between lines of metrics", 1, kMany},
      {A, "train", "early_stopping_patience", &t.early_stopping_patience, I(0),
       "Stop after so many validations without a better one; 0: never", 0, kMany},
      {A, "train", "metric_for_best_model", &t.metric_for_best_model,
       language ? S("eval_loss") : S("eval_bleu"),
       "What `better` means",
       0, 0, language ? StringList{"eval_loss"} : StringList{"eval_bleu", "eval_loss"}},
      {A, "train", "load_best_model_at_end", &t.load_best_model_at_end, false,
       "The final model is the best checkpoint instead of an average"},
      {A, "train", "max_bad_steps", &t.max_bad_steps, I(3),
       "Steps in a row with gradients that are not finite, after which training stops", 1, kMany},
      {A, "train", "seed", &t.seed, I(42),
       "Of initial weights, data order, dropout and generated data", 0, kMany},

      {T, "decode", "num_beams", &g.num_beams, I(5),
       "Beams of the finished model, written to generation_config.json", 1, 256},
      {T, "decode", "length_penalty", &g.length_penalty, 1.0,
       "Exponent of the length that scores are divided by", -100, 100},
      {T, "decode", "max_length", &g.max_length, I(256), "Longest translation, in tokens", 2, 1 << 20},
      {L, "decode", "prompt", &g.prompt, S(""),
       "What samples of text at validations go on from; empty: the beginning of a document"},
      {L, "decode", "max_new_tokens", &g.max_new_tokens, I(200),
       "Length of these samples, in tokens; 0: none", 0, 1 << 20},
      {L, "decode", "temperature", &g.temperature, 0.8,
       "Of samples, and written to generation_config.json; 0: always the most likely token", 0, 100},
      {L, "decode", "top_k", &g.top_k, I(0), "Only so many of the most likely tokens; 0: all", 0, 1 << 24},
      {L, "decode", "top_p", &g.top_p, 1.0,
       "Only the most likely tokens that make up this probability", 0, 1},
  };
  // clang-format on
}

std::string RecipeField::text() const {
  return std::visit([](const auto* p) { return text_of(*p); }, place);
}

std::string RecipeField::default_text() const {
  return std::visit([](const auto& value) { return text_of(value); }, otherwise);
}

void RecipeField::set_default() {
  std::visit([&](auto* p) { *p = std::get<std::remove_pointer_t<decltype(p)>>(otherwise); }, place);
}

std::string RecipeField::allowed() const {
  if (!choices.empty()) return text_of(choices);
  if (std::holds_alternative<std::int64_t*>(place))
    return fmt::format("{} to {}", static_cast<std::int64_t>(low), static_cast<std::int64_t>(high));
  if (std::holds_alternative<double*>(place)) return fmt::format("{} to {}", low, high);
  return type_name(*this);
}

void RecipeField::assign(const std::string& given, const std::string& where) {
  const auto refuse = [&](const char* wanted) {
    fail(Code::recipe, "{}: {} is {}, wanted {}; allowed: {}", where, name(), quoted(given), wanted,
         allowed());
  };
  if (auto** s = std::get_if<std::string*>(&place)) {
    if (!choices.empty() && std::find(choices.begin(), choices.end(), given) == choices.end())
      refuse("one of these");
    **s = given;
  } else if (auto** list = std::get_if<StringList*>(&place)) {
    **list = given.empty() ? StringList{} : StringList{given};
  } else if (auto** b = std::get_if<bool*>(&place)) {
    if (given != "true" && given != "false") refuse(type_name(*this));
    **b = given == "true";
  } else {
    double value = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
    if (error != std::errc() || end != given.data() + given.size() || !std::isfinite(value))
      refuse(type_name(*this));
    if (value < low || value > high) refuse("a value in range");
    if (auto** i = std::get_if<std::int64_t*>(&place)) {
      if (value != std::floor(value)) refuse(type_name(*this));
      **i = static_cast<std::int64_t>(value);
    } else {
      *std::get<double*>(place) = value;
    }
  }
}

}  // namespace glossa
