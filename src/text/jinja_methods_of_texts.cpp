#include "text/jinja_methods.h"

#include <algorithm>
#include <optional>

#include "base/unicode.h"
#include "text/jinja_format.h"
#include "text/jinja_operators.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

Value same_marks(Budget& budget, const Value& self, std::string text) {
  return Value::text(budget, std::move(text), self.as_text().safe);
}

Value texts(Budget& budget, const Value& self, const std::vector<std::string_view>& parts) {
  budget.make(parts.size() * (sizeof(Value) + sizeof(Text)));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const auto part : parts) items.push_back(same_marks(budget, self, std::string(part)));
  return Value::list(budget, std::move(items));
}

void refuse_safe(const Value& self, std::string_view method) {
  if (self.as_text().safe) refuse("{}() of a text marked safe is not supported", method);
}

template <std::string (*Change)(std::string_view)>
Value changed(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound none("the method", arguments, {});
  budget.make(self.bytes().size());
  return same_marks(budget, self, Change(self.bytes()));
}

template <bool Left, bool Right>
Value strip(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("strip", arguments, {"chars"});
  constexpr Sides kSides{Left, Right};
  budget.scan(self.bytes().size());
  if (!a.has(0) || a[0].is_none())
    return same_marks(budget, self, std::string(stripped(self.bytes(), kSides)));
  budget.scan(self.bytes().size() * a.text(0).size());
  return same_marks(budget, self, std::string(stripped(self.bytes(), a.text(0), kSides)));
}

// Python's rfind may look at each place of the text and compare the whole part there.
void scan_from_right(Budget& budget, std::size_t text, std::size_t part) {
  budget.scan(text * (1 + part / 16));
}

template <bool FromRight>
Value split_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a(FromRight ? "rsplit" : "split", arguments, {"sep", "maxsplit"});
  const std::int64_t most = a.integer(1, -1);
  if (!a.has(0) || a[0].is_none()) {
    budget.make(self.bytes().size());
    return texts(budget, self, split(self.bytes(), most, FromRight));
  }
  const std::string& separator = a.text(0);
  if (separator.empty()) refuse("split(): an empty separator");
  if (FromRight) scan_from_right(budget, self.bytes().size(), separator.size());
  budget.make(self.bytes().size());
  return texts(budget, self, split(self.bytes(), separator, most, FromRight));
}

template <bool Last>
Value partition(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a(Last ? "rpartition" : "partition", arguments, {"sep"}, 1);
  const std::string &text = self.bytes(), &separator = a.text(0);
  if (separator.empty()) refuse("partition(): an empty separator");
  budget.scan(text.size());
  if (Last) scan_from_right(budget, text.size(), separator.size());
  const auto parts = split(text, separator, 1, Last);
  std::vector<Value> items;
  if (parts.size() == 2) {
    for (const auto part : {parts[0], std::string_view(separator), parts[1]})
      items.push_back(same_marks(budget, self, std::string(part)));
  } else {
    for (int i = 0; i < 3; ++i) items.push_back(i == (Last ? 2 : 0) ? self : Value::text(budget, ""));
  }
  return Value::tuple(budget, std::move(items));
}

Value split_into_lines(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("splitlines", arguments, {"keepends"});
  budget.make(self.bytes().size());
  return texts(budget, self, split_lines(self.bytes(), a.truth(0, false)));
}

// A part of the text by Python's optional start and end, for the methods that take them; nothing if it begins
// after the text's end.
std::optional<std::string_view> window(Budget& budget, const Value& self, const Bound& a,
                                       std::int64_t& start) {
  const std::int64_t n = length(budget, self);
  const auto place = [&](std::size_t i, std::int64_t otherwise) {
    std::int64_t at = a.integer(i, otherwise);
    return at < 0 ? std::max<std::int64_t>(at + n, 0) : at;
  };
  start = place(1, 0);
  const std::int64_t end = std::min(place(2, n), n);
  if (start > n || end < start) return std::nullopt;
  const std::string_view text = self.bytes();
  const std::size_t from = byte_of(text, start);
  return text.substr(from, byte_of(text.substr(from), end - start));
}

template <bool Ends>
Value affix(Budget& budget, const Value& self, const Arguments& arguments) {
  const std::string_view name = Ends ? "endswith" : "startswith";
  const Bound a(name, arguments, {"prefix", "start", "end"}, 1);
  std::string_view text = self.bytes();
  std::int64_t start = 0;
  if (a.has(1) || a.has(2)) {
    const auto part = window(budget, self, a, start);
    if (!part) return Value::boolean(false);
    text = *part;
  }
  const auto matches = [&](const Value& part) {
    if (!part.is_text()) {
      if (part.is_undefined()) part.refuse_undefined();
      refuse("{}() needs a text or a tuple of texts, not a {}", name, part.type_name());
    }
    budget.step();
    budget.scan(part.bytes().size());
    return Ends ? text.ends_with(part.bytes()) : text.starts_with(part.bytes());
  };
  if (a[0].is(Value::Kind::sequence) && a[0].as_sequence().kind == Sequence::Kind::tuple) {
    for (const Value& part : a[0].as_sequence().items)
      if (matches(part)) return Value::boolean(true);
    return Value::boolean(false);
  }
  return Value::boolean(matches(a[0]));
}

template <bool Last, bool Needed>
Value find_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a(Last ? "rfind" : "find", arguments, {"sub", "start", "end"}, 1);
  std::int64_t start = 0;
  const auto part = window(budget, self, a, start);
  budget.scan(self.bytes().size());
  if (Last) scan_from_right(budget, self.bytes().size(), a.text(0).size());
  const std::int64_t at = part ? found_at(*part, a.text(0), Last) : -1;
  if (Needed && at < 0) refuse("index(): the text does not hold {}", quoted(a.text(0)));
  return Value::integer(at < 0 ? -1 : at + start);
}

Value count_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("count", arguments, {"sub", "start", "end"}, 1);
  std::int64_t start = 0;
  const auto part = window(budget, self, a, start);
  budget.scan(self.bytes().size());
  return Value::integer(part ? occurrences(*part, a.text(0)) : 0);
}

Value replace_text(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("replace", arguments, {"old", "new", "count"}, 2);
  refuse_safe(self, "replace");
  auto made = replaced(self.bytes(), a.text(0), a.text(1), a.integer(2, -1), budget.limits().text_bytes);
  budget.make(made ? 0 : budget.limits().text_bytes + 1);
  budget.scan(self.bytes().size());
  return Value::text(budget, *std::move(made));
}

Value join_texts(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("join", arguments, {"iterable"}, 1);
  refuse_safe(self, "join");
  std::string out;
  bool first = true;
  for (const Value& item : elements(budget, a[0])) {
    if (item.is_undefined()) item.refuse_undefined();
    if (!item.is_text()) refuse("join() needs texts, not a {}", item.type_name());
    budget.step();
    budget.make(item.bytes().size() + self.bytes().size());
    if (!std::exchange(first, false)) out += self.bytes();
    out += item.bytes();
  }
  return Value::text(budget, std::move(out));
}

Value format_text(Budget& budget, const Value& self, const Arguments& arguments) {
  return Value::text(budget, brace_formatted(budget, self, arguments));
}

enum class Side { left, right, both };
template <Side Text>
Value justify(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("justify", arguments, {"width", "fillchar"}, 1);
  const std::string fill = a.has(1) ? a.text(1) : " ";
  budget.make(fill.size());
  if (characters_in(fill) != 1) refuse("the fill must be one character, not {}", quoted(fill));
  const std::int64_t width = a.integer(0, 0), n = length(budget, self);
  const auto missing = static_cast<std::uint64_t>(std::max<std::int64_t>(width - n, 0));
  budget.make(missing > budget.limits().text_bytes ? missing : missing * fill.size());
  // In the middle, the odd one goes left where the width is odd too.
  const std::uint64_t before = Text == Side::left ? 0
                               : Text == Side::right
                                   ? missing
                                   : missing / 2 + (missing & static_cast<std::uint64_t>(width) & 1);
  std::string out;
  for (std::uint64_t i = 0; i < before; ++i) out += fill;
  out += self.bytes();
  for (std::uint64_t i = before; i < missing; ++i) out += fill;
  return same_marks(budget, self, std::move(out));
}

Value fill_zeros(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("zfill", arguments, {"width"}, 1);
  std::string text = self.bytes();
  const auto missing =
      static_cast<std::uint64_t>(std::max<std::int64_t>(a.integer(0, 0) - length(budget, self), 0));
  budget.make(missing);
  const bool sign = text.starts_with('+') || text.starts_with('-');
  text.insert(sign ? 1 : 0, missing, '0');
  return same_marks(budget, self, std::move(text));
}

template <bool Suffix>
Value remove_affix(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a(Suffix ? "removesuffix" : "removeprefix", arguments, {"affix"}, 1);
  std::string_view text = self.bytes();
  if (Suffix && text.ends_with(a.text(0)))
    text.remove_suffix(a.text(0).size());
  else if (!Suffix && text.starts_with(a.text(0)))
    text.remove_prefix(a.text(0).size());
  return same_marks(budget, self, std::string(text));
}

bool is_decimal(char32_t c) {
  return c < 0x80 ? c >= '0' && c <= '9' : general_category(c) == 9;
}  // Nd
bool is_alphanumeric(char32_t c) {
  return is_letter(c) || is_number(c);
}

template <bool (*Is)(char32_t)>
Value all_of(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound none("the method", arguments, {});
  budget.scan(self.bytes().size());
  return Value::boolean(all_of_class(self.bytes(), Is));
}

template <bool (*Is)(std::string_view)>
Value is_cased_as(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound none("the method", arguments, {});
  budget.scan(self.bytes().size());
  return Value::boolean(Is(self.bytes()));
}

}  // namespace

const Methods& methods_of_texts() {
  static const Methods kMethods = {
      {"upper", changed<upper_cased>},
      {"lower", changed<python_lower_cased>},
      {"title", changed<title_cased>},
      {"capitalize", changed<capitalized>},
      {"swapcase", changed<swap_cased>},
      {"strip", strip<true, true>},
      {"lstrip", strip<true, false>},
      {"rstrip", strip<false, true>},
      {"split", split_text<false>},
      {"rsplit", split_text<true>},
      {"partition", partition<false>},
      {"rpartition", partition<true>},
      {"splitlines", split_into_lines},
      {"startswith", affix<false>},
      {"endswith", affix<true>},
      {"find", find_text<false, false>},
      {"rfind", find_text<true, false>},
      {"index", find_text<false, true>},
      {"rindex", find_text<true, true>},
      {"count", count_text},
      {"replace", replace_text},
      {"join", join_texts},
      {"format", format_text},
      {"ljust", justify<Side::left>},
      {"rjust", justify<Side::right>},
      {"center", justify<Side::both>},
      {"zfill", fill_zeros},
      {"removeprefix", remove_affix<false>},
      {"removesuffix", remove_affix<true>},
      {"isalpha", all_of<is_letter>},
      {"isdigit", all_of<is_decimal>},
      {"isdecimal", all_of<is_decimal>},
      {"isnumeric", all_of<is_number>},
      {"isalnum", all_of<is_alphanumeric>},
      {"isspace", all_of<is_python_space>},
      {"isupper", is_cased_as<is_upper_cased>},
      {"islower", is_cased_as<is_lower_cased>},
  };
  return kMethods;
}

}  // namespace glossa::jinja
