#include "text/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/unicode.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char32_t c) {
  return c == U'_' || is_letter(c);
}
bool is_name_part(char32_t c) {
  return is_name_start(c) || is_number(c) || is_mark(c);
}

// Line breaks of all kinds become "\n", and one at the very end goes.
std::string with_plain_line_breaks(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(with_plain_line_breaks(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const std::size_t tag = next_tag();
      put_text(tag);
      if (tag == source_.size()) break;
      switch (source_[tag + 1]) {
        case '#':
          skip_comment();
          break;
        case '{':
          read_tag(Token::Kind::begin_output, Token::Kind::end_output, "}}");
          break;
        default:
          if (!read_raw()) read_tag(Token::Kind::begin_block, Token::Kind::end_block, "%}");
      }
    }
    put(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool looks_at(std::string_view s) const { return rest().starts_with(s); }
  void put(Token::Kind kind, std::string text) {
    tokens_.push_back({.kind = kind, .line = line_, .text = std::move(text)});
  }
  // Goes on to byte `to`, counting lines.
  void move(std::size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }
  void skip_space() {
    std::size_t to = at_;
    while (to < source_.size()) {
      std::size_t next = to;
      if (!is_python_space(utf8_next(source_, next))) break;
      to = next;
    }
    move(to);
  }

  std::size_t next_tag() const {
    for (std::size_t i = at_; (i = source_.find('{', i)) != std::string::npos && i + 1 < source_.size(); ++i)
      if (const char c = source_[i + 1]; c == '{' || c == '%' || c == '#') return i;
    return source_.size();
  }

  // The text before the tag at byte `tag`, without the white space that the tag takes away.
  void put_text(std::size_t tag) {
    std::string_view text = std::string_view(source_).substr(at_, tag - at_);
    if (tag < source_.size()) {
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      if (sign == '-') {
        text = stripped(text, {.left = false});
      } else if (sign != '+' && source_[tag + 1] != '{') {
        const std::size_t line = text.rfind('\n') + 1;  // 0 if there is no line break
        if ((line > 0 || at_line_start_) && stripped(text.substr(line)).empty()) text = text.substr(0, line);
      }
    }
    if (!text.empty()) put(Token::Kind::text, std::string(text));
    move(tag);
  }

  // After a tag's end: "-" before it takes all white space, and without "+" a block's takes one line break.
  void after_end(char sign, bool block) {
    if (sign == '-')
      skip_space();
    else if (block && sign != '+' && looks_at("\n"))
      move(at_ + 1);
    at_line_start_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  void skip_comment() {
    const int begun = line_;
    const std::size_t inside =
        at_ + (rest().substr(2).starts_with('-') || rest().substr(2).starts_with('+') ? 3 : 2);
    const std::size_t end = source_.find("#}", inside);
    if (end == std::string::npos) refuse_at(begun, "a comment {{# that is not closed");
    const char sign = end > inside ? source_[end - 1] : '\0';
    move(end + 2);
    after_end(sign, true);
  }

  // {% raw %} and all up to {% endraw %}, which is text as it stands. False if the tag is another.
  bool read_raw() {
    const int begun = line_;
    const std::size_t inside = closed_tag(at_, "raw", false);
    if (inside == std::string::npos) return false;
    move(inside);
    if (source_[inside - 3] == '-') skip_space();
    for (std::size_t i = at_; (i = source_.find("{%", i)) != std::string::npos; ++i) {
      const std::size_t end = closed_tag(i, "endraw", true);
      if (end == std::string::npos) continue;
      at_line_start_ = at_ > 0 && source_[at_ - 1] == '\n';
      put_text(i);
      move(end);
      after_end(source_[end - 3], true);
      return true;
    }
    refuse_at(begun, "{{% raw %}} without {{% endraw %}}");
  }

  // The byte after a tag of one word at byte `at`, or npos if another tag is there.
  std::size_t closed_tag(std::size_t at, std::string_view word, bool plus) const {
    at += 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    std::string_view tail = std::string_view(source_).substr(std::min(at, source_.size()));
    tail = stripped(tail, {.right = false});
    if (!tail.starts_with(word)) return std::string::npos;
    tail = stripped(tail.substr(word.size()), {.right = false});
    if (tail.starts_with('-') || (plus && tail.starts_with('+'))) tail.remove_prefix(1);
    if (!tail.starts_with("%}")) return std::string::npos;
    return source_.size() - tail.size() + 2;
  }

  // ---- within tags ----

  void read_tag(Token::Kind begin, Token::Kind end, std::string_view closing) {
    put(begin, "");
    const int begun = line_;
    move(at_ + 2);
    if (looks_at("-") || looks_at("+")) move(at_ + 1);
    open_.clear();
    for (;;) {
      skip_space();
      if (at_ == source_.size()) refuse_at(begun, "a tag that is not closed, {} is missing", quoted(closing));
      if (open_.empty() && read_end(end, closing)) return;
      read_token();
    }
  }

  bool read_end(Token::Kind end, std::string_view closing) {
    const bool block = closing == "%}";
    char sign = '\0';
    if (looks_at("-") || (block && looks_at("+"))) sign = source_[at_];
    if (!rest().substr(sign ? 1 : 0).starts_with(closing)) return false;
    put(end, std::string(closing));
    move(at_ + closing.size() + (sign ? 1 : 0));
    after_end(sign, block);
    return true;
  }

  void read_token() {
    const char c = source_[at_];
    if (c == '"' || c == '\'') return read_string(c);
    if (is_digit(c)) return read_number();
    std::size_t end = at_;
    if (is_name_start(utf8_next(source_, end))) {
      for (std::size_t next = end; next < source_.size() && is_name_part(utf8_next(source_, next));)
        end = next;
      // Each use of a name costs its length, and is counted as one step.
      constexpr std::size_t kLongestName = 1000;
      check(end - at_ <= kLongestName, Code::size, "line {}: a name of {} bytes, and at most {} are read", line_,
            end - at_, kLongestName);
      put(Token::Kind::name, source_.substr(at_, end - at_));
      return move(end);
    }
    read_sign();
  }

  void read_sign() {
    static constexpr std::array<std::string_view, 26> kSigns = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto sign = std::find_if(kSigns.begin(), kSigns.end(), [&](auto s) { return looks_at(s); });
    if (sign == kSigns.end()) {
      std::size_t end = at_;
      utf8_next(source_, end);
      refuse_at(line_, "unexpected character {}", quoted(std::string_view(source_).substr(at_, end - at_)));
    }
    const char c = sign->front();
    if (c == '(' || c == '[' || c == '{') open_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open_.empty()) refuse_at(line_, "unexpected '{}'", c);
      if (open_.back() != c) refuse_at(line_, "unexpected '{}', expected '{}'", c, open_.back());
      open_.pop_back();
    }
    put(Token::Kind::sign, std::string(*sign));
    move(at_ + sign->size());
  }

  // Digits with single underscores between them, from byte `at`; the byte after them.
  std::size_t digits_end(std::size_t at, bool (*is)(char)) const {
    while (at < source_.size() &&
           (is(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() && is(source_[at + 1]))))
      ++at;
    return at;
  }

  void read_number() {
    static constexpr auto is_hex = [](char c) {
      return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
    };
    const char second = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
    if (source_[at_] == '0' && (second == 'x' || second == 'o' || second == 'b')) {
      const std::size_t end = digits_end(at_ + 2, +is_hex);
      if (end > at_ + 2) return put_integer(at_ + 2, end, second == 'x' ? 16 : second == 'o' ? 8 : 2);
    }
    std::size_t end = digits_end(at_, is_digit);
    const std::size_t whole_end = end;
    // "1.5" and "1e5" are real numbers, "a.1.5" is two items.
    const bool after_point = at_ > 0 && source_[at_ - 1] == '.';
    if (!after_point && end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1]))
      end = digits_end(end + 1, is_digit);
    if (!after_point && end < source_.size() && (source_[end] | 0x20) == 'e') {
      std::size_t exponent = end + 1;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
      if (exponent < source_.size() && is_digit(source_[exponent])) end = digits_end(exponent, is_digit);
    }
    if (end == whole_end) {
      // Python has no whole numbers that begin with a zero, but zero itself.
      if (source_[at_] == '0')
        for (end = at_ + 1; end < whole_end && (source_[end] == '0' || source_[end] == '_');) ++end;
      return put_integer(at_, end, 10);
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    put(Token::Kind::real, text);
    tokens_.back().number = std::strtod(text.c_str(), nullptr);
    move(end);
  }

  void put_integer(std::size_t begin, std::size_t end, int base) {
    std::string text = source_.substr(begin, end - begin);
    std::erase(text, '_');
    put(Token::Kind::integer, source_.substr(at_, end - at_));
    const auto [last, error] =
        std::from_chars(text.data(), text.data() + text.size(), tokens_.back().whole, base);
    if (error == std::errc::result_out_of_range)
      refuse_at(line_, "the number {} is beyond 64 bits", quoted(text));
    if (error != std::errc() || last != text.data() + text.size())
      refuse_at(line_, "{} is no number", quoted(text));
    move(end);
  }

  void read_string(char quote) {
    const int begun = line_;
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) refuse_at(begun, "a text in quotation marks that is not closed");
    put(Token::Kind::string, unescaped(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    move(end + 1);
  }

  // The escapes of Python's strings.
  std::string unescaped(std::string_view text) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
      if (const auto known = kFrom.find(c); known != std::string_view::npos)
        out += kTo[known];
      else if (c == 'x' || c == 'u' || c == 'U')
        i += put_code(out, text.substr(i + 1), c == 'x' ? 2 : c == 'u' ? 4 : 8);
      else if (c >= '0' && c <= '7')
        i += put_octal(out, text.substr(i)) - 1;
      else if (c == 'N')
        refuse_at(line_, "characters by name (\\N) are not supported");
      else if (c != '\n')
        (out += '\\') += c;  // an escape that there is not stays as it is
    }
    return out;
  }
  std::size_t put_code(std::string& out, std::string_view text, std::size_t digits) const {
    std::uint32_t code = 0;
    const char* end = text.data() + std::min(digits, text.size());
    const auto [last, error] = std::from_chars(text.data(), end, code, 16);
    if (error != std::errc() || last != text.data() + digits)
      refuse_at(line_, "an escape with too few digits");
    put_character(out, code);
    return digits;
  }
  std::size_t put_octal(std::string& out, std::string_view text) const {
    std::uint32_t code = 0;
    std::size_t n = 0;
    for (; n < 3 && n < text.size() && text[n] >= '0' && text[n] <= '7'; ++n)
      code = code * 8 + static_cast<std::uint32_t>(text[n] - '0');
    put_character(out, code);
    return n;
  }
  void put_character(std::string& out, std::uint32_t code) const {
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      refuse_at(line_, "U+{:04X} is no character", code);
    utf8_append(out, code);
  }

  const std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;  // the last tag ended with a line break
  std::string open_;           // the brackets that are to be closed, the innermost last
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace glossa::jinja
