#include "train/checkpoints.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "backend/backend.h"
#include "base/error.h"
#include "base/manifest.h"

namespace glossa {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::int64_t kFormat = 1;
constexpr double kMany = 1e300;

void remove_checkpoint(const fs::path& run, std::int64_t step) {
  // Under another name first: a checkpoint that is half removed must not look like one.
  const fs::path path = checkpoint_path(run, step), doomed = path.string() + ".removed";
  std::error_code error;
  fs::remove_all(doomed, error);
  fs::rename(path, doomed, error);
  if (!error) fs::remove_all(doomed, error);
  check(!error, Code::write, "{}: cannot be removed: {}", shown(path), error.message());
}

}  // namespace

OrderedJson RunState::to_json() const {
  OrderedJson best = nullptr, best_checkpoint = nullptr;
  if (best_metric) best = *best_metric, best_checkpoint = fmt::format("{}{}", kPrefix, best_step);
  return {{"format", kFormat},
          {"global_step", step},
          {"epoch", epoch},
          {"best_metric", best},
          {"best_global_step", best_step},
          {"best_model_checkpoint", best_checkpoint},
          {"evaluations_without_better", evaluations_without_better},
          {"stopped_early", stopped_early},
          {"num_input_tokens_seen", target_tokens},
          {"train_runtime", seconds},
          {"data_epoch", position.epoch},
          {"data_batch", position.batch},
          {"data_digest", data_digest},
          {"bad_steps", bad_steps},
          {"skipped_steps", skipped_steps},
          {"loss_sum", loss_sum},
          {"loss_steps", loss_steps},
          {"instruction_set", instruction_set},
          {"log_history", history}};
}

RunState RunState::from_json(const OrderedJson& ordered, const std::string& origin) {
  check(ordered.is_object(), Code::run_state, "{}: not the state of a run", origin);
  try {
    const Json json(ordered);
    const JsonView view(json, origin);
    const std::int64_t format = view.integer("format", 0, 0, INT64_MAX);
    check(format == kFormat, Code::run_state, "{}: written in format {}, this program reads {}", origin,
          format, kFormat);
    RunState s;
    const auto whole = [&](const char* key) {
      check(view.has(key), Code::run_state, "{}: {} is missing", origin, key);
      return view.integer(key, 0, 0, INT64_MAX);
    };
    s.step = whole("global_step");
    s.epoch = view.number("epoch", 0, 0, kMany);
    if (view.has("best_metric")) s.best_metric = view.number("best_metric", 0, -kMany, kMany);
    s.best_step = whole("best_global_step");
    s.evaluations_without_better = whole("evaluations_without_better");
    s.stopped_early = view.boolean("stopped_early", false);
    s.target_tokens = whole("num_input_tokens_seen");
    s.seconds = view.number("train_runtime", 0, 0, kMany);
    s.position = {static_cast<std::uint64_t>(whole("data_epoch")),
                  static_cast<std::uint64_t>(whole("data_batch"))};
    s.data_digest = view.string("data_digest", "");
    s.bad_steps = whole("bad_steps");
    s.skipped_steps = whole("skipped_steps");
    s.loss_sum = view.number("loss_sum", 0, -kMany, kMany);
    s.loss_steps = whole("loss_steps");
    s.instruction_set = view.string("instruction_set", "");
    s.history = ordered.value("log_history", OrderedJson::array());
    return s;
  } catch (const Error& e) {
    fail(Code::run_state, "{}", e.what());
  }
}

fs::path checkpoint_path(const fs::path& run, std::int64_t step) {
  return run / fmt::format("{}{}", kPrefix, step);
}

std::vector<std::int64_t> checkpoint_steps(const fs::path& run) {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator i(run, error), end; !error && i != end; i.increment(error)) {
    const std::string name = i->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    std::int64_t step = 0;
    const char *from = name.data() + kPrefix.size(), *to = name.data() + name.size();
    if (const auto [stop, fault] = std::from_chars(from, to, step); fault == std::errc() && stop == to)
      steps.push_back(step);
  }
  check(!error, Code::read, "{}: {}", shown(run), error.message());
  std::sort(steps.begin(), steps.end());
  return steps;
}

NewestCheckpoint newest_checkpoint(const fs::path& run) {
  NewestCheckpoint newest;
  std::vector<std::int64_t> steps = checkpoint_steps(run);
  for (; !steps.empty(); steps.pop_back()) {
    const fs::path path = checkpoint_path(run, steps.back());
    const std::string fault = manifest_fault(path);
    if (fault.empty()) {
      newest.path = path;
      break;
    }
    check(!of_later_format(path), Code::run_state, "{}", fault);
    newest.faults.push_back(fmt::format("{}: passed over: {}", shown(path), fault));
  }
  return newest;
}

void prune_checkpoints(const fs::path& run, std::int64_t step, const Retention& r) {
  std::vector<std::int64_t> steps = checkpoint_steps(run);
  std::int64_t regular = 0;
  std::vector<std::int64_t> doomed;
  for (auto s = steps.rbegin(); s != steps.rend(); ++s) {
    const bool is_regular = *s <= step && r.save_steps > 0 && *s % r.save_steps == 0;
    const bool keep = *s == step || *s == r.best_step || (is_regular && regular < r.regular);
    regular += is_regular;
    if (!keep) doomed.push_back(*s);
  }
  if (doomed.empty()) return;
  const fs::path newest = checkpoint_path(run, step);
  const std::string fault = manifest_fault(newest);
  check(fault.empty(), Code::write, "{}: {}; no older checkpoint was removed", shown(newest), fault);
  for (auto s = doomed.rbegin(); s != doomed.rend(); ++s) remove_checkpoint(run, *s);
}

void remove_run(const fs::path& run) {
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    static const std::set<std::string> kFiles{"config.json",
                                              "model.safetensors",
                                              "tokenizer.json",
                                              "tokenizer_config.json",
                                              "special_tokens_map.json",
                                              "generation_config.json",
                                              "README.md",
                                              "metrics.jsonl",
                                              "curves.svg",
                                              "all_results.json",
                                              "generated_predictions.txt",
                                              kStateName,
                                              kRecipeName,
                                              kSamples};
    if (kFiles.contains(name) || name.starts_with(kPrefix) || name.starts_with("events.out.tfevents."))
      doomed.push_back(entry.path());
  }
  std::error_code error;
  for (const fs::path& path : doomed) {
    fs::remove_all(path, error);
    check(!error, Code::write, "{}: cannot be removed: {}", shown(path), error.message());
  }
}

void load_tensors(const fs::path& file, const NamedTensors& into) {
  const TensorDirectory source(file);
  for (const auto& [name, tensor] : into) {
    const Tensor found = source.find(name, tensor.dtype());
    check(bool(found), Code::run_state, "{}: tensor {} is missing", shown(file), quoted(name));
    check(found.shape() == tensor.shape(), Code::run_state, "{}: tensor {} is {}, wanted {}", shown(file),
          quoted(name), to_string(found.shape()), to_string(tensor.shape()));
    Tensor to = tensor;
    Backend::of(to.device()).copy(found, to);
  }
}

}  // namespace glossa
