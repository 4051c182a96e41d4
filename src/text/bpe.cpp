#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/unicode.h"
#include "text/byte_level.h"
#include "text/hash.h"

namespace glossa {
namespace {

// Up to here the least rank is found by looking at all of them: cheaper than any heap.
constexpr std::size_t kShortWord = 64;
// With dropout, longer words are merged in parts of so many symbols, since every step asks again for every
// pair.
constexpr std::size_t kDropoutWord = 256;

std::uint64_t pair_of(Token left, Token right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

DropoutNumbers::DropoutNumbers(double probability, std::uint64_t seed, std::uint64_t sample)
    : random_(seed, Purpose::dropout, sample),
      threshold_(static_cast<std::uint64_t>(std::ldexp(probability, 32))) {}

Bpe::Bpe(const BpeModel& model, bool bytes, std::string_view origin)
    : model_(model),
      origin_(origin),
      bytes_(bytes),
      plain_(model.continuing_subword_prefix.value_or("").empty() &&
             model.end_of_word_suffix.value_or("").empty()) {
  marked_ = !bytes && plain_ && !model.ignore_merges && model.vocabulary.find(kWordMark) >= 0;
  if (model.unk_token) unk_ = model.vocabulary.find(*model.unk_token);
  for (int b = 0; b < 256; ++b) {
    byte_ids_[b] = model.vocabulary.find(byte_names()[b]);
    fallback_ids_[b] = model.vocabulary.find(fmt::format("<0x{:02X}>", b));
  }
  for (int c = 0; c < 128; ++c) ascii_ids_[c] = model.vocabulary.find(std::string(1, static_cast<char>(c)));
  slots_.assign(std::bit_ceil(2 * model.merges.size() + 2), {-1, -1, kNone});
  merged_.reserve(model.merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < model.merges.size(); ++rank)
    add_merge(static_cast<std::uint32_t>(rank), joined);
}

void Bpe::add_merge(std::uint32_t rank, std::string& joined) {
  const auto [left, right] = model_.merges[rank];
  const std::string_view a = model_.vocabulary[left], b = model_.vocabulary[right];
  const std::size_t prefix = model_.continuing_subword_prefix ? model_.continuing_subword_prefix->size() : 0;
  // What messages quote is made for them alone: there may be a million merges.
  if (b.size() < prefix)
    fail(Code::tokenizer, "{}: model.merges[{}]: {} is shorter than the continuing_subword_prefix {} it is to lose", origin_,
         rank, quoted(b), quoted(model_.continuing_subword_prefix.value_or("")));
  joined = a, joined += b.substr(prefix);
  const Token id = model_.vocabulary.find(joined);
  if (id < 0)
    fail(Code::tokenizer, "{}: model.merges[{}]: {} and {} make {}, which is not in the vocabulary", origin_, rank,
         quoted(a), quoted(b), quoted(joined));
  merged_.push_back(id);
  note_marks(joined);
  std::size_t slot = hash_mix(pair_of(left, right), hash_seed());
  for (;; ++slot) {
    const Slot& s = slots_[slot &= slots_.size() - 1];
    if (s.rank == kNone) break;
    if (s.left == left && s.right == right)
      fail(Code::tokenizer, "{}: model.merges[{}] and [{}] are the same pair, {} and {}", origin_, s.rank, rank,
           quoted(a), quoted(b));
  }
  slots_[slot] = {left, right, rank};
}

void Bpe::note_marks(std::string_view joined) {
  for (std::size_t at = 0; (at = joined.find(kWordMark, at)) != joined.npos; at += kWordMark.size()) {
    if (at == 0 || joined.substr(0, at).ends_with(kWordMark)) continue;
    if (!joins_a_mark(joined[at - 1])) before_mark_.push_back(joined[at - 1]);
  }
}

bool Bpe::joins_a_mark(char last) const {
  return std::find(before_mark_.begin(), before_mark_.end(), last) != before_mark_.end();
}

Token Bpe::character_id(std::string_view character) const {
  const auto first = static_cast<unsigned char>(character.front());
  return first < 128 && character.size() == 1 ? ascii_ids_[first] : model_.vocabulary.find(character);
}

// Whether what comes behind a text, a mark, has no effect on the tokens of its last character.
bool Bpe::cuts_after(std::string_view text) const {
  if (joins_a_mark(text.back())) return false;
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  const std::string_view character = text.substr(begin);
  return character != kWordMark && character_id(character) >= 0;
}

std::size_t Bpe::part_of(std::string_view word) const {
  if (marked_)
    for (std::size_t at = 1; (at = word.find(kWordMark, at)) != word.npos; at += kWordMark.size())
      if (cuts_after(word.substr(0, at))) return at;
  return word.size();
}

std::uint32_t Bpe::rank_of(Token left, Token right) const {
  for (std::size_t slot = hash_mix(pair_of(left, right), hash_seed());; ++slot) {
    const Slot& s = slots_[slot & (slots_.size() - 1)];
    if ((s.left == left && s.right == right) || s.rank == kNone) return s.rank;
  }
}

Token Bpe::unknown() const {
  check(unk_ >= 0, Code::tokenizer, "{}: the unk_token {} is needed and not in the vocabulary", origin_,
        quoted(*model_.unk_token));
  return unk_;
}

bool Bpe::begin_plain_bytes(std::string_view word, std::vector<Symbol>& symbols) const {
  if (!bytes_ || !plain_) return false;
  for (const char b : word) {
    const Token id = byte_ids_[static_cast<unsigned char>(b)];
    if (id < 0) return symbols.clear(), false;
    symbols.push_back({id, 1});
  }
  return true;
}

// The symbols of the single characters: of the vocabulary, else of their bytes, else unknown, else nothing.
void Bpe::begin(std::string_view word, Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  Symbol unknown_run{-1, 0};
  const auto flush = [&] {
    if (unknown_run.id >= 0) symbols.push_back(unknown_run);
    unknown_run.id = -1;
  };
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    bytes_ ? void(++at) : void(utf8_next(word, at));
    const auto size = static_cast<std::uint32_t>(at - begin);
    std::string_view text =
        bytes_ ? byte_names()[static_cast<unsigned char>(word[begin])] : word.substr(begin, size);
    if (!plain_) {
      scratch.name_ = begin > 0 ? model_.continuing_subword_prefix.value_or("") : "";
      scratch.name_ += text;
      if (at == word.size()) scratch.name_ += model_.end_of_word_suffix.value_or("");
      text = scratch.name_;
    }
    if (const Token id = character_id(text); id >= 0) {
      flush();
      symbols.push_back({id, size});
      continue;
    }
    const auto fallback = [&](char b) { return fallback_ids_[static_cast<unsigned char>(b)]; };
    if (model_.byte_fallback &&
        std::all_of(text.begin(), text.end(), [&](char b) { return fallback(b) >= 0; })) {
      for (const char b : text) symbols.push_back({fallback(b), 1});
      continue;
    }
    if (!model_.unk_token) continue;
    if (!model_.fuse_unk) flush();
    unknown_run = {unknown(), size + (unknown_run.id >= 0 ? unknown_run.size : 0)};
  }
  flush();
}

// Joins symbols[at] and its right neighbour by the merge of ranks[at].
void Bpe::join(std::vector<Symbol>& symbols, std::vector<std::uint32_t>& ranks, std::size_t at) const {
  symbols[at] = {merged_[ranks[at]], symbols[at].size + symbols[at + 1].size};
  symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  ranks.erase(ranks.begin() + static_cast<std::ptrdiff_t>(at));
  if (at > 0) ranks[at - 1] = rank_of(symbols[at - 1].id, symbols[at].id);
  if (at < ranks.size()) ranks[at] = rank_of(symbols[at].id, symbols[at + 1].id);
}

void Bpe::merge_short(Scratch& scratch) const {
  auto& symbols = scratch.symbols_;
  auto& ranks = scratch.ranks_;
  ranks.clear();
  for (std::size_t i = 1; i < symbols.size(); ++i) ranks.push_back(rank_of(symbols[i - 1].id, symbols[i].id));
  while (!ranks.empty()) {
    const auto least = std::min_element(ranks.begin(), ranks.end());
    if (*least == kNone) return;
    join(symbols, ranks, static_cast<std::size_t>(least - ranks.begin()));
  }
}

void Bpe::merge_with_dropout(Scratch& scratch, DropoutNumbers& dropout) const {
  std::vector<Symbol> rest;
  rest.swap(scratch.symbols_);
  std::vector<Symbol> part;
  auto& ranks = scratch.ranks_;
  for (std::size_t begin = 0; begin < rest.size(); begin += kDropoutWord) {
    const std::size_t end = std::min(begin + kDropoutWord, rest.size());
    part.assign(rest.begin() + static_cast<std::ptrdiff_t>(begin),
                rest.begin() + static_cast<std::ptrdiff_t>(end));
    ranks.clear();
    for (std::size_t i = 1; i < part.size(); ++i) ranks.push_back(rank_of(part[i - 1].id, part[i].id));
    for (;;) {
      std::size_t best = ranks.size();
      for (std::size_t i = 0; i < ranks.size(); ++i)
        if (ranks[i] != kNone && !dropout.passes_over() && (best == ranks.size() || ranks[i] < ranks[best]))
          best = i;
      if (best == ranks.size()) break;
      join(part, ranks, best);
    }
    scratch.symbols_.insert(scratch.symbols_.end(), part.begin(), part.end());
  }
}

// A word of any length. For each rank the places are kept where its pair was seen, and ranks are worked off
// from the least on, places from left to right: the order a heap of (rank, place) would give, at the cost of
// passes over the word in the order of memory.
class Bpe::LongWord {
 public:
  LongWord(const Bpe& bpe, Scratch& scratch)
      : bpe_(bpe),
        s_(scratch),
        symbols_(scratch.symbols_),
        count_(static_cast<std::uint32_t>(symbols_.size())) {
    if (s_.waiting_.empty()) s_.waiting_.resize(bpe.merged_.size());
    // What is left of a word that memory did not suffice for.
    for (const std::uint32_t rank : s_.active_) s_.waiting_[rank].clear();
    s_.active_.clear();
    s_.early_.clear();
    s_.next_.resize(count_);
    s_.previous_.resize(count_);
    for (std::uint32_t i = 0; i < count_; ++i) s_.next_[i] = i + 1, s_.previous_[i] = i - 1;
  }

  void merge() {
    for (std::uint32_t i = 0; i + 1 < count_; ++i) wait(i);
    std::vector<std::uint32_t> places;
    while (!s_.active_.empty()) {
      std::pop_heap(s_.active_.begin(), s_.active_.end(), std::greater<>());
      rank_ = s_.active_.back();
      s_.active_.pop_back();
      places.clear();
      places.swap(s_.waiting_[rank_]);
      if (!std::is_sorted(places.begin(), places.end())) std::sort(places.begin(), places.end());
      for (const std::uint32_t place : places) {
        work_off_early(std::uint64_t{rank_} << 32 | place);
        join(rank_, place);
      }
      work_off_early(UINT64_MAX);
    }
    std::erase_if(symbols_, [](const Symbol& s) { return s.size == 0; });
  }

 private:
  // Pairs that came up again after their rank's turn: trained vocabularies have them where two merges make
  // one token.
  void work_off_early(std::uint64_t before) {
    while (!s_.early_.empty() && s_.early_.front() < before) {
      std::pop_heap(s_.early_.begin(), s_.early_.end(), std::greater<>());
      const std::uint64_t first = s_.early_.back();
      s_.early_.pop_back();
      join(static_cast<std::uint32_t>(first >> 32), static_cast<std::uint32_t>(first));
    }
  }

  void wait(std::uint32_t place) {
    const std::uint32_t rank = bpe_.rank_of(symbols_[place].id, symbols_[s_.next_[place]].id);
    if (rank == kNone) return;
    if (rank_ != kNone && rank <= rank_) {
      s_.early_.push_back(std::uint64_t{rank} << 32 | place);
      std::push_heap(s_.early_.begin(), s_.early_.end(), std::greater<>());
      return;
    }
    if (s_.waiting_[rank].empty()) {
      s_.active_.push_back(rank);
      std::push_heap(s_.active_.begin(), s_.active_.end(), std::greater<>());
    }
    s_.waiting_[rank].push_back(place);
  }

  void join(std::uint32_t rank, std::uint32_t place) {
    const std::uint32_t right = s_.next_[place];
    if (symbols_[place].size == 0 || right == count_) return;
    if (bpe_.rank_of(symbols_[place].id, symbols_[right].id) != rank) return;
    symbols_[place] = {bpe_.merged_[rank], symbols_[place].size + symbols_[right].size};
    symbols_[right].size = 0;
    const std::uint32_t after = s_.next_[place] = s_.next_[right];
    if (after < count_) s_.previous_[after] = place;
    if (place > 0) wait(s_.previous_[place]);
    if (after < count_) wait(place);
  }

  const Bpe& bpe_;
  Scratch& s_;
  std::vector<Symbol>& symbols_;
  const std::uint32_t count_;
  std::uint32_t rank_ = kNone;  // whose turn it is
};

const std::vector<Symbol>& Bpe::encode(std::string_view word, Scratch& scratch,
                                       DropoutNumbers* dropout) const {
  auto& symbols = scratch.symbols_;
  symbols.clear();
  if (model_.ignore_merges) {
    if (bytes_) scratch.name_ = to_byte_names(word);
    if (const Token id = model_.vocabulary.find(bytes_ ? scratch.name_ : word); id >= 0) {
      symbols.push_back({id, static_cast<std::uint32_t>(word.size())});
      return symbols;
    }
  }
  if (!begin_plain_bytes(word, symbols)) begin(word, scratch);
  if (dropout) {
    merge_with_dropout(scratch, *dropout);
  } else if (symbols.size() <= kShortWord) {
    merge_short(scratch);
  } else {
    LongWord(*this, scratch).merge();
  }
  return symbols;
}

}  // namespace glossa
