// jinja_render.h -- a template's tree, run.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_functions.h"
#include "text/jinja_syntax.h"

namespace glossa::jinja {

struct RenderInput {
  std::vector<std::pair<std::string, Value>> variables;
  std::optional<LocalTime> now;
  bool mark_generated = false;
};

struct RenderOutput {
  std::string text;
  // Bytes [first, second) of what stood between generation and endgeneration, if they were asked for.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> generated;
};

// Errors say the line.
RenderOutput render(const Block& block, const RenderInput& input, const TemplateLimits& limits);

}  // namespace glossa::jinja
