// The parser of expressions, second half: what follows an expression, and what is assigned to.
#include "text/jinja_token_stream.h"

namespace glossa::jinja {
namespace {

using Kind = Expression::Kind;
using TokenKind = Token::Kind;

}  // namespace

void ExpressionParser::add(Expression& to, Suffix suffix) {
  if (to.kind != Kind::suffixed) {
    Expression whole = leaf(Kind::suffixed);
    whole.parts.push_back(std::move(to));
    to = std::move(whole);
  }
  to.suffixes.push_back(std::move(suffix));
}

void ExpressionParser::add_suffixes(Expression& to, bool with_filters) {
  bool filtered = false;  // after a filter or test only those follow, and calls
  for (;;) {
    const Token& t = tokens_.now();
    if (t.is_sign("(")) {
      Suffix call(Suffix::Kind::call, t.line);
      call.arguments = arguments();
      add(to, std::move(call));
    } else if (!filtered && (t.is_sign(".") || t.is_sign("["))) {
      add(to, subscript());
    } else if (with_filters && t.is_sign("|")) {
      tokens_.take();
      add(to, filter());
      filtered = true;
    } else if (with_filters && t.is_name("is")) {
      tokens_.take();
      add(to, test());
      filtered = true;
    } else {
      return;
    }
  }
}

Suffix ExpressionParser::subscript() {
  Suffix s(Suffix::Kind::attribute, tokens_.now().line);
  if (!tokens_.skip_sign(".")) return item();
  if (tokens_.now().kind == TokenKind::integer) {
    s.kind = Suffix::Kind::item;
    s.parts.push_back(primary());
    return s;
  }
  s.name = tokens_.expect(TokenKind::name, "a name or number after '.'").text;
  return s;
}

Suffix ExpressionParser::item() {
  Suffix s(Suffix::Kind::item, tokens_.now().line);
  tokens_.expect_sign("[");
  const auto bound = [&] {
    const Token& t = tokens_.now();
    return t.is_sign(":") || t.is_sign("]") ? leaf(Kind::absent) : expression();
  };
  s.parts.push_back(bound());
  if (tokens_.skip_sign(":")) {
    s.kind = Suffix::Kind::slice;
    s.parts.push_back(bound());
    s.parts.push_back(tokens_.skip_sign(":") ? bound() : leaf(Kind::absent));
  } else if (s.parts[0].kind == Kind::absent) {
    tokens_.refuse_token("an expression between [ and ]");
  }
  tokens_.expect_sign("]");
  return s;
}

std::string ExpressionParser::dotted_name(std::string_view wanted) {
  std::string name = tokens_.expect(TokenKind::name, wanted).text;
  while (tokens_.skip_sign(".")) name += "." + tokens_.expect(TokenKind::name, wanted).text;
  return name;
}

Suffix ExpressionParser::filter() {
  Suffix s(Suffix::Kind::filter, tokens_.now().line);
  s.name = dotted_name("the name of a filter");
  if (tokens_.now().is_sign("(")) s.arguments = arguments();
  return s;
}

std::vector<Suffix> ExpressionParser::filters() {
  std::vector<Suffix> all;
  while (tokens_.skip_sign("|")) all.push_back(filter());
  return all;
}

// After "is": an argument may follow without brackets.
Suffix ExpressionParser::test() {
  Suffix s(Suffix::Kind::test, tokens_.now().line);
  s.negated = tokens_.skip_name("not");
  s.name = dotted_name("the name of a test");
  const Token& t = tokens_.now();
  if (t.is_sign("(")) {
    s.arguments = arguments();
    return s;
  }
  const bool is_argument = t.kind == TokenKind::name || t.kind == TokenKind::string ||
                           t.kind == TokenKind::integer || t.kind == TokenKind::real || t.is_sign("[") ||
                           t.is_sign("{");
  if (!is_argument || t.is_name("else") || t.is_name("or") || t.is_name("and")) return s;
  if (t.is_name("is")) tokens_.refuse_token("no second test");
  const TokenStream::Nested nested(tokens_);
  Expression argument = primary();
  add_suffixes(argument, false);
  s.arguments.positional.push_back(std::move(argument));
  return s;
}

CallArguments ExpressionParser::arguments() {
  const TokenStream::Nested nested(tokens_);
  CallArguments all;
  tokens_.expect_sign("(");
  while (!tokens_.now().is_sign(")")) {
    const auto once = [&](bool allowed) {
      if (!allowed) tokens_.refuse_token("arguments in the order place, name, *list, **dict");
    };
    if (tokens_.skip_sign("*")) {
      once(all.spread.empty() && all.spread_named.empty());
      all.spread.push_back(expression());
    } else if (tokens_.skip_sign("**")) {
      once(all.spread_named.empty());
      all.spread_named.push_back(expression());
    } else if (tokens_.now().kind == TokenKind::name && tokens_.after().is_sign("=")) {
      once(all.spread_named.empty());
      all.names.push_back(tokens_.take().text);
      tokens_.take();
      all.named.push_back(expression());
    } else {
      once(all.spread.empty() && all.spread_named.empty() && all.named.empty());
      all.positional.push_back(expression());
    }
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.expect_sign(")");
  return all;
}

// ---- targets and parameters ----

Target ExpressionParser::simple_target(bool with_attribute) {
  const TokenStream::Nested nested(tokens_);
  if (tokens_.skip_sign("(")) {
    Target t = target(with_attribute);
    tokens_.expect_sign(")");
    return t;
  }
  Target t;
  const int line = tokens_.now().line;
  t.name = tokens_.expect(TokenKind::name, "a name to assign to").text;
  for (const std::string_view constant : {"true", "True", "false", "False", "none", "None"})
    if (t.name == constant) refuse_at(line, "cannot assign to {}", constant);
  if (with_attribute && tokens_.skip_sign("."))
    t.attribute = tokens_.expect(TokenKind::name, "the name of an attribute").text;
  return t;
}

Target ExpressionParser::target(bool with_attribute) {
  Target first = simple_target(with_attribute);
  if (!tokens_.now().is_sign(",")) return first;
  Target all;
  all.is_tuple = true;
  all.parts.push_back(std::move(first));
  while (tokens_.skip_sign(",") && (tokens_.now().kind == TokenKind::name || tokens_.now().is_sign("(")) &&
         !tokens_.now().is_name("in"))
    all.parts.push_back(simple_target(with_attribute));
  return all;
}

std::vector<Parameter> ExpressionParser::signature() {
  std::vector<Parameter> all;
  tokens_.expect_sign("(");
  while (!tokens_.now().is_sign(")")) {
    Parameter p;
    p.name = tokens_.expect(TokenKind::name, "the name of a parameter").text;
    if (tokens_.skip_sign("="))
      p.otherwise.push_back(expression());
    else if (!all.empty() && !all.back().otherwise.empty())
      tokens_.refuse_token("a default, as the parameter before has one");
    all.push_back(std::move(p));
    if (!tokens_.skip_sign(",")) break;
  }
  tokens_.expect_sign(")");
  return all;
}

}  // namespace glossa::jinja
