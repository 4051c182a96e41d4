// values.h -- what the values of options may be, refused with the text that was given and the range that is allowed.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>

namespace glossa::app {

// Numbers as people write them, from `low` to `high`, and nothing else: no "0x10", "010", "1e3x" or "1,5".
CLI::Validator whole_number(std::int64_t low, std::int64_t high);
CLI::Validator number(double low, double high);

// An option of any command that takes a value takes no empty one: `--output "$unset"` is a mistake.
void refuse_empty_values(CLI::App& program);

}  // namespace glossa::app
