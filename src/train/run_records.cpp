#include "train/run_records.h"

#include "base/error.h"
#include "train/checkpoints.h"
#include "train/curves.h"

namespace glossa {

template <class F>
void RunRecords::attempt(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    if (!warned_) note_(fmt::format("{}; training goes on without this record", e.what()));
    warned_ = true;
  }
}

void RunRecords::begin(std::int64_t step, const OrderedJson& history) {
  attempt([&] {
    const fs::path path = run_ / "metrics.jsonl";
    std::string text;
    for (const OrderedJson& line : history) text += line.dump() + "\n";
    write_file(path, text);
    metrics_ = FileHandle::append(path);
    events_.emplace(run_, step > 0 ? step + 1 : 0);
  });
}

void RunRecords::add(const OrderedJson& line) {
  attempt([&] {
    metrics_.write(as_bytes(line.dump() + "\n"));
    std::vector<std::pair<std::string, double>> scalars;
    for (const auto& [key, value] : line.items()) {
      if (key == "step" || !value.is_number()) continue;
      // As the Trainer of Hugging Face groups them.
      scalars.emplace_back(key.starts_with("eval_") ? "eval/" + key.substr(5) : (key == "perplexity" ? "eval/" : "train/") + key, value.get<double>());
    }
    if (events_) events_->add(line.at("step").get<std::int64_t>(), scalars);
  });
}

void RunRecords::draw(const OrderedJson& history) {
  attempt([&] { write_file(run_ / "curves.svg", curves_svg(history)); });
}

void RunRecords::keep_sample(std::int64_t step, const std::string& text) {
  attempt([&] {
    make_directories(run_ / kSamples);
    write_file(run_ / kSamples / fmt::format("step-{:06}.txt", step), text);
  });
}

}  // namespace glossa
