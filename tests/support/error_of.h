// error_of.h -- what an action is refused with.
#pragma once
#include <functional>
#include <string>

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

}  // namespace glossa
