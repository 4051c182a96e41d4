// regex_fuzz.cpp -- bytes as a regular expression, a zero byte, and a text: the expression is refused by an
// Error, or its matches are found, in order and within the text; the same ones again by a matcher that has
// seen the text.
#include "text/regex.h"

#include "base/error.h"
#include "base/unicode.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  const std::string_view all = fuzz_text(data, size);
  const std::size_t end = std::min(all.find('\0'), all.size());
  const std::string_view expression = all.substr(0, end), text = all.substr(std::min(end + 1, all.size()));
  if (utf8_error(expression)) return 0;  // JSON is UTF-8
  try {
    const Regex regex(expression, "fuzz");
    std::vector<Regex::Match> matches, again;
    regex.find_all(text, matches);
    std::uint32_t at = 0;
    for (const auto& m : matches) {
      require(at <= m.begin && m.begin <= m.end && m.end <= text.size());
      at = m.end;
    }
    regex.find_all(text, again);
    require(again.size() == matches.size());
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
