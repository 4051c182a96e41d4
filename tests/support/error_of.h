// error_of.h -- what an action is refused with.
#pragma once
#include <functional>
#include <string>
#include <utility>

#include "base/error.h"

namespace glossa {

// "E3101 what it says", or "" if the action does not fail.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return fmt::format("E{} {}", static_cast<int>(error.code()), error.what());
  }
  return "";
}

// The same as code and words, or Code::internal and "".
inline std::pair<Code, std::string> refusal_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Code::internal, ""};
}

}  // namespace glossa
