#include "generate/draft_model.h"

#include <cmath>

namespace glossa {

// The engine keeps what it computed for each text, and goes on from there the next time.
DraftModel::DraftModel(const CausalModel& model, std::int64_t sequences, double least_probability)
    : engine_(model, kNothingBreaks, {.sequences = sequences, .kept = sequences}),
      least_log_probability_(std::log(least_probability)) {}

void DraftModel::guess(std::span<Text> texts) {
  SamplingConfig greedy;
  greedy.temp = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto size = static_cast<std::int64_t>(texts[i].tokens.size());
    if (size >= engine_.context()) continue;  // longer than this model can read
    engine_.submit({.index = i,
                    .prompt = {texts[i].tokens.begin(), texts[i].tokens.end()},
                    .sampling = greedy,
                    .max_new_tokens = static_cast<std::int32_t>(texts[i].most)});
  }
  std::vector<GenerateEvent> events;
  while (!engine_.idle()) {
    events.clear();
    engine_.step(events);
    for (const GenerateEvent& event : events) {
      if (event.chosen.log_probability >= least_log_probability_)
        texts[event.index].guess.push_back(event.chosen.token);
      else if (event.finish == Finish::no)
        engine_.cancel(event.index);
    }
  }
}

}  // namespace glossa
