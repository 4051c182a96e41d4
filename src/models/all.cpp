#include "models/all.h"

#include <algorithm>

#include "models/gemma.h"
#include "models/gpt2.h"
#include "models/llama.h"

namespace glossa {
namespace {

struct Kind {
  const char* model_type;
  std::unique_ptr<CausalModel> (*make)(const Json&, const std::string&, ParameterList&, std::vector<std::string>*);
};

template <class Model, class Config>
std::unique_ptr<CausalModel> made(const Json& config, const std::string& origin, ParameterList& parameters,
                                  std::vector<std::string>* notes) {
  return std::make_unique<Model>(parameters, Config::from_json(config, origin, notes));
}

constexpr Kind kKinds[] = {
    {"gemma2", made<Gemma, GemmaConfig>},      {"gemma3_text", made<Gemma, GemmaConfig>}, {"gpt2", made<Gpt2, Gpt2Config>},
    {"llama", made<Llama, LlamaConfig>},       {"mistral", made<Llama, LlamaConfig>},     {"phi3", made<Llama, LlamaConfig>},
    {"qwen2", made<Llama, LlamaConfig>},       {"qwen3", made<Llama, LlamaConfig>},
};

const Kind* kind_of(const std::string& model_type) {
  const auto found = std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return model_type == k.model_type; });
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace

bool is_causal(const std::string& model_type) { return kind_of(model_type) != nullptr; }

std::unique_ptr<CausalModel> make_causal_model(const Json& config, const std::string& origin, ParameterList& parameters,
                                               std::vector<std::string>* notes) {
  const std::string type = JsonView(config, origin).string("model_type", "");
  const Kind* kind = kind_of(type);
  std::string known;
  for (const Kind& k : kKinds) known += (known.empty() ? "" : ", ") + std::string(k.model_type);
  check(kind != nullptr, Code::config, "{}: model_type {} is not a decoder that is supported; supported: {}", origin, quoted(type), known);
  return kind->make(config, origin, parameters, notes);
}

}  // namespace glossa
