#include "app/values.h"

#include <charconv>
#include <string>

#include "base/error.h"

namespace glossa::app {
namespace {

template <class T>
CLI::Validator within(T low, T high, const char* kind) {
  const std::string range = fmt::format("{} to {}", low, high);
  return {[=](const std::string& text) -> std::string {
            T value{};
            const char* const end = text.data() + text.size();
            const auto [stop, error] = std::from_chars(text.data(), end, value);
            // CLI11 would read a zero at the beginning as the sign of an octal number.
            const bool octal = text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
            if (error == std::errc() && stop == end && !octal && value >= low && value <= high) return {};
            return fmt::format("{} is no {} from {}", quoted(text), kind, range);
          },
          range};
}

}  // namespace

CLI::Validator whole_number(std::int64_t low, std::int64_t high) { return within(low, high, "whole number"); }
CLI::Validator number(double low, double high) { return within(low, high, "number"); }

void refuse_empty_values(CLI::App& program) {
  const CLI::Validator not_empty([](const std::string& text) { return text.empty() ? std::string("the value is empty") : std::string(); }, "");
  for (CLI::Option* option : program.get_options())
    if (option->get_items_expected_max() > 0) option->check(not_empty);
  for (CLI::App* command : program.get_subcommands({})) refuse_empty_values(*command);
}

}  // namespace glossa::app
