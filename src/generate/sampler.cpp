#include "generate/sampler.h"

#include <algorithm>
#include <cmath>

namespace glossa {

bool more_probable(const Choice& a, const Choice& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

std::vector<double> probabilities(const std::vector<Choice>& choices) {
  double largest = -INFINITY, sum = 0;
  for (const Choice& c : choices) largest = std::max(largest, c.logit);
  std::vector<double> p(choices.size());
  for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(choices[i].logit - largest);
  for (double& x : p) x /= sum;
  return p;
}

void keep_top_k(std::size_t k, std::vector<Choice>& choices) {
  if (k >= choices.size()) return;
  std::nth_element(choices.begin(), choices.begin() + static_cast<std::ptrdiff_t>(k) - 1, choices.end(),
                   more_probable);
  choices.resize(k);
}

std::vector<Choice> most_probable(std::span<const float> logits, std::size_t k) {
  std::vector<Choice> heap;  // the least probable first
  float least = -INFINITY;   // what a token must exceed to enter: of equals, the first stay
  constexpr std::size_t kRun = 64;
  for (std::size_t begin = 0; begin < logits.size(); begin += kRun) {
    const std::size_t end = std::min(begin + kRun, logits.size());
    bool any = false;  // compares a whole run at once, which nearly always ends here
    for (std::size_t i = begin; i < end; ++i) any |= logits[i] > least;
    if (!any) continue;
    for (std::size_t i = begin; i < end; ++i) {
      if (!(logits[i] > least)) continue;
      if (heap.size() == k) std::pop_heap(heap.begin(), heap.end(), more_probable), heap.pop_back();
      heap.push_back({static_cast<std::int32_t>(i), logits[i]});
      std::push_heap(heap.begin(), heap.end(), more_probable);
      if (heap.size() == k) least = static_cast<float>(heap.front().logit);
    }
  }
  std::sort_heap(heap.begin(), heap.end(), more_probable);
  return heap;
}

void keep_top_p(double top_p, std::vector<Choice>& choices) {
  std::sort(choices.begin(), choices.end(), more_probable);
  const std::vector<double> p = probabilities(choices);
  // From the least probable up, tokens go while together they have at most 1 - p.
  double sum = 0;
  std::size_t kept = choices.size();
  while (kept > 1 && sum + p[kept - 1] <= 1 - top_p) sum += p[--kept];
  choices.resize(kept);
}

void keep_min_p(double min_p, std::vector<Choice>& choices) {
  const double largest = std::min_element(choices.begin(), choices.end(), more_probable)->logit;
  std::erase_if(choices, [&](const Choice& c) { return std::exp(c.logit - largest) < min_p; });
}

void keep_typical(double mass, std::vector<Choice>& choices) {
  const std::vector<double> p = probabilities(choices);
  double entropy = 0;
  for (double x : p) entropy -= x > 0 ? x * std::log(x) : 0;
  struct Typical {
    double distance, p;
    Choice choice;
  };
  std::vector<Typical> all;
  for (std::size_t i = 0; i < p.size(); ++i)
    all.push_back({std::fabs(-std::log(p[i]) - entropy), p[i], choices[i]});
  std::sort(all.begin(), all.end(), [](const Typical& a, const Typical& b) {
    return a.distance != b.distance ? a.distance < b.distance : more_probable(a.choice, b.choice);
  });
  double sum = 0;
  std::size_t last = 0;
  while (last + 1 < all.size() && (sum += all[last].p) < mass) ++last;
  choices.clear();
  for (const Typical& t : all)
    if (t.distance <= all[last].distance) choices.push_back(t.choice);
}

void filter(const GenerationConfig& config, std::vector<Choice>& choices) {
  std::erase_if(choices, [](const Choice& c) { return c.logit == -INFINITY; });
  if (choices.empty()) return;
  if (config.temperature != 1)
    for (Choice& c : choices) c.logit /= config.temperature;
  if (config.top_k > 0) keep_top_k(static_cast<std::size_t>(config.top_k), choices);
  if (config.top_p < 1) keep_top_p(config.top_p, choices);
  if (config.min_p > 0) keep_min_p(config.min_p, choices);
  if (config.typical_p < 1) keep_typical(config.typical_p, choices);
}

std::size_t draw(const std::vector<Choice>& choices, double uniform) {
  const std::vector<double> p = probabilities(choices);
  double sum = 0;
  for (std::size_t i = 0; i + 1 < p.size(); ++i)
    if (uniform < (sum += p[i])) return i;
  return p.size() - 1;
}

}  // namespace glossa
