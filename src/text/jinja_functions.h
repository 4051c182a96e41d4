// jinja_functions.h -- what every chat template may call: range, dict, namespace, raise_exception,
// strftime_now, joiner and cycler.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace glossa::jinja {

// The one thing that a template can change.
class Namespace final : public Object {
 public:
  std::string_view type_name() const override { return "namespace"; }
  std::string printed(Budget& budget) const override;
  Value attribute(Budget& budget, std::string_view name) override;
  void set(Budget& budget, std::string_view name, Value value);
  void clear() { attributes_.clear(); }

 private:
  Dict attributes_;
};

// namespace(...). It keeps what it makes, since a namespace may hold itself, and empties all at the end.
class Namespaces final : public Object {
 public:
  std::string_view type_name() const override { return "type"; }
  bool callable() const override { return true; }
  Value call(Budget& budget, const Arguments& arguments) override;
  void clear();

 private:
  std::vector<std::shared_ptr<Namespace>> made_;
};

using LocalTime = std::chrono::local_seconds;

// The others, by their names. strftime_now says what the clock does if no time is given.
std::vector<std::pair<std::string, Value>> functions(std::optional<LocalTime> now);

}  // namespace glossa::jinja
