#include "evaluate/bootstrap.h"

#include <array>
#include <cmath>

namespace glossa {
namespace {

constexpr std::size_t kLanes = 8;  // statistics summed side by side

// Statistics in columns of kLanes, so that one pass over the segments drawn sums a column in registers.
template <class T>
class Columns {
 public:
  explicit Columns(const SegmentStatistics& statistics)
      : segments_(statistics.segments()),
        width_(statistics.width()),
        values_((width_ + kLanes - 1) / kLanes * segments_) {
    for (std::size_t i = 0; i < segments_; ++i)
      for (std::size_t k = 0; k < width_; ++k)
        values_[k / kLanes * segments_ + i][k % kLanes] = static_cast<T>(statistics[i][k]);
  }
  using Lanes = std::array<T, kLanes>;
  std::size_t segments() const { return segments_; }
  std::size_t width() const { return width_; }
  std::size_t count() const { return (width_ + kLanes - 1) / kLanes; }
  const Lanes* operator[](std::size_t column) const { return values_.data() + column * segments_; }

 private:
  std::size_t segments_, width_;
  std::vector<Lanes> values_;
};

template <class T>
void add(std::array<T, kLanes>& sum, const std::array<T, kLanes>& x) {
  for (std::size_t k = 0; k < kLanes; ++k) sum[k] += x[k];
}

template <class T>
void put(std::array<T, kLanes> lanes, std::size_t column, std::vector<double>& sums) {
  for (std::size_t k = 0; k < kLanes && column * kLanes + k < sums.size(); ++k)
    sums[column * kLanes + k] = lanes[k];
}

// Rows of random numbers for `count` resamples of `width` segments, drawn in order and in chunks, since the
// whole would not fit in memory; f(resample, row) runs on all threads.
template <class Number, class Draw, class F>
void for_each_draw(int count, std::size_t width, Draw draw, F f) {
  constexpr int kDrawsAtOnce = 64;
  std::vector<Number> numbers(std::min(count, kDrawsAtOnce) * width);
  for (int first = 0; first < count; first += kDrawsAtOnce) {
    const int chunk = std::min(kDrawsAtOnce, count - first);
    draw(std::span(numbers).first(static_cast<std::size_t>(chunk) * width));
    parallel_tasks(chunk, [&](std::int64_t i) {
      f(static_cast<std::size_t>(first + i),
        std::span<const Number>(numbers).subspan(static_cast<std::size_t>(i) * width, width));
    });
  }
}

// The scores of each system on the same resamples, [systems][resamples].
std::vector<std::vector<NumpyNumber>> resampled_scores(const Metric& metric,
                                                       std::span<const SegmentStatistics> systems,
                                                       int resamples, std::uint64_t seed) {
  std::vector<Columns<float>> columns(systems.begin(), systems.end());
  std::vector<std::vector<NumpyNumber>> scores(systems.size(),
                                               std::vector<NumpyNumber>(static_cast<std::size_t>(resamples)));
  NumpyRandom random(seed);
  const std::size_t segments = systems[0].segments();
  for_each_draw<std::uint32_t>(
      resamples, segments, [&](std::span<std::uint32_t> out) { random.below(segments, out); },
      [&](std::size_t resample, std::span<const std::uint32_t> drawn) {
        std::vector<double> sums(systems[0].width());
        for (std::size_t s = 0; s < systems.size(); ++s) {
          for (std::size_t c = 0; c < columns[s].count(); ++c) {
            const auto* column = columns[s][c];
            std::array<float, kLanes> sum{};
            for (const std::uint32_t i : drawn) add(sum, column[i]);
            put(sum, c, sums);
          }
          scores[s][resample] = std::visit([&](const auto& m) { return m.score_of_singles(sums); }, metric);
        }
      });
  return scores;
}

// Half the 95 % interval of sorted scores: a fortieth of them lies beyond each end.
double half_interval(std::span<const double> sorted, bool single) {
  const std::size_t beyond = sorted.size() / 40;
  const double lower = sorted[beyond], upper = sorted[sorted.size() - beyond - 1];
  return single ? 0.5f * (static_cast<float>(upper) - static_cast<float>(lower)) : 0.5 * (upper - lower);
}

// How likely a difference as large as the real one is by chance, of differences that chance made.
double p_value(const NumpyArray& chance, double real) {
  const double limit = chance.single ? static_cast<float>(real) : real;
  const auto above =
      std::count_if(chance.values.begin(), chance.values.end(), [&](double d) { return d > limit; });
  return (static_cast<double>(above) + 1) / (static_cast<double>(chance.values.size()) + 1);
}

double total_score(const Metric& metric, const SegmentStatistics& system) {
  return score(metric, system.sum()).value;
}

Confidence confidence_of_array(NumpyArray scores) {
  std::sort(scores.values.begin(), scores.values.end());
  return {scores.mean(), half_interval(scores.values, scores.single)};
}

double bootstrap_p_value(const std::vector<NumpyNumber>& system, const std::vector<NumpyNumber>& baseline,
                         double real) {
  std::vector<NumpyNumber> differences;
  const NumpyArray a(system), b(baseline);
  const bool single = a.single && b.single;
  for (std::size_t i = 0; i < system.size(); ++i) {
    const double difference = single ? static_cast<float>(a.values[i]) - static_cast<float>(b.values[i])
                                     : a.values[i] - b.values[i];
    differences.push_back(single ? NumpyNumber::float32(std::abs(difference))
                                 : NumpyNumber(std::abs(difference)));
  }
  NumpyArray centred(differences);
  const double mean = centred.mean();
  for (double& d : centred.values) d = single ? static_cast<float>(d) - static_cast<float>(mean) : d - mean;
  return p_value(centred, real);
}

void check_comparable(std::span<const SegmentStatistics> systems) {
  check(!systems.empty() && systems[0].segments() > 0, Code::usage, "no segments to resample");
  for (const SegmentStatistics& system : systems)
    check(system.segments() == systems[0].segments(), Code::line_counts, "systems of {} and {} segments",
          systems[0].segments(), system.segments());
}

void check_count(int count, std::string_view what) {
  check(count >= 1, Code::bad_value, "{} {}, but at least 1 is needed", count, what);
}

// Scores of the two pseudo-systems that swapping the outputs of the segments with a 1 makes.
std::pair<double, double> swapped_scores(const Metric& metric, const Columns<double>& baseline,
                                         const Columns<double>& system, std::span<const std::uint8_t> coins) {
  std::vector<double> first(baseline.width()), second(baseline.width());
  for (std::size_t c = 0; c < baseline.count(); ++c) {
    using Lanes = Columns<double>::Lanes;
    // [coin][baseline or system]: summed apart and then added, as the products with the two masks are.
    std::array<std::array<Lanes, 2>, 2> sums{};
    const Lanes *ours = baseline[c], *theirs = system[c];
    for (std::size_t i = 0; i < coins.size(); ++i) {
      add(sums[coins[i]][0], ours[i]);
      add(sums[coins[i]][1], theirs[i]);
    }
    add(sums[1][0], sums[0][1]);
    add(sums[0][0], sums[1][1]);
    put(sums[1][0], c, first);
    put(sums[0][0], c, second);
  }
  const auto score_of = [&](std::span<const double> s) {
    return std::visit([&](const auto& m) { return m.score_of_integers(s).value; }, metric);
  };
  return {score_of(first), score_of(second)};
}

}  // namespace

Confidence bootstrap_confidence(const Metric& metric, const SegmentStatistics& system, int resamples,
                                std::uint64_t seed) {
  check_count(resamples, "resamples");
  check_comparable({&system, 1});
  NumpyArray scores(resampled_scores(metric, {&system, 1}, resamples, seed)[0]);
  std::sort(scores.values.begin(), scores.values.end());
  const double mean = exact_mean(scores.values);
  return {scores.single ? static_cast<float>(mean) : mean, half_interval(scores.values, scores.single)};
}

std::vector<PairedResult> paired_bootstrap(const Metric& metric,
                                           std::span<const SegmentStatistics> baseline_and_systems,
                                           int resamples, std::uint64_t seed) {
  check_count(resamples, "resamples");
  check_comparable(baseline_and_systems);
  const auto scores = resampled_scores(metric, baseline_and_systems, resamples, seed);
  std::vector<PairedResult> results;
  for (std::size_t s = 0; s < baseline_and_systems.size(); ++s) {
    PairedResult& result = results.emplace_back();
    result.score = total_score(metric, baseline_and_systems[s]);
    result.confidence = confidence_of_array(NumpyArray(scores[s]));
    if (s > 0)
      result.p_value = bootstrap_p_value(scores[s], scores[0], std::abs(results[0].score - result.score));
  }
  return results;
}

std::vector<PairedResult> paired_randomization(const Metric& metric,
                                               std::span<const SegmentStatistics> baseline_and_systems,
                                               int trials, std::uint64_t seed) {
  check_count(trials, "trials");
  check_comparable(baseline_and_systems);
  const Columns<double> baseline(baseline_and_systems[0]);
  std::vector<PairedResult> results = {{total_score(metric, baseline_and_systems[0])}};
  for (const SegmentStatistics& system : baseline_and_systems.subspan(1)) {
    const Columns<double> columns(system);
    PairedResult& result = results.emplace_back();
    result.score = total_score(metric, system);
    std::vector<NumpyNumber> differences(static_cast<std::size_t>(trials));
    NumpyRandom random(seed);
    NumpyCoins coins(random);
    for_each_draw<std::uint8_t>(
        trials, baseline.segments(), [&](std::span<std::uint8_t> out) { coins.fill(out); },
        [&](std::size_t trial, std::span<const std::uint8_t> drawn) {
          const auto [first, second] = swapped_scores(metric, baseline, columns, drawn);
          differences[trial] = std::abs(first - second);
        });
    result.p_value = p_value(NumpyArray(differences), std::abs(results[0].score - result.score));
  }
  return results;
}

}  // namespace glossa
