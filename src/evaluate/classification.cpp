#include "evaluate/classification.h"

#include <algorithm>
#include <cmath>

namespace glossa {
namespace {

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Interval wilson_interval(std::uint64_t successes, std::uint64_t trials, double z) {
  if (trials == 0) return {0, 1};
  const double n = static_cast<double>(trials), p = share(successes, trials), scale = 1 + z * z / n;
  const double centre = (p + z * z / (2 * n)) / scale;
  const double half = z / scale * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::uint64_t Classification::total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t n : counts_) sum += n;
  return sum;
}

std::uint64_t Classification::correct() const {
  std::uint64_t sum = 0;
  for (std::size_t label = 0; label < labels_; ++label) sum += count(label, label);
  return sum;
}

std::uint64_t Classification::of_truth(std::size_t label) const {
  std::uint64_t sum = 0;
  for (std::size_t other = 0; other < labels_; ++other) sum += count(label, other);
  return sum;
}

std::uint64_t Classification::predicted(std::size_t label) const {
  std::uint64_t sum = 0;
  for (std::size_t other = 0; other < labels_; ++other) sum += count(other, label);
  return sum;
}

std::uint64_t Classification::most_frequent() const {
  std::uint64_t most = 0;
  for (std::size_t label = 0; label < labels_; ++label) most = std::max(most, of_truth(label));
  return most;
}

double Classification::accuracy() const {
  return share(correct(), total());
}
double Classification::precision(std::size_t label) const {
  return share(count(label, label), predicted(label));
}
double Classification::recall(std::size_t label) const {
  return share(count(label, label), of_truth(label));
}
double Classification::f1(std::size_t label) const {
  return share(2 * count(label, label), predicted(label) + of_truth(label));
}

double Classification::macro_f1() const {
  double sum = 0;
  std::uint64_t occur = 0;
  for (std::size_t label = 0; label < labels_; ++label) {
    if (predicted(label) + of_truth(label) == 0) continue;
    sum += f1(label), ++occur;
  }
  return occur == 0 ? 0 : sum / static_cast<double>(occur);
}

}  // namespace glossa
