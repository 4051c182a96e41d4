// jinja_methods.h -- `value.name(...)`: functions by the names of methods.
#pragma once
#include <map>
#include <string_view>

#include "text/jinja_value.h"

namespace glossa::jinja {

using Method = Value (*)(Budget&, const Value& self, const Arguments&);
using Methods = std::map<std::string_view, Method>;

const Methods& methods_of_texts();

}  // namespace glossa::jinja
