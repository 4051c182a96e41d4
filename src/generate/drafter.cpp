#include "generate/drafter.h"

#include <algorithm>

namespace glossa {

void PromptLookup::guess(std::span<Text> texts) {
  for (Text& text : texts) {
    const auto size = static_cast<std::int64_t>(text.tokens.size());
    const auto end = text.tokens.rbegin();
    std::int64_t best = shortest_ - 1, after = 0;
    for (std::int64_t i = size - 1; i > best && best < longest_; --i) {
      // How many of the tokens before place i are those at the end.
      const auto before = text.tokens.rbegin() + (size - i);
      const std::int64_t most = std::min(longest_, i);
      const std::int64_t same = std::mismatch(end, end + most, before).first - end;
      if (same > best) best = same, after = i;
    }
    if (after > 0) text.guess.assign(text.tokens.begin() + after, text.tokens.begin() + std::min(size, after + text.most));
  }
}

}  // namespace glossa
