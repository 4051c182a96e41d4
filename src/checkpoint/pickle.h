// pickle.h -- Python's pickle format read as plain data: nothing that it names is ever called, as there is
// nothing here that could be.
//
// A pickle is a program for a machine with a stack, whose opcodes make values, name functions of Python's
// modules ("globals") and call them. Here a global is its name, and a call is a value that holds the name and
// the arguments. Three rules decide what is read:
//
// 1. Opcodes are those with which Python writes plain values in protocols 1 to 5. Those of protocol 0, of
//    extension registries and of buffers outside the file are refused, and so are DUP and POP, which plain
//    values do not need.
// 2. The globals that may be called (REDUCE) are kCallables in pickle_names.cpp, all of which make values and
//    do nothing else. Calling any other is an Error, wherever it stands and whether or not the result is
//    used.
// 3. Any other global may stand as a mere name, and the file may hold instances of a class of that name
//    (NEWOBJ), as training scripts leave them beside their tensors. An instance is the name and the
//    arguments; the state that follows (BUILD, SETITEMS, APPENDS) is left out, as it says nothing without the
//    class.
//
// All of it is iterative, and bounded by limits.pickle_values, pickle_memo and pickle_depth.
#pragma once
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/limits.h"

namespace glossa {

// A graph of values without cycles. Texts are views of the bytes that were parsed.
class Pickle {
 public:
  // `huge` is a whole number beyond 64 bits.
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    real,
    text,
    bytes,
    huge,
    global,
    tuple,
    list,
    dict,
    set,
    call,
    instance,
    persistent
  };
  using Value = std::uint32_t;

  Pickle(Pickle&&) = default;  // values point into it, so it moves and is not copied
  Pickle& operator=(Pickle&&) = default;

  Value root() const { return root_; }
  Kind kind(Value v) const { return nodes_[v].kind; }
  std::int64_t integer(Value v) const {
    return static_cast<std::int64_t>(nodes_[v].payload);
  }  // or a boolean's 0 or 1
  double real(Value v) const;
  // Of a text or bytes; of a global "module.name"; of what is huge its little-endian two's complement. Else
  // "".
  std::string_view text(Value v) const;
  // Of tuples, lists and sets the elements; of dicts keys and values in turn; of calls and instances the
  // global and the tuple of arguments; of a persistent value its id. Else none.
  std::span<const Value> items(Value v) const;

 private:
  friend class PickleReader;
  Pickle() = default;
  struct Node {
    Kind kind;
    std::uint32_t size = 0;     // of a text
    std::uint64_t payload = 0;  // the number, the address of the text, or the index of the items
  };
  std::deque<Node> nodes_;
  std::deque<std::vector<Value>> items_;
  std::deque<std::string> names_;  // of globals
  Value root_ = 0;
};

std::string_view name_of(Pickle::Kind kind);  // for messages: "a tuple"

// Reads one pickle, which must be all of `code`. `origin` names it in messages; places are its bytes.
Pickle parse_pickle(Bytes code, std::string_view origin, const Limits& limits = {});

}  // namespace glossa
