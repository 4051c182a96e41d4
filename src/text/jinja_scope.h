// jinja_scope.h -- names and what they stand for while a template runs, and the values that need the
// renderer: macros and loops.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "text/jinja_syntax.h"

namespace glossa::jinja {

struct Scope {
  std::map<std::string_view, Value> variables;  // the names are the tree's, or the input's
  std::shared_ptr<Scope> around;

  const Value* find(std::string_view name) const {
    for (const Scope* s = this; s; s = s->around.get())
      if (const auto at = s->variables.find(name); at != s->variables.end()) return &at->second;
    return nullptr;
  }
};

class Renderer;

// A macro, with the scope in which it was defined; or the body of a call block.
class Macro final : public Object {
 public:
  Macro(Renderer& renderer, const Function& function, std::shared_ptr<Scope> scope)
      : renderer_(renderer), function_(function), scope_(std::move(scope)) {}
  std::string_view type_name() const override { return "macro"; }
  bool callable() const override { return true; }
  Value call(Budget& budget, const Arguments& arguments) override;

 private:
  void bind(Budget& budget, const Arguments& arguments, const std::shared_ptr<Scope>& scope) const;
  Renderer& renderer_;
  const Function& function_;
  const std::shared_ptr<Scope> scope_;
};

// The variable `loop`. Conditions of a loop are asked as late as Jinja asks them: when the next item is
// needed.
class Loop final : public Object {
 public:
  Loop(std::vector<Value> items, int depth) : depth_(depth), items_(std::move(items)) {}
  std::string_view type_name() const override { return "LoopContext"; }
  std::string printed(Budget& budget) const override;
  Value attribute(Budget& budget, std::string_view name) override;
  int depth() const override { return depth_; }

  void set_condition(std::function<bool(const Value&)> condition) { condition_ = std::move(condition); }
  bool next();  // goes on to the next item; false if there is none
  const Value& item() const { return accepted_[at_ - 1]; }
  // The condition cannot be asked any more.
  void end() { asked_ = items_.size(), condition_ = nullptr; }

 private:
  class Cycle;
  bool accept(std::size_t n);  // until n items are; false if there are fewer
  std::int64_t length();

  const int depth_;
  std::vector<Value> items_;
  std::function<bool(const Value&)> condition_;
  std::size_t asked_ = 0;        // of the items
  std::vector<Value> accepted_;  // of them
  std::size_t at_ = 0;           // how many of those have been gone through, with this one
};

}  // namespace glossa::jinja
