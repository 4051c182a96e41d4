// jinja_print.h -- values as text: Python's str() and repr(), and json.dumps().
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja_value.h"

namespace glossa::jinja {

// What `{{ value }}` writes.
std::string printed(Budget& budget, const Value& value);
void print(Budget& budget, const Value& value, std::string& out);
std::string represented(Budget& budget, const Value& value);
std::string represented(std::string_view text);  // in quotation marks, with escapes
std::string represented(double x);

struct JsonStyle {
  bool ascii = false;
  bool sorted = false;
  std::optional<std::string> indent;  // of one level; nothing for all on one line
  std::optional<std::string> item_separator, key_separator;
};
std::string to_json(Budget& budget, const Value& value, const JsonStyle& style);

std::string escaped(std::string_view text);  // for HTML, as markupsafe does

}  // namespace glossa::jinja
