#include "checkpoint/weight_types.h"

#include <memory>

#include "base/error.h"
#include "checkpoint/convert_parts.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_model.h"
#include "checkpoint/gguf_tensors.h"

namespace glossa {

WeightTypes::WeightTypes(std::string_view type, const Json& c, const std::string& config_origin)
    : file_type_(gguf_file_type(type)) {
  const bool gpt2 = c.at("model_type") == "gpt2";
  model_ = {.architecture = gguf_architecture(c.at("model_type"), config_origin),
            .layers = c.at(gpt2 ? "n_layer" : "num_hidden_layers"),
            .heads = c.at(gpt2 ? "n_head" : "num_attention_heads"),
            .kv_heads = c.at(gpt2 ? "n_head" : "num_key_value_heads"),
            .tied = c.at("tie_word_embeddings")};
}

DType WeightTypes::type_of(const std::string& name, const Shape& shape, DType stored) {
  const ChosenType chosen = choose_type(file_type_, model_, name, shape);
  if (chosen.type != chosen.asked)
    misfits_[{shape[shape.rank() - 1], chosen.asked, chosen.type}].push_back(name);
  again_ |= is_quantised(stored) && is_quantised(chosen.type) && chosen.type != stored;
  return chosen.type;
}

std::vector<std::string> WeightTypes::notes(const fs::path& path) const {
  std::vector<std::string> notes;
  const auto type_name = [](DType type) { return name_of(ggml_type_of(type)); };
  for (const auto& [misfit, names] : misfits_) {
    const auto& [cols, asked, type] = misfit;
    notes.push_back(fmt::format(
        "{}{}: rows of {} are no multiple of {}, the block of {}; {} {}", names.front(),
        names.size() > 1 ? fmt::format(" and {} more", names.size() - 1) : "", cols, block_of(asked).elements,
        type_name(asked), names.size() > 1 ? "they become" : "it becomes", type_name(type)));
  }
  if (again_)
    notes.push_back(fmt::format("{}: weights that were rounded to blocks are rounded a second time; from the "
                                "original they would be closer",
                                shown(path)));
  return notes;
}

ModelSource with_type(ModelSource source, std::string_view type) {
  const ModelPlan plan = plan_of(source);
  const auto config = std::make_shared<const Json>(Json::parse(plan.config.dump()));
  WeightTypes types(type, *config, source.config_origin);
  const auto chosen = std::make_shared<std::map<std::string, DType>>();
  for (const auto& [name, shape, stored] : plan.weights) {
    const GgufPlace place = gguf_place(name, *config);
    check(!place.name.empty(), Code::weights, "{}: no type is known for the tensor {}, which GGUF files have no place for",
          shown(source.path), quoted(name));
    const Shape in_file = place.shape(shape);
    if (is_matrix(place.name, in_file)) chosen->emplace(name, types.type_of(place.name, in_file, stored));
  }
  for (std::string& line : types.notes(source.path)) source.notes.push_back(std::move(line));
  source.type_of = [chosen, stored = source.type_of](const std::string& name) {
    const auto found = chosen->find(name);
    return found == chosen->end() ? stored(name) : std::optional(found->second);
  };
  source.weight = [config, chosen, stored = source.weight, path = source.path](const std::string& name) {
    Tensor weight = stored(name);
    const auto found = chosen->find(name);
    if (!weight || found == chosen->end()) return weight;
    const GgufPlace place = gguf_place(name, *config);
    return from_gguf(place, as_type(to_gguf(place, weight), found->second, name, path));
  };
  return source;
}

}  // namespace glossa
