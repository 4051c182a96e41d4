#include "checkpoint/gguf_rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace glossa {
namespace {

using Scaling = RotaryConfig::Scaling;
constexpr const char* kFactors = "rope_freqs.weight";
constexpr const char* kLong = "rope_factors_long.weight";
constexpr const char* kShort = "rope_factors_short.weight";

std::vector<double> numbers(const Tensor& t) {
  const Tensor f = t.to(DType::f32).contiguous();
  return {f.data<float>(), f.data<float>() + f.elements()};
}

Tensor tensor_of(const std::vector<double>& numbers) {
  return Tensor::of(std::vector<float>(numbers.begin(), numbers.end()));
}

// What Llama 3 divides each frequency by: nothing, the factor, or between.
std::vector<double> llama3_divisors(const RotaryConfig& c) {
  std::vector<double> divisors;
  for (std::int64_t i = 0; i < c.dim / 2; ++i) {
    const double frequency = std::pow(c.theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.dim));
    const double turns = c.original * frequency / (2 * std::numbers::pi);
    const double kept =
        std::clamp((turns - c.low_freq_factor) / (c.high_freq_factor - c.low_freq_factor), 0.0, 1.0);
    divisors.push_back(1 / ((1 - kept) / c.factor + kept));
  }
  return divisors;
}

// The file has the divisors written out. Those of all Llama 3 models are recognised; others become one list
// for all lengths.
void put_divisors(const Tensor& tensor, std::int64_t dim, Json& j) {
  const std::vector<double> divisors = numbers(tensor);
  const double factor = divisors.empty() ? 1 : *std::max_element(divisors.begin(), divisors.end());
  RotaryConfig known;  // with the other values of these models, which are the defaults
  known.dim = dim, known.theta = j.at("rope_theta"), known.factor = factor, known.original = 8192;
  const std::vector<double> expected = llama3_divisors(known);
  const bool same = std::equal(divisors.begin(), divisors.end(), expected.begin(), expected.end(),
                               [](double a, double b) { return std::fabs(a - b) <= 1e-5 * b; });
  if (same && factor > 1) {
    j["rope_type"] = "llama3";
    j["factor"] = factor, j["low_freq_factor"] = 1, j["high_freq_factor"] = 4,
    j["original_max_position_embeddings"] = 8192;
    return;
  }
  j["rope_type"] = "longrope";
  j["long_factor"] = j["short_factor"] = divisors;
  j["factor"] = 1, j["attention_factor"] = 1;
}

}  // namespace

double gguf_number(const GgufMetadata& m, const std::string& key, double otherwise, Between<double> allowed) {
  const double value = m.number_or(key, otherwise, allowed);
  const auto narrow = static_cast<float>(value);
  return narrow == value ? std::stod(fmt::format("{}", narrow)) : value;
}

Json gguf_rope_parameters(const GgufFile& file, const std::string& prefix, std::int64_t head_dim) {
  const GgufMetadata& m = file.metadata();
  const std::string scaling = prefix + "rope.scaling.";
  Json j = {{"rope_theta", gguf_number(m, prefix + "rope.freq_base", 10000, {1e-3, 1e12})},
            {"rope_type", "default"}};
  const std::int64_t turned = m.integer_or(prefix + "rope.dimension_count", head_dim, {2, 4096});
  if (turned != head_dim)
    j["partial_rotary_factor"] = static_cast<double>(turned) / static_cast<double>(head_dim);
  const std::string kind = m.text_or(scaling + "type", "none");
  const auto original = [&] { return m.integer(scaling + "original_context_length", {1, 1 << 30}); };
  if (kind == "linear" || kind == "yarn") {
    j["factor"] = gguf_number(m, scaling + "factor", 1, {1e-3, 1e6});
    if (kind == "yarn" || j["factor"] != 1) j["rope_type"] = kind;
    if (m.has(scaling + "original_context_length")) j["original_max_position_embeddings"] = original();
    if (m.has(scaling + "yarn_beta_fast"))
      j["beta_fast"] = gguf_number(m, scaling + "yarn_beta_fast", 32, {1e-3, 1e6});
    if (m.has(scaling + "yarn_beta_slow"))
      j["beta_slow"] = gguf_number(m, scaling + "yarn_beta_slow", 1, {1e-3, 1e6});
  } else if (kind != "none" && kind != "longrope") {
    fail(Code::config, "{}: {}type is {}; supported: none, linear, yarn, longrope", shown(file.path()),
         scaling, quoted(kind));
  }
  if (const Tensor lengthened = file.find(kLong), usual = file.find(kShort); lengthened && usual) {
    j["rope_type"] = "longrope";
    j["long_factor"] = numbers(lengthened), j["short_factor"] = numbers(usual);
    j["original_max_position_embeddings"] = original();
    if (m.has(scaling + "attn_factor"))
      j["attention_factor"] = gguf_number(m, scaling + "attn_factor", 1, {1e-3, 1e3});
  } else if (const Tensor divisors = file.find(kFactors)) {
    put_divisors(divisors, turned, j);
  }
  return j;
}

void put_gguf_rope(const RotaryConfig& rope, const std::string& prefix, const std::string& origin,
                   GgufMetadata& m, NamedTensors& tensors) {
  const std::string scaling = prefix + "rope.scaling.";
  const auto real = [&](const std::string& key, double value) { m.set(key, static_cast<float>(value)); };
  const auto refuse = [&](std::string_view what) {
    fail(Code::config, "{}: a GGUF file cannot hold rope_parameters with {}", origin, what);
  };
  m.set(prefix + "rope.dimension_count", static_cast<std::uint32_t>(rope.dim));
  real(prefix + "rope.freq_base", rope.theta);
  switch (rope.scaling) {
    case Scaling::none:
      return;
    case Scaling::dynamic:
      return refuse("rope_type dynamic");
    case Scaling::linear:
      m.set(scaling + "type", std::string("linear"));
      real(scaling + "factor", rope.factor);
      return;
    case Scaling::llama3:
      tensors.emplace_back(kFactors, tensor_of(llama3_divisors(rope)));
      return;
    case Scaling::yarn: {
      const double usual = rope.factor <= 1 ? 1 : 0.1 * std::log(rope.factor) + 1;
      if (std::fabs(rope.attention_factor - usual) > 1e-6)
        refuse(fmt::format("attention_factor {} and rope_type yarn", rope.attention_factor));
      if (!rope.truncate) refuse("truncate false");
      m.set(scaling + "type", std::string("yarn"));
      real(scaling + "factor", rope.factor);
      m.set(scaling + "original_context_length", static_cast<std::uint32_t>(rope.original));
      real(scaling + "yarn_beta_fast", rope.beta_fast);
      real(scaling + "yarn_beta_slow", rope.beta_slow);
      return;
    }
    case Scaling::longrope:
      if (rope.long_factor == rope.short_factor && rope.attention_factor == 1) {
        tensors.emplace_back(kFactors, tensor_of(rope.long_factor));
        return;
      }
      m.set(scaling + "type", std::string("longrope"));
      m.set(scaling + "original_context_length", static_cast<std::uint32_t>(rope.original));
      real(scaling + "attn_factor", rope.attention_factor);
      tensors.emplace_back(kLong, tensor_of(rope.long_factor));
      tensors.emplace_back(kShort, tensor_of(rope.short_factor));
      return;
  }
}

}  // namespace glossa
