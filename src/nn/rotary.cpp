#include "nn/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace glossa {
namespace {

using Scaling = RotaryConfig::Scaling;

constexpr std::pair<Scaling, const char*> kNames[] = {{Scaling::none, "default"}, {Scaling::linear, "linear"},
                                                      {Scaling::dynamic, "dynamic"}, {Scaling::llama3, "llama3"},
                                                      {Scaling::yarn, "yarn"}, {Scaling::longrope, "longrope"}};

Scaling scaling_from_name(const std::string& name, const std::string& origin) {
  std::string known;
  for (const auto& [scaling, word] : kNames) {
    if (name == word || (scaling == Scaling::longrope && name == "su")) return scaling;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  fail(Code::config, "{}: the rope_type {} is not supported; supported: {}", origin, quoted(name), known);
}

std::vector<double> factors(const Json& json, const std::string& origin, const char* key, std::int64_t count) {
  const auto found = json.find(key);
  check(found != json.end() && found->is_array() && static_cast<std::int64_t>(found->size()) == count, Code::config,
        "{}: {} must be a list of {} numbers", origin, key, count);
  std::vector<double> all;
  for (const Json& value : *found) {
    check(value.is_number() && value.get<double>() > 0, Code::config, "{}: {} must hold positive numbers, found {}", origin, key,
          quoted(value.dump()));
    all.push_back(value.get<double>());
  }
  return all;
}

// Peng et al. (2023), section 3.4, with the two coefficients of models that set them.
double yarn_attention(const JsonView& j, double factor) {
  const auto scale = [&](double coefficient) { return factor <= 1 ? 1 : 0.1 * coefficient * std::log(factor) + 1; };
  const double mscale = j.number("mscale", 0, 0, 1e3), all = j.number("mscale_all_dim", 0, 0, 1e3);
  return mscale > 0 && all > 0 ? scale(mscale) / scale(all) : scale(1);
}

}  // namespace

RotaryConfig RotaryConfig::from_json(const Json& config, const std::string& origin, std::int64_t head_dim, double theta,
                                     const std::string& layers) {
  const JsonView top(config, origin);
  const Json none = Json::object();
  const Json* part = &none;
  for (const char* key : {"rope_scaling", "rope_parameters"})
    if (const auto found = config.find(key); found != config.end() && !found->is_null()) part = &*found;
  if (!layers.empty() && part->is_object() && part->contains(layers)) part = &part->at(layers);
  const std::string where = origin + ", rope_parameters";
  check(part->is_object(), Code::config, "{}: must be an object, found {}", where, part->type_name());
  const JsonView j(*part, where);

  RotaryConfig c;
  c.theta = j.number("rope_theta", top.number("rope_theta", theta, 1e-3, 1e12), 1e-3, 1e12);
  const double share = j.number("partial_rotary_factor", top.number("partial_rotary_factor", 1, 0, 1), 0, 1);
  c.dim = static_cast<std::int64_t>(static_cast<double>(head_dim) * share);
  check(c.dim % 2 == 0 && c.dim > 0, Code::config, "{}: {} rotary elements of a head; they must be even and more than 0", origin, c.dim);
  c.scaling = scaling_from_name(j.string("rope_type", j.string("type", "default")), where);
  if (c.scaling == Scaling::none) return c;

  const double longest = static_cast<double>(top.integer("max_position_embeddings", 2048, 1, 1 << 30));
  c.original = static_cast<double>(j.integer("original_max_position_embeddings",
                                             top.integer("original_max_position_embeddings", 0, 0, 1 << 30), 0, 1 << 30));
  const bool given = c.original > 0;
  if (!given) c.original = longest;
  c.factor = j.number("factor", c.scaling == Scaling::longrope && given ? longest / c.original : 1, 1e-3, 1e6);
  c.low_freq_factor = j.number("low_freq_factor", 1, 1e-3, 1e6);
  c.high_freq_factor = j.number("high_freq_factor", 4, 1e-3, 1e6);
  c.beta_fast = j.number("beta_fast", 32, 1e-3, 1e6);
  c.beta_slow = j.number("beta_slow", 1, 1e-3, 1e6);
  c.truncate = j.boolean("truncate", true);
  check(c.scaling != Scaling::llama3 || c.high_freq_factor > c.low_freq_factor, Code::config,
        "{}: high_freq_factor {} must be above low_freq_factor {}", where, c.high_freq_factor, c.low_freq_factor);
  if (c.scaling == Scaling::longrope) {
    c.short_factor = factors(*part, where, "short_factor", c.dim / 2);
    c.long_factor = factors(*part, where, "long_factor", c.dim / 2);
    c.attention_factor = c.factor <= 1 ? 1 : std::sqrt(1 + std::log(c.factor) / std::log(c.original));
  }
  if (c.scaling == Scaling::yarn) c.attention_factor = yarn_attention(j, c.factor);
  c.attention_factor = j.number("attention_factor", c.attention_factor, 1e-3, 1e3);
  return c;
}

OrderedJson RotaryConfig::to_json() const {
  OrderedJson j;
  j["rope_theta"] = theta;
  for (const auto& [kind, name] : kNames)
    if (kind == scaling) j["rope_type"] = name;
  if (scaling == Scaling::none) return j;
  j["factor"] = factor;
  if (scaling != Scaling::linear) j["original_max_position_embeddings"] = static_cast<std::int64_t>(original);
  if (scaling == Scaling::llama3) j["low_freq_factor"] = low_freq_factor, j["high_freq_factor"] = high_freq_factor;
  if (scaling == Scaling::yarn) j["beta_fast"] = beta_fast, j["beta_slow"] = beta_slow, j["truncate"] = truncate;
  if (scaling == Scaling::longrope) j["short_factor"] = short_factor, j["long_factor"] = long_factor;
  if (scaling == Scaling::yarn || scaling == Scaling::longrope) j["attention_factor"] = attention_factor;
  return j;
}

Rotary::Rotary(RotaryConfig config) : config_(std::move(config)), usual_(frequencies(0)) {}

// Of sequences of that many tokens. Powers are taken in f32, as the reference implementation does: at position 10,000 a
// frequency's last bit is a thousandth of a radian.
std::vector<float> Rotary::frequencies(double length) const {
  const RotaryConfig& c = config_;
  const std::int64_t pairs = c.dim / 2;
  const auto dim = static_cast<double>(c.dim);
  double theta = c.theta;
  if (c.scaling == Scaling::dynamic && length > c.original)
    theta *= std::pow(c.factor * length / c.original - (c.factor - 1), dim / (dim - 2));
  std::vector<float> all;
  for (std::int64_t i = 0; i < pairs; ++i)
    all.push_back(1 / std::pow(static_cast<float>(theta), static_cast<float>(2 * i) / static_cast<float>(c.dim)));

  if (c.scaling == Scaling::linear) {
    for (float& f : all) f /= static_cast<float>(c.factor);
  } else if (c.scaling == Scaling::llama3) {
    for (float& f : all) {
      const double wavelength = 2 * std::numbers::pi / static_cast<double>(f), turns = c.original / wavelength;
      const double kept = std::clamp((turns - c.low_freq_factor) / (c.high_freq_factor - c.low_freq_factor), 0.0, 1.0);
      f = static_cast<float>((1 - kept) * f / c.factor + kept * f);
    }
  } else if (c.scaling == Scaling::yarn) {
    // The dimension whose frequency turns so often within the original context.
    const auto dimension = [&](double turns) {
      return dim * std::log(c.original / (turns * 2 * std::numbers::pi)) / (2 * std::log(c.theta));
    };
    double low = dimension(c.beta_fast), high = dimension(c.beta_slow);
    if (c.truncate) low = std::floor(low), high = std::ceil(high);
    low = std::max(low, 0.0), high = std::min(high, dim - 1);
    if (low == high) high += 0.001;
    for (std::int64_t i = 0; i < pairs; ++i) {
      const double stretched = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      all[i] = static_cast<float>(all[i] / c.factor * stretched + all[i] * (1 - stretched));
    }
  } else if (c.scaling == Scaling::longrope) {
    const std::vector<double>& each = length > c.original ? c.long_factor : c.short_factor;
    for (std::int64_t i = 0; i < pairs; ++i) all[i] /= static_cast<float>(each[i]);
  }
  return all;
}

Tensor Rotary::angles(const Tensor& positions, const Tensor& lengths, DType dtype, Device device) const {
  const auto at = positions.span<std::int32_t>(), length = lengths.span<std::int32_t>();
  const std::int64_t pairs = config_.dim / 2;
  const bool changes = config_.scaling == Scaling::dynamic || config_.scaling == Scaling::longrope;
  Tensor out = Tensor::empty({positions.elements(), config_.dim}, DType::f32);
  std::vector<float> of_length;
  std::int32_t longest = -1;  // whose frequencies those are
  for (std::size_t t = 0; t < at.size(); ++t) {
    const bool usual = !changes || length[t] <= config_.original;
    if (!usual && length[t] != longest) of_length = frequencies(longest = length[t]);
    const std::vector<float>& all = usual ? usual_ : of_length;
    float* row = out.data<float>() + static_cast<std::int64_t>(t) * config_.dim;
    for (std::int64_t i = 0; i < pairs; ++i) {
      const auto angle = static_cast<double>(static_cast<float>(at[t]) * all[i]);
      row[i] = static_cast<float>(std::cos(angle) * config_.attention_factor);
      row[pairs + i] = static_cast<float>(std::sin(angle) * config_.attention_factor);
    }
  }
  return out.to(dtype).to(device);
}

}  // namespace glossa
