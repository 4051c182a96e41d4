#include "checkpoint/model_directory.h"

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

}  // namespace

LoadedModel load_model_directory(const fs::path& directory, const LoadOptions& options) {
  const fs::path config_path = directory / "config.json";
  const TransformerConfig config = TransformerConfig::from_json(read_json(config_path, options.limits), shown(config_path));
  Tokenizer tokenizer = Tokenizer::load(directory, options.limits);
  check_vocabulary(tokenizer, config, directory);
  const TensorDirectory tensors(directory, options.limits);
  auto parameters = std::make_unique<ParameterList>(ParameterList::Options{
      .source = [&tensors](const std::string& name) { return tensors.find(name, DType::f32); },
      .origin = shown(directory),
      .training = options.training,
      .device = options.device});
  auto model = std::make_unique<Transformer>(*parameters, config);
  parameters->check_complete();
  return {config, std::move(parameters), std::move(model), std::move(tokenizer)};
}

void save_model_directory(const fs::path& directory, const ModelFiles& files) {
  write_file(directory / "config.json", to_text(files.config.to_json()));
  write_file(directory / "generation_config.json", to_text(files.generation_config));
  files.tokenizer.save(directory);
  save_safetensors(directory / "model.safetensors", files.weights);
}

}  // namespace glossa
