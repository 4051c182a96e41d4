// jinja_renderer.h -- the interpreter of a template's tree.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "text/jinja_render.h"
#include "text/jinja_scope.h"

namespace glossa::jinja {

class Renderer {
 public:
  Renderer(const RenderInput& input, const TemplateLimits& limits);
  ~Renderer();
  Renderer(const Renderer&) = delete;

  RenderOutput run(const Block& block);
  int line() const { return line_; }  // of what is being evaluated

  // For macros: a body's text, and the default of a parameter.
  std::string run_apart(const Block& block, const std::shared_ptr<Scope>& scope);
  Value evaluate(const Expression& expression, const std::shared_ptr<Scope>& scope);

 private:
  enum class Flow : std::uint8_t { on, leave, proceed };

  Flow execute(const Block& block);
  Flow execute(const Statement& statement);
  Flow branch(const Statement& statement);
  Flow loop(const Statement& statement);
  Flow in_new_scope(const Block& block);
  void set(const Statement& statement);
  Flow with(const Statement& statement);
  void call_block(const Statement& statement);
  void generation(const Statement& statement);
  Flow filtered_body(const Statement& statement, Text& body);
  Flow execute_apart(const Block& block, const std::shared_ptr<Scope>& scope, std::string& text);
  void assign(const Target& target, const Value& value);
  void put(std::string_view text);
  void put(const Value& value);
  Value macro(const Function& function);

  Value evaluate(const Expression& expression);
  Value compared(const Expression& expression);
  Value word_chain(const Expression& expression);
  Value made_dict(const Expression& expression);
  std::vector<Value> evaluate_all(const std::vector<Expression>& expressions);
  Value with_suffixes(Value value, const std::vector<Suffix>& suffixes, std::size_t count);
  Value with_suffix(const Value& value, const Suffix& suffix);
  std::optional<std::int64_t> bound(const Expression& expression);
  Arguments arguments(const CallArguments& call);
  Value call(const Value& function, const Arguments& arguments);

  Budget budget_;
  const RenderInput& input_;
  const std::shared_ptr<Namespaces> namespaces_;
  const std::vector<std::pair<std::string, Value>> functions_;
  std::shared_ptr<Scope> scope_;
  std::vector<std::shared_ptr<Scope>> captured_;  // by macros, so that they may hold themselves
  RenderOutput result_;
  std::string* out_ = &result_.text;
  int line_ = 0;
};

}  // namespace glossa::jinja
