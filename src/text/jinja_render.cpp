#include "text/jinja_render.h"

#include <algorithm>

#include "text/jinja_print.h"
#include "text/jinja_renderer.h"

namespace glossa::jinja {

using Kind = Statement::Kind;

Renderer::Renderer(const RenderInput& input, const TemplateLimits& limits)
    : budget_(limits),
      input_(input),
      namespaces_(std::make_shared<Namespaces>()),
      functions_(functions(input.now)) {
  scope_ = std::make_shared<Scope>();
  for (const auto& [name, value] : functions_) scope_->variables[name] = value;
  scope_->variables["namespace"] = Value::object(namespaces_);
  for (const auto& [name, value] : input_.variables) scope_->variables[name] = value;
  auto inner = std::make_shared<Scope>();
  inner->around = scope_;
  scope_ = std::move(inner);
}

// Namespaces and scopes can hold each other, so they are emptied before they go.
Renderer::~Renderer() {
  namespaces_->clear();
  for (const auto& scope : captured_) scope->variables.clear();
}

RenderOutput Renderer::run(const Block& block) {
  execute(block);
  return std::move(result_);
}

std::string Renderer::run_apart(const Block& block, const std::shared_ptr<Scope>& scope) {
  std::string text;
  execute_apart(block, scope, text);
  return text;
}

Renderer::Flow Renderer::execute_apart(const Block& block, const std::shared_ptr<Scope>& scope,
                                       std::string& text) {
  std::string* const out = std::exchange(out_, &text);
  const auto outer = std::exchange(scope_, scope);
  const Flow flow = execute(block);
  out_ = out;
  scope_ = outer;
  return flow;
}

Value Renderer::evaluate(const Expression& expression, const std::shared_ptr<Scope>& scope) {
  const auto outer = std::exchange(scope_, scope);
  Value value = evaluate(expression);
  scope_ = outer;
  return value;
}

void Renderer::put(std::string_view text) {
  check(text.size() <= budget_.limits().output_bytes - std::min(out_->size(), budget_.limits().output_bytes),
        Code::size, "template exceeded {} bytes of output", budget_.limits().output_bytes);
  *out_ += text;
}

void Renderer::put(const Value& value) {
  if (value.is_text()) {
    budget_.make(value.bytes().size());
    put(value.bytes());
  } else {
    put(printed(budget_, value));
  }
}

Value Renderer::macro(const Function& function) {
  captured_.push_back(scope_);
  budget_.make(sizeof(Macro) + sizeof(Scope));
  return Value::object(std::make_shared<Macro>(*this, function, scope_));
}

// ---- statements ----

Renderer::Flow Renderer::execute(const Block& block) {
  const Level level(budget_);
  for (const Statement& statement : block)
    if (const Flow flow = execute(statement); flow != Flow::on) return flow;
  return Flow::on;
}

Renderer::Flow Renderer::execute(const Statement& s) {
  budget_.step();
  line_ = s.line;
  switch (s.kind) {
    case Kind::text:
      put(s.text);
      return Flow::on;
    case Kind::output:
      for (const Expression& e : s.expressions) put(evaluate(e));
      return Flow::on;
    case Kind::branch:
      return branch(s);
    case Kind::loop:
      return loop(s);
    case Kind::set:
      assign(s.targets[0], evaluate(s.expressions[0]));
      return Flow::on;
    case Kind::set_block: {
      Text body;
      if (const Flow flow = filtered_body(s, body); flow != Flow::on) return flow;
      assign(s.targets[0], Value::text(budget_, std::move(body.bytes), body.safe));
      return Flow::on;
    }
    case Kind::filter: {
      Text body;
      const Flow flow = filtered_body(s, body);
      if (flow == Flow::on) put(body.bytes);
      return flow;
    }
    case Kind::with:
      return with(s);
    case Kind::macro: {
      scope_->variables[s.function->name] = macro(*s.function);
      return Flow::on;
    }
    case Kind::call:
      return call_block(s), Flow::on;
    case Kind::generation:
      return generation(s), Flow::on;
    case Kind::leave:
      return Flow::leave;
    case Kind::proceed:
      return Flow::proceed;
  }
  __builtin_unreachable();
}

Renderer::Flow Renderer::branch(const Statement& s) {
  for (std::size_t i = 0; i < s.blocks.size(); ++i)
    if (i >= s.expressions.size() || truth(evaluate(s.expressions[i]))) return execute(s.blocks[i]);
  return Flow::on;
}

Renderer::Flow Renderer::in_new_scope(const Block& block) {
  auto inner = std::make_shared<Scope>();
  inner->around = scope_;
  const auto outer = std::exchange(scope_, std::move(inner));
  const Flow flow = execute(block);
  scope_ = outer;
  return flow;
}

Renderer::Flow Renderer::loop(const Statement& s) {
  const auto outer = scope_;
  const auto inner = [&](const Value& item) {
    scope_ = std::make_shared<Scope>();
    scope_->around = outer;
    assign(s.targets[0], item);
  };
  const Value source = evaluate(s.expressions[0]);
  const auto loop = std::make_shared<Loop>(elements(budget_, source), source.depth() + 1);
  budget_.check_depth(loop->depth());
  if (s.expressions.size() > 1) {
    loop->set_condition([&](const Value& item) {
      budget_.step();
      const auto around = scope_;
      inner(item);
      const bool holds = truth(evaluate(s.expressions[1]));
      scope_ = around;
      return holds;
    });
  }
  // As in Jinja, an item counts for `else` only if its body ran to the end: without break and continue.
  bool any = false;
  Flow flow = Flow::on;
  while (flow != Flow::leave && loop->next()) {
    budget_.step();
    inner(loop->item());
    scope_->variables["loop"] = Value::object(loop);
    flow = execute(s.blocks[0]);
    any |= flow == Flow::on;
    scope_ = outer;
  }
  loop->end();
  if (!any && s.blocks.size() > 1) return in_new_scope(s.blocks[1]);
  return Flow::on;
}

// What a block writes, through the statement's filters. If it leaves a loop, what it wrote is of no use.
Renderer::Flow Renderer::filtered_body(const Statement& s, Text& body) {
  auto inner = std::make_shared<Scope>();
  inner->around = scope_;
  const Flow flow = execute_apart(s.blocks[0], inner, body.bytes);
  if (flow != Flow::on || s.expressions.empty()) return flow;
  const auto& filters = s.expressions[0].suffixes;
  const Value value = with_suffixes(Value::text(budget_, std::move(body.bytes)), filters, filters.size());
  body = {printed(budget_, value), value.is_text() && value.as_text().safe};
  return flow;
}

Renderer::Flow Renderer::with(const Statement& s) {
  const std::vector<Value> values = evaluate_all(s.expressions);
  auto inner = std::make_shared<Scope>();
  inner->around = scope_;
  const auto outer = std::exchange(scope_, std::move(inner));
  for (std::size_t i = 0; i < values.size(); ++i) assign(s.targets[i], values[i]);
  const Flow flow = execute(s.blocks[0]);
  scope_ = outer;
  return flow;
}

void Renderer::call_block(const Statement& s) {
  const Expression& e = s.expressions[0];
  const Value function = with_suffixes(evaluate(e.parts[0]), e.suffixes, e.suffixes.size() - 1);
  Arguments all = arguments(e.suffixes.back().arguments);
  all.named.emplace_back("caller", macro(*s.function));
  put(call(function, all));
}

void Renderer::generation(const Statement& s) {
  if (input_.mark_generated && out_ != &result_.text)
    refuse("what is generated cannot be marked within a macro or another block whose text is changed");
  const auto begin = out_->size();
  in_new_scope(s.blocks[0]);
  if (input_.mark_generated) result_.generated.emplace_back(begin, out_->size());
}

void Renderer::assign(const Target& target, const Value& value) {
  if (target.is_tuple) {
    const auto items = elements(budget_, value);
    if (items.size() != target.parts.size())
      refuse("{} values for {} names", items.size(), target.parts.size());
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
  } else if (target.attribute.empty()) {
    scope_->variables[target.name] = value;
  } else {
    const Value* owner = scope_->find(target.name);
    auto* space = owner ? owner->as<Namespace>() : nullptr;
    if (!space) refuse("cannot assign to an attribute of {}, which is no namespace", quoted(target.name));
    space->set(budget_, target.attribute, value);
  }
}

RenderOutput render(const Block& block, const RenderInput& input, const TemplateLimits& limits) {
  Renderer renderer(input, limits);
  try {
    return renderer.run(block);
  } catch (const Error& error) {
    fail(error.code(), "line {}: {}", renderer.line(), error.what());
  }
}

}  // namespace glossa::jinja
