// pickle_names.h -- what a pickle may call, and the opcodes that are refused by name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace glossa {

// A global that may be called, with how many arguments, and what comes of it.
struct PickleCallable {
  enum Result : std::uint8_t {
    dict,    // an empty one, whose items follow
    tensor,  // a call to which nothing may be added
    value    // a call; a state that follows is left out
  };
  std::string_view name;
  std::size_t least, most;
  Result result;
};
const PickleCallable* pickle_callable(std::string_view name);  // null if it may not be called

// The name of an opcode that Python knows and that is refused, or "".
std::string_view refused_pickle_opcode(unsigned char opcode);

}  // namespace glossa
