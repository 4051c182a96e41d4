// regex_input.h -- the text of a regular expression while it is read, character by character.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {

struct RegexOptions {
  bool ignore_case = false, dot_newline = false, extended = false;
};

class RegexInput {
 public:
  // UTF-8; both must outlive this.
  RegexInput(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  bool done() const { return at_ == text_.size(); }
  std::size_t at() const { return at_; }  // in bytes
  void back_to(std::size_t at) { at_ = at; }
  char32_t peek() const {
    std::size_t at = at_;
    return utf8_next(text_, at);
  }
  char32_t next(std::string_view wanted = "more") {
    if (done()) refuse(at_, "the expression ends, wanted {}", wanted);
    return utf8_next(text_, at_);
  }
  bool take(char c) { return take(std::string_view(&c, 1)); }
  bool take(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  // Whether `what` comes anywhere from here on.
  bool comes(std::string_view what) const { return text_.find(what, at_) != text_.npos; }
  // Digits; without any the number stays as it is.
  bool take_number(std::uint32_t& number, std::uint32_t most) {
    const std::size_t begin = at_;
    if (!done() && text_[at_] >= '0' && text_[at_] <= '9') number = 0;
    for (; !done() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      number = number * 10 + static_cast<std::uint32_t>(text_[at_] - '0');
      if (number > most) refuse(begin, "more than {} times", most);
    }
    return at_ > begin;
  }
  // So many hexadecimal digits, or -1.
  std::int64_t take_hex(std::size_t least, std::size_t most) {
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < most && !done(); ++digits, ++at_) {
      const char c = text_[at_];
      const int digit = c >= '0' && c <= '9'                 ? c - '0'
                        : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                             : -1;
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    return digits < least ? -1 : value;
  }

  template <class... Args>
  [[noreturn]] void refuse(std::size_t at, fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::tokenizer, "{}: the regular expression {}: byte {}: {}: {}", where_, quoted(text_), at,
         quoted(text_.substr(at), 24), fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string_view text_, where_;
  std::size_t at_ = 0;
};

}  // namespace glossa
