// search_options.h -- the options of commands that search for the likeliest output.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <vector>

#include "app/values.h"
#include "generate/generation_config.h"

namespace glossa::app {

// What the command line says of a search, to be done to what a model says.
using SearchChanges = std::vector<std::function<void(GenerationConfig&)>>;

constexpr double kLittle = 1e-6;  // for what must be more than 0

// A number of the search, from `low` to `high`.
template <class T>
struct Change {
  const char* names;
  T GenerationConfig::*field;
  std::type_identity_t<T> low, high;
  const char* meaning;
};
// What compilers make of an aggregate by themselves, but for some that are still in use.
template <class T, class L, class H>
Change(const char*, T GenerationConfig::*, L, H, const char*) -> Change<T>;

template <class T>
CLI::Option* add_change(CLI::App& command, SearchChanges& changes, const Change<T>& change) {
  CLI::Option* option = command.add_option_function<T>(
      change.names,
      [&changes, field = change.field](const T& value) {
        changes.push_back([field, value](GenerationConfig& g) { g.*field = value; });
      },
      change.meaning);
  if constexpr (std::is_integral_v<T>)
    option->type_name("N")->check(whole_number(static_cast<std::int64_t>(change.low), static_cast<std::int64_t>(change.high)));
  else
    option->type_name("X")->check(number(change.low, change.high));
  return option;
}

// Of beam search; `beams`: the names of its width, and `several` what more than one output of each input become.
void add_beam_options(CLI::App& command, SearchChanges& changes, const char* beams, const char* several);

}  // namespace glossa::app
