#include "train/recipe.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <variant>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

using Place = std::variant<std::string*, std::int64_t*, double*, bool*>;

struct Field {
  const char* section;
  const char* key;
  Place place;
  std::variant<std::string, std::int64_t, double, bool> otherwise;
  const char* meaning;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};
  bool path = false;  // a file, relative to the recipe

  std::string name() const { return std::string(section) + "." + key; }
};

constexpr double kMany = 9e15;

std::vector<Field> fields_of(Recipe& r) {
  using S = std::string;
  using I = std::int64_t;
  auto& d = r.data;
  auto& k = r.tokenizer;
  auto& m = r.model;
  auto& t = r.train;
  auto& g = r.decode;
  return {
      {"data", "task", &d.task, S("translation"), "What is learnt: translation from files, or reverse-digits, a generated task", 0, 0, {"translation", "reverse-digits"}},
      {"data", "train_source", &d.train_source, S(""), "Source sentences, one a line (plain, .gz or .zst; - for standard input)", 0, 0, {}, true},
      {"data", "train_target", &d.train_target, S(""), "Their translations, line by line", 0, 0, {}, true},
      {"data", "train_file", &d.train_file, S(""), "Both sides in one file instead: tsv or jsonl", 0, 0, {}, true},
      {"data", "valid_source", &d.valid_source, S(""), "Source sentences to validate on", 0, 0, {}, true},
      {"data", "valid_target", &d.valid_target, S(""), "Their translations", 0, 0, {}, true},
      {"data", "valid_file", &d.valid_file, S(""), "Both sides in one file instead", 0, 0, {}, true},
      {"data", "test_source", &d.test_source, S(""), "Source sentences that the finished model is scored on", 0, 0, {}, true},
      {"data", "test_target", &d.test_target, S(""), "Their translations", 0, 0, {}, true},
      {"data", "format", &d.format, S("auto"), "Of train_file and valid_file; auto: by the name", 0, 0, {"auto", "tsv", "jsonl"}},
      {"data", "source_lang", &d.source_lang, S("en"), "Language code of the source, for the model card and jsonl"},
      {"data", "target_lang", &d.target_lang, S("de"), "Language code of the target"},
      {"data", "source_column", &d.source_column, S("source"), "jsonl key of the source sentence"},
      {"data", "target_column", &d.target_column, S("target"), "jsonl key of the target sentence"},
      {"data", "invalid_utf8", &d.invalid_utf8, S("error"), "What to do with bytes that are not UTF-8", 0, 0, {"error", "replace"}},
      {"data", "max_length", &d.max_length, I(256), "Pairs with a longer side, in tokens, are skipped and counted", 1, 1 << 20},
      {"data", "min_length", &d.min_length, I(1), "Pairs with a shorter side, in tokens, are skipped and counted", 0, 1 << 20},
      {"data", "max_length_ratio", &d.max_length_ratio, 0.0, "Pairs of which one side is so many times longer are skipped; 0: no limit", 0, 1e6},
      {"data", "strict", &d.strict, false, "Refuse data instead of skipping pairs"},
      {"data", "generated_examples", &d.generated_examples, I(50000), "reverse-digits: how many pairs to train on", 1, 1e9},
      {"data", "generated_valid_examples", &d.generated_valid_examples, I(1000), "reverse-digits: how many pairs to validate and to test on", 1, 1e9},
      {"data", "generated_max_digits", &d.generated_max_digits, I(25), "reverse-digits: the longest sequence", 1, 1000},

      {"tokenizer", "file", &k.file, S(""), "A tokenizer.json to use as it is; empty: train one on the training data", 0, 0, {}, true},
      {"tokenizer", "type", &k.type, S("bpe"), "bpe (with a mark at word beginnings), byte_bpe (byte-level), chars or words", 0, 0, {"bpe", "byte_bpe", "chars", "words"}},
      {"tokenizer", "vocab_size", &k.vocab_size, I(8000), "Tokens to learn, special ones included, for both languages together", 8, 16e6},
      {"tokenizer", "min_frequency", &k.min_frequency, I(2), "Pairs (or words) seen more seldom are not merged (or kept)", 0, kMany},
      {"tokenizer", "normalization", &k.normalization, S("nfc"), "Unicode normalization before anything else; byte_bpe keeps text as it is", 0, 0, {"none", "nfc", "nfkc"}},
      {"tokenizer", "lowercase", &k.lowercase, false, "Lower-case all text"},
      {"tokenizer", "dropout", &k.dropout, 0.0, "BPE-dropout: probability with which a merge is passed over in training", 0, 0.999},

      {"model", "normalize", &m.normalize, S("after"), "Layer norm after each sub-layer, as in the paper, or before", 0, 0, {"after", "before"}},
      {"model", "position_embeddings", &m.position_embeddings, S("sinusoidal"), "Positions: sinusoidal or learned", 0, 0, {"sinusoidal", "learned"}},
      {"model", "d_model", &m.d_model, I(512), "Width of the model", 2, 1 << 17},
      {"model", "encoder_layers", &m.encoder_layers, I(6), "Layers of the encoder", 1, 1024},
      {"model", "decoder_layers", &m.decoder_layers, I(6), "Layers of the decoder", 1, 1024},
      {"model", "encoder_attention_heads", &m.encoder_attention_heads, I(8), "Attention heads of the encoder", 1, 1 << 17},
      {"model", "decoder_attention_heads", &m.decoder_attention_heads, I(8), "Attention heads of the decoder", 1, 1 << 17},
      {"model", "encoder_ffn_dim", &m.encoder_ffn_dim, I(2048), "Inner width of the encoder's feed-forward layers", 1, 1 << 20},
      {"model", "decoder_ffn_dim", &m.decoder_ffn_dim, I(2048), "Inner width of the decoder's feed-forward layers", 1, 1 << 20},
      {"model", "activation_function", &m.activation_function, S("relu"), "Activation between the feed-forward layers", 0, 0, {"relu", "gelu", "gelu_new", "swish"}},
      {"model", "max_position_embeddings", &m.max_position_embeddings, I(512), "Longest sentence, in tokens", 8, 1 << 20},
      {"model", "dropout", &m.dropout, 0.1, "Dropout on embeddings and on each sub-layer's output", 0, 0.999},
      {"model", "attention_dropout", &m.attention_dropout, 0.0, "Dropout on attention probabilities", 0, 0.999},
      {"model", "activation_dropout", &m.activation_dropout, 0.0, "Dropout after the activation", 0, 0.999},
      {"model", "scale_embedding", &m.scale_embedding, true, "Multiply embeddings by the square root of d_model"},
      {"model", "share_encoder_decoder_embeddings", &m.share_encoder_decoder_embeddings, true, "One embedding for both sides"},
      {"model", "tie_word_embeddings", &m.tie_word_embeddings, true, "The output layer is the target's embedding"},

      {"train", "max_steps", &t.max_steps, I(10000), "Updates of the weights", 1, kMany},
      {"train", "max_tokens", &t.max_tokens, I(4096), "Tokens in a batch: the longer of both sides, summed over its sentences", 1, 1 << 24},
      {"train", "gradient_accumulation_steps", &t.gradient_accumulation_steps, I(1), "Batches for one update, averaged over all their tokens", 1, 1 << 16},
      {"train", "optim", &t.optim, S("adamw"), "Optimizer", 0, 0, {"adam", "adamw", "sgd", "adafactor"}},
      {"train", "learning_rate", &t.learning_rate, 5e-4, "Peak learning rate; with noam: the factor before it", 0, 1e6},
      {"train", "min_learning_rate", &t.min_learning_rate, 0.0, "Where linear, cosine and warmup_stable_decay end", 0, 1e6},
      {"train", "lr_scheduler_type", &t.lr_scheduler_type, S("inverse_sqrt"), "Course of the learning rate", 0, 0, {"noam", "inverse_sqrt", "linear", "cosine", "constant", "constant_with_warmup", "warmup_stable_decay"}},
      {"train", "warmup_steps", &t.warmup_steps, I(4000), "Steps over which the learning rate rises from 0", 0, kMany},
      {"train", "decay_steps", &t.decay_steps, I(0), "warmup_stable_decay: steps of the final decline", 0, kMany},
      {"train", "adam_beta1", &t.adam_beta1, 0.9, "Decay of the first moment", 0, 0.999999},
      {"train", "adam_beta2", &t.adam_beta2, 0.98, "Decay of the second moment", 0, 0.9999999},
      {"train", "adam_epsilon", &t.adam_epsilon, 1e-9, "Added to the root of the second moment", 1e-20, 1},
      {"train", "momentum", &t.momentum, 0.9, "Momentum of sgd", 0, 0.999999},
      {"train", "weight_decay", &t.weight_decay, 0.0, "Decoupled weight decay (adamw, sgd, adafactor)", 0, 10},
      {"train", "max_grad_norm", &t.max_grad_norm, 1.0, "Longer gradients are shortened to this; 0: never", 0, 1e9},
      {"train", "label_smoothing_factor", &t.label_smoothing_factor, 0.1, "Probability spread over the whole vocabulary in the target", 0, 0.999},
      {"train", "precision", &t.precision, S("auto"), "Matrix products in f32 or bf16 (sums, moments and weights stay f32); auto: bf16 where the processor has it", 0, 0, {"auto", "f32", "bf16"}},
      {"train", "gradient_checkpointing", &t.gradient_checkpointing, false, "Recompute activations in the backward pass, to save memory"},
      {"train", "ema_decay", &t.ema_decay, 0.0, "Exponential average of the weights, used for validation and the final model; 0: none", 0, 0.999999},
      {"train", "average_checkpoints", &t.average_checkpoints, I(1), "The final model is the mean of so many last checkpoints", 1, 1000},
      {"train", "eval_steps", &t.eval_steps, I(1000), "Steps between validations; 0: only at the end", 0, kMany},
      {"train", "eval_num_beams", &t.eval_num_beams, I(1), "Beams of the BLEU during training", 1, 64},
      {"train", "eval_sentences", &t.eval_sentences, I(0), "How many validation sentences the BLEU during training translates; 0: all", 0, kMany},
      {"train", "save_steps", &t.save_steps, I(1000), "Steps between checkpoints; 0: only at the end", 0, kMany},
      {"train", "save_total_limit", &t.save_total_limit, I(3), "Checkpoints kept, the best aside (never fewer than average_checkpoints)", 1, 100000},
      {"train", "logging_steps", &t.logging_steps, I(100), "Steps between lines of metrics", 1, kMany},
      {"train", "early_stopping_patience", &t.early_stopping_patience, I(0), "Stop after so many validations without a better one; 0: never", 0, kMany},
      {"train", "metric_for_best_model", &t.metric_for_best_model, S("eval_bleu"), "What `better` means", 0, 0, {"eval_bleu", "eval_loss"}},
      {"train", "load_best_model_at_end", &t.load_best_model_at_end, false, "The final model is the best checkpoint instead of an average"},
      {"train", "max_bad_steps", &t.max_bad_steps, I(3), "Steps in a row with gradients that are not finite, after which training stops", 1, kMany},
      {"train", "seed", &t.seed, I(42), "Of initial weights, data order, dropout and generated data", 0, kMany},

      {"decode", "num_beams", &g.num_beams, I(5), "Beams of the finished model, written to generation_config.json", 1, 256},
      {"decode", "length_penalty", &g.length_penalty, 1.0, "Exponent of the length that scores are divided by", -100, 100},
      {"decode", "max_length", &g.max_length, I(256), "Longest translation, in tokens", 2, 1 << 20},
  };
}

std::string to_string(const Field& f) {
  return std::visit(
      [](auto* p) -> std::string {
        using T = std::remove_pointer_t<decltype(p)>;
        if constexpr (std::is_same_v<T, std::string>)
          return *p;
        else if constexpr (std::is_same_v<T, bool>)
          return *p ? "true" : "false";
        else
          return fmt::format("{}", *p);
      },
      f.place);
}

const char* type_name(const Field& f) {
  static const char* kNames[] = {"a string", "a whole number", "a number", "true or false"};
  return kNames[f.place.index()];
}

std::string allowed(const Field& f) {
  if (!f.choices.empty()) {
    std::string list;
    for (const std::string& c : f.choices) list += (list.empty() ? "" : ", ") + c;
    return list;
  }
  if (std::holds_alternative<std::int64_t*>(f.place)) return fmt::format("{} to {}", static_cast<std::int64_t>(f.low), static_cast<std::int64_t>(f.high));
  if (std::holds_alternative<double*>(f.place)) return fmt::format("{} to {}", f.low, f.high);
  return type_name(f);
}

// `where` begins the message: "recipe.yaml:12" or "--set".
void assign(Field& f, const std::string& text, const std::string& where) {
  const auto refuse = [&](const char* wanted) {
    fail(Code::recipe, "{}: {} is {}, wanted {}; allowed: {}", where, f.name(), quoted(text), wanted, allowed(f));
  };
  if (auto** s = std::get_if<std::string*>(&f.place)) {
    if (!f.choices.empty() && std::find(f.choices.begin(), f.choices.end(), text) == f.choices.end()) refuse("one of these");
    **s = text;
  } else if (auto** b = std::get_if<bool*>(&f.place)) {
    if (text != "true" && text != "false") refuse(type_name(f));
    **b = text == "true";
  } else {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) refuse(type_name(f));
    if (value < f.low || value > f.high) refuse("a value in range");
    if (auto** i = std::get_if<std::int64_t*>(&f.place)) {
      if (value != std::floor(value)) refuse(type_name(f));
      **i = static_cast<std::int64_t>(value);
    } else {
      *std::get<double*>(f.place) = value;
    }
  }
}

std::string resolved(const std::string& path, const fs::path& directory) {
  if (path.empty() || path == "-" || fs::path(path).is_absolute()) return path;
  return (directory / path).lexically_normal().string();
}

Field& find(std::vector<Field>& fields, const std::string& name, const std::string& where) {
  std::vector<std::string> known;
  for (Field& f : fields) {
    if (f.name() == name) return f;
    known.push_back(f.name());
  }
  std::string best = closest(name, known);
  if (best.empty()) {  // right key, wrong section
    const std::string key = name.substr(name.find('.') + 1);
    for (const Field& f : fields)
      if (key == f.key) best = f.name();
  }
  fail(Code::recipe, "{}: unknown key {}{}", where, quoted(name), best.empty() ? "" : fmt::format("; did you mean {}?", best));
}

// yaml-cpp parses by recursion. A recipe is a map of maps, so what could nest deeply is refused before it is parsed.
void check_nesting(const std::string& yaml, const std::string& origin) {
  constexpr std::int64_t kMost = 100;
  std::int64_t openings = 0, line = 1, marks = 0, indent = 0;
  bool indenting = true;
  for (const char c : yaml) {
    openings += c == '[' || c == '{';
    marks += c == '-' || c == '?' || c == ':';
    indenting = indenting && c == ' ';
    indent += indenting;
    check(openings <= kMost && marks <= kMost && indent <= kMost, Code::recipe,
          "{}:{}: more than {} brackets, or indicators or spaces on a line: a recipe is a map of the sections data, tokenizer, model, train, decode",
          origin, line, kMost);
    if (c == '\n') ++line, marks = 0, indent = 0, indenting = true;
  }
}

}  // namespace

Recipe::Recipe() {
  for (Field& f : fields_of(*this))
    std::visit(
        [&](auto* place) {
          using T = std::remove_pointer_t<decltype(place)>;
          *place = std::get<T>(f.otherwise);
        },
        f.place);
}

Recipe Recipe::parse(const std::string& yaml, const std::string& origin, const fs::path& directory) {
  Recipe recipe;
  std::vector<Field> fields = fields_of(recipe);
  const auto line_of = [&](const YAML::Node& node) { return fmt::format("{}:{}", origin, node.Mark().line + 1); };
  if (const auto bad = utf8_error(yaml)) fail(Code::utf8, "{}: byte {}: not valid UTF-8", origin, *bad);
  check_nesting(yaml, origin);
  try {
    const YAML::Node root = YAML::Load(yaml);
    check(root.IsMap() || root.IsNull(), Code::recipe, "{}: a recipe is a map of the sections data, tokenizer, model, train, decode", origin);
    std::set<std::string> seen;
    for (const auto& section : root) {
      const auto section_name = section.first.as<std::string>();
      static const std::vector<std::string> kSections{"data", "tokenizer", "model", "train", "decode"};
      if (std::find(kSections.begin(), kSections.end(), section_name) == kSections.end()) {
        const std::string best = closest(section_name, kSections);
        fail(Code::recipe, "{}: unknown section {}{}", line_of(section.first), quoted(section_name),
             best.empty() ? "; the sections are data, tokenizer, model, train, decode" : fmt::format("; did you mean {}?", best));
      }
      if (section.second.IsNull()) continue;
      check(section.second.IsMap(), Code::recipe, "{}: section {} must be a map of keys", line_of(section.second), section_name);
      for (const auto& entry : section.second) {
        const std::string name = section_name + "." + entry.first.as<std::string>();
        const std::string where = line_of(entry.first);
        Field& field = find(fields, name, where);
        check(seen.insert(name).second, Code::recipe, "{}: key {} is given twice", where, name);
        check(entry.second.IsScalar() || entry.second.IsNull(), Code::recipe, "{}: {} must be one value", where, name);
        const std::string text = entry.second.IsNull() ? "" : entry.second.Scalar();
        assign(field, field.path ? resolved(text, directory) : text, where);
      }
    }
  } catch (const YAML::Exception& e) {
    fail(Code::recipe, "{}:{}: not valid YAML: {}", origin, e.mark.line + 1, e.msg);
  }
  return recipe;
}

Recipe Recipe::read(const fs::path& path) {
  const std::string text = read_file(path, Limits{}.yaml_bytes);
  return parse(text, shown(path), path.parent_path());
}

void Recipe::set(const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  check(equals != std::string::npos, Code::recipe, "--set {}: wanted section.key=value", quoted(assignment));
  std::vector<Field> fields = fields_of(*this);
  assign(find(fields, assignment.substr(0, equals), "--set"), assignment.substr(equals + 1), "--set");
}

void Recipe::check_key(const std::string& name, const std::string& where) {
  Recipe any;
  std::vector<Field> fields = fields_of(any);
  find(fields, name, where);
}

std::string Recipe::key_like(std::string_view word) {
  Recipe any;
  std::string wanted(word);
  std::replace(wanted.begin(), wanted.end(), '-', '_');
  std::vector<std::string> keys;
  const std::vector<Field> fields = fields_of(any);
  for (const Field& f : fields) keys.push_back(f.key);
  const std::string best = closest(wanted, keys);
  for (const Field& f : fields)
    if (best == f.key) return f.name();
  return "";
}

void Recipe::validate() const {
  const auto both = [](const std::string& a, const std::string& b, const char* first, const char* second) {
    check(a.empty() == b.empty(), Code::recipe, "recipe: {} and {} go together, but only one is given", first, second);
  };
  both(data.train_source, data.train_target, "data.train_source", "data.train_target");
  both(data.valid_source, data.valid_target, "data.valid_source", "data.valid_target");
  both(data.test_source, data.test_target, "data.test_source", "data.test_target");
  if (data.task == "translation") {
    check(!data.train_source.empty() || !data.train_file.empty(), Code::recipe,
          "recipe: no training data; give data.train_source and data.train_target, or data.train_file");
    check(data.train_source.empty() || data.train_file.empty(), Code::recipe,
          "recipe: give either data.train_source and data.train_target, or data.train_file, not both");
  }
  for (const auto& [heads, key] : {std::pair{model.encoder_attention_heads, "encoder_attention_heads"},
                                   std::pair{model.decoder_attention_heads, "decoder_attention_heads"}})
    check(model.d_model % heads == 0, Code::recipe, "recipe: model.d_model {} is not divisible by model.{} {}", model.d_model, key, heads);
  check(model.position_embeddings == "learned" || model.d_model % 2 == 0, Code::recipe,
        "recipe: model.d_model {} must be even for sinusoidal positions", model.d_model);
  check(data.max_length < model.max_position_embeddings, Code::recipe,
        "recipe: data.max_length {} must be less than model.max_position_embeddings {}", data.max_length, model.max_position_embeddings);
  check(train.max_tokens > data.max_length, Code::recipe, "recipe: train.max_tokens {} must exceed data.max_length {}",
        train.max_tokens, data.max_length);
  check(train.warmup_steps + train.decay_steps <= train.max_steps || train.lr_scheduler_type == "constant", Code::recipe,
        "recipe: train.warmup_steps {} and train.decay_steps {} exceed train.max_steps {}", train.warmup_steps, train.decay_steps,
        train.max_steps);
  check(!train.load_best_model_at_end || train.average_checkpoints == 1, Code::recipe,
        "recipe: train.load_best_model_at_end and train.average_checkpoints contradict each other");
  check(train.learning_rate > 0, Code::recipe, "recipe: train.learning_rate must be greater than 0");
}

std::string Recipe::to_yaml() const {
  Recipe copy = *this;
  YAML::Emitter out;
  out << YAML::BeginMap;
  const char* section = nullptr;
  for (const Field& f : fields_of(copy)) {
    if (!section || std::string_view(section) != f.section) {
      if (section) out << YAML::EndMap;
      section = f.section;
      out << YAML::Key << section << YAML::Value << YAML::BeginMap;
    }
    out << YAML::Key << f.key << YAML::Value;
    if (std::holds_alternative<std::string*>(f.place))
      out << YAML::DoubleQuoted << to_string(f);
    else
      out << to_string(f);
  }
  out << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

std::string Recipe::hash() const { return sha256(as_bytes(to_yaml())); }

std::vector<std::string> Recipe::differences(const Recipe& other) const {
  Recipe a = *this, b = other;
  const std::vector<Field> before = fields_of(a), after = fields_of(b);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (to_string(before[i]) != to_string(after[i]))
      out.push_back(fmt::format("{}: {} -> {}", before[i].name(), to_string(before[i]), to_string(after[i])));
  return out;
}

OrderedJson Recipe::json_schema() {
  OrderedJson schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                     {"title", "Glossa recipe"},
                     {"type", "object"},
                     {"additionalProperties", false},
                     {"properties", OrderedJson::object()}};
  Recipe defaults;
  static const char* kTypes[] = {"string", "integer", "number", "boolean"};
  for (const Field& f : fields_of(defaults)) {
    OrderedJson& section = schema["properties"][f.section];
    if (section.is_null())
      section = {{"type", "object"}, {"additionalProperties", false}, {"properties", OrderedJson::object()}};
    OrderedJson key{{"type", kTypes[f.place.index()]}, {"description", f.meaning}};
    std::visit([&](const auto& value) { key["default"] = value; }, f.otherwise);
    if (!f.choices.empty()) key["enum"] = f.choices;
    if (f.place.index() == 1) {
      key["minimum"] = static_cast<std::int64_t>(f.low);
      key["maximum"] = static_cast<std::int64_t>(f.high);
    } else if (f.place.index() == 2) {
      key["minimum"] = f.low;
      key["maximum"] = f.high;
    }
    section["properties"][f.key] = key;
  }
  return schema;
}

std::string Recipe::reference() {
  std::string out;
  Recipe defaults;
  const char* section = "";
  for (const Field& f : fields_of(defaults)) {
    if (std::string_view(section) != f.section) {
      section = f.section;
      out += fmt::format("\n## {}\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n", section);
    }
    const std::string value = to_string(f);
    out += fmt::format("| `{}` | {} | {} | {} |\n", f.key, value.empty() ? "" : "`" + value + "`", allowed(f), f.meaning);
  }
  return out;
}

}  // namespace glossa
