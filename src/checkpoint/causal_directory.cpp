#include "checkpoint/causal_directory.h"

#include <algorithm>

#include "base/error.h"
#include "models/all.h"

namespace glossa {
namespace {

// Tokens that end a turn in the chat formats of the known families, whether or not a configuration names them.
constexpr std::string_view kTurnEnds[] = {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>",
                                          "<|end_of_text|>"};

void add_ids(const Json& config, const char* key, const std::string& origin, std::int64_t vocabulary, std::vector<Token>& ids) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return;
  const auto add = [&](const Json& value) {
    check(value.is_number_integer() && value.get<std::int64_t>() >= 0 && value.get<std::int64_t>() < vocabulary, Code::config,
          "{}: {} must be a token of a vocabulary of {}, or a list of such, found {}", origin, key, vocabulary, quoted(value.dump()));
    ids.push_back(value.get<Token>());
  };
  if (found->is_array()) {
    for (const Json& value : *found) add(value);
  } else {
    add(*found);
  }
}

std::vector<Token> configured_ends(const fs::path& directory, const Json& config, std::int64_t vocabulary, const Limits& limits) {
  std::vector<Token> ids;
  add_ids(config, "eos_token_id", shown(directory / "config.json"), vocabulary, ids);
  if (const fs::path path = directory / "generation_config.json"; fs::exists(path))
    add_ids(read_configuration(path, limits), "eos_token_id", shown(path), vocabulary, ids);
  return ids;
}

// GPT-2's first checkpoints have the names of the model without its head.
Tensor find(const TensorDirectory& tensors, const std::string& name) {
  constexpr std::string_view kPrefix = "transformer.";
  const Tensor found = tensors.find(name, DType::f32);
  return found || !name.starts_with(kPrefix) ? found : tensors.find(name.substr(kPrefix.size()), DType::f32);
}

}  // namespace

std::vector<Token> stop_tokens(std::vector<Token> ids, const Tokenizer& tokenizer, std::int64_t vocabulary) {
  const auto add_piece = [&](std::string_view piece) {
    const auto id = piece.empty() ? std::nullopt : tokenizer.id(piece);
    if (id && *id < vocabulary && tokenizer.is_special(*id)) ids.push_back(*id);
  };
  add_piece(tokenizer.special_tokens().eos);
  for (const std::string_view piece : kTurnEnds) add_piece(piece);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

LoadedCausalModel load_causal_directory(const fs::path& directory, const LoadOptions& options) {
  const fs::path config_path = directory / "config.json";
  Json config = read_configuration(config_path, options.limits);
  if (options.change_config) options.change_config(config);
  const TensorDirectory tensors(directory, options.limits);
  std::vector<std::string> offered = tensors.names();
  std::erase_if(offered, [](const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); });  // computed here
  LoadedCausalModel loaded{
      .parameters = std::make_unique<ParameterList>(ParameterList::Options{
          .source = [&tensors](const std::string& name) { return find(tensors, name); },
          .offered = std::move(offered),
          .origin = shown(directory),
          .training = options.training,
          .device = options.device,
          .keep_narrow = true}),
      .model = nullptr,
      .tokenizer = Tokenizer::load(directory, options.limits),
      .stop_tokens = {}};
  loaded.model = make_causal_model(config, shown(config_path), *loaded.parameters, &loaded.notes);
  const std::int64_t vocabulary = loaded.model->vocabulary();
  check(loaded.tokenizer.size() <= vocabulary, Code::tokenizer, "{}: the tokenizer has ids up to {}, and vocab_size of config.json is {}",
        shown(directory), loaded.tokenizer.size() - 1, vocabulary);
  loaded.stop_tokens = stop_tokens(configured_ends(directory, config, vocabulary, options.limits), loaded.tokenizer, vocabulary);
  return loaded;
}

}  // namespace glossa
