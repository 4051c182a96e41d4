// run_records.h -- what a run tells while it goes on: metrics.jsonl, TensorBoard's event files, and curves.svg.
#pragma once
#include <functional>
#include <optional>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "train/event_file.h"

namespace glossa {

// A record that cannot be written is no reason to lose the run: it is noted once, and training goes on.
class RunRecords {
 public:
  RunRecords(fs::path run, std::function<void(std::string_view)> note) : run_(std::move(run)), note_(std::move(note)) {}
  // Makes the records agree with a run that stands at `step` with this history: what a lost run told of later steps goes.
  void begin(std::int64_t step, const OrderedJson& history);
  void add(const OrderedJson& line);  // a line of metrics with its "step"
  void draw(const OrderedJson& history);
  // samples/step-<step>.txt, of text that the model generated.
  void keep_sample(std::int64_t step, const std::string& text);

 private:
  template <class F>
  void attempt(F&& f);
  fs::path run_;
  std::function<void(std::string_view)> note_;
  FileHandle metrics_;
  std::optional<EventFile> events_;
  bool warned_ = false;
};

}  // namespace glossa
