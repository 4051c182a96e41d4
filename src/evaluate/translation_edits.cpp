// tercom's search: as long as the edit distance falls, the best shift of a run of words is applied. What is
// tried, in which order ties are broken and where the search gives up are part of the score's definition, so
// none of it is ours to improve; only candidates that cannot win are given up early.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "evaluate/ter.h"

namespace glossa {
namespace {

using Words = std::span<const std::uint32_t>;

constexpr int kMostShifted = 10;       // words in one shift
constexpr int kFarthestShift = 50;     // places between a run and its match
constexpr int kBeam = 25;              // columns on each side of the diagonal
constexpr int kMostCandidates = 1000;  // shifts tried for one segment
constexpr int kInfinite = 1'000'000'000;

enum class Edit : std::uint8_t { none, substitution, insertion, deletion };

// The edit distance from a hypothesis to the reference within a beam around the diagonal of their lengths.
// Row i, after i words of the hypothesis, is kept for the columns of its beam and those that the next row
// looks at, infinite there.
class BeamDistance {
 public:
  BeamDistance(std::size_t hypothesis_length, Words reference)
      : reference_(reference),
        n_(static_cast<int>(hypothesis_length)),
        m_(static_cast<int>(reference.size())) {
    const double ratio = n_ > 0 ? static_cast<double>(m_) / n_ : 1;
    // With very different lengths the beams of two neighbouring rows would not meet.
    const int beam = kBeam < ratio / 2 ? static_cast<int>(std::ceil(ratio / 2 + kBeam)) : kBeam;
    rows_.resize(hypothesis_length + 1);
    for (int i = 0; i <= n_; ++i) {
      const int diagonal = static_cast<int>(i * ratio);
      rows_[index(i)].begin = std::max(0, diagonal - beam);
      rows_[index(i)].end = i == n_ ? m_ + 1 : std::min(m_ + 1, diagonal + beam);
    }
    std::ptrdiff_t cells = 0;
    for (int i = 0; i <= n_; ++i) {
      Row& row = rows_[index(i)];
      row.kept_begin = std::max(0, row.begin - 1);
      row.kept_end = i == n_ ? row.end : rows_[index(i + 1)].end;
      row.origin = cells - row.kept_begin;
      cells += row.kept_end - row.kept_begin;
    }
    costs_.assign(static_cast<std::size_t>(cells), kInfinite);
    edits_.assign(static_cast<std::size_t>(cells), Edit::insertion);
    for (int j = 0; j < rows_[0].kept_end; ++j) costs(0)[j] = j;
    previous_.assign(reference.size() + 1, 0);
    current_.assign(reference.size() + 1, 0);
  }

  // Takes `words` for the hypothesis; those before `from` are as they were.
  void set(Words words, int from) {
    for (int i = from + 1; i <= n_; ++i) {
      const int* above = costs(i - 1);
      int* here = costs(i);
      Edit* edits = edits_.data() + rows_[index(i)].origin;
      for (int j = rows_[index(i)].begin; j < rows_[index(i)].end; ++j) {
        if (j == 0) {
          here[0] = above[0] + 1, edits[0] = Edit::deletion;
          continue;
        }
        // Of equal costs tercom prefers substitution, then deletion, then insertion.
        const bool same = words[index(i - 1)] == reference_[index(j - 1)];
        int cost = above[j - 1] + !same;
        Edit edit = same ? Edit::none : Edit::substitution;
        if (above[j] + 1 < cost) cost = above[j] + 1, edit = Edit::deletion;
        if (here[j - 1] + 1 < cost) cost = here[j - 1] + 1, edit = Edit::insertion;
        here[j] = cost, edits[j] = edit;
      }
    }
  }

  int distance() const { return costs_.back(); }

  // The distance of `words`, which differ from those set only from `from` on, or some number above `most` if
  // it is above that. A path of at most `most` edits leaves the diagonals between its ends by half of what
  // they leave over (Ukkonen, "Algorithms for Approximate String Matching", 1985).
  int distance_up_to(int most, Words words, int from) {
    const int difference = m_ - n_;
    if (most < std::abs(difference)) return kInfinite;
    const int slack = (most - std::abs(difference)) / 2;
    const int lowest = std::min(0, difference) - slack, highest = std::max(0, difference) + slack;
    const auto begin_of = [&](int i) { return std::max(rows_[index(i)].begin, i + lowest); };
    const auto end_of = [&](int i) { return std::min(rows_[index(i)].end, i + highest + 1); };
    const Row& start = rows_[index(from)];
    std::copy(costs(from) + start.kept_begin, costs(from) + start.kept_end,
              previous_.data() + start.kept_begin);
    for (int i = from + 1; i <= n_; ++i) {
      const int begin = begin_of(i), end = end_of(i);
      if (begin >= end) return kInfinite;
      if (begin > 0) current_[index(begin - 1)] = kInfinite;
      if (next_row(words[index(i - 1)], begin, end) > most) return kInfinite;
      for (int j = end; i < n_ && j < end_of(i + 1); ++j) current_[index(j)] = kInfinite;
      std::swap(previous_, current_);
    }
    return previous_.back();
  }

  // For each word of the reference: the word of the hypothesis it is aligned with (-1: before the first) and
  // whether it is in error; for each word of the hypothesis: whether it is in error.
  void trace(std::vector<int>& aligned, std::vector<char>& reference_wrong,
             std::vector<char>& hypothesis_wrong) const {
    aligned.assign(reference_.size(), 0);
    reference_wrong.assign(reference_.size(), 0);
    hypothesis_wrong.assign(index(n_), 0);
    int i = n_, j = m_;
    while (i > 0 || j > 0) {
      const Edit edit = edits_[static_cast<std::size_t>(rows_[index(i)].origin + j)];
      const char wrong = edit != Edit::none;
      if (edit != Edit::insertion) hypothesis_wrong[index(i - 1)] = wrong;
      if (edit != Edit::deletion) {
        reference_wrong[index(j - 1)] = wrong;
        aligned[index(j - 1)] = i - 1;
      }
      i -= edit != Edit::insertion, j -= edit != Edit::deletion;
    }
  }

 private:
  struct Row {
    int begin = 0, end = 0;            // columns of the beam
    int kept_begin = 0, kept_end = 0;  // columns in memory
    std::ptrdiff_t origin = 0;         // where column 0 would be
  };

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  const int* costs(int i) const { return costs_.data() + rows_[index(i)].origin; }
  int* costs(int i) { return costs_.data() + rows_[index(i)].origin; }

  // One row from previous_ to current_, columns [begin, end); returns the least cost in it.
  int next_row(std::uint32_t word, int begin, int end) {
    const int* above = previous_.data();
    int* here = current_.data();
    int least = kInfinite, j = begin;
    if (j == 0) least = here[0] = above[0] + 1, ++j;
    int left = here[j - 1];
    for (; j < end; ++j) {
      const int substituted = above[j - 1] + (word != reference_[index(j - 1)]);
      left = std::min(std::min(substituted, above[j] + 1), left + 1);
      here[j] = left;
      least = std::min(least, left);
    }
    return least;
  }

  Words reference_;
  int n_, m_;              // words of the hypothesis and of the reference
  std::vector<Row> rows_;  // [n_ + 1]
  std::vector<int> costs_;
  std::vector<Edit> edits_;
  std::vector<int> previous_, current_;  // [m_ + 1]
};

struct Shift {
  int start = 0, length = 0, target = 0;

  // tercom's order among shifts of equal gain: the longer, then the earlier, then the one to an earlier
  // place.
  bool precedes(const Shift& other) const {
    if (length != other.length) return length > other.length;
    if (start != other.start) return start < other.start;
    return target < other.target;
  }
  // The first word that it moves.
  int first_changed() const { return std::min(start, target); }

  void apply(Words from, std::vector<std::uint32_t>& to) const {
    const auto at = [&](int i) { return from.begin() + i; };
    to.clear();
    const auto append = [&](int begin, int end) { to.insert(to.end(), at(begin), at(end)); };
    const int n = static_cast<int>(from.size()), end = start + length;
    if (target < start) {
      append(0, target), append(start, end), append(target, start), append(end, n);
    } else if (target > end) {
      append(0, start), append(end, target), append(start, end), append(target, n);
    } else {  // within itself: the run moves on by as many words as it was to be moved into itself
      const int after = std::min(length + target, n);
      append(0, start), append(end, after), append(start, end), append(after, n);
    }
  }
};

class ShiftSearch {
 public:
  ShiftSearch(Words hypothesis, Words reference)
      : words_(hypothesis.begin(), hypothesis.end()),
        reference_(reference),
        distance_(hypothesis.size(), reference) {
    distance_.set(words_, 0);
  }

  std::int64_t edits() {
    std::int64_t shifts = 0;
    while (improve()) ++shifts;
    return shifts + distance_.distance();
  }

 private:
  // Applies the shift that lowers the distance most; false if none does or enough have been tried.
  bool improve() {
    distance_.trace(aligned_, reference_wrong_, hypothesis_wrong_);
    least_ = distance_.distance();
    found_ = false;
    try_all();
    if (candidates_ >= kMostCandidates || !found_) return false;
    best_.apply(words_, shifted_);
    words_.swap(shifted_);
    distance_.set(words_, best_.first_changed());
    return true;
  }

  void try_all() {
    const int n = static_cast<int>(words_.size()), m = static_cast<int>(reference_.size());
    for (int start = 0; start < n; ++start) {
      for (int match = std::max(0, start - kFarthestShift); match < std::min(m, start + kFarthestShift + 1);
           ++match) {
        const int longest = std::min({kMostShifted, n - start, m - match});
        for (int length = 1; length <= longest && same(start + length - 1, match + length - 1); ++length) {
          if (!worth_trying(start, match, length)) continue;
          try_targets(start, match, length);
          if (candidates_ >= kMostCandidates) return;
        }
      }
    }
  }

  bool same(int word, int other) const {
    return words_[static_cast<std::size_t>(word)] == reference_[static_cast<std::size_t>(other)];
  }

  // Both the run and what it matches are in error somewhere, and it is not about to move into itself.
  bool worth_trying(int start, int match, int length) const {
    const auto any = [length](const std::vector<char>& wrong, int from) {
      return std::any_of(wrong.begin() + from, wrong.begin() + from + length, [](char w) { return w != 0; });
    };
    if (!any(hypothesis_wrong_, start) || !any(reference_wrong_, match)) return false;
    const int place = aligned_[static_cast<std::size_t>(match)];
    return place < start || place >= start + length;
  }

  // The places before and behind what each word of the match, and the word before it, is aligned with.
  void try_targets(int start, int match, int length) {
    int previous = -1;
    for (int offset = -1; offset < length; ++offset) {
      const int target = match + offset < 0 ? 0 : aligned_[static_cast<std::size_t>(match + offset)] + 1;
      if (target == previous) continue;
      previous = target;
      ++candidates_;
      consider({start, length, target});
    }
  }

  // A candidate matters if its distance is less than all before it, or as little and it precedes the best.
  void consider(const Shift& shift) {
    const bool wins_ties = found_ && shift.precedes(best_);
    const int most = wins_ties ? least_ : least_ - 1;
    shift.apply(words_, shifted_);
    const int distance = distance_.distance_up_to(most, shifted_, shift.first_changed());
    if (distance > most) return;
    found_ = true;
    least_ = distance;
    best_ = shift;
  }

  std::vector<std::uint32_t> words_, shifted_;
  Words reference_;
  BeamDistance distance_;
  std::vector<int> aligned_;
  std::vector<char> reference_wrong_, hypothesis_wrong_;
  int candidates_ = 0;
  bool found_ = false;
  int least_ = 0;
  Shift best_;
};

}  // namespace

std::int64_t translation_edits(std::span<const std::uint32_t> hypothesis,
                               std::span<const std::uint32_t> reference) {
  if (reference.empty()) return static_cast<std::int64_t>(hypothesis.size());
  return ShiftSearch(hypothesis, reference).edits();
}

}  // namespace glossa
