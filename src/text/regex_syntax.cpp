#include "text/regex_syntax.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/unicode.h"
#include "text/regex_class.h"
#include "text/regex_input.h"

namespace glossa {
namespace {

// Groups within groups; expressions that people write have some three.
constexpr int kNesting = 100;
constexpr std::uint32_t kMostTimes = 100'000;  // Oniguruma's own limit

using Kind = RegexNode::Kind;

RegexNode set_node(CharSet set) {
  return {.kind = Kind::set, .set = std::move(set)};
}
RegexNode edge_node(RegexEdge edge) {
  return {.kind = Kind::edge, .edge = edge};
}
RegexNode sequence_node(std::vector<RegexNode> parts) {
  return {.kind = Kind::sequence, .parts = std::move(parts)};
}
RegexNode choice_node(std::vector<RegexNode> parts) {
  return {.kind = Kind::choice, .parts = std::move(parts)};
}
RegexNode ahead_node(RegexNode part, bool negated) {
  return {.kind = Kind::ahead, .parts = {std::move(part)}, .negated = negated};
}
RegexNode repeat_node(RegexNode part, std::uint32_t least, std::uint32_t most, bool greedy) {
  return {.kind = Kind::repeat, .parts = {std::move(part)}, .least = least, .most = most, .greedy = greedy};
}

// The set of a node that is one character of a set in any case.
const CharSet* single_set(const RegexNode& node) {
  const RegexNode* n = &node;
  while (n->kind != Kind::set && n->parts.size() == 1 &&
         (n->kind == Kind::sequence || n->kind == Kind::choice))
    n = &n->parts[0];
  return n->kind == Kind::set ? &n->set : nullptr;
}

class Parser {
 public:
  Parser(std::string_view expression, std::string_view where) : in_(expression, where) {}

  RegexNode parse() {
    RegexNode node = choice(RegexOptions{}, 0);
    if (!in_.done()) in_.refuse(in_.at(), "a ) without its (");
    return node;
  }

 private:
  // Alternatives up to a closing parenthesis or the end.
  RegexNode choice(RegexOptions options, int depth) {
    if (depth > kNesting) in_.refuse(in_.at(), "more than {} groups within each other", kNesting);
    std::vector<RegexNode> all;
    do all.push_back(sequence(options, depth));
    while (in_.take('|'));
    return all.size() == 1 ? std::move(all[0]) : choice_node(std::move(all));
  }

  RegexNode sequence(RegexOptions& options, int depth) {
    std::vector<RegexNode> parts;
    tail_.clear();
    while (!in_.done() && in_.peek() != '|' && in_.peek() != ')') {
      if (options.extended && skip_extended()) continue;
      const std::size_t begin = in_.at();
      if (in_.take("(?#")) {
        while (!in_.take(')')) in_.next("the end of a comment");
        continue;
      }
      const RegexOptions before = options;
      if (isolated_options(options)) {  // they hold to the end of the group, alternatives included
        parts.push_back(choice(options, depth + 1));
        options = before;
        break;
      }
      literal_ = 0;
      RegexNode node = atom(options, depth);
      const std::u32string tail = tail_;
      node = quantified(std::move(node), begin);
      if (literal_ && options.ignore_case) {
        note_literal(tail, begin);
      } else {
        tail_.clear();
      }
      parts.push_back(std::move(node));
    }
    return parts.size() == 1 ? std::move(parts[0]) : sequence_node(std::move(parts));
  }

  bool skip_extended() {
    const char32_t c = in_.peek();
    if (c == '#') {
      while (!in_.done() && in_.next() != '\n') {
      }
      return true;
    }
    if (c != ' ' && !(c >= 9 && c <= 13)) return false;
    in_.next();
    return true;
  }

  // Without regard to case some strings are one character too, such as "ss": Oniguruma tries both.
  void note_literal(std::u32string tail, std::size_t begin) {
    tail += folded_case(literal_);
    for (const WideCase& wide : wide_cases())
      if (tail.ends_with(wide.folded) || wide.character == literal_)
        in_.refuse(
            begin,
            "without regard to case this is also the character U+{:04X}, and several characters for one are "
            "not supported",
            static_cast<std::uint32_t>(wide.character));
    tail_ = std::move(tail);
  }

  bool isolated_options(RegexOptions& options) {
    const std::size_t begin = in_.at();
    RegexOptions given = options;
    if (in_.take("(?") && take_options(given) && in_.take(')')) {
      options = given;
      return true;
    }
    in_.back_to(begin);
    return false;
  }

  // i, m, x, and after a hyphen those to switch off. Nothing is taken, or all letters.
  bool take_options(RegexOptions& options) {
    bool on = true, any = false;
    for (; !in_.done(); in_.next()) {
      switch (in_.peek()) {
        case '-':
          on = false;
          break;
        case 'i':
          options.ignore_case = on;
          break;
        case 'm':
          options.dot_newline = on;
          break;
        case 'x':
          options.extended = on;
          break;
        default:
          return any;
      }
      any = true;
    }
    return any;
  }

  RegexNode atom(const RegexOptions& options, int depth) {
    const std::size_t begin = in_.at();
    const char32_t c = in_.next();
    switch (c) {
      case '(':
        return group(options, depth, begin);
      case '[':
        return set_node(parse_class(in_, options, begin));
      case '.':
        return set_node(options.dot_newline ? CharSet(0, 0x10FFFF) : ~CharSet('\n', '\n'));
      case '^':
        return edge_node(RegexEdge::line_begin);
      case '$':
        return edge_node(RegexEdge::line_end);
      case '*':
      case '+':
      case '?':
        in_.refuse(begin, "nothing to repeat");
      case '\\':
        return escape(options, begin);
      default:
        return literal(c, options);
    }
  }

  RegexNode literal(char32_t c, const RegexOptions& options) {
    literal_ = c;
    return set_node(options.ignore_case ? with_other_cases(CharSet(c, c)) : CharSet(c, c));
  }

  RegexNode group(const RegexOptions& options, int depth, std::size_t begin) {
    if (!in_.take('?')) {
      if (!in_.done() && in_.peek() == '*') in_.refuse(begin, "callouts are not supported");
      return closed(choice(options, depth + 1), begin);
    }
    if (in_.take(':')) return closed(choice(options, depth + 1), begin);
    if (in_.take('=')) return ahead_node(closed(choice(options, depth + 1), begin), false);
    if (in_.take('!')) return ahead_node(closed(choice(options, depth + 1), begin), true);
    if (in_.take("<=")) return behind(closed(choice(options, depth + 1), begin), begin, RegexEdge::after);
    if (in_.take("<!")) return behind(closed(choice(options, depth + 1), begin), begin, RegexEdge::not_after);
    if (in_.take('>')) {
      RegexNode body = closed(choice(options, depth + 1), begin);
      if (auto same = atomic(body)) return std::move(*same);
      in_.refuse(begin, "atomic groups of more than one character's repetition are not supported");
    }
    const bool named = in_.take('<');
    if (named || in_.take('\'')) {
      while (!in_.take(named ? '>' : '\'')) in_.next("the end of a name");
      return closed(choice(options, depth + 1), begin);
    }
    RegexOptions given = options;
    if (take_options(given) && in_.take(':')) return closed(choice(given, depth + 1), begin);
    in_.refuse(begin,
               "this kind of group is not supported; supported are (?:, (?=, (?!, (?<=, (?<!, (?>, (?<name>, "
               "and the options i, m, x");
  }

  RegexNode closed(RegexNode node, std::size_t begin) {
    if (!in_.take(')')) in_.refuse(begin, "a ( without its )");
    tail_.clear();
    literal_ = 0;
    return node;
  }

  RegexNode behind(const RegexNode& body, std::size_t begin, RegexEdge edge) {
    const CharSet* set = single_set(body);
    CharSet all;
    if (!set && body.kind == Kind::choice) {
      for (const RegexNode& part : body.parts) {
        const CharSet* one = single_set(part);
        if (!one) in_.refuse(begin, "a look back at more than one character is not supported");
        all = all | *one;
      }
      set = &all;
    }
    if (!set) in_.refuse(begin, "a look back at more than one character is not supported");
    return {.kind = Kind::edge, .set = *set, .edge = edge};
  }

  // What never gives back what it took, as what it is followed by.
  static std::optional<RegexNode> atomic(const RegexNode& body) {
    if (single_set(body)) return body;
    if (body.kind != Kind::repeat || !body.greedy) return std::nullopt;
    const CharSet* set = single_set(body.parts[0]);
    if (!set) return std::nullopt;
    RegexNode stop = ahead_node(set_node(*set), true);
    if (body.most == RegexNode::kNoEnd) return sequence_node({body, std::move(stop)});
    if (body.least != 0 || body.most != 1) return std::nullopt;
    return choice_node({body.parts[0], std::move(stop)});
  }

  RegexNode quantified(RegexNode node, std::size_t begin) {
    for (;;) {
      std::uint32_t least = 0, most = RegexNode::kNoEnd;
      const std::size_t here = in_.at();
      bool interval = false;
      if (in_.take('?')) {
        most = 1;
      } else if (in_.take('+')) {
        least = 1;
      } else if (in_.take('*')) {
      } else if (take_interval(least, most)) {
        interval = true;
      } else {
        return node;
      }
      literal_ = 0;
      // A ? after {n} makes it optional, and a + after an interval repeats it.
      const bool reluctant = (!interval || least != most) && in_.take('?');
      const bool possessive = !reluctant && !interval && in_.take('+');
      node = repeat_node(std::move(node), least, most, !reluctant);
      if (!possessive) continue;
      auto same = atomic(node);
      if (!same)
        in_.refuse(here, "a possessive quantifier on more than one character is not supported (at {})",
                   begin);
      node = std::move(*same);
    }
  }

  // {n}, {n,}, {,m}, {n,m}; anything else in braces is text.
  bool take_interval(std::uint32_t& least, std::uint32_t& most) {
    const std::size_t begin = in_.at();
    std::uint32_t first = 0, second = RegexNode::kNoEnd;
    if (!in_.take('{')) return false;
    const bool lower = in_.take_number(first, kMostTimes);
    const bool comma = in_.take(',');
    const bool upper = comma && in_.take_number(second, kMostTimes);
    if (!in_.take('}') || (!lower && !upper)) return in_.back_to(begin), false;
    if (!comma) second = first;
    if (second < first) in_.refuse(begin, "an interval from more to less");
    least = first, most = second;
    return true;
  }

  RegexNode escape(const RegexOptions& options, std::size_t begin) {
    if (in_.done()) in_.refuse(begin, "a \\ at the end");
    const char32_t c = in_.peek();
    switch (c) {
      case 'A':
        return in_.next(), edge_node(RegexEdge::text_begin);
      case 'z':
        return in_.next(), edge_node(RegexEdge::text_end);
      case 'Z': {
        in_.next();
        RegexNode newline = repeat_node(set_node(CharSet('\n', '\n')), 0, 1, true);
        return ahead_node(sequence_node({std::move(newline), edge_node(RegexEdge::text_end)}), false);
      }
      case 'b':
        return in_.next(), edge_node(RegexEdge::word_boundary);
      case 'B':
        return in_.next(), edge_node(RegexEdge::no_word_boundary);
      case 'N':
        return in_.next(), set_node(~CharSet('\n', '\n'));
      case 'O':
        return in_.next(), set_node(CharSet(0, 0x10FFFF));
      case 'w':
      case 'W': {
        in_.next();
        CharSet word = *named_set("word") | regex_latin_words();
        return set_node(c == 'w' ? word : ~word);
      }
      case 'R': {
        in_.next();
        RegexNode both = sequence_node({set_node(CharSet('\r', '\r')), set_node(CharSet('\n', '\n'))});
        CharSet ends({{0x0A, 0x0D}, {0x85, 0x85}, {0x2028, 0x2029}});
        RegexNode one = sequence_node({ahead_node(both, true), set_node(std::move(ends))});
        return choice_node({std::move(both), std::move(one)});
      }
      case 'G':
      case 'K':
      case 'X':
      case 'y':
      case 'Y':
      case 'g':
      case 'k':
        in_.refuse(begin, "\\{} is not supported", static_cast<char>(c));
      default:
        break;
    }
    if (c >= '1' && c <= '9') in_.refuse(begin, "back references are not supported");
    const RegexEscape e = parse_escape(in_, begin);
    if (e.set) return set_node(*e.set);  // in every case the same, as Oniguruma has it
    return literal(e.character, options);
  }

  RegexInput in_;
  char32_t literal_ = 0;  // the character that the last atom is
  std::u32string tail_;   // folded characters just before, where case does not matter
};

}  // namespace

RegexNode parse_regex(std::string_view expression, std::string_view where) {
  return Parser(expression, where).parse();
}

}  // namespace glossa
