// jinja_format.h -- Python's two ways of filling in texts: "%s" % values and "{}".format(values).
#pragma once
#include <string>

#include "text/jinja_value.h"

namespace glossa::jinja {

// `values` is a tuple, a dict for "%(name)s", or one value.
std::string percent_formatted(Budget& budget, const Value& pattern, const Value& values);
// Fields are "{}", "{0}" and "{name}"; attributes, conversions and format specifications are refused.
std::string brace_formatted(Budget& budget, const Value& pattern, const Arguments& arguments);

}  // namespace glossa::jinja
