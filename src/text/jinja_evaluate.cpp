// The renderer's half for expressions.
#include <algorithm>

#include "text/jinja_filters.h"
#include "text/jinja_print.h"
#include "text/jinja_renderer.h"

namespace glossa::jinja {

using Kind = Expression::Kind;

Value Renderer::evaluate(const Expression& e) {
  const Level level(budget_);
  budget_.step();
  line_ = e.line;
  switch (e.kind) {
    case Kind::absent:
      return Value::undefined("the condition is false and there is no else");
    case Kind::literal:
      return e.literal;
    case Kind::name: {
      const Value* found = scope_->find(e.name);
      return found ? *found : Value::undefined(fmt::format("'{}' is undefined", e.name));
    }
    case Kind::list:
      return Value::list(budget_, evaluate_all(e.parts));
    case Kind::tuple:
      return Value::tuple(budget_, evaluate_all(e.parts));
    case Kind::dict:
      return made_dict(e);
    case Kind::negative:
      return negated(evaluate(e.parts[0]));
    case Kind::positive:
      return unchanged(evaluate(e.parts[0]));
    case Kind::inverse:
      return Value::boolean(!truth(evaluate(e.parts[0])));
    case Kind::any:
    case Kind::all:
      return word_chain(e);
    case Kind::joined: {
      std::string text;
      for (const Expression& part : e.parts) print(budget_, evaluate(part), text);
      return Value::text(budget_, std::move(text));
    }
    case Kind::arithmetic: {
      Value value = evaluate(e.parts[0]);
      for (std::size_t i = 0; i < e.operators.size(); ++i)
        value = apply(budget_, e.operators[i], value, evaluate(e.parts[i + 1]));
      return value;
    }
    case Kind::comparison:
      return compared(e);
    case Kind::conditional:
      return evaluate(e.parts[truth(evaluate(e.parts[1])) ? 0 : 2]);
    case Kind::suffixed:
      return with_suffixes(evaluate(e.parts[0]), e.suffixes, e.suffixes.size());
  }
  __builtin_unreachable();
}

// The first value that decides.
Value Renderer::word_chain(const Expression& e) {
  Value value;
  for (const Expression& part : e.parts) {
    value = evaluate(part);
    if (truth(value) == (e.kind == Kind::any)) break;
  }
  return value;
}

// a < b < c is a < b and b < c.
Value Renderer::compared(const Expression& e) {
  Value left = evaluate(e.parts[0]);
  for (std::size_t i = 0; i < e.operators.size(); ++i) {
    Value right = evaluate(e.parts[i + 1]);
    if (!compare(budget_, e.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Renderer::made_dict(const Expression& e) {
  auto dict = std::make_shared<Dict>();
  for (std::size_t i = 0; i < e.parts.size(); i += 2) {
    const Value key = evaluate(e.parts[i]);
    dict->set(budget_, key, evaluate(e.parts[i + 1]));
  }
  return Value::dict(std::move(dict));
}

std::vector<Value> Renderer::evaluate_all(const std::vector<Expression>& expressions) {
  std::vector<Value> values;
  values.reserve(expressions.size());
  for (const Expression& e : expressions) values.push_back(evaluate(e));
  return values;
}

Value Renderer::with_suffixes(Value value, const std::vector<Suffix>& suffixes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    budget_.step();
    value = with_suffix(value, suffixes[i]);
  }
  return value;
}

Value Renderer::with_suffix(const Value& value, const Suffix& suffix) {
  line_ = suffix.line;
  switch (suffix.kind) {
    case Suffix::Kind::attribute:
      return attribute_of(budget_, value, suffix.name);
    case Suffix::Kind::item: {
      const Value key = evaluate(suffix.parts[0]);
      line_ = suffix.line;
      return item_of(budget_, value, key);
    }
    case Suffix::Kind::slice:
      return sliced(budget_, value, {bound(suffix.parts[0]), bound(suffix.parts[1]), bound(suffix.parts[2])});
    case Suffix::Kind::call: {
      const Arguments all = arguments(suffix.arguments);
      line_ = suffix.line;
      return call(value, all);
    }
    case Suffix::Kind::filter: {
      const Filter filter = filter_of(suffix.name);
      const Arguments all = arguments(suffix.arguments);
      line_ = suffix.line;
      return filter(budget_, value, all);
    }
    case Suffix::Kind::test: {
      const Test test = test_of(suffix.name);
      const Arguments all = arguments(suffix.arguments);
      line_ = suffix.line;
      return Value::boolean(test(budget_, value, all) != suffix.negated);
    }
  }
  __builtin_unreachable();
}

std::optional<std::int64_t> Renderer::bound(const Expression& e) {
  if (e.kind == Kind::absent) return std::nullopt;
  const Value value = evaluate(e);
  if (value.is_none()) return std::nullopt;
  if (value.is_undefined()) value.refuse_undefined();
  if (!value.is_whole()) refuse("a slice needs whole numbers, not a {}", value.type_name());
  return value.as_integer();
}

Arguments Renderer::arguments(const CallArguments& call) {
  Arguments all;
  all.positional = evaluate_all(call.positional);
  for (std::size_t i = 0; i < call.named.size(); ++i)
    all.named.emplace_back(call.names[i], evaluate(call.named[i]));
  for (const Expression& e : call.spread)
    for (Value& item : elements(budget_, evaluate(e))) all.positional.push_back(std::move(item));
  for (const Expression& e : call.spread_named) {
    const Value value = evaluate(e);
    if (!value.is(Value::Kind::dict)) refuse("** needs a dict, not a {}", value.type_name());
    for (const auto& [key, member] : value.as_dict().members()) {
      if (!key.is_text()) refuse("** needs texts for names");
      budget_.step();
      budget_.scan(key.bytes().size());
      all.named.emplace_back(key.bytes(), member);
    }
  }
  return all;
}

Value Renderer::call(const Value& function, const Arguments& arguments) {
  if (function.is_undefined()) function.refuse_undefined();
  if (!function.is(Value::Kind::object)) refuse("a {} cannot be called", function.type_name());
  return function.as_object().call(budget_, arguments);
}

}  // namespace glossa::jinja
