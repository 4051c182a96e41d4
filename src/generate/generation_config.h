// generation_config.h -- how output is searched for, in the words of Hugging Face's generation_config.json.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/transformer_config.h"

namespace glossa {

// `yes`: a search ends as soon as its pool of finished hypotheses is full. `no`: also once the best
// hypothesis alive, at its present length, cannot enter the pool. `never`: only once it cannot at the best
// length it might reach.
enum class EarlyStopping : std::uint8_t { no, yes, never };

// What the sum of log-probabilities is divided by, for n tokens (with the end token, without the prompt).
enum class LengthPenaltyForm : std::uint8_t {
  power,  // n^a: Hugging Face
  gnmt,   // ((5 + n) / 6)^a: Wu et al., "Google's Neural Machine Translation System" (2016), equation 14
};

// Lengths count tokens of the decoder with its start token, as Hugging Face counts them; those called `new`
// do not count the prompt (the start token and a forced prefix).
struct GenerationConfig {
  std::int32_t max_length = 0;      // 0: as many as the model has positions for
  std::int32_t max_new_tokens = 0;  // 0: no such limit; takes precedence over max_length
  std::int32_t min_length = 0, min_new_tokens = 0;
  double max_length_ratio = 0;  // more than 0: at most this times the source's tokens, and ten, are new

  std::int32_t num_beams = 1;  // 1: greedy
  EarlyStopping early_stopping = EarlyStopping::no;
  double length_penalty = 1;
  LengthPenaltyForm length_penalty_form = LengthPenaltyForm::power;
  // GNMT's beta: finished hypotheses are ranked with beta * sum over source tokens of log(min(1, attention
  // received)) added to their scores.
  double coverage_penalty = 0;
  // The pool of finished hypotheses holds num_beams times this: Kasai et al., "A Call for Clarity in Beam
  // Search" (2022).
  double patience = 1;
  // Vijayakumar et al., "Diverse Beam Search" (2016): groups advance one after the other, and a token costs
  // the penalty for each earlier group's hypothesis that took it in the same step.
  std::int32_t num_beam_groups = 1;
  double diversity_penalty = 0;
  std::int32_t num_return_sequences = 1;

  bool do_sample = false;
  double temperature = 1;
  std::int32_t top_k = 50;  // 0: all
  double top_p = 1, min_p = 0, typical_p = 1;
  std::uint64_t seed = 42;

  double repetition_penalty = 1;  // Keskar et al., "CTRL" (2019), section 4.1
  std::int32_t no_repeat_ngram_size = 0;
  std::vector<std::vector<std::int32_t>> bad_words_ids;
  std::vector<std::int32_t> suppress_tokens, begin_suppress_tokens;
  std::int32_t forced_bos_token_id = -1;          // -1: none
  std::vector<std::int32_t> forced_eos_token_id;  // of the last place, where nothing ended before
  std::vector<std::int32_t> eos_token_id;
  std::int32_t decoder_start_token_id = -1;
  std::int32_t pad_token_id = -1;  // carried for those who pad; -1: none

  // What a model does where no generation_config.json says otherwise: greedy, with the ids of its
  // configuration.
  static GenerationConfig of_model(const TransformerConfig& model);
  // `defaults` with the keys of a generation_config.json. Error(config) on a wrong type or range, and on keys
  // that would change what is generated in ways this program does not know. A line for each key that nobody
  // knows is added to `notes`.
  static GenerationConfig from_json(const Json& json, const std::string& origin, GenerationConfig defaults,
                                    std::vector<std::string>* notes = nullptr);
  // The generation_config.json of a model's directory over `of_model`, validated (Error(config)); without
  // one, `of_model`.
  static GenerationConfig load(const std::filesystem::path& directory, const TransformerConfig& model,
                               std::vector<std::string>* notes = nullptr);
  OrderedJson to_json() const;
  // Ranges, contradictions, and ids against the size of the vocabulary; `origin` begins the message.
  // Without sources there need be neither a start token nor one that ends.
  void validate(std::int64_t vocabulary, const std::string& origin, Code code, bool reads_sources = true) const;
  // Forbids the ids from `tokens` up to a model's `vocabulary`, which fill it up without a meaning in the tokenizer.
  void forbid_padding(std::int64_t tokens, std::int64_t vocabulary);
};

std::string name_of(EarlyStopping e);
EarlyStopping early_stopping_from_name(const std::string& name);  // Error(bad_value)

}  // namespace glossa
