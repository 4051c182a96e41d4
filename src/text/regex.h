// regex.h -- regular expressions as the files of tokenizers have them, with Oniguruma's syntax and meaning:
// all matches in a text, from left to right, in time linear in the text whatever the expression is.
//
// The text is read twice (Frisch and Cardelli, 2004, "Greedy regular expression matching"). From its end to
// its beginning a deterministic automaton finds for each place which instructions of the program can still
// lead to a match; then, from its beginning, the match that backtracking would find is the path that takes at
// every fork the first way which can. Nothing is ever read again: not for the next match, and not for what is
// looked ahead at.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

// Immutable, copies share it; may be used by several threads at once.
class Regex {
 public:
  struct Match {
    std::uint32_t begin, end;  // bytes of the text
  };
  // UTF-8. Error(tokenizer) names `where`, the place in the expression, and what is supported; Error(size) if
  // it is too large.
  Regex(std::string_view expression, std::string_view where);

  const std::string& expression() const;
  // Those that do not overlap; empty ones too, but not right behind another. Ill-formed bytes are taken for
  // U+FFFD each. Error(size) if the automaton becomes too large.
  void find_all(std::string_view text, std::vector<Match>& matches) const;
  bool operator==(const Regex& other) const { return expression() == other.expression(); }

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

// The same for a text that is not empty.
void find_text(std::string_view text, std::string_view pattern, std::vector<Regex::Match>& matches);

}  // namespace glossa
