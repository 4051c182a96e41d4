#include "app/causal.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "app/command.h"
#include "app/values.h"
#include "base/unicode.h"
#include "checkpoint/weight_types.h"
#include "data/byte_stream.h"
#include "hub/cache.h"

namespace glossa::app {

void add_model_options(CLI::App& command, ModelOptions& o) {
  command.add_option("-m,--model", o.model, "A model: a directory, a file of GGUF, torch.save or llama2.c, or ORG/NAME[:QUANT] of the cache (glossa pull)")->type_name("MODEL")->required();
  command.add_option("--tokenizer", o.tokenizer, "A tokenizer in the place of the model's own: a directory or a file; llama2.c's .bin too")
      ->type_name("PATH");
  add_type_option(command, o.type, "the weights");
}

void add_type_option(CLI::App& command, std::string& type, const std::string& whose) {
  command.add_option("--type", type, "Of " + whose + ", rounded as `glossa convert --type` does while they are loaded: " + all_gguf_file_types())
      ->type_name("TYPE");
}

void add_length_options(CLI::App& command, std::int32_t& predict, EngineOptions& engine) {
  command.add_option("-n,--predict,--n-predict,--max-new-tokens", predict, "Most tokens to generate; -1: until the model ends or the context is full")
      ->type_name("N")->check(whole_number(-1, INT32_MAX))->capture_default_str();
  command.add_option("-c,--ctx-size", engine.context, "Tokens of a sequence; 0: as many as the model has positions for")
      ->type_name("N")->check(whole_number(0, 1 << 30))->capture_default_str();
  command.add_option("-b,--batch-size", engine.batch_tokens, "Tokens of a step: prompts are read in pieces of this size")
      ->type_name("N")->check(whole_number(1, 1 << 20))->capture_default_str();
}

void add_cache_options(CLI::App& c, CacheTypes& types) {
  static const std::map<std::string, DType> kTypes = {{"f32", DType::f32}, {"f16", DType::f16}, {"bf16", DType::bf16}, {"q8_0", DType::q8_0}};
  const auto add = [&c](const char* names, std::optional<DType>& type, const char* of) {
    c.add_option_function<std::string>(names, [&type](const std::string& name) { type = kTypes.at(name); },
                                       fmt::format("What the cache keeps {} as: narrower types take less memory and time", of))
        ->type_name("TYPE")->check(CLI::IsMember(kTypes))->default_str("f32");
  };
  add("--ctk,--cache-type-k", types.keys, "keys");
  add("--ctv,--cache-type-v", types.values, "values");
}

ModelSource open_source(const ModelOptions& o) {
  if (!o.type.empty()) gguf_file_type(o.type);  // whether there is such a type is said before any work
  ModelSource source = open_model(model_path(o.model), {.tokenizer = o.tokenizer});
  return o.type.empty() ? source : with_type(std::move(source), o.type);
}

LoadedCausalModel load_causal(const ModelOptions& o) {
  LoadedCausalModel loaded = load_causal_model(open_source(o));
  for (const std::string& line : loaded.notes) note(line);
  return loaded;
}

std::function<bool(std::int32_t)> sequence_breaks(const Tokenizer& tokenizer, const SamplingConfig& sampling) {
  if (sampling.dry_multiplier == 0) return kNothingBreaks;
  auto breaks = std::make_shared<std::vector<bool>>(static_cast<std::size_t>(tokenizer.size()));
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const std::string text = tokenizer.decode(std::vector<Token>{token});
    for (const std::string& breaker : sampling.dry_sequence_breakers)
      if (!breaker.empty() && text.find(breaker) != std::string::npos) (*breaks)[static_cast<std::size_t>(token)] = true;
  }
  return [breaks](std::int32_t token) { return (*breaks)[static_cast<std::size_t>(token)]; };
}

std::string read_text(const std::string& path) {
  ByteStream stream = ByteStream::open(path);
  std::string text;
  std::vector<std::byte> block(1 << 16);
  while (const std::size_t count = stream.read(block)) text.append(reinterpret_cast<const char*>(block.data()), count);
  const auto error = utf8_error(text);
  check(!error, Code::utf8, "{}: byte {} is not UTF-8", stream.name(), error.value_or(0));
  return text;
}

}  // namespace glossa::app
