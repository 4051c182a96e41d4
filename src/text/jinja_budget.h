// jinja_budget.h -- how much a stranger's template may ask for, and what is left of it during a rendering.
#pragma once
#include <cstdint>

#include "base/error.h"

namespace glossa {

struct TemplateLimits {
  std::uint64_t template_bytes = 1u << 20;  // the longest of published models are some 20 KB
  int nesting = 100;                        // blocks and brackets within each other in the template
  std::uint64_t steps = 1'000'000;  // expressions evaluated, elements visited, pieces of text looked through
  int levels = 400;                 // expressions, blocks and macros within each other while rendering
  std::uint64_t text_bytes = 256u << 20;   // all texts and lists made in one rendering
  std::uint64_t output_bytes = 64u << 20;  // the result
  std::uint64_t range = 100'000;           // numbers of one range(), as in Jinja's sandbox
  int value_depth = 100;                   // lists and dicts within each other
};

}  // namespace glossa

namespace glossa::jinja {

// What a rendering has used. Everything that works on values takes one; each limit's message names it.
class Budget {
 public:
  explicit Budget(const TemplateLimits& limits) : limits_(limits) {}
  const TemplateLimits& limits() const { return limits_; }

  void step(std::uint64_t n = 1) {
    steps_ += n;
    check(steps_ <= limits_.steps, Code::count, "template exceeded {} steps", limits_.steps);
  }
  // Text looked through: one step for each 4 KB, which take about as long as an expression.
  void scan(std::uint64_t bytes) {
    if (bytes >= kScanned) step(bytes / kScanned);
  }
  // A list looked through for a name: one step, and one more for each so many names.
  void search(std::uint64_t names) {
    constexpr std::uint64_t kNames = 16;
    step(1 + names / kNames);
  }
  // To be called before the bytes are allocated.
  void make(std::uint64_t bytes) {
    check(bytes <= limits_.text_bytes && made_ <= limits_.text_bytes - bytes, Code::size,
          "template exceeded {} bytes of text and lists", limits_.text_bytes);
    made_ += bytes;
    scan(bytes);
  }
  void enter() {
    check(++level_ <= limits_.levels, Code::depth, "template exceeded {} levels of nesting", limits_.levels);
  }
  void leave() { --level_; }
  void check_depth(int depth) const {
    check(depth <= limits_.value_depth, Code::depth, "template exceeded {} levels of lists within lists",
          limits_.value_depth);
  }

 private:
  static constexpr std::uint64_t kScanned = 4096;
  const TemplateLimits limits_;
  std::uint64_t steps_ = 0, made_ = 0;
  int level_ = 0;
};

// A level entered for as long as this lives.
class Level {
 public:
  explicit Level(Budget& budget) : budget_(budget) { budget_.enter(); }
  ~Level() { budget_.leave(); }
  Level(const Level&) = delete;

 private:
  Budget& budget_;
};

}  // namespace glossa::jinja
