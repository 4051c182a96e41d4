// jinja_operators.h -- Python's operators on values, and the look-ups `a.b` and `a[b]` of Jinja's sandbox.
#pragma once
#include <optional>

#include "text/jinja_value.h"

namespace glossa::jinja {

enum class Operator : std::uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
};

Value apply(Budget& budget, Operator op, const Value& a, const Value& b);
bool compare(Budget& budget, Operator op, const Value& a, const Value& b);  // from `equal` on
Value negated(const Value& value);
Value unchanged(const Value& value);  // unary plus, which only numbers have

// An attribute, and if there is none an item; the other way round. Undefined, with the reason, if there is
// neither. Names that begin and end with two underscores are refused.
Value attribute_of(Budget& budget, const Value& of, std::string_view name);
Value item_of(Budget& budget, const Value& of, const Value& key);
// Along a path of names and numbers, as filters take it: "function.arguments.0".
Value item_at_path(Budget& budget, Value of, const Value& path);

struct Slice {
  std::optional<std::int64_t> start, stop, step;
};
Value sliced(Budget& budget, const Value& of, const Slice& slice);

// A method of a text, list or dict, tied to it; nothing if its type has none of that name
// (jinja_methods.cpp).
std::optional<Value> method_of(Budget& budget, const Value& of, std::string_view name);

}  // namespace glossa::jinja
