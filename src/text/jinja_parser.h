// jinja_parser.h -- a template's tokens made into a tree.
#pragma once
#include <string_view>

#include "text/jinja_syntax.h"

namespace glossa::jinja {

// Refuses, with the line and what was found, what is not Jinja, tags that would read other files (include,
// import, extends), loops marked recursive, and what is nested deeper than limits.nesting.
Block parse_template(std::string_view source, const TemplateLimits& limits);

}  // namespace glossa::jinja
