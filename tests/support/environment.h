// environment.h -- variables of the environment that a test sets, as they were before when it goes.
#pragma once
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

namespace glossa {

class Environment {
 public:
  void set(const std::string& name, const char* value) {
    const char* const before = std::getenv(name.c_str());
    if (!saved_.contains(name)) saved_[name] = before ? std::optional<std::string>(before) : std::nullopt;
    value ? setenv(name.c_str(), value, 1) : unsetenv(name.c_str());
  }
  ~Environment() {
    for (const auto& [name, value] : saved_)
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::optional<std::string>> saved_;
};

}  // namespace glossa
