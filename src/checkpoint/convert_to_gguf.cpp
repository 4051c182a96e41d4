#include <algorithm>
#include <optional>

#include "base/error.h"
#include "checkpoint/convert_parts.h"
#include "checkpoint/gguf_model.h"
#include "checkpoint/gguf_tensors.h"
#include "checkpoint/weight_types.h"

namespace glossa {
namespace {

constexpr std::uint32_t kQuantisationVersion = 2;  // of ggml's block types

// A tensor of the new file, and how it is made.
struct Made {
  TensorPlan plan;
  std::function<Tensor()> make;
};

std::string type_name(DType type) {
  return std::string(name_of(ggml_type_of(type)));
}

void put_keys(const MadeGgufVocabulary& v, const std::vector<Token>& ends, GgufMetadata& m) {
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  const auto put_id = [&](const char* name, std::optional<std::int64_t> id) {
    if (id) m.set(key(name), static_cast<std::uint32_t>(*id));
  };
  m.set(key("model"), v.model);
  m.set(key("pre"), v.pre);
  m.set(key("tokens"), GgufArray::of(v.tokens));
  if (!v.scores.empty()) m.set(key("scores"), GgufArray::of(v.scores));
  m.set(key("token_type"), GgufArray::of(v.token_types));
  if (v.model == "gpt2") m.set(key("merges"), GgufArray::of(v.merges));
  std::optional<std::int64_t> eos = v.eos_token_id;
  if (!eos && !ends.empty()) eos = ends.front();
  const auto other = std::find_if(ends.begin(), ends.end(), [&](Token t) { return t != eos; });
  put_id("bos_token_id", v.bos_token_id);
  put_id("eos_token_id", eos);
  put_id("eot_token_id", other == ends.end() ? std::nullopt : std::optional<std::int64_t>(*other));
  put_id("unknown_token_id", v.unknown_token_id);
  put_id("padding_token_id", v.padding_token_id);
  m.set(key("add_bos_token"), v.add_bos_token);
  m.set(key("add_eos_token"), v.add_eos_token);
  if (v.add_space_prefix) m.set(key("add_space_prefix"), *v.add_space_prefix);
  if (v.remove_extra_whitespaces) m.set(key("remove_extra_whitespaces"), *v.remove_extra_whitespaces);
  if (!v.chat_template.empty()) m.set("tokenizer.chat_template", v.chat_template);
}

// Matrices stay what they are, and of vectors all are of 32 bits, as llama.cpp wants them.
DType kept_type(const std::string& name, const Shape& shape, DType type) {
  return is_matrix(name, shape) && type != DType::f64 ? type : DType::f32;
}

class Writer {
 public:
  Writer(const ModelToWrite& model, const ConvertOptions& options, Conversion& conversion)
      : model_(model),
        conversion_(conversion) {
    if (!options.type.empty()) types_.emplace(options.type, model.config, model.source.config_origin);
    model.source.gguf ? from_gguf_file(*model.source.gguf) : from_hugging_face();
    if (!types_) return;
    const std::vector<std::string> notes = types_->notes(model.source.path);
    conversion_.notes.insert(conversion_.notes.end(), notes.begin(), notes.end());
  }

  void write(const fs::path& out) {
    std::vector<TensorPlan> plan;
    for (const Made& made : tensors_) plan.push_back(made.plan);
    AtomicFile file(out);
    GgufWriter writer([&](Bytes bytes) { file.write(bytes); }, metadata_, std::move(plan));
    for (const Made& made : tensors_) {
      const Tensor tensor = made.make();
      count(conversion_, type_name(tensor.dtype()), tensor);
      writer.add(tensor);
    }
    writer.finish();
    model_.source.check_intact();
    file.commit();
  }

 private:
  void add(const std::string& name, const Shape& shape, DType type, std::function<Tensor()> source) {
    tensors_.push_back({{name, shape, type}, [=, origin = model_.source.path, source = std::move(source)] {
                          return as_type(source(), type, name, origin);
                        }});
  }

  void from_hugging_face() {
    const ModelSource& source = model_.source;
    GgufModelKeys keys = gguf_keys(model_.config, source.config_origin);
    metadata_ = std::move(keys.metadata);
    conversion_.notes.insert(conversion_.notes.end(), keys.notes.begin(), keys.notes.end());
    for (const auto& [name, tensor] : keys.tensors)
      add(name, tensor.shape(), DType::f32, [tensor = tensor] { return tensor; });
    std::map<DType, std::int64_t> elements;  // of matrices, by type
    for (const auto& [name, shape, stored] : model_.plan.weights) {
      const GgufPlace place = gguf_place(name, model_.config);
      check(!place.name.empty(), Code::weights, "{}: GGUF files have no place for the tensor {}",
            shown(source.path), quoted(name));
      const Shape in_file = place.shape(shape);
      const DType type =
          types_ ? types_->type_of(place.name, in_file, stored) : kept_type(place.name, shape, stored);
      if (shape.rank() > 1) elements[type] += shape.elements();
      add(place.name, in_file, type,
          [&source, place, name = name] { return to_gguf(place, source.weight(name)); });
    }
    const auto most = std::max_element(elements.begin(), elements.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const fs::path path = source.path.has_filename() ? source.path : source.path.parent_path();
    metadata_.set("general.name", source.kind == ModelSource::Kind::directory ? path.filename().string()
                                                                              : path.stem().string());
    metadata_.set("general.file_type",
                  types_ ? types_->file_type().number : gguf_file_type(most->first).number);
    metadata_.set("general.quantization_version", kQuantisationVersion);
    put_vocabulary();
  }

  void put_vocabulary() {
    const MadeGgufVocabulary vocabulary = vocabulary_to_write(model_);
    conversion_.notes.insert(conversion_.notes.end(), vocabulary.notes.begin(), vocabulary.notes.end());
    put_keys(vocabulary, model_.source.ends, metadata_);
  }

  void from_gguf_file(const GgufFile& file) {
    metadata_ = file.metadata();
    if (types_) {
      metadata_.set("general.file_type", types_->file_type().number);
      metadata_.set("general.quantization_version", kQuantisationVersion);
    }
    if (!model_.source.own_tokenizer) {
      for (const auto& [key, value] : file.metadata().entries())
        if (key.starts_with("tokenizer.ggml.")) metadata_.erase(key);
      put_vocabulary();
    }
    for (const GgufTensorInfo& info : file.tensors()) {
      const Tensor tensor = file.tensor(info);
      const bool real = is_floating(tensor.dtype()) || is_quantised(tensor.dtype());
      const bool changes = types_ && real && is_matrix(info.name, tensor.shape());
      const DType type = changes ? types_->type_of(info.name, tensor.shape(), tensor.dtype()) : tensor.dtype();
      const std::function<Tensor()> make = [&file, &info] { return file.tensor(info); };
      if (real)
        add(info.name, tensor.shape(), type, make);
      else
        tensors_.push_back({{info.name, tensor.shape(), type}, make});
    }
  }

  const ModelToWrite& model_;
  Conversion& conversion_;
  std::optional<WeightTypes> types_;  // none: as they are
  GgufMetadata metadata_;
  std::vector<Made> tensors_;
};

}  // namespace

void write_gguf_model(const ModelToWrite& model, const fs::path& out, const ConvertOptions& options,
                      Conversion& conversion) {
  Writer(model, options, conversion).write(out);
}

}  // namespace glossa
