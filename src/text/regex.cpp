#include "text/regex.h"

#include "text/regex_matcher.h"
#include "text/workspaces.h"

namespace glossa {

struct Regex::State {
  std::string expression, where;
  RegexProgram program;
  Workspaces<RegexMatcher> matchers;

  State(std::string_view text, std::string_view place)
      : expression(text),
        where(place),
        program(expression, where),
        matchers([this] { return std::make_unique<RegexMatcher>(program, where); }) {}
};

Regex::Regex(std::string_view expression, std::string_view where)
    : state_(std::make_shared<const State>(expression, where)) {}

const std::string& Regex::expression() const {
  return state_->expression;
}

void Regex::find_all(std::string_view text, std::vector<Match>& matches) const {
  const Workspaces<RegexMatcher>::Lease matcher(state_->matchers);
  matcher->find_all(text, matches);
}

void find_text(std::string_view text, std::string_view pattern, std::vector<Regex::Match>& matches) {
  matches.clear();
  for (std::size_t at = 0; (at = text.find(pattern, at)) != text.npos; at += pattern.size())
    matches.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + pattern.size())});
}

}  // namespace glossa
