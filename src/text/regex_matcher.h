// regex_matcher.h -- runs a program over texts; keeps what it has found out about its states.
#pragma once
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/regex.h"
#include "text/regex_program.h"

namespace glossa {

// Not thread-safe.
class RegexMatcher {
 public:
  // Both must outlive this; `where` is for messages.
  RegexMatcher(const RegexProgram& program, std::string_view where);
  void find_all(std::string_view text, std::vector<Regex::Match>& matches);

 private:
  // A state is a set of instructions: those from which a match can be reached at a place of the text.
  using Number = std::uint16_t;
  using Bits = std::vector<std::uint64_t>;
  static constexpr Number kUnknown = UINT16_MAX, kInside = UINT16_MAX - 1, kMatch = UINT16_MAX - 1,
                          kNoMatch = UINT16_MAX - 2;
  static constexpr std::size_t kMostStates = 16'384, kMostBytes = 64u << 20;

  void read_backwards(std::string_view text);
  Number state_before(Number after, std::uint32_t here, std::uint32_t before);
  Number number_of(const Bits& bits);
  void close(Bits& bits, std::uint32_t before, std::uint32_t after) const;
  bool can_pass(const Bits& bits, std::uint32_t at, std::uint32_t before, std::uint32_t after) const;
  Number step(Number state, std::uint32_t at);
  Number find_step(const Bits& bits, std::uint32_t at);
  std::uint32_t class_before(std::string_view text, std::size_t at, std::size_t& begin) const;

  const RegexProgram& program_;
  const std::string_view where_;
  const std::size_t words_;   // of a set of instructions
  const std::size_t arcs_;    // from each state
  std::uint8_t ascii_[128];   // classes
  std::vector<Bits> states_;  // [0]: of no instruction, what is after the end of the text
  std::unordered_map<std::string, Number> numbers_;
  std::vector<Number> before_;  // [state][class, or class and class before]: the state before, or kUnknown
  std::vector<Number>
      steps_;  // [state][instruction]: where to be after the next character, kMatch or kNoMatch
  std::vector<Number> places_;  // [byte of the text]: its state, or kInside a character
  std::vector<std::uint32_t> open_;
  std::vector<bool> seen_;
};

}  // namespace glossa
