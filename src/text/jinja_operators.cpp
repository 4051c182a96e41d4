#include "text/jinja_operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/unicode.h"
#include "text/jinja_format.h"
#include "text/jinja_print.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

using Kind = Value::Kind;
constexpr std::string_view kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};

[[noreturn]] void refuse_operands(Operator op, const Value& a, const Value& b) {
  if (a.is_undefined()) a.refuse_undefined();
  if (b.is_undefined()) b.refuse_undefined();
  refuse("'{}' is not possible between a {} and a {}", kSigns[static_cast<int>(op)], a.type_name(),
         b.type_name());
}

[[noreturn]] void refuse_large() {
  refuse("the result of a calculation is beyond 64 bits");
}

std::int64_t whole_power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) refuse_large();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) refuse_large();
  }
  return result;
}

Value whole_arithmetic(Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case Operator::add:
      if (__builtin_add_overflow(a, b, &result)) refuse_large();
      return Value::integer(result);
    case Operator::subtract:
      if (__builtin_sub_overflow(a, b, &result)) refuse_large();
      return Value::integer(result);
    case Operator::multiply:
      if (__builtin_mul_overflow(a, b, &result)) refuse_large();
      return Value::integer(result);
    case Operator::power:
      if (b < 0) break;
      return Value::integer(whole_power(a, b));
    default:
      break;
  }
  if (b == 0) refuse("division by zero");
  if (op == Operator::power) return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
  if (op == Operator::divide) return Value::real(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) {  // the one quotient that overflows is among these
    if (op == Operator::modulo) return Value::integer(0);
    if (__builtin_sub_overflow(std::int64_t{0}, a, &result)) refuse_large();
    return Value::integer(result);
  }
  // Rounded down, so that the rest has the sign of the divisor.
  std::int64_t quotient = a / b, rest = a % b;
  if (rest != 0 && (rest < 0) != (b < 0)) --quotient, rest += b;
  return Value::integer(op == Operator::modulo ? rest : quotient);
}

Value real_arithmetic(Operator op, double a, double b) {
  switch (op) {
    case Operator::add:
      return Value::real(a + b);
    case Operator::subtract:
      return Value::real(a - b);
    case Operator::multiply:
      return Value::real(a * b);
    case Operator::power: {
      if (a == 0 && b < 0) refuse("division by zero");
      if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b))
        refuse("a power that is a complex number");
      const double result = std::pow(a, b);
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
        refuse("the result of a power is too large");
      return Value::real(result);
    }
    default:
      break;
  }
  if (b == 0) refuse("division by zero");
  if (op == Operator::divide) return Value::real(a / b);
  double rest = std::fmod(a, b), quotient = (a - rest) / b;
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b, quotient -= 1;
  } else {
    rest = std::copysign(0.0, b);
  }
  if (op == Operator::modulo) return Value::real(rest);
  if (quotient == 0) return Value::real(std::copysign(0.0, a / b));
  double floor = std::floor(quotient);
  if (quotient - floor > 0.5) floor += 1;
  return Value::real(floor);
}

Value added_texts(Budget& budget, const Text& a, const Text& b) {
  const bool safe = a.safe || b.safe;
  const auto part = [&](const Text& t) { return safe && !t.safe ? escaped(t.bytes) : t.bytes; };
  budget.make(a.bytes.size() + b.bytes.size());
  return Value::text(budget, part(a) + part(b), safe);
}

bool is_addable(const Value& v) {
  return v.is(Kind::sequence) &&
         (v.as_sequence().kind == Sequence::Kind::list || v.as_sequence().kind == Sequence::Kind::tuple);
}

Value added_sequences(Budget& budget, const Sequence& a, const Sequence& b) {
  budget.make((a.items.size() + b.items.size()) * sizeof(Value));
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return Value::sequence(make_sequence(budget, a.kind, std::move(items)));
}

Value repeated(Budget& budget, const Value& what, std::int64_t times) {
  const auto n = static_cast<std::uint64_t>(std::max<std::int64_t>(times, 0));
  const auto size = what.is_text() ? what.bytes().size() : what.as_sequence().items.size();
  const auto unit = what.is_text() ? 1 : sizeof(Value);
  if (size == 0 || n == 0) {
    return what.is_text() ? Value::text(budget, "", what.as_text().safe)
                          : Value::sequence(make_sequence(budget, what.as_sequence().kind, {}));
  }
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max() / unit / size;
  budget.make(n > most ? std::numeric_limits<std::uint64_t>::max() : n * size * unit);
  if (what.is_text()) {
    std::string text;
    text.reserve(size * n);
    for (std::uint64_t i = 0; i < n; ++i) text += what.bytes();
    return Value::text(budget, std::move(text), what.as_text().safe);
  }
  std::vector<Value> items;
  items.reserve(size * n);
  for (std::uint64_t i = 0; i < n; ++i)
    items.insert(items.end(), what.as_sequence().items.begin(), what.as_sequence().items.end());
  return Value::sequence(make_sequence(budget, what.as_sequence().kind, std::move(items)));
}

}  // namespace

Value apply(Budget& budget, Operator op, const Value& a, const Value& b) {
  if (op >= Operator::equal) return Value::boolean(compare(budget, op, a, b));
  if (op == Operator::modulo && a.is_text()) return Value::text(budget, percent_formatted(budget, a, b));
  if (a.is_whole() && b.is_whole()) return whole_arithmetic(op, a.as_integer(), b.as_integer());
  if (a.is_number() && b.is_number()) return real_arithmetic(op, a.as_real(), b.as_real());
  if (op == Operator::add) {
    if (a.is_text() && b.is_text()) return added_texts(budget, a.as_text(), b.as_text());
    if (is_addable(a) && is_addable(b) && a.as_sequence().kind == b.as_sequence().kind)
      return added_sequences(budget, a.as_sequence(), b.as_sequence());
  }
  if (op == Operator::multiply) {
    if ((a.is_text() || is_addable(a)) && b.is_whole()) return repeated(budget, a, b.as_integer());
    if ((b.is_text() || is_addable(b)) && a.is_whole()) return repeated(budget, b, a.as_integer());
  }
  refuse_operands(op, a, b);
}

bool compare(Budget& budget, Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::equal:
      return equal(budget, a, b);
    case Operator::not_equal:
      return !equal(budget, a, b);
    case Operator::less:
      return less(budget, a, b, "<");
    case Operator::greater:
      return less(budget, b, a, ">");
    // Not the opposites of the two above: numbers that are none compare with nothing.
    case Operator::less_equal:
      return less(budget, a, b, "<=") || equal(budget, a, b);
    case Operator::greater_equal:
      return less(budget, b, a, ">=") || equal(budget, a, b);
    case Operator::in:
      return contains(budget, b, a);
    default:
      return !contains(budget, b, a);
  }
}

Value negated(const Value& value) {
  if (value.is_whole()) return whole_arithmetic(Operator::subtract, 0, value.as_integer());
  if (value.is(Kind::real)) return Value::real(-value.as_real());
  if (value.is_undefined()) value.refuse_undefined();
  refuse("'-' is not possible before a {}", value.type_name());
}

Value unchanged(const Value& value) {
  if (value.is_whole()) return Value::integer(value.as_integer());
  if (value.is(Kind::real)) return value;
  if (value.is_undefined()) value.refuse_undefined();
  refuse("'+' is not possible before a {}", value.type_name());
}

// ---- look-ups ----

namespace {

std::string owner(const Value& of) {
  return of.is_none() ? "None" : fmt::format("{} object", of.type_name());
}

void check_name(const Value& of, std::string_view name) {
  if (name.starts_with("__"))
    refuse("access to the attribute {} of a {} is unsafe", quoted(name), of.type_name());
}

// Attributes that a type itself has, before any item.
std::optional<Value> own_attribute(Budget& budget, const Value& of, std::string_view name) {
  check_name(of, name);
  if (of.is(Kind::object)) {
    Value found = of.as_object().attribute(budget, name);
    return found.is_undefined() ? std::nullopt : std::optional(std::move(found));
  }
  if (of.is(Kind::sequence)) {
    const Sequence& all = of.as_sequence();
    for (std::size_t i = 0; i < all.names.size(); ++i)
      if (all.names[i] == name) return all.items[i];
  }
  return method_of(budget, of, name);
}

std::optional<Value> own_item(Budget& budget, const Value& of, const Value& key) {
  if (of.is(Kind::dict)) {
    if (key.is(Kind::sequence) || key.is(Kind::dict)) return std::nullopt;
    const Value* found = of.as_dict().find(budget, key);
    return found ? std::optional(*found) : std::nullopt;
  }
  if (!key.is_whole()) return std::nullopt;
  std::int64_t i = key.as_integer();
  if (of.is(Kind::sequence) && of.as_sequence().has_items()) {
    const auto& items = of.as_sequence().items;
    const auto n = static_cast<std::int64_t>(items.size());
    if (i < 0) i += n;
    return i < 0 || i >= n ? std::nullopt : std::optional(items[static_cast<std::size_t>(i)]);
  }
  if (of.is_text()) {
    const std::int64_t n = length(budget, of);
    if (i < 0) i += n;
    if (i < 0 || i >= n) return std::nullopt;
    const std::size_t at = byte_of(of.bytes(), i);
    return Value::text(budget, of.bytes().substr(at, utf8_length_at(of.bytes(), at)));
  }
  return std::nullopt;
}

}  // namespace

Value attribute_of(Budget& budget, const Value& of, std::string_view name) {
  if (of.is_undefined()) of.refuse_undefined();
  if (auto found = own_attribute(budget, of, name)) return *std::move(found);
  if (of.is(Kind::dict))
    if (const Value* found = of.as_dict().find(name)) return *found;
  return Value::undefined(fmt::format("'{}' has no attribute {}", owner(of), quoted(name)));
}

Value item_of(Budget& budget, const Value& of, const Value& key) {
  if (of.is_undefined()) of.refuse_undefined();
  if (auto found = own_item(budget, of, key)) return *std::move(found);
  if (!key.is_text()) {
    if (key.is_undefined()) return Value::undefined(fmt::format("'{}' has no element Undefined", owner(of)));
    return Value::undefined(
        fmt::format("{} has no element {}", owner(of),
                    key.is_whole() ? fmt::format("{}", key.as_integer()) : std::string(key.type_name())));
  }
  if (auto found = own_attribute(budget, of, key.bytes())) return *std::move(found);
  return Value::undefined(fmt::format("'{}' has no attribute {}", owner(of), quoted(key.bytes())));
}

Value item_at_path(Budget& budget, Value of, const Value& path) {
  if (!path.is_text()) return item_of(budget, of, path);
  for (const std::string_view part : split(path.bytes(), ".", -1, false)) {
    budget.step();
    budget.scan(part.size());
    const bool is_number = !part.empty() && part.size() < 18 &&
                           std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    of = item_of(
        budget, of,
        is_number ? Value::integer(std::stoll(std::string(part))) : Value::constant(std::string(part)));
  }
  return of;
}

// ---- slices ----

namespace {

struct Range {
  std::int64_t start, count, step;
};

// Python's rules for places outside: they are moved to the nearest end.
Range resolved(const Slice& slice, std::int64_t n) {
  const std::int64_t step = slice.step.value_or(1);
  if (step == 0) refuse("the step of a slice cannot be zero");
  const std::int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
  const auto place = [&](const std::optional<std::int64_t>& at, std::int64_t otherwise) {
    if (!at) return otherwise;
    return std::clamp(*at < 0 ? *at + n : *at, low, high);
  };
  const std::int64_t start = place(slice.start, step < 0 ? high : low),
                     stop = place(slice.stop, step < 0 ? low : high);
  // In 128 bits, since a step may be the smallest number there is.
  const __int128 distance = step < 0 ? start - stop : stop - start, width = step < 0 ? -__int128(step) : step;
  return {start, distance <= 0 ? 0 : static_cast<std::int64_t>((distance + width - 1) / width), step};
}

Value sliced_text(Budget& budget, const Value& of, const Slice& slice) {
  const std::string& text = of.bytes();
  const Range range = resolved(slice, length(budget, of));
  if (range.count == 0) return Value::text(budget, "", of.as_text().safe);
  if (range.step == 1) {
    const std::size_t begin = byte_of(text, range.start);
    const std::size_t size = byte_of(std::string_view(text).substr(begin), range.count);
    return Value::text(budget, text.substr(begin, size), of.as_text().safe);
  }
  budget.make(text.size() * sizeof(std::uint32_t));
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at < text.size(); at += utf8_length_at(text, at)) starts.push_back(at);
  std::string out;
  for (std::int64_t i = 0, at = range.start; i < range.count; ++i, at += i < range.count ? range.step : 0) {
    const std::size_t begin = starts[static_cast<std::size_t>(at)];
    out.append(text, begin, utf8_length_at(text, begin));
  }
  return Value::text(budget, std::move(out), of.as_text().safe);
}

}  // namespace

Value sliced(Budget& budget, const Value& of, const Slice& slice) {
  if (of.is_undefined()) of.refuse_undefined();
  if (of.is_text()) return sliced_text(budget, of, slice);
  if (!of.is(Kind::sequence) || !of.as_sequence().has_items()) refuse("a {} has no slices", of.type_name());
  const Sequence& all = of.as_sequence();
  const Range range = resolved(slice, static_cast<std::int64_t>(all.items.size()));
  budget.make(static_cast<std::uint64_t>(range.count) * sizeof(Value));
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(range.count));
  for (std::int64_t i = 0, at = range.start; i < range.count; ++i, at += i < range.count ? range.step : 0)
    items.push_back(all.items[static_cast<std::size_t>(at)]);
  return Value::sequence(make_sequence(budget, all.kind, std::move(items)));
}

}  // namespace glossa::jinja
