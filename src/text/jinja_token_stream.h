// jinja_token_stream.h -- the tokens of a template, one after the other, and what the parsers of expressions
// and of tags share.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <vector>

#include "text/jinja_lexer.h"
#include "text/jinja_syntax.h"

namespace glossa::jinja {

class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, const TemplateLimits& limits)
      : tokens_(std::move(tokens)), limits_(limits) {}

  const Token& now() const { return tokens_[at_]; }
  const Token& after() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return at_ + 1 < tokens_.size() ? std::move(tokens_[at_++]) : tokens_[at_]; }
  bool skip_name(std::string_view word) { return now().is_name(word) && (++at_, true); }
  bool skip_sign(std::string_view sign) { return now().is_sign(sign) && (++at_, true); }
  Token expect(Token::Kind kind, std::string_view wanted) {
    if (now().kind != kind) refuse_token(wanted);
    return take();
  }
  void expect_sign(std::string_view sign) {
    if (!skip_sign(sign)) refuse_token(quoted(sign));
  }
  void expect_name(std::string_view word) {
    if (!skip_name(word)) refuse_token(quoted(word));
  }

  static std::string shown(const Token& token) {
    using Kind = Token::Kind;
    switch (token.kind) {
      case Kind::end:
        return "the end of the template";
      case Kind::text:
        return "text";
      case Kind::end_output:
      case Kind::end_block:
        return "the end of the tag";
      case Kind::string:
        return "the text " + quoted(token.text, 40);
      default:
        return quoted(token.text, 40);
    }
  }
  [[noreturn]] void refuse_token(std::string_view wanted) const {
    refuse_at(now().line, "found {}, expected {}", shown(now()), wanted);
  }

  // One more thing within another for as long as this lives.
  class Nested {
   public:
    explicit Nested(TokenStream& tokens) : tokens_(tokens) {
      check(++tokens_.depth_ <= tokens_.limits_.nesting, Code::depth,
            "line {}: template exceeded {} levels of nesting", tokens_.now().line, tokens_.limits_.nesting);
    }
    ~Nested() { --tokens_.depth_; }
    Nested(const Nested&) = delete;

   private:
    TokenStream& tokens_;
  };

  // The macros that are being read; a name that they take without listing it is noted in all of them.
  std::vector<Function*> functions;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  const TemplateLimits& limits_;
  int depth_ = 0;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  Expression expression();                              // with "x if y else z"
  Expression without_condition();                       // up to "or"
  Expression tuple_or_expression(bool with_condition);  // what may be a tuple without brackets
  std::vector<Suffix> filters();                        // "| a | b(c)", or none
  Suffix filter();                                      // a name and its arguments
  Target target(bool with_attribute);                   // of an assignment
  // (parameter, parameter=default)
  std::vector<Parameter> signature();

 private:
  using Part = Expression (ExpressionParser::*)();
  Expression chain_of_words(Expression::Kind kind, std::string_view word, Part part);
  Expression conjunction();
  Expression inverse();
  Expression comparison();
  Expression sum();
  Expression joined();
  Expression product();
  Expression power();
  Expression unary(bool with_filters);
  Expression primary();
  Expression list();
  Expression dict();
  Expression in_parentheses();
  void add_suffixes(Expression& to, bool with_filters);
  void add(Expression& to, Suffix suffix);
  Suffix subscript();
  Suffix item();
  Suffix test();
  std::string dotted_name(std::string_view wanted);
  CallArguments arguments();
  Target simple_target(bool with_attribute);
  Expression arithmetic(Part part, std::initializer_list<std::pair<std::string_view, Operator>> operators);
  Expression leaf(Expression::Kind kind) const;

  TokenStream& tokens_;
};

}  // namespace glossa::jinja
