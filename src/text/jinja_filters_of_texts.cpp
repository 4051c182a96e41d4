#include <algorithm>
#include <cctype>

#include "base/unicode.h"
#include "text/jinja_filters.h"
#include "text/jinja_format.h"
#include "text/jinja_operators.h"
#include "text/jinja_print.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

using Kind = Value::Kind;

// A text as it is, and anything else as it prints.
Text soft(Budget& budget, const Value& value) {
  if (value.is_text()) {
    budget.make(value.bytes().size());
    return value.as_text();
  }
  return {printed(budget, value)};
}

template <std::string (*Change)(std::string_view)>
Value changed(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("the filter", arguments, {});
  const Text text = soft(budget, value);
  return Value::text(budget, Change(text.bytes), text.safe);
}

std::string titled(std::string_view text) {  // the filter's words, which are not those of the method title()
  std::string out;
  const auto separates = [](char32_t c) {
    return is_python_space(c) || c == U'-' || c == U'(' || c == U'{' || c == U'[' || c == U'<';
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const bool is_separator = separates(utf8_next(text, at));
    if (is_separator) {
      out += text.substr(begin, at - begin);
      continue;
    }
    out += upper_cased(text.substr(begin, at - begin));
    const std::size_t tail = at;
    while (at < text.size()) {
      std::size_t next = at;
      if (separates(utf8_next(text, next))) break;
      at = next;
    }
    out += python_lower_cased(text.substr(tail, at - tail));
  }
  return out;
}

Value trim(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("trim", arguments, {"chars"});
  const Text text = soft(budget, value);
  if (!a.has(0) || a[0].is_none()) return Value::text(budget, std::string(stripped(text.bytes)), text.safe);
  budget.scan(text.bytes.size() * a.text(0).size());
  return Value::text(budget, std::string(stripped(text.bytes, a.text(0), {})), text.safe);
}

Value replace(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("replace", arguments, {"old", "new", "count"}, 2);
  const std::string text = printed(budget, value), old = printed(budget, a[0]), with = printed(budget, a[1]);
  auto made = replaced(text, old, with, a.integer(2, -1), budget.limits().text_bytes);
  budget.make(made ? 0 : budget.limits().text_bytes + 1);
  return Value::text(budget, *std::move(made));
}

Value string(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("string", arguments, {});
  return value.is_text() ? value : Value::text(budget, printed(budget, value));
}

Value safe(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("safe", arguments, {});
  return Value::text(budget, printed(budget, value), true);
}

template <bool Again>
Value escape(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("escape", arguments, {});
  const Text text = soft(budget, value);
  budget.make(text.bytes.size() * 5);  // the longest escape
  return Value::text(budget, text.safe && !Again ? text.bytes : escaped(text.bytes), true);
}

Value indent(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("indent", arguments, {"width", "first", "blank"});
  if (!value.is_text()) refuse("indent needs a text, not a {}", value.type_name());
  std::string by;
  if (a.has(0) && a[0].is_text()) {
    by = a[0].bytes();
  } else {
    const auto width = static_cast<std::uint64_t>(std::max<std::int64_t>(a.integer(0, 4), 0));
    budget.make(width);
    by.assign(width, ' ');
  }
  const bool blank = a.truth(2, false);
  std::string out = a.truth(1, false) ? by : "";
  const std::string text = value.bytes() + "\n";
  bool first = true;
  for (const auto line : split_lines(text, false)) {
    const bool is_first = std::exchange(first, false);
    budget.step();
    budget.make(line.size() + by.size() + 1);
    if (!is_first) out += '\n';
    if (!is_first && (blank || !line.empty())) out += by;
    out += line;
  }
  return Value::text(budget, std::move(out), value.as_text().safe);
}

Value truncate(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const std::string end = a.has(2) ? a.text(2) : "...";
  budget.make(end.size());
  const std::int64_t most = a.integer(0, 255), leeway = a.integer(3, 5), end_length = characters_in(end);
  if (most < end_length) refuse("truncate: a length of {} is shorter than its end {}", most, quoted(end));
  if (leeway < 0) refuse("truncate: a leeway of {}", leeway);
  const std::int64_t n = length(budget, value);
  if (n <= most || n - most <= leeway) return value;
  if (!value.is_text()) refuse("truncate needs a text, not a {}", value.type_name());
  std::string_view kept =
      std::string_view(value.bytes()).substr(0, byte_of(value.bytes(), most - end_length));
  if (!a.truth(1, false))
    if (const std::size_t space = kept.rfind(' '); space != std::string_view::npos)
      kept = kept.substr(0, space);
  return Value::text(budget, std::string(kept) + end, value.as_text().safe);
}

Value word_count(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("wordcount", arguments, {});
  const Text text = soft(budget, value);
  std::int64_t n = 0;
  bool within = false;
  for (std::size_t at = 0; at < text.bytes.size();) {
    const char32_t c = utf8_next(text.bytes, at);
    const bool is_word = is_letter(c) || is_number(c) || c == U'_';
    n += is_word && !within;
    within = is_word;
  }
  return Value::integer(n);
}

Value center(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("center", arguments, {"width"});
  const Text text = soft(budget, value);
  const Value self = Value::text(budget, text.bytes, text.safe);
  return attribute_of(budget, self, "center")
      .as_object()
      .call(budget, {{Value::integer(a.integer(0, 80))}, {}});
}

Value format(Budget& budget, const Value& value, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty())
    refuse("format takes values by place or by name, not both");
  const Value text = string(budget, value, {});
  if (arguments.named.empty())
    return Value::text(budget, percent_formatted(budget, text, Value::tuple(budget, arguments.positional)));
  auto dict = std::make_shared<Dict>();
  for (const auto& [name, named] : arguments.named) dict->set(budget, name, named);
  return Value::text(budget, percent_formatted(budget, text, Value::dict(std::move(dict))));
}

std::string url_quoted(std::string_view text, bool in_query) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '~' ||
        (c == '/' && !in_query))
      out += c;
    else if (c == ' ' && in_query)
      out += '+';
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Value url_encode(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("urlencode", arguments, {});
  if (value.is_text() || !is_iterable(value)) {
    const std::string text = printed(budget, value);
    budget.make(text.size() * 3);
    return Value::text(budget, url_quoted(text, false));
  }
  std::string out;
  const auto put = [&](const Value& key, const Value& item) {
    const std::string k = printed(budget, key), v = printed(budget, item);
    budget.make(3 * (k.size() + v.size()));
    out += (out.empty() ? "" : "&") + url_quoted(k, true) + "=" + url_quoted(v, true);
  };
  if (value.is(Kind::dict)) {
    for (const auto& [key, item] : value.as_dict().members()) put(key, item);
  } else {
    for (const Value& pair : elements(budget, value)) {
      const auto both = elements(budget, pair);
      if (both.size() != 2) refuse("urlencode needs pairs");
      put(both[0], both[1]);
    }
  }
  return Value::text(budget, std::move(out));
}

// ---- JSON ----

Value tojson(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = a.truth(0, false);
  style.sorted = a.truth(3, false);
  if (a.has(1) && a[1].is_text()) {
    style.indent = a[1].bytes();
  } else if (a.has(1) && !a[1].is_none()) {
    const auto width = static_cast<std::uint64_t>(std::max<std::int64_t>(a.integer(1, 0), 0));
    budget.make(width);
    style.indent = std::string(width, ' ');
  }
  if (a.has(2) && !a[2].is_none()) {
    const auto both = elements(budget, a[2]);
    if (both.size() != 2 || !both[0].is_text() || !both[1].is_text())
      refuse("tojson: separators must be two texts");
    style.item_separator = both[0].bytes();
    style.key_separator = both[1].bytes();
  }
  return Value::text(budget, to_json(budget, value, style));
}

}  // namespace

const std::map<std::string_view, Filter>& filters_of_texts() {
  static const std::map<std::string_view, Filter> kFilters = {
      {"upper", changed<upper_cased>},
      {"lower", changed<python_lower_cased>},
      {"capitalize", changed<capitalized>},
      {"title", changed<titled>},
      {"trim", trim},
      {"replace", replace},
      {"string", string},
      {"safe", safe},
      {"escape", escape<false>},
      {"e", escape<false>},
      {"forceescape", escape<true>},
      {"indent", indent},
      {"truncate", truncate},
      {"wordcount", word_count},
      {"center", center},
      {"format", format},
      {"urlencode", url_encode},
      {"tojson", tojson},
  };
  return kFilters;
}

}  // namespace glossa::jinja
