#include "text/regex_program.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "text/regex_class.h"

namespace glossa {
namespace {

using Op = RegexInstruction::Op;
using Kind = RegexNode::Kind;

// Real expressions have a hundred. Each new state of the automaton costs a pass over them.
constexpr std::size_t kInstructions = 8192;
constexpr std::size_t kClasses = 250;

// Whether a node can match nothing.
bool nullable(const RegexNode& node) {
  const auto is_nullable = [](const RegexNode& part) { return nullable(part); };
  switch (node.kind) {
    case Kind::set:
      return false;
    case Kind::sequence:
      return std::all_of(node.parts.begin(), node.parts.end(), is_nullable);
    case Kind::choice:
      return std::any_of(node.parts.begin(), node.parts.end(), is_nullable);
    case Kind::repeat:
      return node.least == 0 || nullable(node.parts[0]);
    default:
      return true;
  }
}

}  // namespace

// Every node is compiled before what leads to it, so that it is known where to go on.
class RegexProgram::Compiler {
 public:
  Compiler(RegexProgram& program, std::string_view where) : p_(program), where_(where) {}

  std::uint32_t compile(const RegexNode& node, std::uint32_t next) {
    switch (node.kind) {
      case Kind::set:
        return put({.op = Op::set, .next = next, .x = set_number(node.set)});
      case Kind::sequence:
        for (auto part = node.parts.rbegin(); part != node.parts.rend(); ++part) next = compile(*part, next);
        return next;
      case Kind::choice: {
        std::uint32_t chosen = compile(node.parts.back(), next);
        for (std::size_t i = node.parts.size() - 1; i-- > 0;) {
          const std::uint32_t first = compile(node.parts[i], next);
          chosen = put({.op = Op::split, .next = first, .x = chosen});
        }
        return chosen;
      }
      case Kind::repeat:
        return repeat(node, next);
      case Kind::ahead: {
        const auto begin = static_cast<std::uint32_t>(p_.code_.size());
        const std::uint32_t body = compile(node.parts[0], put({.op = Op::match}));
        p_.parts_.push_back({begin, static_cast<std::uint32_t>(p_.code_.size())});
        return put({.op = Op::ahead, .negated = node.negated, .next = next, .x = body});
      }
      case Kind::edge: {
        if (node.edge != RegexEdge::text_end && node.edge != RegexEdge::line_end) p_.looks_back_ = true;
        return put({.op = Op::edge, .edge = node.edge, .next = next, .x = set_of_edge(node)});
      }
    }
    fail(Code::internal, "unknown kind of node {}", static_cast<int>(node.kind));
  }

  std::uint32_t put(const RegexInstruction& instruction) {
    check(p_.code_.size() < kInstructions, Code::size,
          "{}: the regular expression becomes more than {} instructions; lower its repetitions", where_,
          kInstructions);
    p_.code_.push_back(instruction);
    return static_cast<std::uint32_t>(p_.code_.size() - 1);
  }

  const std::vector<CharSet>& sets() const { return sets_; }

 private:
  std::uint32_t set_of_edge(const RegexNode& node) {
    switch (node.edge) {
      case RegexEdge::text_begin:
      case RegexEdge::text_end:
        return 0;
      case RegexEdge::line_begin:
      case RegexEdge::line_end:
        return set_number(CharSet('\n', '\n'));
      case RegexEdge::word_boundary:
      case RegexEdge::no_word_boundary:
        return set_number(*named_set("word") | regex_latin_words());
      default:
        return set_number(node.set);
    }
  }

  std::uint32_t split(bool greedy, std::uint32_t more, std::uint32_t enough) {
    return put({.op = Op::split, .next = greedy ? more : enough, .x = greedy ? enough : more});
  }

  std::uint32_t repeat(const RegexNode& node, std::uint32_t next) {
    const RegexNode& part = node.parts[0];
    if (node.most == RegexNode::kNoEnd) {
      const std::uint32_t loop = split(true, 0, 0);
      const std::uint32_t end = nullable(part) ? put({.op = Op::again, .next = loop, .x = next}) : loop;
      const std::uint32_t again = compile(part, end);
      p_.code_[loop].next = node.greedy ? again : next;
      p_.code_[loop].x = node.greedy ? next : again;
      next = loop;
    } else {
      const std::uint32_t enough = next;
      for (std::uint32_t i = node.least; i < node.most; ++i)
        next = split(node.greedy, compile(part, next), enough);
    }
    for (std::uint32_t i = 0; i < node.least; ++i) next = compile(part, next);
    return next;
  }

  std::uint32_t set_number(const CharSet& set) {
    const auto known = std::find(sets_.begin(), sets_.end(), set);
    if (known == sets_.end()) sets_.push_back(set);
    return static_cast<std::uint32_t>(std::find(sets_.begin(), sets_.end(), set) - sets_.begin());
  }

  RegexProgram& p_;
  const std::string_view where_;
  std::vector<CharSet> sets_;
};

RegexProgram::RegexProgram(std::string_view expression, std::string_view where) {
  const RegexNode tree = parse_regex(expression, where);
  Compiler compiler(*this, where);
  start_ = compiler.compile(tree, compiler.put({.op = Op::match}));
  parts_.push_back({0, size()});
  divide(compiler.sets(), where);
}

// Characters are of one class if the same sets have them.
void RegexProgram::divide(const std::vector<CharSet>& sets, std::string_view where) {
  std::vector<char32_t> cuts{0, 0x110000};
  for (const CharSet& set : sets)
    for (const auto& r : set.ranges()) cuts.insert(cuts.end(), {r.first, r.last + 1});
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  std::map<std::vector<bool>, std::uint8_t> known;
  std::vector<std::uint8_t> class_from;  // of the characters from each cut to the next one
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    std::vector<bool> in;
    for (const CharSet& set : sets) in.push_back(set.contains(cuts[i]));
    class_from.push_back(known.try_emplace(in, static_cast<std::uint8_t>(known.size())).first->second);
    check(known.size() <= kClasses, Code::size,
          "{}: the regular expression tells more than {} classes of characters apart", where, kClasses);
  }
  classes_ = static_cast<std::uint32_t>(known.size());
  members_.assign(sets.size() * (classes_ + 2), false);
  for (const auto& [in, number] : known)
    for (std::size_t s = 0; s < sets.size(); ++s) members_[s * (classes_ + 2) + number] = in[s];
  fill_pages(cuts, class_from);
}

// Pages of a single class are shared.
void RegexProgram::fill_pages(const std::vector<char32_t>& cuts,
                              const std::vector<std::uint8_t>& class_from) {
  std::vector<int> uniform(classes_, -1);
  std::size_t i = 0;
  for (char32_t p = 0; p < page_.size(); ++p) {
    while (cuts[i + 1] <= p * 256) ++i;
    const bool whole = cuts[i + 1] >= (p + 1) * 256;
    int& shared = uniform[class_from[i]];
    if (whole && shared >= 0) {
      page_[p] = static_cast<std::uint16_t>(shared);
      continue;
    }
    page_[p] = static_cast<std::uint16_t>(pages_.size() / 256);
    if (whole) shared = page_[p];
    for (char32_t c = p * 256; c < (p + 1) * 256; ++c) {
      while (cuts[i + 1] <= c) ++i;
      pages_.push_back(class_from[i]);
    }
  }
}

bool RegexProgram::holds(const RegexInstruction& edge, std::uint32_t before, std::uint32_t after) const {
  const bool at_begin = before == begin_class(), at_end = after == end_class();
  switch (edge.edge) {
    case RegexEdge::text_begin:
      return at_begin;
    case RegexEdge::text_end:
      return at_end;
    case RegexEdge::line_begin:
      return at_begin || (holds(edge.x, before) && !at_end);
    case RegexEdge::line_end:
      return at_end || holds(edge.x, after);
    case RegexEdge::word_boundary:
      return holds(edge.x, before) != holds(edge.x, after);
    case RegexEdge::no_word_boundary:
      return holds(edge.x, before) == holds(edge.x, after);
    case RegexEdge::after:
      return holds(edge.x, before);
    case RegexEdge::not_after:
      return !holds(edge.x, before);
  }
  return false;
}

}  // namespace glossa
