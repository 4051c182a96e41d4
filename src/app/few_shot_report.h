// few_shot_report.h -- what `glossa few-shot` says of a run: how many were right and how sure that is, in
// words and as JSON.
#pragma once
#include <string>

#include "app/few_shot_task.h"
#include "base/json.h"
#include "evaluate/classification.h"

namespace glossa::app {

// What is said of a whole run, whichever way it is done.
struct Tally {
  std::uint64_t inputs = 0, labelled = 0, correct = 0, dropped = 0, shortened = 0;
  double seconds = 0;
  void add_shots(std::size_t wanted, std::size_t shown) {
    dropped += wanted - shown, shortened += shown < wanted;
  }
};

OrderedJson summary_of(const FewShotTask& task, std::uint64_t seed, const Tally& tally);
// What scored labels have more: nothing of inputs without labels.
void add_labels(OrderedJson& summary, const FewShotTask& task, const Classification& found);
// One line with its end; there must be labelled inputs.
std::string accuracy_line(const Tally& tally);
std::string table_of(const FewShotTask& task, const Classification& found);

}  // namespace glossa::app
