#include "text/jinja_strings.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/unicode.h"

namespace glossa::jinja {
namespace {

// The characters at which Python's splitlines cuts; "\r\n" is one end.
bool ends_line(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

// The start of the character before byte `at`, which is not 0.
std::size_t before(std::string_view text, std::size_t at) {
  do --at;
  while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

char32_t character_at(std::string_view text, std::size_t at) {
  return utf8_next(text, at);
}

template <class Drop>
std::string_view stripped_of(std::string_view text, Sides sides, Drop drop) {
  std::size_t begin = 0, end = text.size();
  while (sides.left && begin < end) {
    std::size_t next = begin;
    if (!drop(utf8_next(text, next))) break;
    begin = next;
  }
  while (sides.right && end > begin) {
    const std::size_t last = before(text, end);
    if (!drop(character_at(text, last))) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

std::size_t find_in(std::string_view text, std::string_view part, std::size_t from) {
  const void* at = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return at ? static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) : std::string_view::npos;
}

// Characters that become several in upper case (SpecialCasing.txt of Unicode, without the Greek ones with
// iota below, which no template has met).
struct Expansion {
  char32_t from;
  std::string_view upper, title;
};
constexpr std::array kExpansions = {
    Expansion{U'ß', "SS", "Ss"},   Expansion{U'ŉ', "ʼN", "ʼN"}, Expansion{U'ǰ', "J̌", "J̌"},
    Expansion{U'ΐ', "Ϊ́", "Ϊ́"},     Expansion{U'ΰ', "Ϋ́", "Ϋ́"},   Expansion{U'և', "ԵՒ", "Եւ"},
    Expansion{U'ẖ', "H̱", "H̱"},     Expansion{U'ẗ', "T̈", "T̈"},   Expansion{U'ẘ', "W̊", "W̊"},
    Expansion{U'ẙ', "Y̊", "Y̊"},     Expansion{U'ẚ', "Aʾ", "Aʾ"}, Expansion{U'ﬀ', "FF", "Ff"},
    Expansion{U'ﬁ', "FI", "Fi"},   Expansion{U'ﬂ', "FL", "Fl"}, Expansion{U'ﬃ', "FFI", "Ffi"},
    Expansion{U'ﬄ', "FFL", "Ffl"}, Expansion{U'ﬅ', "ST", "St"}, Expansion{U'ﬆ', "ST", "St"},
};

void append_upper(std::string& out, char32_t c, bool title) {
  if (c >= 0xDF) {
    const auto at =
        std::find_if(kExpansions.begin(), kExpansions.end(), [&](const auto& e) { return e.from == c; });
    if (at != kExpansions.end()) {
      out += title ? at->title : at->upper;
      return;
    }
  }
  utf8_append(out, title ? to_title(c) : to_upper(c));
}

bool is_cased(char32_t c) {
  return to_upper(c) != c || to_lower(c) != c || to_title(c) != c || c == U'ß';
}

// The sigma at byte `at` ends a word: a letter is before it and none after, marks and points aside.
bool is_final_sigma(std::string_view text, std::size_t at) {
  const auto ignored = [](char32_t c) {
    return is_mark(c) || c == U'\'' || c == U'.' || c == U'’' || c == U'·';
  };
  std::size_t i = at;
  bool cased = false;
  while (i > 0 && !cased) {
    i = before(text, i);
    const char32_t c = character_at(text, i);
    if (is_cased(c))
      cased = true;
    else if (!ignored(c))
      break;
  }
  if (!cased) return false;
  for (i = at + 2; i < text.size();) {
    const char32_t c = utf8_next(text, i);
    if (is_cased(c)) return false;
    if (!ignored(c)) break;
  }
  return true;
}

void append_lower(std::string& out, std::string_view text, std::size_t at) {
  const char32_t c = character_at(text, at);
  if (c == U'Σ')
    out += is_final_sigma(text, at) ? "ς" : "σ";
  else if (c == U'İ')
    out += "i̇";
  else
    utf8_append(out, to_lower(c));
}

}  // namespace

bool is_python_space(char32_t c) {
  return is_space(c) || (c >= 0x1C && c <= 0x1F);
}

std::string_view stripped(std::string_view text, Sides sides) {
  return stripped_of(text, sides, is_python_space);
}

std::string_view stripped(std::string_view text, std::string_view characters, Sides sides) {
  return stripped_of(text, sides, [&](char32_t c) {
    for (std::size_t at = 0; at < characters.size();)
      if (utf8_next(characters, at) == c) return true;
    return false;
  });
}

std::vector<std::string_view> split(std::string_view text, std::int64_t most, bool from_right) {
  std::vector<std::string_view> parts;
  std::string_view rest = stripped(text, {.left = !from_right, .right = from_right});
  while (!rest.empty()) {
    if (most >= 0 && parts.size() >= static_cast<std::size_t>(most)) {
      parts.push_back(rest);  // with the white space at its far end
      break;
    }
    std::size_t begin = 0, end = rest.size();
    if (from_right) {
      begin = end;
      while (begin > 0 && !is_python_space(character_at(rest, before(rest, begin))))
        begin = before(rest, begin);
      parts.push_back(rest.substr(begin));
      rest = stripped(rest.substr(0, begin), {.left = false});
    } else {
      end = 0;
      while (end < rest.size() && !is_python_space(character_at(rest, end))) utf8_next(rest, end);
      parts.push_back(rest.substr(0, end));
      rest = stripped(rest.substr(end), {.right = false});
    }
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator, std::int64_t most,
                                    bool from_right) {
  std::vector<std::string_view> parts;
  while (most < 0 || parts.size() < static_cast<std::size_t>(most)) {
    const std::size_t at = from_right ? text.rfind(separator) : find_in(text, separator, 0);
    if (at == std::string_view::npos) break;
    if (from_right) {
      parts.push_back(text.substr(at + separator.size()));
      text = text.substr(0, at);
    } else {
      parts.push_back(text.substr(0, at));
      text = text.substr(at + separator.size());
    }
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t at = begin, end = begin;
    bool ended = false;
    while (at < text.size() && !ended) {
      end = at;
      const char32_t c = utf8_next(text, at);
      ended = ends_line(c);
      if (c == U'\r' && at < text.size() && text[at] == '\n') ++at;
    }
    if (!ended) end = at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  return lines;
}

std::string upper_cased(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) append_upper(out, utf8_next(text, at), false);
  return out;
}

std::string python_lower_cased(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); utf8_next(text, at)) append_lower(out, text, at);
  return out;
}

std::string capitalized(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); utf8_next(text, at)) {
    if (at == 0)
      append_upper(out, character_at(text, at), true);
    else
      append_lower(out, text, at);
  }
  return out;
}

std::string title_cased(std::string_view text) {
  std::string out;
  bool after_cased = false;
  for (std::size_t at = 0; at < text.size(); utf8_next(text, at)) {
    const char32_t c = character_at(text, at);
    if (after_cased)
      append_lower(out, text, at);
    else
      append_upper(out, c, true);
    after_cased = is_cased(c);
  }
  return out;
}

std::string swap_cased(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); utf8_next(text, at)) {
    const char32_t c = character_at(text, at);
    if (to_lower(c) != c)
      append_lower(out, text, at);
    else
      append_upper(out, c, false);
  }
  return out;
}

std::optional<std::string> replaced(std::string_view text, std::string_view old, std::string_view with,
                                    std::int64_t most, std::uint64_t limit) {
  std::string out;
  std::size_t from = 0;
  for (std::int64_t done = 0; most < 0 || done < most; ++done) {
    if (out.size() > limit) return std::nullopt;
    if (old.empty()) {  // before each character, and at the end
      out += with;
      if (from == text.size()) return out;
      const std::size_t begin = from;
      utf8_next(text, from);
      out += text.substr(begin, from - begin);
      continue;
    }
    const std::size_t at = find_in(text, old, from);
    if (at == std::string_view::npos) break;
    out += text.substr(from, at - from);
    out += with;
    from = at + old.size();
  }
  out += text.substr(from);
  return out.size() > limit ? std::nullopt : std::optional(std::move(out));
}

std::int64_t occurrences(std::string_view text, std::string_view part) {
  if (part.empty()) return characters_in(text) + 1;
  std::int64_t n = 0;
  for (std::size_t at = 0; (at = find_in(text, part, at)) != std::string_view::npos; at += part.size()) ++n;
  return n;
}

std::int64_t found_at(std::string_view text, std::string_view part, bool last) {
  const std::size_t at = last ? text.rfind(part) : find_in(text, part, 0);
  return at == std::string_view::npos ? -1 : characters_in(text.substr(0, at));
}

std::int64_t characters_in(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::size_t byte_of(std::string_view text, std::int64_t character) {
  std::size_t at = 0;
  for (; character > 0 && at < text.size(); --character) utf8_next(text, at);
  return at;
}

bool is_upper_cased(std::string_view text) {
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    if (to_upper(c) != c || c == U'ß') return false;
    any |= to_lower(c) != c;
  }
  return any;
}

bool is_lower_cased(std::string_view text) {
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = utf8_next(text, at);
    if (to_lower(c) != c) return false;
    any |= to_upper(c) != c || c == U'ß';
  }
  return any;
}

bool all_of_class(std::string_view text, bool (*is)(char32_t)) {
  for (std::size_t at = 0; at < text.size();)
    if (!is(utf8_next(text, at))) return false;
  return !text.empty();
}

}  // namespace glossa::jinja
