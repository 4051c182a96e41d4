#include "text/jinja_print.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/unicode.h"

namespace glossa::jinja {
namespace {

bool printable(char32_t c) {
  // utf8proc's categories: Zs is 23, and after it come Zl, Zp, Cc, Cf, Cs, Co; 0 is Cn.
  const int category = general_category(c);
  return c == U' ' || (category != 0 && category < 23);
}

void put_escape(std::string& out, char32_t c) {
  if (c < 0x100) {
    out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
  } else if (c < 0x10000) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
  } else {
    out += fmt::format("\\U{:08x}", static_cast<unsigned>(c));
  }
}

void represent(Budget& budget, const Value& value, std::string& out);

void represent_all(Budget& budget, const std::vector<Value>& items, std::string& out) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i) out += ", ";
    represent(budget, items[i], out);
  }
}

void represent_sequence(Budget& budget, const Sequence& all, std::string& out) {
  using Kind = Sequence::Kind;
  switch (all.kind) {
    case Kind::list:
      out += '[';
      represent_all(budget, all.items, out);
      out += ']';
      return;
    case Kind::tuple:
      out += '(';
      represent_all(budget, all.items, out);
      out += all.items.size() == 1 ? ",)" : ")";
      return;
    case Kind::keys:
    case Kind::values:
    case Kind::items:
      out += all.kind == Kind::keys     ? "dict_keys(["
             : all.kind == Kind::values ? "dict_values(["
                                        : "dict_items([";
      represent_all(budget, all.items, out);
      out += "])";
      return;
    case Kind::range:
      refuse("a range cannot be printed: write range(...) | list");
    case Kind::iterator:
      refuse("an iterator cannot be printed: add | list");
  }
}

void represent(Budget& budget, const Value& value, std::string& out) {
  using Kind = Value::Kind;
  const Level level(budget);
  budget.step();
  switch (value.kind()) {
    case Kind::undefined:
      out += "Undefined";
      return;
    case Kind::text: {
      if (value.as_text().safe) refuse("a text marked safe cannot be printed within a list");
      const std::string text = represented(value.bytes());
      budget.make(text.size());
      out += text;
      return;
    }
    case Kind::sequence:
      return represent_sequence(budget, value.as_sequence(), out);
    case Kind::dict: {
      out += '{';
      bool first = true;
      for (const auto& [key, member] : value.as_dict().members()) {
        if (!std::exchange(first, false)) out += ", ";
        represent(budget, key, out);
        out += ": ";
        represent(budget, member, out);
      }
      out += '}';
      return;
    }
    default:
      return print(budget, value, out);
  }
}

}  // namespace

std::string represented(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos,
             has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t from = at;
    const char32_t c = utf8_next(text, at);
    if (c == static_cast<char32_t>(quote) || c == U'\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == U'\n') {
      out += "\\n";
    } else if (c == U'\r') {
      out += "\\r";
    } else if (c == U'\t') {
      out += "\\t";
    } else if (printable(c)) {
      out += text.substr(from, at - from);
    } else {
      put_escape(out, c);
    }
  }
  return out += quote;
}

std::string represented(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::scientific).ptr;
  const std::string_view shortest(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = shortest.find('e');
  int exponent = 0;
  const char* digits_of_exponent = buffer + e + 1;
  if (*digits_of_exponent == '+') ++digits_of_exponent;
  std::from_chars(digits_of_exponent, end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(shortest);  // "1e+16", "1.5e-05", as Python's
  const auto last = std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::fixed).ptr;
  std::string fixed(buffer, last);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

std::string represented(Budget& budget, const Value& value) {
  std::string out;
  represent(budget, value, out);
  return out;
}

void print(Budget& budget, const Value& value, std::string& out) {
  using Kind = Value::Kind;
  switch (value.kind()) {
    case Kind::undefined:
      return;
    case Kind::none:
      out += "None";
      return;
    case Kind::boolean:
      out += value.as_boolean() ? "True" : "False";
      return;
    case Kind::integer:
      out += fmt::format("{}", value.as_integer());
      return;
    case Kind::real:
      out += represented(value.as_real());
      return;
    case Kind::text:
      budget.make(value.bytes().size());
      out += value.bytes();
      return;
    case Kind::object:
      out += value.as_object().printed(budget);
      return;
    default:
      return represent(budget, value, out);
  }
}

std::string printed(Budget& budget, const Value& value) {
  std::string out;
  print(budget, value, out);
  return out;
}

// ---- JSON ----

namespace {

class JsonWriter {
 public:
  JsonWriter(Budget& budget, const JsonStyle& style)
      : budget_(budget),
        style_(style),
        item_(style.item_separator.value_or(style.indent ? "," : ", ")),
        key_(style.key_separator.value_or(": ")) {}
  std::string take() { return std::move(out_); }

  void write(const Value& value) {
    using Kind = Value::Kind;
    const Level level(budget_);
    budget_.step();
    switch (value.kind()) {
      case Kind::none:
        return put("null");
      case Kind::boolean:
        return put(value.as_boolean() ? "true" : "false");
      case Kind::integer:
      case Kind::real:
        return put(number(value));
      case Kind::text:
        return write_text(value.bytes());
      case Kind::dict:
        return write_dict(value.as_dict());
      case Kind::sequence:
        if (const auto& all = value.as_sequence();
            all.kind == Sequence::Kind::list || all.kind == Sequence::Kind::tuple)
          return write_list(all.items);
        break;
      default:
        break;
    }
    if (value.is_undefined() && !truth(value))
      refuse("tojson: an undefined value has no JSON ({})", why(value));
    refuse("tojson: a {} has no JSON", value.type_name());
  }

 private:
  static std::string why(const Value& value) {
    try {
      value.refuse_undefined();
    } catch (const Error& error) {
      return error.what();
    }
  }
  static std::string number(const Value& value) {
    if (value.is(Value::Kind::integer)) return fmt::format("{}", value.as_integer());
    const double x = value.as_real();
    if (std::isnan(x)) return "NaN";
    if (std::isinf(x)) return x < 0 ? "-Infinity" : "Infinity";
    return represented(x);
  }
  void put(std::string_view text) {
    budget_.make(text.size());
    out_ += text;
  }
  void new_line() {
    if (!style_.indent) return;
    put("\n");
    for (int i = 0; i < depth_; ++i) put(*style_.indent);
  }
  void write_list(const std::vector<Value>& items) {
    if (items.empty()) return put("[]");
    put("[");
    ++depth_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i) put(item_);
      new_line();
      write(items[i]);
    }
    --depth_;
    new_line();
    put("]");
  }
  void write_dict(const Dict& dict) {
    if (dict.size() == 0) return put("{}");
    std::vector<const Dict::Member*> members;
    for (const auto& member : dict.members()) members.push_back(&member);
    if (style_.sorted)
      std::stable_sort(members.begin(), members.end(),
                       [&](const auto* a, const auto* b) { return less(budget_, a->key, b->key, "<"); });
    put("{");
    ++depth_;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i) put(item_);
      new_line();
      write_key(members[i]->key);
      put(key_);
      write(members[i]->value);
    }
    --depth_;
    new_line();
    put("}");
  }
  void write_key(const Value& key) {
    using Kind = Value::Kind;
    switch (key.kind()) {
      case Kind::text:
        return write_text(key.bytes());
      case Kind::none:
        return put("\"null\"");
      case Kind::boolean:
        return put(key.as_boolean() ? "\"true\"" : "\"false\"");
      case Kind::integer:
      case Kind::real:
        return put("\"" + number(key) + "\"");
      default:
        refuse("tojson: a {} cannot be a key", key.type_name());
    }
  }
  void write_text(std::string_view text) {
    std::string quoted = "\"";
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t from = at;
      const char32_t c = utf8_next(text, at);
      switch (c) {
        case U'"':
          quoted += "\\\"";
          break;
        case U'\\':
          quoted += "\\\\";
          break;
        case U'\n':
          quoted += "\\n";
          break;
        case U'\r':
          quoted += "\\r";
          break;
        case U'\t':
          quoted += "\\t";
          break;
        case U'\f':
          quoted += "\\f";
          break;
        case U'\b':
          quoted += "\\b";
          break;
        default:
          if (c < 0x20 || (style_.ascii && c > 0x7E)) {
            put_unit(quoted, c);
          } else {
            quoted += text.substr(from, at - from);
          }
      }
    }
    put(quoted += '"');
  }
  // Characters beyond 16 bits as two surrogates.
  static void put_unit(std::string& out, char32_t c) {
    if (c >= 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
      c = 0xDC00 + ((c - 0x10000) & 0x3FF);
    }
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
  }

  Budget& budget_;
  const JsonStyle& style_;
  const std::string item_, key_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

std::string to_json(Budget& budget, const Value& value, const JsonStyle& style) {
  JsonWriter writer(budget, style);
  writer.write(value);
  return writer.take();
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace glossa::jinja
