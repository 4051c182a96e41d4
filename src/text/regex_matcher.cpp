#include "text/regex_matcher.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

using Op = RegexInstruction::Op;
constexpr char32_t kReplacement = 0xFFFD;

bool has(const std::vector<std::uint64_t>& bits, std::uint32_t at) {
  return bits[at / 64] >> (at % 64) & 1;
}
void put(std::vector<std::uint64_t>& bits, std::uint32_t at) {
  bits[at / 64] |= std::uint64_t{1} << (at % 64);
}

}  // namespace

RegexMatcher::RegexMatcher(const RegexProgram& program, std::string_view where)
    : program_(program),
      where_(where),
      words_((program.size() + 63) / 64),
      arcs_((program.classes() + 1) * (program.looks_back() ? program.classes() + 1 : 1)),
      seen_(program.size()) {
  for (char32_t c = 0; c < 128; ++c) ascii_[c] = static_cast<std::uint8_t>(program.class_of(c));
  number_of(Bits(words_));
}

RegexMatcher::Number RegexMatcher::number_of(const Bits& bits) {
  const std::string key(reinterpret_cast<const char*>(bits.data()), bits.size() * sizeof(std::uint64_t));
  const auto [entry, made] = numbers_.try_emplace(key, static_cast<Number>(states_.size()));
  if (!made) return entry->second;
  const std::size_t bytes = (states_.size() + 1) * ((arcs_ + program_.size()) * sizeof(Number) + words_ * 8);
  check(states_.size() < kMostStates && bytes < kMostBytes, Code::size,
        "{}: the regular expression needs more than {} states for this text; simplify it", where_,
        states_.size());
  states_.push_back(bits);
  before_.resize(before_.size() + arcs_, kUnknown);
  steps_.resize(steps_.size() + program_.size(), kUnknown);
  return entry->second;
}

// Whether an instruction that consumes nothing leads to one of the set.
bool RegexMatcher::can_pass(const Bits& bits, std::uint32_t at, std::uint32_t before,
                            std::uint32_t after) const {
  const RegexInstruction& i = program_[at];
  switch (i.op) {
    case Op::match:
      return true;
    case Op::set:
      return false;
    case Op::split:
      return has(bits, i.next) || has(bits, i.x);
    case Op::again:
      return has(bits, i.next);
    case Op::edge:
      return has(bits, i.next) && program_.holds(i, before, after);
    case Op::ahead:
      return has(bits, i.next) && has(bits, i.x) != i.negated;
  }
  return false;
}

void RegexMatcher::close(Bits& bits, std::uint32_t before, std::uint32_t after) const {
  for (const auto& part : program_.parts())
    for (bool more = true; more;) {
      more = false;
      for (std::uint32_t at = part.begin; at < part.end; ++at)
        if (!has(bits, at) && can_pass(bits, at, before, after)) put(bits, at), more = true;
    }
}

// The state before a character of class `here`, which has one of class `before` in front of it; or, for the
// end of the text, the state there.
RegexMatcher::Number RegexMatcher::state_before(Number after, std::uint32_t here, std::uint32_t before) {
  const std::size_t row = here == program_.end_class() ? program_.classes() : here;
  const std::size_t arc =
      after * arcs_ + (program_.looks_back() ? row * (program_.classes() + 1) + before : row);
  if (before_[arc] != kUnknown) return before_[arc];
  Bits bits(words_);
  const Bits& reached = states_[after];
  for (std::uint32_t at = 0; at < program_.size(); ++at) {
    const RegexInstruction& i = program_[at];
    if (i.op == Op::set && has(reached, i.next) && program_.holds(i.x, here)) put(bits, at);
  }
  close(bits, before, here);
  const Number found = number_of(bits);
  return before_[arc] = found;
}

// The class of the character that ends before byte `at`, and where it begins.
std::uint32_t RegexMatcher::class_before(std::string_view text, std::size_t at, std::size_t& begin) const {
  if (at == 0) return program_.begin_class();
  begin = at - 1;
  const auto last = static_cast<unsigned char>(text[begin]);
  if (last < 0x80) return ascii_[last];
  for (std::size_t size = 2; size <= 4 && size <= at; ++size) {
    if ((static_cast<unsigned char>(text[at - size]) & 0xC0) == 0x80) continue;
    if (utf8_length_at(text, at - size) != size) break;
    std::size_t place = begin = at - size;
    return program_.class_of(utf8_next(text, place));
  }
  return program_.class_of(kReplacement);
}

void RegexMatcher::read_backwards(std::string_view text) {
  places_.assign(text.size() + 1, kInside);
  std::size_t at = text.size(), begin = 0;
  std::uint32_t here = class_before(text, at, begin);
  Number state = places_[at] = state_before(0, program_.end_class(), here);
  while (at > 0) {
    at = begin;
    const std::uint32_t before = class_before(text, at, begin);
    state = places_[at] = state_before(state, here, before);
    here = before;
  }
}

// The first way through instructions that consume nothing, to a character or the match. A loop goes on after
// a part of nothing as backtracking engines do: with what is behind it.
RegexMatcher::Number RegexMatcher::find_step(const Bits& bits, std::uint32_t at) {
  open_.assign(1, at);
  std::fill(seen_.begin(), seen_.end(), false);
  std::uint32_t rounds = 0;  // of loops; bounded, for loops in loops could make as many as a power of two
  while (!open_.empty()) {
    at = open_.back();
    open_.pop_back();
    const RegexInstruction& i = program_[at];
    if (!has(bits, at) || seen_[at]) continue;
    seen_[at] = i.op != Op::again;  // the second time it leads on
    if (i.op == Op::again && !seen_[i.next] && ++rounds < program_.size()) {
      const RegexInstruction& loop = program_[i.next];
      const auto part = seen_.begin() + at, end = seen_.begin() + std::max(loop.next, loop.x) + 1;
      std::fill(part, end, false);  // what ended the part before may begin the next one
    }
    if (i.op == Op::match) return kMatch;
    if (i.op == Op::set) return static_cast<Number>(i.next);
    if (i.op == Op::split) open_.push_back(i.x);
    open_.push_back(i.op == Op::again && seen_[i.next] ? i.x : i.next);
  }
  return kNoMatch;
}

RegexMatcher::Number RegexMatcher::step(Number state, std::uint32_t at) {
  Number& known = steps_[state * std::size_t{program_.size()} + at];
  if (known == kUnknown) known = find_step(states_[state], at);
  return known;
}

void RegexMatcher::find_all(std::string_view text, std::vector<Regex::Match>& matches) {
  matches.clear();
  read_backwards(text);
  const auto next_place = [&](std::size_t at) {
    do ++at;
    while (at < text.size() && places_[at] == kInside);
    return at;
  };
  std::size_t last_end = SIZE_MAX;
  for (std::size_t begin = 0; begin <= text.size();) {
    std::uint32_t at = program_.start();
    std::size_t end = begin;
    Number next = step(places_[end], at);
    for (; next < kNoMatch; next = step(places_[end], at)) {
      at = next;
      end = next_place(end);
    }
    if (next == kNoMatch || (end == begin && begin == last_end)) {
      begin = next_place(begin);
      continue;
    }
    matches.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    begin = last_end = end;
  }
}

}  // namespace glossa
