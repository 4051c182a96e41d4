#include "checkpoint/model_source.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "checkpoint/gguf_model.h"
#include "checkpoint/gguf_tensors.h"
#include "checkpoint/gguf_tokenizer.h"
#include "checkpoint/llama2c.h"
#include "checkpoint/llama2c_tokenizer.h"
#include "models/all.h"

namespace glossa {
namespace {

using Kind = ModelSource::Kind;

void add_ids(const Json& config, const char* key, const std::string& origin, std::int64_t vocabulary,
             std::vector<Token>& ids) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return;
  const auto add = [&](const Json& value) {
    check(
        value.is_number_integer() && value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() < vocabulary,
        Code::config, "{}: {} must be a token of a vocabulary of {}, or a list of such, found {}", origin,
        key, vocabulary, quoted(value.dump()));
    ids.push_back(value.get<Token>());
  };
  if (found->is_array()) {
    for (const Json& value : *found) add(value);
  } else {
    add(*found);
  }
}

std::int64_t vocabulary_of(const Json& config, const std::string& origin) {
  return JsonView(config, origin).integer("vocab_size", INT32_MAX, 1, INT32_MAX);
}

// GPT-2's first checkpoints have the names of the model without its head.
std::string stored_name(const TensorDirectory& tensors, const std::string& name) {
  constexpr std::string_view kPrefix = "transformer.";
  return tensors.has(name) || !name.starts_with(kPrefix) ? name : name.substr(kPrefix.size());
}

Tensor find(const TensorDirectory& tensors, const std::string& name) {
  const Tensor found = tensors.find(stored_name(tensors, name));
  if (found && !is_floating(found.dtype()))
    fail(Code::weights, "{}: tensor {} holds {}, and floating-point numbers are wanted",
         shown(tensors.path()), quoted(name), name_of(found.dtype()));
  return found;
}

ModelSource open_tensors(Kind kind, const fs::path& path, const fs::path& directory, const SourceOptions& o) {
  const fs::path config_path = directory / "config.json";
  ModelSource source{.kind = kind,
                     .path = path,
                     .config = read_configuration(config_path, o.limits),
                     .config_origin = shown(config_path),
                     .weight = {},
                     .tokenizer = open_tokenizer(o.tokenizer.empty() ? directory : o.tokenizer, o.limits)};
  const auto tensors = std::make_shared<const TensorDirectory>(path, o.limits);
  source.weight = [tensors](const std::string& name) { return find(*tensors, name); };
  source.type_of = [tensors](const std::string& name) {
    const TensorInfo* const found = tensors->info(stored_name(*tensors, name));
    return found ? std::optional(dtype_of(found->type)) : std::nullopt;
  };
  source.offered = tensors->names();
  std::erase_if(source.offered, [](const std::string& name) {
    return name.ends_with(".rotary_emb.inv_freq");
  });  // computed here
  source.check_intact = [tensors] { tensors->check_intact(); };
  source.notes = tensors->notes();
  const std::int64_t vocabulary = vocabulary_of(source.config, source.config_origin);
  add_ids(source.config, "eos_token_id", source.config_origin, vocabulary, source.ends);
  if (const fs::path generation = directory / "generation_config.json"; fs::exists(generation))
    add_ids(read_configuration(generation, o.limits), "eos_token_id", shown(generation), vocabulary,
            source.ends);
  return source;
}

ModelSource open_gguf(const fs::path& path, const SourceOptions& o) {
  const auto file = std::make_shared<const GgufFile>(path, o.limits);
  ModelSource source{
      .kind = Kind::gguf,
      .path = path,
      .config = gguf_config(*file),
      .config_origin = shown(path),
      .weight = {},
      .tokenizer = o.tokenizer.empty() ? gguf_tokenizer(*file) : open_tokenizer(o.tokenizer, o.limits),
      .gguf = file};
  const auto config = std::make_shared<const Json>(source.config);
  source.weight = [file, config](const std::string& name) {
    const GgufPlace place = gguf_place(name, *config);
    const Tensor found = place.name.empty() ? Tensor() : file->find(place.name);
    if (found && !is_floating(found.dtype()) && !is_quantised(found.dtype()))
      fail(Code::weights, "{}: tensor {} holds {}, and numbers of a model are wanted", shown(file->path()),
           quoted(place.name), name_of(found.dtype()));
    return found ? from_gguf(place, found) : found;
  };
  source.type_of = [file, config](const std::string& name) -> std::optional<DType> {
    const GgufPlace place = gguf_place(name, *config);
    const GgufTensorInfo* const found = place.name.empty() ? nullptr : file->info(place.name);
    if (!found) return {};
    const std::optional<DType> type = dtype_of(found->type);
    return place.layout == GgufPlace::Layout::transposed && type && is_quantised(*type) ? DType::f32 : type;
  };
  source.check_intact = [file] { file->check_intact(); };
  const std::int64_t vocabulary = vocabulary_of(source.config, source.config_origin);
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"})
    if (file->metadata().has(key))
      source.ends.push_back(static_cast<Token>(file->metadata().integer(key, {0, vocabulary - 1})));
  return source;
}

fs::path llama2c_tokenizer_beside(const fs::path& path) {
  const fs::path own = llama2c_tokenizer_of(path);
  if (fs::exists(own)) return own;
  for (const char* name : {"tokenizer.bin", "tokenizer.json", "tokenizer.model"})
    if (fs::path beside = path.parent_path() / name; fs::exists(beside)) return beside;
  fail(Code::open,
       "{}: a file of llama2.c has no tokenizer, and there is no {}, tokenizer.bin, tokenizer.json or "
       "tokenizer.model beside it; "
       "give one with --tokenizer",
       shown(path), shown(own.filename()));
}

ModelSource open_llama2c(const fs::path& path, const SourceOptions& o) {
  const auto file = std::make_shared<const Llama2cFile>(path, o.limits);
  const fs::path tokenizer = o.tokenizer.empty() ? llama2c_tokenizer_beside(path) : o.tokenizer;
  ModelSource source{.kind = Kind::llama2c,
                     .path = path,
                     .config = Json(file->config().to_json()),
                     .config_origin = shown(path),
                     .weight = [file](const std::string& name) { return file->find(name); },
                     .tokenizer = open_tokenizer(tokenizer, o.limits),
                     .ends = {1, 2}};  // <s> stands between the texts that its models were trained on
  std::erase_if(source.ends, [&](Token t) { return t >= file->config().vocab_size; });
  source.type_of = [](const std::string&) { return std::optional(DType::f32); };
  source.check_intact = [file] { file->check_intact(); };
  return source;
}

ModelSource open_file(const fs::path& path, const SourceOptions& o) {
  std::string beginning(1 << 12, '\0');
  {
    const FileHandle file = FileHandle::open_regular(path);
    beginning.resize(std::min<std::uint64_t>(file.size(), beginning.size()));
    file.read_at(0, std::as_writable_bytes(std::span(beginning)));
  }
  const auto& extension = path.extension();
  const bool torch = beginning.starts_with("PK\3\4") || extension == ".pt" || extension == ".pth" ||
                     extension == ".safetensors";
  if (torch) return open_tensors(Kind::torch_file, path, path.parent_path(), o);
  if (is_gguf(as_bytes(beginning)) || !looks_like_llama2c(as_bytes(beginning))) {
    if (extension == ".bin" && !is_gguf(as_bytes(beginning)))
      return open_tensors(Kind::torch_file, path, path.parent_path(), o);
    return open_gguf(path, o);
  }
  return open_llama2c(path, o);
}

}  // namespace

Tokenizer open_tokenizer(const fs::path& path, const Limits& limits) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return Tokenizer::load(path, limits);
  if (path.extension() == ".bin") return load_llama2c_tokenizer(path, limits);
  if (path.extension() == ".gguf") return gguf_tokenizer(GgufFile(path, limits));
  return Tokenizer::load(path, limits);
}

ModelSource open_model(const fs::path& path, const SourceOptions& options) {
  std::error_code ignored;
  ModelSource source = fs::is_directory(path, ignored) ? open_tensors(Kind::directory, path, path, options)
                                                       : open_file(path, options);
  source.own_tokenizer = options.tokenizer.empty();
  const std::int64_t vocabulary = vocabulary_of(source.config, source.config_origin);
  check(source.tokenizer.size() <= vocabulary, Code::tokenizer,
        "{}: the tokenizer has ids up to {}, and vocab_size of {} is {}", shown(path),
        source.tokenizer.size() - 1, source.gguf ? "the embedding" : "config.json", vocabulary);
  return source;
}

ModelPlan plan_of(const ModelSource& source) {
  ModelPlan plan;
  std::map<std::string, DType> types;  // to make a weight may be work, so that its type is asked for while its shape is
  ParameterList list({.source = [&](const std::string& name) {
                        Tensor weight = source.weight(name);
                        if (weight) types.emplace(name, weight.dtype());
                        return weight;
                      },
                      .offered = source.offered,
                      .origin = shown(source.path),
                      .plan = true,
                      .training = false});
  const auto model = make_causal_model(source.config, source.config_origin, list, &plan.notes);
  for (const auto& [name, shape] : list.shapes()) plan.weights.push_back({name, shape, types.at(name)});
  plan.config = model->config();
  plan.vocabulary = model->vocabulary();
  check_all_asked_for(source, list);
  return plan;
}

void check_all_asked_for(const ModelSource& source, const ParameterList& list) {
  if (!source.gguf) return;
  std::set<std::string> asked;
  for (const auto& [name, shape] : list.shapes()) asked.insert(gguf_place(name, source.config).name);
  for (const GgufTensorInfo& t : source.gguf->tensors())
    check(!t.name.starts_with("blk.") || asked.contains(t.name), Code::weights,
          "{}: 1 tensor does not fit the configuration: {} is too much", shown(source.path), quoted(t.name));
}

}  // namespace glossa
