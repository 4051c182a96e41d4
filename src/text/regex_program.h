// regex_program.h -- a regular expression as an automaton: instructions that follow each other, over classes
// of characters that the expression does not tell apart.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/regex_syntax.h"

namespace glossa {

struct RegexInstruction {
  enum class Op : std::uint8_t {
    match,
    set,    // a character of set `x`, then `next`
    split,  // `next`, or else `x`
    again,  // the end of a loop's part that may be of nothing: the loop `next`, or if it was of nothing `x`
            // behind it
    edge,   // a condition, then `next`; its set, if it has one, is `x`
    ahead,  // the instructions from `x` on match here (or do not), then `next`
  };
  Op op = Op::match;
  bool negated = false;  // of ahead
  RegexEdge edge = RegexEdge::text_begin;
  std::uint32_t next = 0, x = 0;
};

// Immutable.
class RegexProgram {
 public:
  // Error(tokenizer) as of parse_regex; Error(size) if repetitions make it too large.
  RegexProgram(std::string_view expression, std::string_view where);

  std::uint32_t start() const { return start_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(code_.size()); }
  const RegexInstruction& operator[](std::uint32_t at) const { return code_[at]; }
  // Ranges of instructions, each to be known before those behind it: what is looked ahead for, then all.
  struct Part {
    std::uint32_t begin, end;
  };
  const std::vector<Part>& parts() const { return parts_; }

  // Classes count from 0; these two are no characters.
  std::uint32_t classes() const { return classes_; }
  std::uint32_t begin_class() const { return classes_; }
  std::uint32_t end_class() const { return classes_ + 1; }
  std::uint32_t class_of(char32_t c) const { return pages_[page_[c >> 8] * std::size_t{256} + (c & 255)]; }
  bool holds(std::uint32_t set, std::uint32_t of_class) const {
    return members_[set * (classes_ + 2) + of_class];
  }
  // Whether a condition holds between two characters.
  bool holds(const RegexInstruction& edge, std::uint32_t before, std::uint32_t after) const;
  bool looks_back() const { return looks_back_; }  // at the character before

 private:
  class Compiler;
  void divide(const std::vector<CharSet>& sets, std::string_view where);
  void fill_pages(const std::vector<char32_t>& cuts, const std::vector<std::uint8_t>& class_from);

  std::vector<RegexInstruction> code_;
  std::vector<Part> parts_;
  std::uint32_t start_ = 0, classes_ = 0;
  std::array<std::uint16_t, 0x1100> page_;
  std::vector<std::uint8_t> pages_;
  std::vector<bool> members_;  // [set][class]
  bool looks_back_ = false;
};

}  // namespace glossa
