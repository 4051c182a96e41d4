#include "train/recipe.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/unicode.h"
#include "train/recipe_fields.h"

namespace glossa {
namespace {

using Field = RecipeField;

constexpr const char* kTasks[] = {"", "translation", kLanguageModeling};  // by KeyOf

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
  fail(Code::recipe, "{}: unknown key {}{}", where, quoted(name),
       best.empty() ? "" : fmt::format("; did you mean {}?", best));
}

// yaml-cpp parses by recursion. A recipe is a map of maps, so what could nest deeply is refused before it is
// parsed.
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
          "{}:{}: more than {} brackets, or indicators or spaces on a line: a recipe is a map of the "
          "sections data, tokenizer, model, train, decode",
          origin, line, kMost);
    if (c == '\n') ++line, marks = 0, indent = 0, indenting = true;
  }
}

// A task has defaults of its own: keys that stand at those of the task before take those of the new one.
void assign_task(Recipe& recipe, const std::string& task, const std::string& where) {
  std::vector<Field> before = fields_of(recipe);
  std::vector<bool> at_default;
  for (const Field& f : before) at_default.push_back(f.text() == f.default_text());
  find(before, "data.task", where).assign(task, where);
  std::vector<Field> after = fields_of(recipe);
  for (std::size_t i = 0; i < after.size(); ++i)
    if (at_default[i] && after[i].name() != "data.task") after[i].set_default();
}

void assign(Recipe& recipe, const std::string& name, const std::string& text, const std::string& where) {
  if (name == "data.task") return assign_task(recipe, text, where);
  std::vector<Field> fields = fields_of(recipe);
  find(fields, name, where).assign(text, where);
}

// The strings of a key: one, or a list of them.
StringList strings_of(const YAML::Node& node, const std::string& name, const std::string& where) {
  StringList all;
  if (!node.IsSequence()) return node.IsNull() || node.Scalar().empty() ? all : StringList{node.Scalar()};
  for (const auto& item : node) {
    check(item.IsScalar(), Code::recipe, "{}: {} must be one value, or a list of such", where, name);
    all.push_back(item.Scalar());
  }
  return all;
}

void validate_translation(const Recipe& r) {
  const auto& [data, tokenizer, model, train, decode] = r;
  const auto both = [](const std::string& a, const std::string& b, const char* first, const char* second) {
    check(a.empty() == b.empty(), Code::recipe, "recipe: {} and {} go together, but only one is given", first,
          second);
  };
  both(data.train_source, data.train_target, "data.train_source", "data.train_target");
  both(data.valid_source, data.valid_target, "data.valid_source", "data.valid_target");
  both(data.test_source, data.test_target, "data.test_source", "data.test_target");
  check(data.format != "text", Code::recipe,
        "recipe: data.format is text, and translations come as tsv or jsonl");
  check(data.train_file.size() <= 1 && data.valid_file.size() <= 1, Code::recipe,
        "recipe: data.train_file and data.valid_file are one file each for translation");
  if (data.task == "translation") {
    check(!data.train_source.empty() || !data.train_file.empty(), Code::recipe,
          "recipe: no training data; give data.train_source and data.train_target, or data.train_file");
    check(data.train_source.empty() || data.train_file.empty(), Code::recipe,
          "recipe: give either data.train_source and data.train_target, or data.train_file, not both");
  }
  for (const auto& [heads, key] : {std::pair{model.encoder_attention_heads, "encoder_attention_heads"},
                                   std::pair{model.decoder_attention_heads, "decoder_attention_heads"}})
    check(model.d_model % heads == 0, Code::recipe,
          "recipe: model.d_model {} is not divisible by model.{} {}", model.d_model, key, heads);
  check(model.position_embeddings == "learned" || model.d_model % 2 == 0, Code::recipe,
        "recipe: model.d_model {} must be even for sinusoidal positions", model.d_model);
  check(data.max_length < model.max_position_embeddings, Code::recipe,
        "recipe: data.max_length {} must be less than model.max_position_embeddings {}", data.max_length,
        model.max_position_embeddings);
  check(train.max_tokens > data.max_length, Code::recipe,
        "recipe: train.max_tokens {} must exceed data.max_length {}", train.max_tokens, data.max_length);
}

void validate_language(const Recipe& r) {
  const auto& [data, tokenizer, model, train, decode] = r;
  check(!data.train_file.empty(), Code::recipe, "recipe: no training data; give data.train_file");
  check(data.valid_file.empty() || data.validation_split_percentage == 0, Code::recipe,
        "recipe: give either data.valid_file or data.validation_split_percentage, not both");
  check(data.format != "tsv", Code::recipe,
        "recipe: data.format is tsv, and documents come as text or jsonl");
  check(train.max_tokens >= data.block_size, Code::recipe,
        "recipe: train.max_tokens {} must not be less than data.block_size {}", train.max_tokens,
        data.block_size);
  const bool described = !model.config_name.empty(), pretrained = !model.model_name_or_path.empty();
  check(!described || !pretrained, Code::recipe,
        "recipe: give either model.config_name or model.model_name_or_path, not both");
  if (described || pretrained) {
    Recipe copy = r;
    for (const Field& f : fields_of(copy)) {
      static const std::set<std::string> kFree{"config_name", "model_name_or_path", "dropout",
                                               "attention_dropout"};
      check(!pretrained || std::string_view(f.section) != "tokenizer" || f.text() == f.default_text(),
            Code::recipe,
            "recipe: model.model_name_or_path comes with its tokenizer, and {} must not be set beside it",
            f.name());
      check(std::string_view(f.section) != "model" || kFree.contains(f.key) || f.text() == f.default_text(),
            Code::recipe, "recipe: {} is given by model.{}, and must not be set beside it", f.name(),
            described ? "config_name" : "model_name_or_path");
    }
    return;
  }
  check(data.block_size <= model.max_position_embeddings, Code::recipe,
        "recipe: data.block_size {} must not exceed model.max_position_embeddings {}", data.block_size,
        model.max_position_embeddings);
  check(model.hidden_size % model.num_attention_heads == 0, Code::recipe,
        "recipe: model.hidden_size {} is not divisible by model.num_attention_heads {}", model.hidden_size,
        model.num_attention_heads);
  check(model.num_key_value_heads == 0 || model.num_attention_heads % model.num_key_value_heads == 0,
        Code::recipe, "recipe: model.num_attention_heads {} is not divisible by model.num_key_value_heads {}",
        model.num_attention_heads, model.num_key_value_heads);
  const bool gpt2 = model.model_type == "gpt2";
  check(!gpt2 || model.num_key_value_heads == 0 || model.num_key_value_heads == model.num_attention_heads,
        Code::recipe,
        "recipe: model.num_key_value_heads is {}, and gpt2 has as many as model.num_attention_heads",
        model.num_key_value_heads);
  check(gpt2 || model.dropout == 0, Code::recipe,
        "recipe: model.dropout is {}, and {} has none; model.attention_dropout it has", model.dropout,
        model.model_type);
  check(gpt2 || model.hidden_size / model.num_attention_heads % 2 == 0, Code::recipe,
        "recipe: {} rotates pairs of elements, and model.hidden_size / model.num_attention_heads is {}, "
        "which is odd",
        model.model_type, model.hidden_size / model.num_attention_heads);
}

}  // namespace

Recipe::Recipe() {
  data.task = "translation";
  for (Field& f : fields_of(*this)) f.set_default();
}

Recipe Recipe::parse(const std::string& yaml, const std::string& origin, const fs::path& directory) {
  Recipe recipe;
  const auto line_of = [&](const YAML::Node& node) {
    return fmt::format("{}:{}", origin, node.Mark().line + 1);
  };
  if (const auto bad = utf8_error(yaml)) fail(Code::utf8, "{}: byte {}: not valid UTF-8", origin, *bad);
  check_nesting(yaml, origin);
  try {
    const YAML::Node root = YAML::Load(yaml);
    check(root.IsMap() || root.IsNull(), Code::recipe,
          "{}: a recipe is a map of the sections data, tokenizer, model, train, decode", origin);
    // First of all, as defaults and ranges of others depend on it.
    if (const YAML::Node section = root["data"];
        section && section.IsMap() && section["task"] && section["task"].IsScalar())
      assign_task(recipe, section["task"].Scalar(), line_of(section["task"]));
    std::vector<Field> fields = fields_of(recipe);
    std::set<std::string> seen;
    for (const auto& section : root) {
      const auto section_name = section.first.as<std::string>();
      static const std::vector<std::string> kSections{"data", "tokenizer", "model", "train", "decode"};
      if (std::find(kSections.begin(), kSections.end(), section_name) == kSections.end()) {
        const std::string best = closest(section_name, kSections);
        fail(Code::recipe, "{}: unknown section {}{}", line_of(section.first), quoted(section_name),
             best.empty() ? "; the sections are data, tokenizer, model, train, decode"
                          : fmt::format("; did you mean {}?", best));
      }
      if (section.second.IsNull()) continue;
      check(section.second.IsMap(), Code::recipe, "{}: section {} must be a map of keys",
            line_of(section.second), section_name);
      for (const auto& entry : section.second) {
        const std::string name = section_name + "." + entry.first.as<std::string>();
        const std::string where = line_of(entry.first);
        Field& field = find(fields, name, where);
        check(seen.insert(name).second, Code::recipe, "{}: key {} is given twice", where, name);
        if (auto** list = std::get_if<StringList*>(&field.place);
            list && (entry.second.IsSequence() || entry.second.IsScalar())) {
          **list = strings_of(entry.second, name, where);
          for (std::string& path : **list) path = resolved(path, directory);
          continue;
        }
        check(entry.second.IsScalar() || entry.second.IsNull(), Code::recipe, "{}: {} must be one value",
              where, name);
        const std::string text = entry.second.IsNull() ? "" : entry.second.Scalar();
        field.assign(field.path ? resolved(text, directory) : text, where);
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
  assign(*this, assignment.substr(0, equals), assignment.substr(equals + 1), "--set");
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
  Recipe copy = *this;
  for (const Field& f : fields_of(copy)) {
    const bool foreign = f.of != KeyOf::all && (f.of == KeyOf::language) != language();
    check(!foreign || f.text() == f.default_text(), Code::recipe,
          "recipe: {} is a key of {}, and data.task is {}", f.name(), kTasks[static_cast<int>(f.of)],
          data.task);
  }
  language() ? validate_language(*this) : validate_translation(*this);
  check(train.warmup_steps + train.decay_steps <= train.max_steps || train.lr_scheduler_type == "constant",
        Code::recipe, "recipe: train.warmup_steps {} and train.decay_steps {} exceed train.max_steps {}",
        train.warmup_steps, train.decay_steps, train.max_steps);
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
    if (auto* const* list = std::get_if<StringList*>(&f.place)) {
      out << YAML::BeginSeq;  // an item a line, however many there are
      for (const std::string& word : **list) out << YAML::DoubleQuoted << word;
      out << YAML::EndSeq;
    } else if (std::holds_alternative<std::string*>(f.place)) {
      out << YAML::DoubleQuoted << f.text();
    } else {
      out << f.text();
    }
  }
  out << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

std::string Recipe::hash() const {
  return sha256(as_bytes(to_yaml()));
}

std::vector<std::string> Recipe::differences(const Recipe& other) const {
  Recipe a = *this, b = other;
  const std::vector<Field> before = fields_of(a), after = fields_of(b);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (before[i].text() != after[i].text())
      out.push_back(fmt::format("{}: {} -> {}", before[i].name(), before[i].text(), after[i].text()));
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
    const bool list = std::holds_alternative<StringList*>(f.place);
    OrderedJson key = list ? OrderedJson{{"type", {"string", "array"}}, {"items", {{"type", "string"}}}}
                           : OrderedJson{{"type", kTypes[f.place.index()]}};
    key["description"] = f.meaning;
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
  Recipe defaults, other;
  other.set(std::string("data.task=") + kLanguageModeling);
  const std::vector<Field> of_language = fields_of(other);
  std::size_t i = 0;
  const char* section = "";
  for (const Field& f : fields_of(defaults)) {
    if (std::string_view(section) != f.section) {
      section = f.section;
      out += fmt::format("\n## {}\n\n| key | of | default | allowed | meaning |\n|---|---|---|---|---|\n",
                         section);
    }
    const auto shown_value = [](const Field& field) {
      const std::string value = field.default_text();
      return value.empty() ? value : "`" + value + "`";
    };
    const Field& g = of_language[i++];
    std::string value = shown_value(f);
    if (f.default_text() != g.default_text())
      value += fmt::format("; {} for {}", shown_value(g), kLanguageModeling);
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", f.key, kTasks[static_cast<int>(f.of)], value,
                       f.allowed(), f.meaning);
  }
  return out;
}

}  // namespace glossa
