#include "text/jinja_format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/unicode.h"
#include "text/jinja_print.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

constexpr std::int64_t kWidest = 1000;  // of a field and of its digits

void check_plain(const Value& pattern) {
  if (pattern.as_text().safe) refuse("formatting of a text marked safe is not supported");
}

// One "%...": flags, width, precision, and the letter that ends it.
struct Directive {
  bool left = false, sign = false, space = false, zeros = false, other = false;
  std::int64_t width = 0, precision = -1;
  char letter = 0;
};

class PercentFormatter {
 public:
  PercentFormatter(Budget& budget, std::string_view pattern, const Value& values)
      : budget_(budget), pattern_(pattern), values_(values) {
    is_tuple_ = values.is(Value::Kind::sequence) && values.as_sequence().kind == Sequence::Kind::tuple;
  }

  std::string run() {
    std::string out;
    while (at_ < pattern_.size()) {
      const std::size_t percent = std::min(pattern_.find('%', at_), pattern_.size());
      out += pattern_.substr(at_, percent - at_);
      at_ = percent + 1;
      if (percent < pattern_.size()) put_field(out);
    }
    // Python cannot tell these from a dict with names that the text does not mention.
    const bool takes_no_part = values_.is(Value::Kind::dict) || values_.is_undefined() ||
                               (values_.is(Value::Kind::sequence) && !is_tuple_);
    if (!takes_no_part && used_ < (is_tuple_ ? values_.as_sequence().items.size() : 1))
      refuse("not all arguments of '%' are in the text");
    return out;
  }

 private:
  char next() {
    if (at_ >= pattern_.size()) refuse("an unfinished field of '%'");
    return pattern_[at_++];
  }
  Value take() {
    if (is_tuple_ && used_ < values_.as_sequence().items.size()) return values_.as_sequence().items[used_++];
    if (!is_tuple_ && used_ == 0) return ++used_, values_;
    refuse("not enough arguments for '%'");
  }
  std::int64_t number() {
    if (pattern_.substr(at_).starts_with("*")) refuse("the width * of '%' is not supported");
    std::int64_t n = 0;
    while (at_ < pattern_.size() && pattern_[at_] >= '0' && pattern_[at_] <= '9') {
      n = n * 10 + (pattern_[at_++] - '0');
      if (n > kWidest) refuse("a field of '%' may be at most {} wide", kWidest);
    }
    return n;
  }

  void put_field(std::string& out) {
    budget_.step();
    std::optional<Value> named;
    Directive d;
    char c = next();
    if (c == '(') {
      const std::size_t end = pattern_.find(')', at_);
      if (end == std::string_view::npos) refuse("an unfinished field of '%'");
      if (values_.is_undefined()) values_.refuse_undefined();
      if (!values_.is(Value::Kind::dict)) refuse("'%' with names needs a dict");
      const std::string_view name = pattern_.substr(at_, end - at_);
      const Value* value = values_.as_dict().find(name);
      if (!value) refuse("'%' finds no {} in the dict", quoted(name));
      named = *value;
      at_ = end + 1;
      c = next();
    }
    for (;; c = next()) {
      if (c == '-')
        d.left = true;
      else if (c == '+')
        d.sign = true;
      else if (c == ' ')
        d.space = true;
      else if (c == '0')
        d.zeros = true;
      else if (c == '#')
        d.other = true;
      else
        break;
    }
    --at_;
    d.width = number();
    if (pattern_.substr(at_).starts_with(".")) ++at_, d.precision = number();
    d.letter = next();
    if (d.letter == '%') {
      out += '%';
      return;
    }
    const std::string text = formatted(d, named ? *named : take());
    budget_.make(text.size());
    out += text;
  }

  std::string formatted(const Directive& d, const Value& value) {
    switch (d.letter) {
      case 's':
        return padded_text(d, printed(budget_, value));
      case 'r':
        return padded_text(d, represented(budget_, value));
      case 'd':
      case 'i':
      case 'u':
        if (!value.is_number()) refuse_number(d, value);
        return with_sign(d, digits(d, whole(value), 10));
      case 'x':
      case 'X':
      case 'o':
        if (!value.is_whole()) refuse_number(d, value);
        return with_sign(d, digits(d, value.as_integer(), d.letter == 'o' ? 8 : 16));
      case 'f':
      case 'F':
      case 'e':
      case 'E':
      case 'g':
      case 'G':
        if (!value.is_number()) refuse_number(d, value);
        return with_sign(d, real(d, value.as_real()));
      case 'c':
        if (value.is_text() && characters_in(value.bytes()) == 1) return padded_text(d, value.bytes());
        refuse("'%c' needs a text of one character");
      default:
        refuse("the field '%{}' is not supported; there are s, r, d, i, u, x, X, o, f, F, e, E, g, G and c",
               quoted(std::string_view(&d.letter, 1)));
    }
  }
  [[noreturn]] static void refuse_number(const Directive& d, const Value& value) {
    if (value.is_undefined()) value.refuse_undefined();
    refuse("'%{}' needs a number, not a {}", d.letter, value.type_name());
  }
  static std::int64_t whole(const Value& value) {
    if (value.is_whole()) return value.as_integer();
    const double x = std::trunc(value.as_real());
    if (!(std::fabs(x) < 9e18)) refuse("'%d' needs a finite number of 64 bits");
    return static_cast<std::int64_t>(x);
  }
  static std::string padded_text(const Directive& d, std::string text) {
    if (d.precision >= 0) text.resize(byte_of(text, d.precision));
    const std::int64_t missing = d.width - characters_in(text);
    if (missing > 0) text.insert(d.left ? text.size() : 0, static_cast<std::size_t>(missing), ' ');
    return text;
  }
  // With its sign if it is below zero.
  static std::string digits(const Directive& d, std::int64_t value, int base) {
    const std::uint64_t size =
        value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    std::string text = base == 10  ? fmt::format("{}", size)
                       : base == 8 ? fmt::format("{:o}", size)
                                   : fmt::format("{:x}", size);
    if (static_cast<std::int64_t>(text.size()) < d.precision)
      text.insert(0, static_cast<std::size_t>(d.precision) - text.size(), '0');
    if (d.other && base != 10) text = (base == 8 ? "0o" : "0x") + text;
    if (d.letter == 'X')
      std::transform(text.begin(), text.end(), text.begin(),
                     [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return value < 0 ? "-" + text : text;
  }
  static std::string real(const Directive& d, double x) {
    std::string pattern = d.other ? "%#.*" : "%.*";
    pattern += d.letter;
    std::array<char, 2048> buffer;  // 309 digits before the point, and at most kWidest after it
    const int precision = static_cast<int>(d.precision < 0 ? 6 : d.precision);
    std::snprintf(buffer.data(), buffer.size(), pattern.c_str(), precision, x);
    std::string text = buffer.data();
    return text.starts_with("-nan") ? text.substr(1) : text;
  }
  static std::string with_sign(const Directive& d, std::string text) {
    std::string sign;
    if (text.starts_with("-"))
      sign = "-", text.erase(0, 1);
    else if (d.sign)
      sign = "+";
    else if (d.space)
      sign = " ";
    if (text.starts_with("0x") || text.starts_with("0X") || text.starts_with("0o"))
      sign += text.substr(0, 2), text.erase(0, 2);
    const std::int64_t missing = d.width - static_cast<std::int64_t>(text.size() + sign.size());
    const auto n = static_cast<std::size_t>(std::max<std::int64_t>(missing, 0));
    if (d.left) return sign + text + std::string(n, ' ');
    return d.zeros ? sign + std::string(n, '0') + text : std::string(n, ' ') + sign + text;
  }

  Budget& budget_;
  std::string_view pattern_;
  const Value& values_;
  bool is_tuple_ = false;
  std::size_t at_ = 0, used_ = 0;
};

}  // namespace

std::string percent_formatted(Budget& budget, const Value& pattern, const Value& values) {
  check_plain(pattern);
  budget.make(pattern.bytes().size());
  return PercentFormatter(budget, pattern.bytes(), values).run();
}

std::string brace_formatted(Budget& budget, const Value& pattern, const Arguments& arguments) {
  check_plain(pattern);
  const std::string& text = pattern.bytes();
  budget.make(text.size());
  std::string out;
  std::size_t automatic = 0;
  bool numbered = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == c) {
      out += text[at++];
      continue;
    }
    const std::size_t end = text.find('}', at);
    if (c == '}' || end == std::string::npos) refuse("format(): a single '{}' in the text", c);
    const std::string_view field = std::string_view(text).substr(at + 1, end - at - 1);
    if (field.find_first_of(".[]!:{") != std::string_view::npos)
      refuse("format(): the field {} is not supported; there are {{}}, {{0}} and {{name}}", quoted(field));
    budget.search(arguments.named.size());
    const Value* value = nullptr;
    const bool is_number = !field.empty() && field.find_first_not_of("0123456789") == std::string_view::npos;
    if (field.empty() || is_number) {
      if (automatic > 0 ? is_number : numbered && field.empty())
        refuse("format(): fields with and without numbers in one text");
      numbered |= is_number;
      const std::size_t i =
          is_number ? (field.size() > 6 ? 1000000 : std::stoul(std::string(field))) : automatic++;
      if (i < arguments.positional.size()) value = &arguments.positional[i];
    } else {
      for (const auto& [name, named] : arguments.named)
        if (name == field) value = &named;
    }
    if (!value) refuse("format(): no argument for the field {}", quoted(field));
    print(budget, *value, out);
    at = end;
  }
  return out;
}

}  // namespace glossa::jinja
