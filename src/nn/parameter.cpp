#include "nn/parameter.h"

#include <cmath>
#include <cstring>
#include <set>

#include "base/parallel.h"
#include "base/random.h"

namespace glossa {
namespace {

// FNV-1a: a parameter's initial values depend on its name, not on when the model asks for it.
std::uint64_t hash_of(std::string_view name) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (unsigned char c : name) h = (h ^ c) * 0x100000001B3u;
  return h;
}

void initialise(Tensor value, const std::string& name, const Init& init, std::uint64_t seed) {
  const Philox random(seed, Purpose::init, hash_of(name));
  const double bound = std::sqrt(6.0 / static_cast<double>(value.size(0) + value.cols())) * init.scale;
  const auto set = [&](auto* out) {
    using T = std::remove_pointer_t<decltype(out)>;
    constexpr std::int64_t kGrain = 1 << 15;
    parallel_for(value.elements(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto counter = static_cast<std::uint64_t>(i);
        switch (init.kind) {
          case Init::zeros: out[i] = 0; break;
          case Init::ones: out[i] = 1; break;
          case Init::normal: out[i] = static_cast<T>(init.scale * random.normal(counter)); break;
          case Init::xavier_uniform: out[i] = static_cast<T>(bound * (2 * random.uniform(counter) - 1)); break;
        }
      }
    });
  };
  if (value.dtype() == DType::f64)
    set(value.data<double>());
  else
    set(value.data<float>());
}

}  // namespace

Scope ParameterList::scope() { return {this, ""}; }

Scope Scope::operator/(std::string_view child) const { return {list_, full(child)}; }

Parameter Scope::parameter(std::string_view name, const Shape& shape, const Init& init,
                           const std::vector<std::string>& aliases) const {
  return list_->add({{full(name), 0, shape[0]}}, shape, init, true, aliases);
}

Parameter Scope::constant(std::string_view name, const Shape& shape) const {
  return list_->add({{full(name), 0, shape[0]}}, shape, {Init::zeros}, false, {});
}

Parameter Scope::stacked(const std::vector<std::string>& names, const std::vector<std::int64_t>& rows, std::int64_t cols,
                         const Init& init) const {
  std::vector<Part> parts;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < names.size(); at += rows[i++]) parts.push_back({full(names[i]), at, at + rows[i]});
  return list_->add(std::move(parts), cols ? Shape{at, cols} : Shape{at}, init, true, {});
}

std::vector<Tensor> ParameterList::find(const std::vector<Part>& parts, const Shape& shape, bool trainable,
                                        const std::vector<std::string>& aliases) {
  std::vector<Tensor> all;
  for (const Part& part : parts) {
    Shape wanted = shape;
    wanted[0] = part.end - part.begin;
    Tensor found = options_.source(part.name);
    for (std::size_t i = 0; !found && i < aliases.size(); ++i) found = options_.source(aliases[i]);
    if (!found && trainable) {
      faults_.push_back(fmt::format("{} is missing (wanted {})", quoted(part.name), to_string(wanted)));
    } else if (found && found.shape() != wanted) {
      faults_.push_back(fmt::format("{} has shape {}, wanted {}", quoted(part.name), to_string(found.shape()), to_string(wanted)));
    }
    all.push_back(std::move(found));
  }
  return all;
}

Parameter ParameterList::add(std::vector<Part> parts, const Shape& shape, const Init& init, bool trainable,
                             const std::vector<std::string>& aliases) {
  auto data = std::make_shared<ParameterData>();
  data->parts = std::move(parts);
  data->shape = shape;
  all_.emplace_back(data);
  std::vector<Tensor> found(data->parts.size());
  if (options_.source) found = find(data->parts, shape, trainable, aliases);
  // The model will be refused: what its configuration claims to need is not allocated.
  if (!faults_.empty() || options_.plan) return all_.back();
  const auto stays = [this](DType type) { return is_quantised(type) || (options_.keep_narrow && is_narrow(type)); };
  const bool small = std::any_of(found.begin(), found.end(), [&](const Tensor& t) { return t && stays(t.dtype()); });
  if (small && !options_.training && shape.rank() == 2) {
    for (Tensor& piece : found) {
      piece = (stays(piece.dtype()) ? piece : piece.to(options_.dtype)).to(options_.device);
      piece.storage()->frozen = true;
    }
    if (found.size() == 1) data->value = found[0];
    else data->pieces = std::move(found);
    return all_.back();
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Part& part = data->parts[i];
    if (found[i] && data->parts.size() == 1 && !options_.training) {  // as it lies in the mapped file
      data->value = found[i].to(options_.dtype).to(options_.device);
      break;
    }
    if (!data->value) data->value = Tensor::empty(shape, options_.dtype, options_.device);
    Tensor piece = data->value.slice(0, part.begin, part.end);
    if (found[i]) {
      const Tensor same = found[i].to(options_.dtype).contiguous();
      std::memcpy(piece.raw(), same.raw(), piece.bytes());
    } else {
      initialise(piece, part.name, init, options_.seed);
    }
  }
  if (options_.training) {
    data->leaf = std::make_shared<Leaf>(Leaf{.shape = shape, .dtype = options_.dtype, .device = options_.device, .trainable = trainable});
    data->value.storage()->leaf = data->leaf;
  } else {
    data->value.storage()->frozen = true;
  }
  return all_.back();
}

std::int64_t ParameterList::elements() const {
  std::int64_t n = 0;
  for (const Parameter& p : all_)
    if (!options_.training || p.trainable()) n += p.value().elements();
  return n;
}

void ParameterList::clear_gradients() {
  for (const Parameter& p : all_)
    if (p.trainable()) p.leaf().gradient = {};
}

namespace {

template <class Which>
std::vector<std::pair<std::string, Tensor>> named(const std::vector<Parameter>& all, Which&& which) {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const Parameter& p : all)
    if (const Tensor whole = which(p))
      for (const Part& part : p.parts()) out.emplace_back(part.name, whole.slice(0, part.begin, part.end));
  return out;
}

}  // namespace

std::vector<std::pair<std::string, Tensor>> ParameterList::values() const {
  return named(all_, [](const Parameter& p) { return p.value(); });
}

std::vector<std::pair<std::string, Tensor>> ParameterList::gradients() const {
  return named(all_, [](const Parameter& p) { return p.trainable() ? p.leaf().gradient : Tensor(); });
}

std::vector<std::pair<std::string, Shape>> ParameterList::shapes() const {
  std::vector<std::pair<std::string, Shape>> all;
  for (const Parameter& p : all_)
    for (const Part& part : p.parts()) {
      Shape shape = p.shape();
      shape[0] = part.end - part.begin;
      all.emplace_back(part.name, shape);
    }
  return all;
}

void ParameterList::check_complete() const {
  std::vector<std::string> faults = faults_;
  std::set<std::string> asked;
  for (const Parameter& p : all_)
    for (const Part& part : p.parts()) asked.insert(part.name);
  for (const std::string& name : options_.offered)  // outside of layers, files hold copies of tied weights and the like
    if (name.find(".layers.") != name.npos && !asked.contains(name)) faults.push_back(quoted(name) + " is too much");
  if (faults.empty()) return;
  std::string list;
  for (std::size_t i = 0; i < faults.size() && i < 20; ++i) list += (i ? "; " : "") + faults[i];
  if (faults.size() > 20) list += fmt::format("; and {} more", faults.size() - 20);
  fail(Code::weights, "{}: {} not fit the configuration: {}", options_.origin,
       faults.size() == 1 ? "1 tensor does" : fmt::format("{} tensors do", faults.size()), list);
}

}  // namespace glossa
