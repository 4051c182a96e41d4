#include "checkpoint/causal_model.h"

#include <algorithm>

#include "backend/cpu/quantised.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/memory.h"
#include "models/all.h"

namespace glossa {
namespace {

// Tokens that end a turn in the chat formats of the known families, whether or not a configuration names
// them.
constexpr std::string_view kTurnEnds[] = {"<|im_end|>", "<|eot_id|>",    "<|eom_id|>",     "<end_of_turn>",
                                          "<|end|>",    "<|endoftext|>", "<|end_of_text|>"};

// Bytes that products with a weight take while it is in use: it lies packed beside the file. Vectors, and
// matrices of 32 bits and more, are of 32.
std::uint64_t bytes_in_use(const Shape& shape, DType type) {
  const bool matrix = shape.rank() == 2;
  if (matrix && is_quantised(type)) return cpu::packed_blocks_bytes(type, shape[1], shape[0]);
  return checked_mul(static_cast<std::uint64_t>(shape.elements()), matrix && is_narrow(type) ? 2 : 4);
}

// Error(memory) for weights that cannot all be in use: asked before any of them is read. What the files lack
// counts nothing, as such a model is refused for that; neither does a table whose rows are looked up in the
// file, being no head as well.
void check_fits(const ModelSource& source) {
  ParameterList plan({.plan = true, .training = false});
  make_causal_model(source.config, source.config_origin, plan);
  const auto names = plan.shapes();
  const bool head = std::any_of(names.begin(), names.end(), [](const auto& w) { return w.first == "lm_head.weight"; });
  std::uint64_t bytes = 0;
  for (const auto& [name, shape] : names) {
    if (head && name == "model.embed_tokens.weight") continue;
    if (const auto type = source.type_of(name)) bytes = checked_add(bytes, bytes_in_use(shape, *type));
  }
  const std::uint64_t available = available_memory();
  check(bytes <= available, Code::memory,
        "{}: the model needs {:.0f} MiB of memory for its weights alone, and {:.0f} are free", shown(source.path),
        as_mib(bytes), as_mib(available));
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

LoadedCausalModel load_causal_model(const ModelSource& source, const LoadOptions& options) {
  if (!options.training) check_fits(source);
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
  loaded.model = make_causal_model(source.config, source.config_origin, *loaded.parameters, &loaded.notes);
  check_all_asked_for(source, *loaded.parameters);
  loaded.stop_tokens = stop_tokens(source.ends, loaded.tokenizer, loaded.model->vocabulary());
  return loaded;
}

LoadedCausalModel load_causal_model(const fs::path& path, const LoadOptions& options,
                                    const fs::path& tokenizer) {
  return load_causal_model(open_model(path, {.tokenizer = tokenizer, .limits = options.limits}), options);
}

}  // namespace glossa
