#include "text/jinja_parser.h"

#include <map>

#include "base/unicode.h"
#include "text/jinja_token_stream.h"

namespace glossa::jinja {
namespace {

using Kind = Statement::Kind;
using TokenKind = Token::Kind;

class Parser {
 public:
  Parser(std::vector<Token> tokens, const TemplateLimits& limits)
      : tokens_(std::move(tokens), limits), expressions_(tokens_) {}

  Block run() { return block({}); }

 private:
  // Up to one of these tags, whose name is the next token then; up to the end of the template if there are
  // none.
  Block block(std::initializer_list<std::string_view> ends) {
    const TokenStream::Nested nested(tokens_);
    const int begun = tokens_.now().line;
    Block all;
    while (tokens_.now().kind != TokenKind::end) {
      const Token token = tokens_.take();
      Statement s;
      s.line = token.line;
      if (token.kind == TokenKind::text) {
        s.text = token.text;
      } else if (token.kind == TokenKind::begin_output) {
        s.kind = Kind::output;
        s.expressions.push_back(expressions_.tuple_or_expression(true));
        tokens_.expect(TokenKind::end_output, "'}}'");
      } else {
        for (const auto end : ends)
          if (tokens_.now().is_name(end)) return all;
        s = tag();
        end_tag();
      }
      all.push_back(std::move(s));
    }
    if (ends.size() != 0)
      refuse_at(begun, "found the end of the template, expected {{% {} %}}", *std::prev(ends.end()));
    return all;
  }
  void end_tag() { tokens_.expect(TokenKind::end_block, "'%}'"); }
  // After the beginning of a tag that encloses others: its end, what it encloses, and the name of its last
  // tag.
  Block body(std::initializer_list<std::string_view> ends) {
    tokens_.skip_sign(":");
    end_tag();
    return block(ends);
  }

  Statement tag() {
    static const std::map<std::string_view, void (Parser::*)(Statement&)> kTags = {
        {"if", &Parser::branch},   {"for", &Parser::loop},         {"set", &Parser::set},
        {"macro", &Parser::macro}, {"call", &Parser::call},        {"filter", &Parser::filter},
        {"with", &Parser::with},   {"print", &Parser::output},     {"generation", &Parser::generation},
        {"break", &Parser::leave}, {"continue", &Parser::proceed},
    };
    Statement s;
    s.line = tokens_.now().line;
    if (tokens_.now().kind != TokenKind::name) tokens_.refuse_token("the name of a tag");
    const auto found = kTags.find(tokens_.now().text);
    if (found == kTags.end()) refuse_tag(tokens_.now());
    tokens_.take();
    (this->*found->second)(s);
    return s;
  }
  [[noreturn]] static void refuse_tag(const Token& token) {
    for (const std::string_view file : {"include", "import", "from", "extends"})
      if (token.text == file)
        refuse_at(token.line, "{{% {} %}} reads other files, and a chat template has none", file);
    refuse_at(
        token.line,
        "there is no tag {} here; there are if, elif, else, for, set, macro, call, filter, with, print, raw, "
        "generation, break and continue, and the tags that end them",
        quoted(token.text));
  }

  void branch(Statement& s) {
    s.kind = Kind::branch;
    s.expressions.push_back(expressions_.tuple_or_expression(false));
    for (;;) {
      s.blocks.push_back(body({"elif", "else", "endif"}));
      if (!tokens_.skip_name("elif")) break;
      s.expressions.push_back(expressions_.tuple_or_expression(false));
    }
    if (tokens_.skip_name("else")) s.blocks.push_back(body({"endif"}));
    tokens_.expect_name("endif");
  }

  void loop(Statement& s) {
    s.kind = Kind::loop;
    s.targets.push_back(expressions_.target(false));
    tokens_.expect_name("in");
    s.expressions.push_back(expressions_.tuple_or_expression(false));
    if (tokens_.skip_name("if")) s.expressions.push_back(expressions_.expression());
    if (tokens_.now().is_name("recursive"))
      tokens_.refuse_token("no recursive loops: they are not supported");
    ++loops_;
    s.blocks.push_back(body({"else", "endfor"}));
    --loops_;
    if (tokens_.skip_name("else")) s.blocks.push_back(body({"endfor"}));
    tokens_.expect_name("endfor");
  }

  void set(Statement& s) {
    s.targets.push_back(expressions_.target(true));
    if (tokens_.skip_sign("=")) {
      s.kind = Kind::set;
      s.expressions.push_back(expressions_.tuple_or_expression(true));
      return;
    }
    s.kind = Kind::set_block;
    put_filters(s, expressions_.filters());
    s.blocks.push_back(body({"endset"}));
    tokens_.expect_name("endset");
  }
  void filter(Statement& s) {
    s.kind = Kind::filter;
    std::vector<Suffix> all = {expressions_.filter()};
    for (Suffix& more : expressions_.filters()) all.push_back(std::move(more));
    put_filters(s, std::move(all));
    s.blocks.push_back(body({"endfilter"}));
    tokens_.expect_name("endfilter");
  }
  // As the suffixes of an expression with nothing before them.
  static void put_filters(Statement& s, std::vector<Suffix> filters) {
    if (filters.empty()) return;
    Expression e;
    e.kind = Expression::Kind::suffixed;
    e.line = s.line;
    e.suffixes = std::move(filters);
    s.expressions.push_back(std::move(e));
  }

  void with(Statement& s) {
    s.kind = Kind::with;
    while (tokens_.now().kind != TokenKind::end_block) {
      if (!s.targets.empty()) tokens_.expect_sign(",");
      s.targets.push_back(expressions_.target(false));
      tokens_.expect_sign("=");
      s.expressions.push_back(expressions_.expression());
    }
    s.blocks.push_back(body({"endwith"}));
    tokens_.expect_name("endwith");
  }

  void output(Statement& s) {
    s.kind = Kind::output;
    while (tokens_.now().kind != TokenKind::end_block) {
      if (!s.expressions.empty()) tokens_.expect_sign(",");
      s.expressions.push_back(expressions_.expression());
    }
  }

  // The body of a function: the loops around it are not its own.
  void function_body(Function& function, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    tokens_.functions.push_back(&function);
    function.body = body({end});
    tokens_.functions.pop_back();
    loops_ = loops;
    tokens_.expect_name(end);
  }
  void macro(Statement& s) {
    s.kind = Kind::macro;
    auto function = std::make_shared<Function>();
    function->name = tokens_.expect(TokenKind::name, "the name of the macro").text;
    function->parameters = expressions_.signature();
    function_body(*function, "endmacro");
    s.function = std::move(function);
  }
  void call(Statement& s) {
    s.kind = Kind::call;
    auto function = std::make_shared<Function>();
    function->name = "caller";
    if (tokens_.now().is_sign("(")) function->parameters = expressions_.signature();
    Expression e = expressions_.expression();
    if (e.kind != Expression::Kind::suffixed || e.suffixes.back().kind != Suffix::Kind::call)
      refuse_at(s.line, "{{% call %}} needs a call, as in {{% call name(...) %}}");
    s.expressions.push_back(std::move(e));
    function_body(*function, "endcall");
    s.function = std::move(function);
  }
  void generation(Statement& s) {
    s.kind = Kind::generation;
    const int loops = std::exchange(loops_, 0);
    s.blocks.push_back(body({"endgeneration"}));
    loops_ = loops;
    tokens_.expect_name("endgeneration");
  }

  void leave(Statement& s) { jump(s, Kind::leave); }
  void proceed(Statement& s) { jump(s, Kind::proceed); }
  void jump(Statement& s, Kind kind) const {
    s.kind = kind;
    if (loops_ == 0)
      refuse_at(s.line, "{{% {} %}} outside of a loop", kind == Kind::leave ? "break" : "continue");
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int loops_ = 0;
};

}  // namespace

Block parse_template(std::string_view source, const TemplateLimits& limits) {
  check(source.size() <= limits.template_bytes, Code::size, "a template of {} bytes, and at most {} are read",
        source.size(), limits.template_bytes);
  if (const auto at = utf8_error(source)) refuse("byte {}: not UTF-8", *at);
  return Parser(tokens_of(source), limits).run();
}

}  // namespace glossa::jinja
