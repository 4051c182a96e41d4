#include <algorithm>

#include "base/error.h"
#include "checkpoint/convert_parts.h"
#include "checkpoint/gguf_file_type.h"
#include "checkpoint/llama2c_tokenizer.h"
#include "checkpoint/torch_file.h"
#include "models/llama.h"

namespace glossa {
namespace {

// What describes a model beside its weights, and what a tokenizer may consist of.
constexpr const char* kCopied[] = {"generation_config.json", "chat_template.jinja", "additional_chat_templates/tool_use.jinja"};
constexpr const char* kTokenizer[] = {"tokenizer.json",
                                   "tokenizer_config.json",
                                   "special_tokens_map.json",
                                   "added_tokens.json",
                                   "tokenizer.model",
                                   "spiece.model",
                                   "sentencepiece.bpe.model",
                                   "vocab.json",
                                   "merges.txt",
                                   "vocab.txt"};

// The type that is asked for, or none.
std::optional<DType> float_type(const std::string& name, std::string_view format) {
  if (name.empty()) return std::nullopt;
  const GgufFileType& type = gguf_file_type(name);
  check(is_floating(type.type), Code::bad_value, "{} holds weights of F32, F16 and BF16, not {}", format,
        type.name);
  return type.type;
}

std::string torch_name(DType type) {
  return type == DType::f16    ? "float16"
         : type == DType::bf16 ? "bfloat16"
         : type == DType::f64  ? "float64"
                               : "float32";
}

// What the files of the directory say of it, or the keys that one would have; with the new type.
OrderedJson config_of(const ModelToWrite& m, DType type) {
  OrderedJson config = m.plan.config;
  if (m.source.is_hugging_face()) {
    config = OrderedJson(m.source.config);
    config.erase("torch_dtype");
    if (!config.contains("architectures")) config["architectures"] = m.plan.config.at("architectures");
  }
  config["dtype"] = torch_name(type);
  return config;
}

OrderedJson ids_of(const ModelToWrite& m) {
  const SpecialTokens& s = m.source.tokenizer.special_tokens();
  OrderedJson j;
  const auto put = [&](const char* key, const std::string& piece) {
    if (const auto id = piece.empty() ? std::nullopt : m.source.tokenizer.id(piece)) j[key] = *id;
  };
  put("bos_token_id", s.bos);
  put("eos_token_id", s.eos);
  put("pad_token_id", s.pad);
  std::vector<Token> ends = m.source.ends;
  if (const auto id = s.eos.empty() ? std::nullopt : m.source.tokenizer.id(s.eos))
    ends.insert(ends.begin(), *id);
  std::vector<Token> once;
  for (const Token t : ends)
    if (std::find(once.begin(), once.end(), t) == once.end()) once.push_back(t);
  if (once.size() == 1) j["eos_token_id"] = once[0];
  if (once.size() > 1) j["eos_token_id"] = once;
  return j;
}

void write_descriptions(const ModelToWrite& m, const fs::path& directory, DType type) {
  OrderedJson config = config_of(m, type);
  if (!m.source.is_hugging_face()) {
    const OrderedJson ids = ids_of(m);
    // Where a token is missing it is null: classes of transformers have defaults, ids of the original models'
    // vocabularies.
    for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
      config[key] = ids.contains(key) ? ids.at(key) : OrderedJson();
    write_file(directory / "config.json", to_text(config));
    write_file(directory / "generation_config.json", to_text(ids));
    m.source.tokenizer.save(directory);
    return;
  }
  write_file(directory / "config.json", to_text(config));
  const auto copy = [&](const char* name) {
    const fs::path from = m.source.directory() / name;
    if (!fs::exists(from)) return;
    make_directories((directory / name).parent_path());
    write_file(directory / name, read_file(from));
  };
  for (const char* name : kCopied) copy(name);
  if (!m.source.own_tokenizer) return m.source.tokenizer.save(directory);
  for (const char* name : kTokenizer) copy(name);
}

// llama2.c's program has no room for anything that its models do not have.
Llama2cConfig llama2c_config(const ModelToWrite& m) {
  const std::string& origin = m.source.config_origin;
  const std::string type = m.config.at("model_type");
  const auto must = [&](bool holds, std::string_view key, const std::string& found) {
    check(holds, Code::config, "{}: {} is {}, which a file of llama2.c cannot say", origin, key, found);
  };
  must(type == "llama" || type == "mistral", "model_type", quoted(type));
  const LlamaConfig c = LlamaConfig::from_json(m.config, origin);
  must(c.sliding_window == 0 || c.sliding_window >= c.max_position_embeddings, "sliding_window",
       std::to_string(c.sliding_window));
  must(c.hidden_act == Unary::silu, "hidden_act", name_of(c.hidden_act));
  must(!c.qkv_bias && !c.o_bias, "attention_bias", "true");
  must(!c.mlp_bias, "mlp_bias", "true");
  must(c.head_dim * c.num_attention_heads == c.hidden_size, "head_dim", std::to_string(c.head_dim));
  must(c.rope.scaling == RotaryConfig::Scaling::none && c.rope.dim == c.head_dim, "rope_parameters",
       c.rope.to_json().dump());
  must(c.rope.theta == 10000, "rope_theta", fmt::format("{}, not 10000", c.rope.theta));
  must(c.rms_norm_eps == 1e-5, "rms_norm_eps", fmt::format("{}, not 1e-05", c.rms_norm_eps));
  return {.hidden_size = c.hidden_size,
          .intermediate_size = c.intermediate_size,
          .num_hidden_layers = c.num_hidden_layers,
          .num_attention_heads = c.num_attention_heads,
          .num_key_value_heads = c.num_key_value_heads,
          .vocab_size = c.vocab_size,
          .max_position_embeddings = c.max_position_embeddings,
          .tie_word_embeddings = c.tie_word_embeddings};
}

}  // namespace

void write_directory(const ModelToWrite& m, const fs::path& out, const ConvertOptions& options,
                     Conversion& conversion) {
  const auto asked = float_type(options.type, "a Hugging Face directory");
  std::vector<TensorPlan> plans;
  std::map<DType, std::int64_t> elements;
  for (const auto& [name, shape, stored] : m.plan.weights) {
    plans.push_back({name, shape, asked.value_or(is_quantised(stored) ? DType::f32 : stored)});
    elements[plans.back().type] += shape.elements();
  }
  const auto most = std::max_element(elements.begin(), elements.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  const TensorMaker make = [&](const TensorPlan& plan) {
    Tensor made = as_type(m.source.weight(plan.name), plan.type, plan.name, m.source.path);
    count(conversion, name_of(element_type_of(plan.type)), made);
    return made;
  };
  AtomicDirectory directory(out);
  write_descriptions(m, directory.path(), most->first);
  const bool torch = options.format == ModelFormat::pytorch;
  FileHandle file =
      FileHandle::create(directory.path() / (torch ? "pytorch_model.bin" : "model.safetensors"));
  const auto write = [&](Bytes bytes) { file.write(bytes); };
  if (torch)
    write_torch_file(write, plans, make);
  else
    write_safetensors(write, plans, make);
  file.close();
  m.source.check_intact();
  directory.commit();
}

void write_llama2c_model(const ModelToWrite& m, const fs::path& out, const ConvertOptions& options,
                         Conversion& conversion) {
  const DType asked = float_type(options.type, "a file of llama2.c").value_or(DType::f32);
  check(asked == DType::f32, Code::bad_value, "a file of llama2.c holds weights of F32, not {}",
        options.type);
  const Llama2cConfig config = llama2c_config(m);
  const MadeGgufVocabulary vocabulary = vocabulary_to_write(m);
  const Llama2cTokenizer tokenizer = make_llama2c_tokenizer(vocabulary, shown(m.source.path));
  conversion.notes.insert(conversion.notes.end(), vocabulary.notes.begin(), vocabulary.notes.end());
  AtomicFile file(out), words(outputs_of(out, ModelFormat::llama2c)[1]);
  write_llama2c([&](Bytes bytes) { file.write(bytes); }, config,
                [&](const std::string& name) {
                  Tensor made = as_type(m.source.weight(name), DType::f32, name, m.source.path);
                  count(conversion, "F32", made);
                  return made;
                });
  write_llama2c_tokenizer([&](Bytes bytes) { words.write(bytes); }, tokenizer);
  m.source.check_intact();
  words.commit();
  file.commit();
}

}  // namespace glossa
