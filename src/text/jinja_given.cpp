// What comes from outside of an expression: the arguments of a call, and JSON.
#include <algorithm>
#include <limits>

#include "base/unicode.h"
#include "text/jinja_value.h"

namespace glossa::jinja {

// ---- Bound ----

Bound::Bound(std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters, std::size_t needed)
    : function_(function), names_(parameters), values_(parameters.size()) {
  if (arguments.positional.size() > names_.size())
    refuse("{}() got {} arguments, and takes at most {}", function, arguments.positional.size(),
           names_.size());
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto at = std::find(names_.begin(), names_.end(), name);
    if (at == names_.end()) refuse("{}() got an argument {} that it does not know", function, quoted(name));
    const auto i = static_cast<std::size_t>(at - names_.begin());
    if (values_[i]) refuse("{}() got its argument {} twice", function, quoted(name));
    values_[i] = &value;
  }
  for (std::size_t i = 0; i < needed; ++i)
    if (!values_[i]) refuse("{}() needs the argument {}", function, quoted(names_[i]));
}

void Bound::wrong(std::size_t i, std::string_view wanted) const {
  if (values_[i]->is_undefined()) values_[i]->refuse_undefined();
  refuse("{}() needs {} for {}, not a {}", function_, wanted, quoted(names_[i]), values_[i]->type_name());
}

std::int64_t Bound::integer(std::size_t i, std::int64_t otherwise) const {
  if (!has(i) || values_[i]->is_none()) return otherwise;
  if (!values_[i]->is_whole()) wrong(i, "a whole number");
  return values_[i]->as_integer();
}

const std::string& Bound::text(std::size_t i) const {
  if (!values_[i]->is_text()) wrong(i, "a text");
  return values_[i]->bytes();
}

bool Bound::truth(std::size_t i, bool otherwise) const {
  return has(i) ? jinja::truth(*values_[i]) : otherwise;
}

// ---- JSON ----

namespace {

Value converted(Budget& budget, const OrderedJson& json, std::string_view name, int depth) {
  budget.check_depth(depth);
  switch (json.type()) {
    case OrderedJson::value_t::null:
      return Value::none();
    case OrderedJson::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case OrderedJson::value_t::number_integer:
      return Value::integer(json.get<std::int64_t>());
    case OrderedJson::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        refuse("{}: the whole number {} is beyond 64 bits", name, json.get<std::uint64_t>());
      return Value::integer(json.get<std::int64_t>());
    case OrderedJson::value_t::number_float:
      return Value::real(json.get<double>());
    case OrderedJson::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      check(!utf8_error(text), Code::utf8, "{}: text that is not UTF-8: {}", name, quoted(text));
      return Value::constant(text);
    }
    case OrderedJson::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(converted(budget, item, name, depth + 1));
      return Value::list(budget, std::move(items));
    }
    case OrderedJson::value_t::object: {
      auto dict = std::make_shared<Dict>();
      for (const auto& [key, value] : json.items()) {
        check(!utf8_error(key), Code::utf8, "{}: a key that is not UTF-8: {}", name, quoted(key));
        dict->set(budget, key, converted(budget, value, name, depth + 1));
      }
      return Value::dict(std::move(dict));
    }
    default:
      refuse("{}: a JSON value of type {}", name, json.type_name());
  }
}

}  // namespace

Value from_json(const OrderedJson& json, std::string_view name, const TemplateLimits& limits) {
  TemplateLimits unbounded = limits;  // the conversation is in memory already, however large
  unbounded.text_bytes = unbounded.steps = std::numeric_limits<std::uint64_t>::max();
  Budget budget(unbounded);
  return converted(budget, json, name, 1);
}

}  // namespace glossa::jinja
