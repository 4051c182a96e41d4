#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "text/jinja_filters.h"
#include "text/jinja_operators.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

using Kind = Value::Kind;

// Without the underscores that Python allows between digits; nothing if one is anywhere else.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  const auto is_digit = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_')
      out += text[i];
    else if (i == 0 || i + 1 == text.size() || !is_digit(text[i - 1]) || !is_digit(text[i + 1]))
      return std::nullopt;
  }
  return out;
}

std::optional<std::int64_t> parsed_whole(std::string_view text, std::int64_t base) {
  text = stripped(text);
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  const char letter = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '\0';
  if (letter && text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == letter)
    text.remove_prefix(text[2] == '_' ? 3 : 2);
  const auto digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  __int128 value = 0;
  for (const char c : *digits) {
    const int digit = c >= '0' && c <= '9'                     ? c - '0'
                      : (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10
                                                               : 99;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
    if (value > std::numeric_limits<std::int64_t>::max())
      refuse("int: the number {} is beyond 64 bits", quoted(text));
  }
  return static_cast<std::int64_t>(minus ? -value : value);
}

std::optional<double> parsed_real(std::string_view text) {
  text = stripped(text);
  const auto plain = without_underscores(text);
  if (!plain || plain->empty() || plain->find('\0') != std::string::npos) return std::nullopt;
  std::string lower = python_lower_cased(*plain);
  std::string_view word = lower;
  if (word.starts_with('+') || word.starts_with('-')) word.remove_prefix(1);
  const bool is_word = word == "inf" || word == "infinity" || word == "nan";
  if (!is_word && word.find_first_not_of("0123456789.e+-") != std::string_view::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(lower.c_str(), &end);
  return end == lower.c_str() + lower.size() ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> truncated(double x) {
  if (std::isnan(x) || std::isinf(x)) return std::nullopt;
  if (std::fabs(x) >= 9223372036854775808.0) refuse("int: a number beyond 64 bits");
  return static_cast<std::int64_t>(x);
}

Value to_int(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("int", arguments, {"default", "base"});
  const Value otherwise = a.value(0, Value::integer(0));
  if (value.is_undefined()) value.refuse_undefined();
  std::optional<std::int64_t> whole;
  if (value.is_whole()) {
    whole = value.as_integer();
  } else if (value.is(Kind::real)) {
    if (std::isinf(value.as_real())) refuse("int: an infinite number");
    whole = truncated(value.as_real());
  } else if (value.is_text()) {
    budget.make(value.bytes().size());
    const std::int64_t base = a.integer(1, 10);
    if (base < 2 || base > 36) refuse("int: a base of {}, and 2 to 36 are supported", base);
    whole = parsed_whole(value.bytes(), base);
    if (!whole)
      if (const auto real = parsed_real(value.bytes())) whole = truncated(*real);
  }
  return whole ? Value::integer(*whole) : otherwise;
}

Value to_float(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("float", arguments, {"default"});
  if (value.is_undefined()) value.refuse_undefined();
  if (value.is_number()) return Value::real(value.as_real());
  if (value.is_text()) {
    budget.make(value.bytes().size());
    if (const auto real = parsed_real(value.bytes())) return Value::real(*real);
  }
  return a.value(0, Value::real(0));
}

void check_number(std::string_view filter, const Value& value) {
  if (value.is_undefined()) value.refuse_undefined();
  if (!value.is_number()) refuse("{} needs a number, not a {}", filter, value.type_name());
}

Value absolute(Budget&, const Value& value, const Arguments& arguments) {
  const Bound none("abs", arguments, {});
  check_number("abs", value);
  if (value.is(Kind::real)) return Value::real(std::fabs(value.as_real()));
  return value.as_integer() < 0 ? negated(value) : Value::integer(value.as_integer());
}

// To the nearest, of two as near to the even one, decided by the exact value: what printf does.
double rounded_real(double x, std::int64_t places) {
  if (!std::isfinite(x) || places > 323) return x;
  if (places < -308) return 0 * x;
  char buffer[800];
  if (places >= 0) {
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(places), x);
    return std::strtod(buffer, nullptr);
  }
  std::snprintf(buffer, sizeof buffer, "%.40e", x);
  const std::int64_t digits =
      std::atoi(std::string(buffer).substr(std::string_view(buffer).find('e') + 1).c_str()) + places;
  if (digits < -1) return 0 * x;
  const double unit = std::strtod(fmt::format("1e{}", -places).c_str(), nullptr);
  if (digits == -1) return std::fabs(x) > unit / 2 ? std::copysign(unit, x) : 0 * x;
  std::snprintf(buffer, sizeof buffer, "%.*e", static_cast<int>(digits), x);
  return std::strtod(buffer, nullptr);
}

std::int64_t rounded_whole(std::int64_t x, std::int64_t places) {
  if (places >= 0) return x;
  if (places < -18) return 0;
  std::int64_t unit = 1;
  for (std::int64_t i = 0; i < -places; ++i) unit *= 10;
  std::int64_t down = x / unit - (x % unit < 0 ? 1 : 0);
  const std::int64_t rest = x - down * unit;
  if (rest * 2 > unit || (rest * 2 == unit && (down & 1))) ++down;
  std::int64_t result = 0;
  if (__builtin_mul_overflow(down, unit, &result)) refuse("round: a number beyond 64 bits");
  return result;
}

Value round(Budget&, const Value& value, const Arguments& arguments) {
  const Bound a("round", arguments, {"precision", "method"});
  check_number("round", value);
  const std::int64_t places = a.integer(0, 0);
  const std::string method = a.has(1) ? a.text(1) : "common";
  if (method == "common") {
    if (value.is_whole()) return Value::integer(rounded_whole(value.as_integer(), places));
    return Value::real(rounded_real(value.as_real(), places));
  }
  if (method != "ceil" && method != "floor") refuse("round: the method must be common, ceil or floor");
  const double unit = std::pow(10.0, static_cast<double>(places)), x = value.as_real() * unit;
  if (!std::isfinite(x)) refuse("round: a number that is not finite");
  return Value::real((method == "ceil" ? std::ceil(x) : std::floor(x)) / unit);
}

}  // namespace

const std::map<std::string_view, Filter>& filters_of_numbers() {
  static const std::map<std::string_view, Filter> kFilters = {
      {"int", to_int}, {"float", to_float}, {"abs", absolute}, {"round", round}};
  return kFilters;
}

}  // namespace glossa::jinja
