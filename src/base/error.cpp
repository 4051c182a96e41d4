#include "base/error.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/unicode.h"

namespace glossa {

std::string Quoted::operator()(std::string_view foreign, std::size_t most) const {
  std::string out = "\"";
  std::size_t i = 0;
  while (i < foreign.size() && i < most) {
    const auto c = static_cast<unsigned char>(foreign[i]);
    std::size_t length = utf8_length_at(foreign, i);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
      ++i;
    } else if (c < 0x20 || c == 0x7F || length == 0 || (c == 0xC2 && length == 2 && static_cast<unsigned char>(foreign[i + 1]) < 0xA0)) {
      out += fmt::format("\\x{:02x}", c);  // control characters, the C1 block among them, could steer a terminal
      ++i;
    } else {
      out += foreign.substr(i, length);
      i += length;
    }
  }
  out += '"';
  if (i < foreign.size()) out += fmt::format("... ({} bytes)", foreign.size());
  return out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Levenshtein's distance with transpositions of neighbours counted once; rows of the usual table.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace glossa
