#include "app/few_shot_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace glossa::app {

OrderedJson summary_of(const FewShotTask& task, std::uint64_t seed, const Tally& tally) {
  OrderedJson j{{"inputs", tally.inputs}, {"labelled", tally.labelled}};
  if (tally.labelled > 0) {
    const Interval interval = wilson_interval(tally.correct, tally.labelled);
    j["correct"] = tally.correct;
    j["accuracy"] = static_cast<double>(tally.correct) / static_cast<double>(tally.labelled);
    j["interval"] = {interval.low, interval.high};
  }
  j["shots"] = task.shots(), j["seed"] = seed, j["examples_left_out"] = tally.dropped;
  j["seconds"] = tally.seconds, j["inputs_per_second"] = static_cast<double>(tally.inputs) / tally.seconds;
  return j;
}

void add_labels(OrderedJson& j, const FewShotTask& task, const Classification& found) {
  if (found.total() == 0) return;
  j["most_frequent"] = static_cast<double>(found.most_frequent()) / static_cast<double>(found.total());
  j["macro_f1"] = found.macro_f1();
  for (std::size_t l = 0; l < task.labels().size(); ++l)
    j["labels"][task.labels()[l]] = {{"inputs", found.of_truth(l)},
                                     {"predicted", found.predicted(l)},
                                     {"precision", found.precision(l)},
                                     {"recall", found.recall(l)},
                                     {"f1", found.f1(l)}};
}

std::string accuracy_line(const Tally& tally) {
  const Interval interval = wilson_interval(tally.correct, tally.labelled);
  return fmt::format("accuracy {:.4f}, 95 % interval {:.4f} to {:.4f}: {} of {} right\n",
                     static_cast<double>(tally.correct) / static_cast<double>(tally.labelled), interval.low,
                     interval.high, tally.correct, tally.labelled);
}

std::string table_of(const FewShotTask& task, const Classification& found) {
  std::size_t width = 5;
  for (const std::string& label : task.labels()) width = std::max(width, label.size());
  std::string text = fmt::format(
      "the commonest label for all would give {:.4f}; macro F1 {:.4f}\n{:<{}}  inputs  predicted  precision  "
      "recall      F1\n",
      static_cast<double>(found.most_frequent()) / static_cast<double>(found.total()), found.macro_f1(),
      "label", width);
  for (std::size_t l = 0; l < task.labels().size(); ++l)
    text +=
        fmt::format("{:<{}}  {:6}  {:9}  {:9.4f}  {:6.4f}  {:6.4f}\n", task.labels()[l], width,
                    found.of_truth(l), found.predicted(l), found.precision(l), found.recall(l), found.f1(l));
  return text;
}

}  // namespace glossa::app
