// curves.h -- the course of a run as a picture: loss, learning rate and BLEU over the steps.
#pragma once
#include <string>

#include "base/json.h"

namespace glossa {

// An SVG that stands alone, for light and dark backgrounds. `history`: lines of metrics, each with its "step".
std::string curves_svg(const OrderedJson& history);

}  // namespace glossa
