// jinja_syntax.h -- a template as a tree.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_operators.h"
#include "text/jinja_value.h"

namespace glossa::jinja {

struct Expression;

struct CallArguments {
  std::vector<Expression> positional;
  std::vector<std::string> names;  // of `named`
  std::vector<Expression> named;
  std::vector<Expression> spread, spread_named;  // of *list and **dict, at most one each
};

// One of the things that may follow an expression: .name [item] [from:to:by] (arguments) | filter, is test.
struct Suffix {
  enum class Kind : std::uint8_t { attribute, item, slice, call, filter, test };
  Suffix(Kind what, int where);
  Kind kind;
  int line;
  bool negated = false;           // "is not"
  std::string name;               // of an attribute, filter or test
  std::vector<Expression> parts;  // the item; the three of a slice, of kind `absent` where there is none
  CallArguments arguments;
};

// Chains of operators and suffixes are lists and not trees, so that a tree is only as deep as its brackets.
struct Expression {
  enum class Kind : std::uint8_t {
    absent,
    literal,
    name,
    list,         // parts
    tuple,        // parts
    dict,         // parts: key, value, key, value ...
    negative,     // -parts[0]
    positive,     // +parts[0]
    inverse,      // not parts[0]
    any,          // parts[0] or parts[1] or ...
    all,          // parts[0] and parts[1] and ...
    joined,       // parts[0] ~ parts[1] ~ ...
    arithmetic,   // parts[0] operators[0] parts[1] operators[1] ..., from the left
    comparison,   // the same, each with the next
    conditional,  // parts[0] if parts[1] else parts[2], which may be missing
    suffixed,     // parts[0] and its suffixes
  };
  Kind kind = Kind::absent;
  int line = 0;
  std::string name;
  Value literal;
  std::vector<Expression> parts;
  std::vector<Operator> operators;
  std::vector<Suffix> suffixes;
};

inline Suffix::Suffix(Kind what, int where) : kind(what), line(where) {}

// Where an assignment goes: a name, an attribute of a namespace, or several of them.
struct Target {
  std::string name, attribute;
  std::vector<Target> parts;
  bool is_tuple = false;
};

struct Statement;
using Block = std::vector<Statement>;

struct Parameter {
  std::string name;
  std::vector<Expression> otherwise;  // its default, if it has one
};

// A macro, or the body of a call block.
struct Function {
  std::string name;
  std::vector<Parameter> parameters;
  bool uses_caller = false, uses_named = false, uses_positional = false;  // mentions caller, kwargs, varargs
  Block body;
};

struct Statement {
  enum class Kind : std::uint8_t {
    text,
    output,      // expressions
    branch,      // expressions[i] for blocks[i]; one block more for else
    loop,        // expressions: what to go through, and a condition if there is one; blocks: body and else
    set,         // targets[0] = expressions[0]
    set_block,   // targets[0] = blocks[0], changed by the filters of expressions[0] if there are some
    filter,      // the same, written out
    with,        // targets[i] = expressions[i] in blocks[0]
    macro,       // function
    call,        // expressions[0], a call, with `function` as its caller
    generation,  // blocks[0]
    leave,       // break
    proceed,     // continue
  };
  Kind kind = Kind::text;
  int line = 0;
  std::string text;
  std::vector<Expression> expressions;
  std::vector<Target> targets;
  std::vector<Block> blocks;
  std::shared_ptr<const Function> function;
};

}  // namespace glossa::jinja
