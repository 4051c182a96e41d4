#include "generate/generation_config.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/file.h"

namespace glossa {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

// Keys that say nothing about which tokens are generated, or that repeat what the model's configuration says.
constexpr std::string_view kIndifferent[] = {"_from_model_config",
                                             "transformers_version",
                                             "use_cache",
                                             "cache_implementation",
                                             "cache_config",
                                             "return_dict_in_generate",
                                             "output_attentions",
                                             "output_hidden_states",
                                             "output_scores",
                                             "output_logits",
                                             "bos_token_id",
                                             "_commit_hash",
                                             "max_matching_ngram_size",
                                             "disable_compile",
                                             "compile_config",
                                             "is_assistant",
                                             "low_memory",
                                             "trust_remote_code"};

// Keys that would change what is generated, with the value at which they do not (null: absent).
struct Foreign {
  std::string_view key;
  double harmless;
};
constexpr Foreign kForeign[] = {{"penalty_alpha", 0},
                                {"dola_layers", NAN},
                                {"epsilon_cutoff", 0},
                                {"eta_cutoff", 0},
                                {"top_h", NAN},
                                {"encoder_repetition_penalty", 1},
                                {"encoder_no_repeat_ngram_size", 0},
                                {"force_words_ids", NAN},
                                {"constraints", NAN},
                                {"renormalize_logits", 0},
                                {"remove_invalid_values", 0},
                                {"exponential_decay_length_penalty", NAN},
                                {"sequence_bias", NAN},
                                {"guidance_scale", 1},
                                {"watermarking_config", NAN},
                                {"max_time", NAN},
                                {"stop_strings", NAN},
                                {"token_healing", 0},
                                {"prompt_lookup_num_tokens", NAN},
                                {"num_assistant_tokens", NAN},
                                {"assistant_model", NAN}};

bool harmless(const Json& value, double at) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return value.get<bool>() == (at != 0);
  return value.is_number() && value.get<double>() == at;
}

std::int32_t id_of(const Json& value, const std::string& place) {
  const bool whole =
      value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > kMost);
  check(whole && value.get<std::int64_t>() >= 0, Code::config, "{}: {} is no token id", place,
        quoted(value.dump()));
  return static_cast<std::int32_t>(value.get<std::int64_t>());
}

// A list of ids, or one id alone.
std::vector<std::int32_t> ids_of(const Json& value, const std::string& place) {
  std::vector<std::int32_t> ids;
  if (value.is_array()) {
    for (const Json& id : value) ids.push_back(id_of(id, place));
  } else {
    ids.push_back(id_of(value, place));
  }
  return ids;
}

// Reads the keys that are there, and remembers which.
class Reader {
 public:
  Reader(const Json& json, const std::string& origin) : view_(json, origin), origin_(origin) {}
  bool has(std::string_view key) {
    known_.push_back(key);
    return view_.has(key);
  }
  void read(std::string_view key, std::int32_t& value, std::int64_t low) {
    if (has(key)) value = static_cast<std::int32_t>(view_.integer(key, value, low, kMost));
  }
  void read(std::string_view key, double& value, double low, double high) {
    if (has(key)) value = view_.number(key, value, low, high);
  }
  void read(std::string_view key, bool& value) {
    if (has(key)) value = view_.boolean(key, value);
  }
  void read(std::string_view key, std::vector<std::int32_t>& ids) {
    if (has(key)) ids = ids_of((*this)[key], place(key));
  }
  const Json& operator[](std::string_view key) const { return view_.json()[std::string(key)]; }
  std::string place(std::string_view key) const { return fmt::format("{}: {}", origin_, key); }
  const std::vector<std::string_view>& known() const { return known_; }

 private:
  JsonView view_;
  std::string origin_;
  std::vector<std::string_view> known_;
};

void read_early_stopping(Reader& in, EarlyStopping& value) {
  if (!in.has("early_stopping")) return;
  const Json& json = in["early_stopping"];
  check(json.is_boolean() || json == "never", Code::config, "{}: {} is neither true, false nor \"never\"",
        in.place("early_stopping"), quoted(json.dump()));
  value = json.is_string() ? EarlyStopping::never : json.get<bool>() ? EarlyStopping::yes : EarlyStopping::no;
}

void read_form(Reader& in, LengthPenaltyForm& value) {
  if (!in.has("length_penalty_form")) return;
  const Json& json = in["length_penalty_form"];
  check(json == "power" || json == "gnmt", Code::config, "{}: {} is neither \"power\" nor \"gnmt\"",
        in.place("length_penalty_form"), quoted(json.dump()));
  value = json == "gnmt" ? LengthPenaltyForm::gnmt : LengthPenaltyForm::power;
}

void read_bad_words(Reader& in, std::vector<std::vector<std::int32_t>>& words) {
  if (!in.has("bad_words_ids")) return;
  const Json& json = in["bad_words_ids"];
  check(json.is_array(), Code::config, "{}: {} is no list of lists of ids", in.place("bad_words_ids"),
        quoted(json.dump()));
  words.clear();
  for (const Json& word : json) words.push_back(ids_of(word, in.place("bad_words_ids")));
}

void check_other_keys(const Json& json, const std::string& origin, const std::vector<std::string_view>& known,
                      std::vector<std::string>* notes) {
  for (const auto& [key, value] : json.items()) {
    const auto is = [&key = key](std::string_view k) { return k == key; };
    if (std::any_of(known.begin(), known.end(), is) ||
        std::any_of(std::begin(kIndifferent), std::end(kIndifferent), is))
      continue;
    const auto* foreign =
        std::find_if(std::begin(kForeign), std::end(kForeign), [&](const Foreign& f) { return is(f.key); });
    if (foreign != std::end(kForeign)) {
      check(harmless(value, foreign->harmless), Code::config, "{}: {}: {} is not supported; remove the key",
            origin, key, quoted(value.dump()));
    } else if (notes) {
      const std::string meant = closest(key, known);
      notes->push_back(fmt::format("{}: unknown key {} has no effect{}", origin, quoted(key),
                                   meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
    }
  }
}

}  // namespace

std::string name_of(EarlyStopping e) {
  return e == EarlyStopping::yes ? "true" : e == EarlyStopping::no ? "false" : "never";
}

EarlyStopping early_stopping_from_name(const std::string& name) {
  for (EarlyStopping e : {EarlyStopping::no, EarlyStopping::yes, EarlyStopping::never})
    if (name == name_of(e)) return e;
  fail(Code::bad_value, "early stopping {} is neither true, false nor never", quoted(name));
}

GenerationConfig GenerationConfig::of_model(const TransformerConfig& model) {
  GenerationConfig config;
  config.eos_token_id = {static_cast<std::int32_t>(model.eos_token_id)};
  config.decoder_start_token_id = static_cast<std::int32_t>(model.decoder_start_token_id);
  config.forced_bos_token_id = static_cast<std::int32_t>(model.forced_bos_token_id);
  config.pad_token_id = static_cast<std::int32_t>(model.pad_token_id);
  config.max_length = static_cast<std::int32_t>(model.max_position_embeddings);
  return config;
}

GenerationConfig GenerationConfig::from_json(const Json& json, const std::string& origin,
                                             GenerationConfig defaults, std::vector<std::string>* notes) {
  GenerationConfig c = std::move(defaults);
  Reader in(json, origin);
  in.read("max_length", c.max_length, 1);
  in.read("max_new_tokens", c.max_new_tokens, 1);
  in.read("min_length", c.min_length, 0);
  in.read("min_new_tokens", c.min_new_tokens, 0);
  in.read("max_length_ratio", c.max_length_ratio, 0, 1e6);
  in.read("num_beams", c.num_beams, 1);
  read_early_stopping(in, c.early_stopping);
  in.read("length_penalty", c.length_penalty, -100, 100);
  read_form(in, c.length_penalty_form);
  in.read("coverage_penalty", c.coverage_penalty, 0, 1e6);
  in.read("patience", c.patience, 0, 1e6);
  in.read("num_beam_groups", c.num_beam_groups, 1);
  in.read("diversity_penalty", c.diversity_penalty, 0, 1e6);
  in.read("num_return_sequences", c.num_return_sequences, 1);
  in.read("do_sample", c.do_sample);
  in.read("temperature", c.temperature, 0, 1e6);
  in.read("top_k", c.top_k, 0);
  in.read("top_p", c.top_p, 0, 1);
  in.read("min_p", c.min_p, 0, 1);
  in.read("typical_p", c.typical_p, 0, 1);
  in.read("repetition_penalty", c.repetition_penalty, 0, 1e6);
  in.read("no_repeat_ngram_size", c.no_repeat_ngram_size, 0);
  read_bad_words(in, c.bad_words_ids);
  in.read("suppress_tokens", c.suppress_tokens);
  in.read("begin_suppress_tokens", c.begin_suppress_tokens);
  in.read("forced_bos_token_id", c.forced_bos_token_id, 0);
  in.read("forced_eos_token_id", c.forced_eos_token_id);
  in.read("eos_token_id", c.eos_token_id);
  in.read("decoder_start_token_id", c.decoder_start_token_id, 0);
  in.read("pad_token_id", c.pad_token_id, 0);
  check_other_keys(json, origin, in.known(), notes);
  return c;
}

GenerationConfig GenerationConfig::load(const std::filesystem::path& directory,
                                        const TransformerConfig& model, std::vector<std::string>* notes) {
  const std::filesystem::path path = directory / "generation_config.json";
  GenerationConfig config = of_model(model);
  const std::string origin = std::filesystem::exists(path) ? shown(path) : shown(directory / "config.json");
  if (std::filesystem::exists(path)) config = from_json(read_configuration(path), origin, std::move(config), notes);
  config.validate(model.target_vocab_size(), origin, Code::config);
  return config;
}

void GenerationConfig::forbid_padding(std::int64_t tokens, std::int64_t vocabulary) {
  for (std::int64_t id = tokens; id < vocabulary; ++id) suppress_tokens.push_back(static_cast<std::int32_t>(id));
}

OrderedJson GenerationConfig::to_json() const {
  OrderedJson json;
  const GenerationConfig usual;
  const auto put = [&json](const char* key, const auto& value, const auto& standard) {
    if (value != standard) json[key] = value;
  };
  if (eos_token_id.size() == 1)
    json["eos_token_id"] = eos_token_id[0];
  else
    json["eos_token_id"] = eos_token_id;
  json["decoder_start_token_id"] = decoder_start_token_id;
  put("pad_token_id", pad_token_id, usual.pad_token_id);
  put("max_length", max_length, usual.max_length);
  put("max_new_tokens", max_new_tokens, usual.max_new_tokens);
  put("min_length", min_length, usual.min_length);
  put("min_new_tokens", min_new_tokens, usual.min_new_tokens);
  put("max_length_ratio", max_length_ratio, usual.max_length_ratio);
  json["num_beams"] = num_beams;
  if (early_stopping == EarlyStopping::never)
    json["early_stopping"] = "never";
  else
    put("early_stopping", early_stopping == EarlyStopping::yes, false);
  json["length_penalty"] = length_penalty;
  if (length_penalty_form == LengthPenaltyForm::gnmt) json["length_penalty_form"] = "gnmt";
  put("coverage_penalty", coverage_penalty, usual.coverage_penalty);
  put("patience", patience, usual.patience);
  put("num_beam_groups", num_beam_groups, usual.num_beam_groups);
  put("diversity_penalty", diversity_penalty, usual.diversity_penalty);
  put("num_return_sequences", num_return_sequences, usual.num_return_sequences);
  put("do_sample", do_sample, usual.do_sample);
  put("temperature", temperature, usual.temperature);
  put("top_k", top_k, usual.top_k);
  put("top_p", top_p, usual.top_p);
  put("min_p", min_p, usual.min_p);
  put("typical_p", typical_p, usual.typical_p);
  put("repetition_penalty", repetition_penalty, usual.repetition_penalty);
  put("no_repeat_ngram_size", no_repeat_ngram_size, usual.no_repeat_ngram_size);
  put("bad_words_ids", bad_words_ids, usual.bad_words_ids);
  put("suppress_tokens", suppress_tokens, usual.suppress_tokens);
  put("begin_suppress_tokens", begin_suppress_tokens, usual.begin_suppress_tokens);
  put("forced_bos_token_id", forced_bos_token_id, usual.forced_bos_token_id);
  put("forced_eos_token_id", forced_eos_token_id, usual.forced_eos_token_id);
  return json;
}

void GenerationConfig::validate(std::int64_t vocabulary, const std::string& origin, Code code, bool reads_sources) const {
  const auto within = [&](const char* name, double value, double low, double high) {
    check(value >= low && value <= high, code, "{}: {} is {}; allowed is {} to {}", origin, name, value, low,
          high);
  };
  const auto more_than_none = [&](const char* name, double value) {
    check(value > 0 && value <= 1e6, code, "{}: {} is {}; allowed is more than 0, up to 1e6", origin, name,
          value);
  };
  const auto ids = [&](const char* name, const std::vector<std::int32_t>& all) {
    for (std::int32_t id : all)
      check(id >= 0 && id < vocabulary, code, "{}: {} is {}; the vocabulary has ids 0 to {}", origin, name,
            id, vocabulary - 1);
  };
  within("num_beams", num_beams, 1, 1000);
  within("length_penalty", length_penalty, -100, 100);
  within("coverage_penalty", coverage_penalty, 0, 1e6);
  within("diversity_penalty", diversity_penalty, 0, 1e6);
  within("num_return_sequences", num_return_sequences, 1, 1000);
  within("max_length_ratio", max_length_ratio, 0, 1e6);
  more_than_none("patience", patience);
  more_than_none("temperature", temperature);
  more_than_none("top_p", top_p);
  more_than_none("typical_p", typical_p);
  more_than_none("repetition_penalty", repetition_penalty);
  within("top_p", top_p, 0, 1);
  within("min_p", min_p, 0, 1);
  within("typical_p", typical_p, 0, 1);
  within("top_k", top_k, 0, kMost);
  ids("eos_token_id", eos_token_id);
  if (reads_sources) {
    check(!eos_token_id.empty(), code, "{}: eos_token_id is missing", origin);
    check(decoder_start_token_id >= 0, code, "{}: decoder_start_token_id is missing", origin);
    ids("decoder_start_token_id", {decoder_start_token_id});
  }
  if (forced_bos_token_id != -1) ids("forced_bos_token_id", {forced_bos_token_id});
  ids("forced_eos_token_id", forced_eos_token_id);
  ids("suppress_tokens", suppress_tokens);
  ids("begin_suppress_tokens", begin_suppress_tokens);
  for (const auto& word : bad_words_ids) {
    check(!word.empty(), code, "{}: bad_words_ids holds an empty list", origin);
    ids("bad_words_ids", word);
  }
  check(!do_sample || num_beams == 1, code, "{}: sampling (do_sample) goes with num_beams 1, not {}", origin,
        num_beams);
  check(num_return_sequences == 1 || do_sample || num_return_sequences <= num_beams, code,
        "{}: num_return_sequences is {}, more than num_beams, which is {}", origin, num_return_sequences,
        num_beams);
  check(num_beam_groups >= 1 && num_beams % num_beam_groups == 0, code,
        "{}: num_beams, {}, is no multiple of num_beam_groups, {}", origin, num_beams, num_beam_groups);
  check(diversity_penalty == 0 || num_beam_groups > 1, code,
        "{}: diversity_penalty goes with num_beam_groups of 2 or more", origin);
  check(patience == 1 || early_stopping == EarlyStopping::yes, code,
        "{}: patience counts finished hypotheses, so it goes with early_stopping true", origin);
}

}  // namespace glossa
