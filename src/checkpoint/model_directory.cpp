#include "checkpoint/model_directory.h"

#include <cstring>
#include <set>

#include "base/error.h"
#include "base/json.h"

namespace glossa {
namespace {

// Ids of text must be rows of the embedding, and the special tokens those that the model was trained with.
void check_vocabulary(const Tokenizer& tokenizer, const TransformerConfig& config, const fs::path& directory) {
  const std::int64_t rows = std::min(config.vocab_size, config.target_vocab_size());
  check(tokenizer.size() <= rows, Code::tokenizer, "{}: the tokenizer has ids up to {}, and vocab_size of config.json is {}",
        shown(directory), tokenizer.size() - 1, rows);
  const auto& special = tokenizer.special_tokens();
  const auto same = [&](const std::string& piece, std::int64_t id, const char* key) {
    const auto found = piece.empty() ? std::nullopt : tokenizer.id(piece);
    check(!found || *found == id, Code::tokenizer, "{}: {} of config.json is {}, but the tokenizer's {} is {}", shown(directory), key,
          id, quoted(piece), found.value_or(-1));
  };
  same(special.eos, config.eos_token_id, "eos_token_id");
  same(special.pad, config.pad_token_id, "pad_token_id");
}

// A configuration of more or fewer layers than there are is the commonest misfit, and hundreds of names would hide it.
void check_layers(const std::vector<std::string>& names, const TransformerConfig& config, const fs::path& directory) {
  const auto compare = [&](std::string_view side, std::int64_t claimed) {
    const std::string prefix = fmt::format("model.{}.layers.", side);
    std::set<std::string> layers;
    for (const std::string& name : names)
      if (name.starts_with(prefix)) layers.insert(name.substr(prefix.size(), name.find('.', prefix.size()) - prefix.size()));
    check(static_cast<std::int64_t>(layers.size()) == claimed, Code::weights,
          "{}: {}_layers of config.json is {}, and the weights have {} of them ({}*)", shown(directory), side, claimed, layers.size(),
          prefix);
  };
  compare("encoder", config.encoder_layers);
  compare("decoder", config.decoder_layers);
}

// Some files hold the head beside the embedding that it is tied to.
void compare_tied(const TensorDirectory& tensors, const TransformerConfig& config, const fs::path& directory,
                  std::vector<std::string>& notes) {
  const Tensor head = tensors.find("lm_head.weight"), embedding = tensors.find("model.shared.weight");
  if (!config.tie_word_embeddings || !head || !embedding) return;
  if (head.shape() == embedding.shape() && head.dtype() == embedding.dtype() &&
      std::memcmp(head.raw(), embedding.raw(), head.bytes()) == 0)
    return;
  notes.push_back(fmt::format("{}: lm_head.weight differs from model.shared.weight and is passed over, as tie_word_embeddings of "
                              "config.json is true", shown(directory)));
}

}  // namespace

LoadedModel load_model_directory(const fs::path& directory, const LoadOptions& options) {
  const fs::path config_path = directory / "config.json";
  std::vector<std::string> notes;
  const TransformerConfig config =
      TransformerConfig::from_json(read_configuration(config_path, options.limits), shown(config_path), &notes);
  Tokenizer tokenizer = Tokenizer::load(directory, options.limits);
  check_vocabulary(tokenizer, config, directory);
  const TensorDirectory tensors(directory, options.limits);
  const std::vector<std::string> names = tensors.names();
  check_layers(names, config, directory);
  auto parameters = std::make_unique<ParameterList>(ParameterList::Options{
      .source = [&tensors](const std::string& name) { return tensors.find(name, DType::f32); },
      .offered = names,
      .origin = shown(directory),
      .training = options.training,
      .device = options.device});
  auto model = std::make_unique<Transformer>(*parameters, config);
  compare_tied(tensors, config, directory, notes);
  return {config, std::move(parameters), std::move(model), std::move(tokenizer), std::move(notes)};
}

void save_model_directory(const fs::path& directory, const ModelFiles& files) {
  write_file(directory / "config.json", to_text(files.config));
  write_file(directory / "generation_config.json", to_text(files.generation_config));
  files.tokenizer.save(directory);
  save_safetensors(directory / "model.safetensors", files.weights);
}

}  // namespace glossa
