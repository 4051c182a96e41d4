// jinja_filters.h -- `value | name(...)` and `value is name(...)`.
#pragma once
#include <map>
#include <string_view>

#include "text/jinja_value.h"

namespace glossa::jinja {

using Filter = Value (*)(Budget&, const Value& value, const Arguments&);
using Test = bool (*)(Budget&, const Value& value, const Arguments&);

// Refused by name if there is none.
Filter filter_of(std::string_view name);
Test test_of(std::string_view name);

// The parts of the table of filters.
const std::map<std::string_view, Filter>& filters_of_texts();
const std::map<std::string_view, Filter>& filters_of_lists();
const std::map<std::string_view, Filter>& filters_of_numbers();

}  // namespace glossa::jinja
