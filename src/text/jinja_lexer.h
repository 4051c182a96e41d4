// jinja_lexer.h -- a template cut into texts and the tokens of its tags, with white space around tags treated
// as transformers does: the line break after a block's tag goes, and so does the indentation before one
// (trim_blocks, lstrip_blocks).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace glossa::jinja {

struct Token {
  enum class Kind : std::uint8_t {
    text,
    begin_output,  // {{
    end_output,    // }}
    begin_block,   // {%
    end_block,     // %}
    name,
    string,
    integer,
    real,
    sign,  // an operator or bracket, as `text` says
    end,
  };
  Kind kind = Kind::end;
  int line = 1;
  std::string text;
  std::int64_t whole = 0;
  double number = 0;

  bool is_name(std::string_view word) const { return kind == Kind::name && text == word; }
  bool is_sign(std::string_view s) const { return kind == Kind::sign && text == s; }
};

// Refuses, with the line, what Jinja cannot read. The last token is of kind `end`.
std::vector<Token> tokens_of(std::string_view source);

// Adds "line N: " to what is refused.
template <class... Args>
[[noreturn]] void refuse_at(int line, fmt::format_string<Args...> format, Args&&... args) {
  fail(Code::chat_template, "line {}: {}", line, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace glossa::jinja
