#include "text/train_bpe.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/unicode.h"
#include "text/byte_level.h"
#include "text/hash.h"

namespace glossa {
namespace {

constexpr std::uint64_t kNoPair = UINT64_MAX;

std::uint64_t pair_of(Token left, Token right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

// How often each pair occurs, and in which words it came up since it was last put in the queue.
class PairTable {
 public:
  struct Entry {
    std::uint64_t pair = kNoPair;
    std::int64_t count = 0;
    std::uint32_t fresh = 0;  // 1 + the index of a list of words, or 0
  };

  PairTable() : slots_(1 << 16) {}

  Entry& operator[](std::uint64_t pair) {
    std::size_t slot = home(pair);
    while (slots_[slot].pair != pair && slots_[slot].pair != kNoPair) slot = (slot + 1) & (slots_.size() - 1);
    if (slots_[slot].pair == pair) return slots_[slot];
    if (2 * ++size_ > slots_.size()) {
      grow();
      return (*this)[pair];
    }
    slots_[slot].pair = pair;
    return slots_[slot];
  }
  const std::vector<Entry>& slots() const { return slots_; }

 private:
  std::size_t home(std::uint64_t pair) const { return hash_mix(pair, seed_) & (slots_.size() - 1); }
  void grow() {
    std::vector<Entry> old(2 * slots_.size());
    old.swap(slots_);
    for (const Entry& e : old) {
      if (e.pair == kNoPair) continue;
      std::size_t slot = home(e.pair);
      while (slots_[slot].pair != kNoPair) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = e;
    }
    --size_;
  }

  const std::uint64_t seed_ = hash_seed();
  std::vector<Entry> slots_;
  std::size_t size_ = 0;
};

// A pair waiting to be merged in the words where it came up together. A pair can wait more than once: if two
// merges make the same token, pairs with it come up again.
struct Candidate {
  std::int64_t count;
  std::uint64_t pair;
  std::uint32_t list;  // of words; later lists have higher numbers

  bool operator<(const Candidate& other) const {  // in the heap the last one is on top
    if (count != other.count) return count < other.count;
    if (pair != other.pair) return pair > other.pair;
    return list > other.list;
  }
};

class Learner {
 public:
  Learner(const std::vector<CountedWord>& words, bool bytes, Vocabulary& vocabulary)
      : vocabulary_(vocabulary) {
    for (const CountedWord& word : words) begin(word, bytes);
    for (std::uint32_t w = 0; w < words_.size(); ++w) {
      const Word& word = words_[w];
      for (std::uint32_t i = 1; i < word.size; ++i) {
        const std::uint64_t pair = pair_of(symbols_[word.begin + i - 1], symbols_[word.begin + i]);
        change(pair, word.count);
        came_up(pair, w);
      }
    }
    queue_fresh();
  }

  std::vector<std::pair<Token, Token>> learn(const BpeLearner& how) {
    std::vector<std::uint64_t> merges;
    while (vocabulary_.size() < how.vocab_size && !heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      Candidate top = heap_.back();
      const std::int64_t count = pairs_[top.pair].count;
      if (top.count != count) {
        heap_.back().count = count;
        std::push_heap(heap_.begin(), heap_.end());
        continue;
      }
      heap_.pop_back();
      if (count < 1 || static_cast<std::uint64_t>(count) < how.min_frequency) break;
      merges.push_back(top.pair);
      merge(top);
    }
    return last_of_each(merges);
  }

 private:
  struct Word {
    std::uint64_t begin;  // in symbols_
    std::uint32_t size;   // symbols; shrinks
    std::int64_t count;
  };

  void begin(const CountedWord& word, bool bytes) {
    const std::uint64_t from = symbols_.size();
    for (std::size_t at = 0; at < word.text.size();) {
      const std::size_t first = at;
      bytes ? void(++at) : void(utf8_next(word.text, at));
      const std::string_view name =
          bytes ? std::string_view(byte_names()[static_cast<unsigned char>(word.text[first])])
                : word.text.substr(first, at - first);
      if (const Token id = vocabulary_.find(name); id >= 0) symbols_.push_back(id);
    }
    const auto size = static_cast<std::uint32_t>(symbols_.size() - from);
    if (size < 2) {
      symbols_.resize(from);
    } else {
      words_.push_back({from, size, static_cast<std::int64_t>(word.count)});
    }
  }

  void change(std::uint64_t pair, std::int64_t by) { pairs_[pair].count += by; }

  void came_up(std::uint64_t pair, std::uint32_t word) {
    PairTable::Entry& entry = pairs_[pair];
    if (entry.fresh == 0) {
      lists_.emplace_back();
      entry.fresh = static_cast<std::uint32_t>(lists_.size());
      fresh_.push_back(pair);
    }
    auto& list = lists_[entry.fresh - 1];
    if (list.empty() || list.back() != word) list.push_back(word);
  }

  void queue_fresh() {
    for (const std::uint64_t pair : fresh_) {
      PairTable::Entry& entry = pairs_[pair];
      const std::uint32_t list = entry.fresh - 1;
      entry.fresh = 0;
      if (entry.count <= 0) continue;
      heap_.push_back({entry.count, pair, list});
      std::push_heap(heap_.begin(), heap_.end());
    }
    fresh_.clear();
  }

  void merge(const Candidate& top) {
    const Token left = static_cast<Token>(top.pair >> 32), right = static_cast<Token>(top.pair & UINT32_MAX);
    const std::string piece = std::string(vocabulary_[left]) + std::string(vocabulary_[right]);
    const Token known = vocabulary_.find(piece);
    const Token made = known >= 0 ? known : vocabulary_.add(piece);
    std::vector<std::uint32_t> words;
    words.swap(lists_[top.list]);
    for (const std::uint32_t w : words) merge_in_word(w, left, right, made);
    queue_fresh();
  }

  // Pairs with the neighbours go and come one by one, as the library counts them: the merged pair itself
  // keeps its count, and of overlapping pairs all were counted.
  void merge_in_word(std::uint32_t w, Token left, Token right, Token made) {
    Word& word = words_[w];
    Token* s = symbols_.data() + word.begin;
    std::uint32_t to = 0;
    for (std::uint32_t from = 0; from < word.size; ++from) {
      if (s[from] != left || from + 1 == word.size || s[from + 1] != right) {
        s[to++] = s[from];
        continue;
      }
      if (to > 0) {
        change(pair_of(s[to - 1], left), -word.count);
        change(pair_of(s[to - 1], made), word.count);
        came_up(pair_of(s[to - 1], made), w);
      }
      ++from;
      s[to++] = made;
      if (from + 1 < word.size) {
        change(pair_of(right, s[from + 1]), -word.count);
        change(pair_of(made, s[from + 1]), word.count);
        came_up(pair_of(made, s[from + 1]), w);
      }
    }
    word.size = to;
  }

  // A pair that was merged more than once has the rank of the last time.
  static std::vector<std::pair<Token, Token>> last_of_each(const std::vector<std::uint64_t>& merges) {
    PairTable seen;
    std::vector<std::pair<Token, Token>> kept;
    for (auto pair = merges.rbegin(); pair != merges.rend(); ++pair)
      if (seen[*pair].count++ == 0)
        kept.emplace_back(static_cast<Token>(*pair >> 32), static_cast<Token>(*pair & UINT32_MAX));
    std::reverse(kept.begin(), kept.end());
    return kept;
  }

  Vocabulary& vocabulary_;
  std::vector<Token> symbols_;
  std::vector<Word> words_;
  PairTable pairs_;
  std::vector<std::vector<std::uint32_t>> lists_;
  std::vector<std::uint64_t> fresh_;
  std::vector<Candidate> heap_;
};

}  // namespace

std::vector<std::pair<Token, Token>> learn_merges(const std::vector<CountedWord>& words, bool bytes,
                                                  const BpeLearner& how, Vocabulary& vocabulary) {
  return Learner(words, bytes, vocabulary).learn(how);
}

}  // namespace glossa
