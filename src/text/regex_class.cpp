#include "text/regex_class.h"

#include <algorithm>
#include <string>
#include <vector>

namespace glossa {
namespace {

constexpr int kNesting = 32;  // classes within classes

class ClassParser {
 public:
  ClassParser(RegexInput& in, const RegexOptions& options) : in_(in), options_(options) {}

  CharSet parse(std::size_t begin, int depth) {
    if (depth > kNesting) in_.refuse(begin, "more than {} classes within each other", kNesting);
    const bool negated = in_.take('^');
    std::optional<CharSet> met;  // of the parts before the last &&
    CharSet part;
    const auto meet = [&] { met = met ? *met & part : part; };
    bool first = true;
    for (;; first = false) {
      if (in_.done()) in_.refuse(begin, "a [ without its ]");
      // At its beginning a bracket is a character, if another one closes the class.
      if (in_.peek() == ']' && !(first && closes_later())) break;
      if (in_.take("&&")) {
        meet();
        part = CharSet();
        continue;
      }
      part = part | element(depth, negated);
    }
    in_.take(']');
    meet();
    CharSet set = std::move(*met);
    if (options_.ignore_case && depth == 0)
      set = with_other_cases(set);  // Oniguruma asks the outermost alone
    return negated ? ~set : set;
  }

 private:
  bool closes_later() {
    const std::size_t here = in_.at();
    in_.next();
    const bool closes = in_.comes("]");
    in_.back_to(here);
    return closes;
  }

  CharSet element(int depth, bool negated) {
    const std::size_t begin = in_.at();
    if (in_.take("[:")) {
      if (auto set = posix()) return std::move(*set);
      in_.back_to(begin);
    }
    if (in_.take('[')) return parse(begin, depth + 1);
    const RegexEscape low = character();
    const std::size_t hyphen = in_.at();
    const bool range =
        in_.take('-') && !in_.done() && in_.peek() != ']' && in_.peek() != '[' && !in_.take("&&");
    if (!range) in_.back_to(hyphen);  // the hyphen is the next element
    if (low.set) {
      if (range) in_.refuse(begin, "a range that begins with a class");
      return *low.set;
    }
    if (!range) return single(low.character, low.character, begin, negated);
    const RegexEscape high = character();
    if (high.set) in_.refuse(begin, "a range that ends with a class");
    if (high.character < low.character) in_.refuse(begin, "a range from more to less");
    return single(low.character, high.character, begin, negated);
  }

  CharSet single(char32_t first, char32_t last, std::size_t begin, bool negated) {
    if (options_.ignore_case && !negated)
      for (const WideCase& wide : wide_cases())
        if (wide.character >= first && wide.character <= last)
          in_.refuse(begin, "in another case U+{:04X} is several characters, which is not supported",
                     static_cast<std::uint32_t>(wide.character));
    return {first, last};
  }

  RegexEscape character() {
    const std::size_t begin = in_.at();
    const char32_t c = in_.next("the end of a class");
    if (c != '\\') return {.character = c};
    if (in_.take('b')) return {.character = 8};
    if (in_.take('R') || in_.take('X')) in_.refuse(begin, "not supported in a class");
    return parse_escape(in_, begin);
  }

  // After "[:".
  std::optional<CharSet> posix() {
    const bool negated = in_.take('^');
    std::string name;
    while (!in_.done() && in_.peek() >= 'a' && in_.peek() <= 'z') name += static_cast<char>(in_.next());
    if (!in_.take(":]")) return std::nullopt;
    static constexpr const char* kNames[] = {"alnum", "alpha", "ascii", "blank", "cntrl", "digit",  "graph",
                                             "lower", "print", "punct", "space", "upper", "xdigit", "word"};
    if (std::none_of(std::begin(kNames), std::end(kNames), [&](const char* n) { return name == n; }))
      return std::nullopt;
    CharSet set = *named_set(name);
    if (name == "punct") set = set | *named_set("S");
    return negated ? ~set : set;
  }

  RegexInput& in_;
  const RegexOptions& options_;
};

CharSet property(RegexInput& in, std::size_t begin, bool negated) {
  if (!in.take('{')) in.refuse(begin, "wanted {{ and the name of a property");
  if (in.take('^')) negated = !negated;
  std::string name;
  while (!in.take('}')) utf8_append(name, in.next("the end of a property's name"));
  auto set = named_set(name);
  if (!set)
    in.refuse(begin,
              "the property {} is not known; known are general categories, scripts, and the classes of POSIX",
              quoted(name));
  return negated ? ~*set : *set;
}

char32_t code_point(RegexInput& in, std::size_t begin, std::int64_t value) {
  if (value < 0 || value > 0x10FFFF) in.refuse(begin, "wanted the hexadecimal digits of a character");
  return static_cast<char32_t>(value);
}

}  // namespace

CharSet regex_latin_words() {
  return CharSet({{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}});
}

RegexEscape parse_escape(RegexInput& in, std::size_t begin) {
  const char32_t c = in.next("a character after \\");
  const auto named = [&](const char* name, bool negated) {
    const CharSet set = *named_set(name);
    return RegexEscape{negated ? ~set : set};
  };
  switch (c) {
    case 't':
      return {.character = '\t'};
    case 'v':
      return {.character = '\v'};
    case 'n':
      return {.character = '\n'};
    case 'r':
      return {.character = '\r'};
    case 'f':
      return {.character = '\f'};
    case 'a':
      return {.character = '\a'};
    case 'e':
      return {.character = 0x1B};
    case 'd':
      return named("digit", false);
    case 'D':
      return named("digit", true);
    case 's':
      return named("space", false);
    case 'S':
      return named("space", true);
    case 'w':
      return named("word", false);
    case 'W':
      return named("word", true);
    case 'h':
      return named("xdigit", false);
    case 'H':
      return named("xdigit", true);
    case 'p':
      return {property(in, begin, false)};
    case 'P':
      return {property(in, begin, true)};
    case 'u':
      return {.character = code_point(in, begin, in.take_hex(4, 4))};
    case 'x': {
      if (!in.take('{')) {
        const char32_t value = code_point(in, begin, in.take_hex(1, 2));
        if (value > 0x7F) in.refuse(begin, "a byte that is no character");
        return {.character = value};
      }
      const char32_t value = code_point(in, begin, in.take_hex(1, 8));
      if (!in.take('}')) in.refuse(begin, "wanted one character");
      return {.character = value};
    }
    case '0':
      return {.character = 0};
    case 'c':
    case 'C':
    case 'M':
    case 'o':
      in.refuse(begin, "\\{} is not supported; \\x{{...}} names a character", static_cast<char>(c));
    default:
      break;
  }
  if (c >= '1' && c <= '9') in.refuse(begin, "\\ and digits are not supported; \\x{{...}} names a character");
  return {.character = c};
}

CharSet parse_class(RegexInput& in, const RegexOptions& options, std::size_t begin) {
  return ClassParser(in, options).parse(begin, 0);
}

}  // namespace glossa
