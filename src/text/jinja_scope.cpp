#include "text/jinja_scope.h"

#include <algorithm>
#include <limits>

#include "text/jinja_renderer.h"

namespace glossa::jinja {

// ---- Macro ----

Value Macro::call(Budget& budget, const Arguments& arguments) {
  const Level level(budget);
  auto scope = std::make_shared<Scope>();
  scope->around = scope_;
  bind(budget, arguments, scope);
  return Value::text(budget, renderer_.run_apart(function_.body, scope));
}

// By place, by name, by default; what is left goes to varargs and kwargs if the body mentions them.
void Macro::bind(Budget& budget, const Arguments& arguments, const std::shared_ptr<Scope>& scope) const {
  const auto& parameters = function_.parameters;
  const auto& given = arguments.positional;
  auto named = arguments.named;
  const auto take = [&](std::string_view name) -> std::optional<Value> {
    budget.search(named.size());
    const auto at = std::find_if(named.begin(), named.end(), [&](const auto& n) { return n.first == name; });
    if (at == named.end()) return std::nullopt;
    Value value = std::move(at->second);
    named.erase(at);
    return value;
  };
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    std::optional<Value> value = i < given.size() ? std::optional(given[i]) : take(p.name);
    if (!value && !p.otherwise.empty()) value = renderer_.evaluate(p.otherwise[0], scope);
    if (!value) value = Value::undefined(fmt::format("parameter {} was not provided", quoted(p.name)));
    scope->variables[p.name] = *std::move(value);
  }
  if (function_.uses_caller && !scope->variables.contains("caller"))
    scope->variables["caller"] = take("caller").value_or(Value::undefined("No caller defined"));
  if (function_.uses_named) {
    auto rest = std::make_shared<Dict>();
    for (auto& [name, value] : named) rest->set(budget, name, std::move(value));
    scope->variables["kwargs"] = Value::dict(std::move(rest));
  } else if (!named.empty()) {
    refuse("macro {} takes no argument {}", quoted(function_.name), quoted(named.front().first));
  }
  const std::size_t used = std::min(given.size(), parameters.size());
  if (function_.uses_positional) {
    scope->variables["varargs"] =
        Value::tuple(budget, {given.begin() + static_cast<std::ptrdiff_t>(used), given.end()});
  } else if (given.size() > used) {
    refuse("macro {} takes not more than {} argument(s)", quoted(function_.name), parameters.size());
  }
}

// ---- Loop ----

bool Loop::accept(std::size_t n) {
  while (accepted_.size() < n && asked_ < items_.size()) {
    Value& item = items_[asked_++];
    if (!condition_ || condition_(item)) accepted_.push_back(std::move(item));
  }
  return accepted_.size() >= n;
}

bool Loop::next() {
  if (!accept(at_ + 1)) return false;
  ++at_;
  return true;
}

std::int64_t Loop::length() {
  accept(std::numeric_limits<std::size_t>::max());
  return static_cast<std::int64_t>(accepted_.size());
}

std::string Loop::printed(Budget&) const {
  refuse("loop cannot be printed");
}

class Loop::Cycle final : public Object {
 public:
  explicit Cycle(std::size_t at) : at_(at) {}
  std::string_view type_name() const override { return "method"; }
  bool callable() const override { return true; }
  Value call(Budget&, const Arguments& arguments) override {
    const auto& all = arguments.positional;
    if (all.empty() || !arguments.named.empty()) refuse("loop.cycle() needs the values to go through");
    return all[at_ % all.size()];
  }

 private:
  const std::size_t at_;
};

Value Loop::attribute(Budget&, std::string_view name) {
  const auto index = static_cast<std::int64_t>(at_);
  if (name == "index") return Value::integer(index);
  if (name == "index0") return Value::integer(index - 1);
  if (name == "first") return Value::boolean(index == 1);
  if (name == "last") return Value::boolean(!accept(at_ + 1));
  if (name == "length") return Value::integer(length());
  if (name == "revindex") return Value::integer(length() - index + 1);
  if (name == "revindex0") return Value::integer(length() - index);
  if (name == "depth") return Value::integer(1);
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem") return at_ > 1 ? accepted_[at_ - 2] : Value::undefined("there is no previous item");
  if (name == "nextitem") return accept(at_ + 1) ? accepted_[at_] : Value::undefined("there is no next item");
  if (name == "cycle") return Value::object(std::make_shared<Cycle>(at_ - 1));
  if (name == "changed") refuse("loop.changed() is not supported");
  return {};
}

}  // namespace glossa::jinja
