#include "checkpoint/causal_model.h"

#include <algorithm>

#include "base/error.h"
#include "models/all.h"

namespace glossa {
namespace {

// Tokens that end a turn in the chat formats of the known families, whether or not a configuration names
// them.
constexpr std::string_view kTurnEnds[] = {"<|im_end|>", "<|eot_id|>",    "<|eom_id|>",     "<end_of_turn>",
                                          "<|end|>",    "<|endoftext|>", "<|end_of_text|>"};

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

LoadedCausalModel load_causal_model(const ModelSource& source, const LoadOptions& options) {
  Json config = source.config;
  if (options.change_config) options.change_config(config);
  LoadedCausalModel loaded{
      .parameters = std::make_unique<ParameterList>(ParameterList::Options{.source = source.weight,
                                                                           .offered = source.offered,
                                                                           .origin = shown(source.path),
                                                                           .training = options.training,
                                                                           .device = options.device,
                                                                           .keep_narrow = true}),
      .model = nullptr,
      .tokenizer = source.tokenizer,
      .stop_tokens = {},
      .notes = source.notes};
  loaded.model = make_causal_model(config, source.config_origin, *loaded.parameters, &loaded.notes);
  check_all_asked_for(source, *loaded.parameters);
  loaded.stop_tokens = stop_tokens(source.ends, loaded.tokenizer, loaded.model->vocabulary());
  return loaded;
}

LoadedCausalModel load_causal_model(const fs::path& path, const LoadOptions& options,
                                    const fs::path& tokenizer) {
  return load_causal_model(open_model(path, {.tokenizer = tokenizer, .limits = options.limits}), options);
}

}  // namespace glossa
