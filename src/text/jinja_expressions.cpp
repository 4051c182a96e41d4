#include <deque>

#include "text/jinja_token_stream.h"

namespace glossa::jinja {
namespace {

using Kind = Expression::Kind;
using TokenKind = Token::Kind;

}  // namespace

Expression ExpressionParser::leaf(Kind kind) const {
  Expression e;
  e.kind = kind;
  e.line = tokens_.now().line;
  return e;
}

Expression ExpressionParser::expression() {
  std::deque<TokenStream::Nested> nested;
  nested.emplace_back(tokens_);
  Expression e = without_condition();
  while (tokens_.skip_name("if")) {
    nested.emplace_back(tokens_);  // "a if b if c" is "(a if b) if c"
    Expression whole = leaf(Kind::conditional);
    whole.parts.push_back(std::move(e));
    whole.parts.push_back(without_condition());
    const bool has_else = tokens_.skip_name("else");
    whole.parts.push_back(has_else ? expression() : leaf(Kind::absent));
    e = std::move(whole);
  }
  return e;
}

Expression ExpressionParser::chain_of_words(Kind kind, std::string_view word, Part part) {
  Expression first = (this->*part)();
  if (!tokens_.now().is_name(word)) return first;
  Expression chain = leaf(kind);
  chain.parts.push_back(std::move(first));
  while (tokens_.skip_name(word)) chain.parts.push_back((this->*part)());
  return chain;
}

Expression ExpressionParser::without_condition() {
  return chain_of_words(Kind::any, "or", &ExpressionParser::conjunction);
}
Expression ExpressionParser::conjunction() {
  return chain_of_words(Kind::all, "and", &ExpressionParser::inverse);
}

Expression ExpressionParser::inverse() {
  if (!tokens_.now().is_name("not")) return comparison();
  const TokenStream::Nested nested(tokens_);
  Expression e = leaf(Kind::inverse);
  tokens_.take();
  e.parts.push_back(inverse());
  return e;
}

Expression ExpressionParser::comparison() {
  static constexpr std::pair<std::string_view, Operator> kSigns[] = {
      {"==", Operator::equal},      {"!=", Operator::not_equal}, {"<", Operator::less},
      {"<=", Operator::less_equal}, {">", Operator::greater},    {">=", Operator::greater_equal}};
  const auto next = [&]() -> std::optional<Operator> {
    for (const auto& [sign, op] : kSigns)
      if (tokens_.skip_sign(sign)) return op;
    if (tokens_.skip_name("in")) return Operator::in;
    if (!tokens_.now().is_name("not") || !tokens_.after().is_name("in")) return std::nullopt;
    tokens_.take();
    tokens_.take();
    return Operator::not_in;
  };
  Expression first = sum();
  auto op = next();
  if (!op) return first;
  Expression e = leaf(Kind::comparison);
  e.parts.push_back(std::move(first));
  for (; op; op = next()) {
    e.operators.push_back(*op);
    e.parts.push_back(sum());
  }
  return e;
}

Expression ExpressionParser::arithmetic(
    Part part, std::initializer_list<std::pair<std::string_view, Operator>> operators) {
  const auto next = [&]() -> std::optional<Operator> {
    for (const auto& [sign, op] : operators)
      if (tokens_.skip_sign(sign)) return op;
    return std::nullopt;
  };
  Expression first = (this->*part)();
  auto op = next();
  if (!op) return first;
  Expression e = leaf(Kind::arithmetic);
  e.parts.push_back(std::move(first));
  for (; op; op = next()) {
    e.operators.push_back(*op);
    e.parts.push_back((this->*part)());
  }
  return e;
}

Expression ExpressionParser::sum() {
  return arithmetic(&ExpressionParser::joined, {{"+", Operator::add}, {"-", Operator::subtract}});
}

Expression ExpressionParser::joined() {
  Expression first = product();
  if (!tokens_.now().is_sign("~")) return first;
  Expression e = leaf(Kind::joined);
  e.parts.push_back(std::move(first));
  while (tokens_.skip_sign("~")) e.parts.push_back(product());
  return e;
}

Expression ExpressionParser::product() {
  return arithmetic(&ExpressionParser::power, {{"*", Operator::multiply},
                                               {"//", Operator::floor_divide},
                                               {"/", Operator::divide},
                                               {"%", Operator::modulo}});
}

Expression ExpressionParser::power() {
  const auto part = [](ExpressionParser& p) { return p.unary(true); };
  Expression first = part(*this);
  if (!tokens_.now().is_sign("**")) return first;
  Expression e = leaf(Kind::arithmetic);
  e.parts.push_back(std::move(first));
  while (tokens_.skip_sign("**")) {
    e.operators.push_back(Operator::power);
    e.parts.push_back(part(*this));
  }
  return e;
}

Expression ExpressionParser::unary(bool with_filters) {
  Expression e;
  if (tokens_.now().is_sign("-") || tokens_.now().is_sign("+")) {
    const TokenStream::Nested nested(tokens_);
    e = leaf(tokens_.now().is_sign("-") ? Kind::negative : Kind::positive);
    tokens_.take();
    e.parts.push_back(unary(false));
  } else {
    e = primary();
  }
  add_suffixes(e, with_filters);
  return e;
}

Expression ExpressionParser::primary() {
  Expression e = leaf(Kind::literal);
  switch (tokens_.now().kind) {
    case TokenKind::name: {
      const std::string name = tokens_.take().text;
      if (name == "true" || name == "True")
        e.literal = Value::boolean(true);
      else if (name == "false" || name == "False")
        e.literal = Value::boolean(false);
      else if (name == "none" || name == "None")
        e.literal = Value::none();
      else {
        e.kind = Kind::name;
        for (Function* f : tokens_.functions) {
          f->uses_caller |= name == "caller";
          f->uses_named |= name == "kwargs";
          f->uses_positional |= name == "varargs";
        }
        e.name = name;
      }
      return e;
    }
    case TokenKind::string: {
      std::string text = tokens_.take().text;
      while (tokens_.now().kind == TokenKind::string) text += tokens_.take().text;
      e.literal = Value::constant(std::move(text));
      return e;
    }
    case TokenKind::integer:
      e.literal = Value::integer(tokens_.take().whole);
      return e;
    case TokenKind::real:
      e.literal = Value::real(tokens_.take().number);
      return e;
    default:
      if (tokens_.now().is_sign("(")) return in_parentheses();
      if (tokens_.now().is_sign("[")) return list();
      if (tokens_.now().is_sign("{")) return dict();
      tokens_.refuse_token("an expression");
  }
}

Expression ExpressionParser::in_parentheses() {
  const TokenStream::Nested nested(tokens_);
  Expression e = leaf(Kind::tuple);
  tokens_.expect_sign("(");
  if (!tokens_.now().is_sign(")")) e = tuple_or_expression(true);
  tokens_.expect_sign(")");
  return e;
}

Expression ExpressionParser::tuple_or_expression(bool with_condition) {
  const auto part = [&] { return with_condition ? expression() : without_condition(); };
  const auto ends = [&] {
    const Token& t = tokens_.now();
    return t.kind == TokenKind::end_output || t.kind == TokenKind::end_block || t.is_sign(")");
  };
  Expression first = part();
  if (!tokens_.now().is_sign(",")) return first;
  Expression e = leaf(Kind::tuple);
  e.parts.push_back(std::move(first));
  while (tokens_.skip_sign(",") && !ends()) e.parts.push_back(part());
  return e;
}

Expression ExpressionParser::list() {
  Expression e = leaf(Kind::list);
  tokens_.expect_sign("[");
  while (!tokens_.now().is_sign("]")) {
    e.parts.push_back(expression());
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.expect_sign("]");
  return e;
}

Expression ExpressionParser::dict() {
  Expression e = leaf(Kind::dict);
  tokens_.expect_sign("{");
  while (!tokens_.now().is_sign("}")) {
    e.parts.push_back(expression());
    tokens_.expect_sign(":");
    e.parts.push_back(expression());
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.expect_sign("}");
  return e;
}

}  // namespace glossa::jinja
