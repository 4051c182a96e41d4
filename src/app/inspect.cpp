// inspect.cpp -- `glossa inspect`: what is in a file of weights, a Hugging Face directory or a training run,
// and whether it is whole.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "app/command.h"
#include "app/progress_bar.h"
#include "app/weights_listing.h"
#include "base/error.h"
#include "base/json.h"
#include "base/unicode.h"
#include "hub/cache.h"

namespace glossa::app {
namespace {

struct Options {
  std::string path;
  bool json = false, verify = false, statistics = false;
  std::optional<bool> tensors;  // listed in text unless there are many, and in JSON always
};

constexpr std::size_t kListedByItself = 400;  // tensors
constexpr std::size_t kLongValue = 60;        // bytes of a value of config.json

std::string with_commas(std::uint64_t n) {
  const std::string digits = std::to_string(n);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

// A checkpoint of a training run, in the order of steps.
struct Checkpoint {
  std::int64_t step;
  fs::path path;
  std::string fault;  // "" if its manifest holds
};

std::vector<Checkpoint> checkpoints_in(const fs::path& directory) {
  std::vector<Checkpoint> list;
  std::error_code error;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string name = it->path().filename().native();
    const std::string_view prefix = "checkpoint-",
                           digits = std::string_view(name).substr(std::min(prefix.size(), name.size()));
    const bool numbered =
        name.starts_with(prefix) && !digits.empty() && digits.size() <= 18 &&
        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (numbered) list.push_back({std::stoll(std::string(digits)), it->path(), manifest_fault(it->path())});
  }
  check(!error, Code::read, "{}: listing failed: {}", shown(directory), error.message());
  std::sort(list.begin(), list.end(),
            [](const Checkpoint& a, const Checkpoint& b) { return a.step < b.step; });
  return list;
}

// All that is known of the thing named.
struct Report {
  fs::path path;
  bool is_directory = false;
  std::optional<Json> config, trainer_state;
  std::optional<Listing> weights;
  std::optional<std::string> manifest;  // the fault of its own MANIFEST.json, "" for none; absent without one
  std::vector<Checkpoint> checkpoints;
};

std::optional<Json> json_beside(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  return read_json(path);
}

Report read(const Options& options) {
  Report report;
  report.path = model_path(options.path);
  std::error_code ignored;
  report.is_directory = fs::is_directory(report.path, ignored);
  if (!report.is_directory) {
    report.weights = list_weights(report.path, options.statistics);
    return report;
  }
  report.config = json_beside(report.path / "config.json");
  report.trainer_state = json_beside(report.path / "trainer_state.json");
  report.checkpoints = checkpoints_in(report.path);
  if (fs::exists(report.path / "MANIFEST.json", ignored)) report.manifest = manifest_fault(report.path);
  if (holds_tensors(report.path) || report.checkpoints.empty())
    report.weights = list_weights(report.path, options.statistics);
  return report;
}

// With --verify, what is damaged is an Error, and so is a weight that is no number.
void verify(const Report& report) {
  if (report.manifest && !report.manifest->empty()) fail(Code::run_state, "{}", *report.manifest);
  for (const Checkpoint& checkpoint : report.checkpoints)
    if (!checkpoint.fault.empty()) fail(Code::run_state, "{}", checkpoint.fault);
  if (!report.weights) return;
  report.weights->check_sums();
  report.weights->check_finite();
}

// ---- as JSON ----

OrderedJson json_of(const TensorStatistics& s) {
  return {{"minimum", s.minimum}, {"maximum", s.maximum},
          {"mean", s.mean},       {"root_mean_square", s.root_mean_square},
          {"nan", s.nan},         {"infinite", s.infinite},
          {"zero", s.zero},       {"subnormal", s.subnormal}};
}

struct TypeSums {
  std::uint64_t tensors = 0, elements = 0, bytes = 0;
};

std::map<ListedType, TypeSums> sums_by_type(const Listing& weights) {
  std::map<ListedType, TypeSums> sums;
  for (const ListedTensor& t : weights.tensors) {
    TypeSums& s = sums[t.type];
    ++s.tensors;
    s.elements += t.elements;
    s.bytes += t.bytes;
  }
  return sums;
}

std::uint64_t parameters_of(const std::map<ListedType, TypeSums>& sums) {
  std::uint64_t n = 0;
  for (const auto& [type, s] : sums) n += type.is_whole ? 0 : s.elements;
  return n;
}

void add_weights(OrderedJson& out, const Listing& weights, const Options& options) {
  auto files = OrderedJson::array();
  for (const ListedFile& file : weights.files)
    files.push_back(
        {{"name", printable(file.path.filename().native())}, {"bytes", file.bytes}, {"sha256", file.digest}});
  out["files"] = std::move(files);
  if (weights.gguf) out["gguf"] = gguf_json(*weights.gguf);
  const auto sums = sums_by_type(weights);
  out["parameters"] = parameters_of(sums);
  for (const auto& [type, s] : sums)
    out["types"][std::string(type.name)] = {
        {"tensors", s.tensors}, {"elements", s.elements}, {"bytes", s.bytes}};
  out["notes"] = weights.notes;
  if (!options.tensors.value_or(true)) return;
  auto tensors = OrderedJson::array();
  for (const ListedTensor& t : weights.tensors) {
    OrderedJson tensor = {{"name", t.name}, {"dtype", t.type.name}, {"shape", t.shape}, {"bytes", t.bytes}};
    if (t.statistics) tensor["statistics"] = json_of(*t.statistics);
    tensors.push_back(std::move(tensor));
  }
  out["tensors"] = std::move(tensors);
}

std::string as_json(const Report& report, const Options& options) {
  OrderedJson out = {{"path", printable(report.path.native())}};
  if (report.config) out["config"] = *report.config;
  if (report.weights) add_weights(out, *report.weights, options);
  if (report.manifest)
    out["manifest"] = {{"complete", report.manifest->empty()}, {"fault", *report.manifest}};
  if (!report.checkpoints.empty()) {
    auto list = OrderedJson::array();
    for (const Checkpoint& c : report.checkpoints)
      list.push_back({{"name", c.path.filename().native()},
                      {"step", c.step},
                      {"complete", c.fault.empty()},
                      {"fault", c.fault}});
    out["checkpoints"] = std::move(list);
  }
  return to_text(out);
}

// ---- as text ----

// The scalars of config.json, and lists as short as a scalar, one a line.
std::string text_of(const Json& config, std::string_view title,
                    std::initializer_list<std::string_view> only = {}) {
  std::string out = fmt::format("{}\n", title);
  if (!config.is_object()) return out;
  for (const auto& [key, value] : config.items()) {
    if (only.size() && std::find(only.begin(), only.end(), key) == only.end()) continue;
    const std::string text = value.dump();
    if (text.size() <= kLongValue && !value.is_object())
      out += fmt::format("  {:<36} {}\n", utf8_error(key) ? quoted(key) : key, text);
  }
  return out;
}

std::string text_of_name(const std::string& name) {
  const std::string safe = quoted(name, 200);
  return safe.size() == name.size() + 2 && !name.empty() ? name : safe;
}

std::string text_of_tensors(const std::vector<ListedTensor>& tensors) {
  std::size_t width = 4;
  for (const ListedTensor& t : tensors)
    width = std::max(width, std::min<std::size_t>(text_of_name(t.name).size(), 64));
  std::string out = fmt::format("{:<{}}  {:<6} {:<20} {:>14}", "name", width, "type", "shape", "bytes");
  if (!tensors.empty() && tensors[0].statistics)
    out += fmt::format(" {:>11} {:>11} {:>11} {:>11} {:>8} {:>8} {:>8}", "minimum", "maximum", "mean", "rms",
                       "nan", "infinite", "zero");
  out += '\n';
  for (const ListedTensor& t : tensors) {
    out += fmt::format("{:<{}}  {:<6} {:<20} {:>14}", text_of_name(t.name), width, t.type.name,
                       fmt::format("[{}]", fmt::join(t.shape, ", ")), t.bytes);
    if (t.statistics) {
      const TensorStatistics& s = *t.statistics;
      out += fmt::format(" {:>11.4g} {:>11.4g} {:>11.4g} {:>11.4g} {:>8} {:>8} {:>8}", s.minimum, s.maximum,
                         s.mean, s.root_mean_square, s.nan, s.infinite, s.zero);
    }
    out += '\n';
  }
  return out;
}

std::string text_of_weights(const Listing& weights, const Options& options) {
  std::string out;
  for (const ListedFile& file : weights.files)
    out += fmt::format("{}  {}  sha256 {}\n", shown(file.path.filename()), readable_size(file.bytes), file.digest);
  if (weights.gguf) out += gguf_text(*weights.gguf);
  const auto sums = sums_by_type(weights);
  out += fmt::format("parameters: {}\n\n  {:<6} {:>8} {:>16} {:>12}\n", with_commas(parameters_of(sums)),
                     "type", "tensors", "elements", "size");
  for (const auto& [type, s] : sums)
    out += fmt::format("  {:<6} {:>8} {:>16} {:>12}\n", type.name, with_commas(s.tensors),
                       with_commas(s.elements), readable_size(s.bytes));
  if (options.statistics) {
    std::uint64_t nan = 0, infinite = 0;
    for (const ListedTensor& t : weights.tensors)
      nan += t.statistics->nan, infinite += t.statistics->infinite;
    out += fmt::format("\nnot-a-number: {}, infinite: {}\n", with_commas(nan), with_commas(infinite));
  }
  for (const std::string& line : weights.notes) out += fmt::format("note: {}\n", line);
  if (options.tensors.value_or(weights.tensors.size() <= kListedByItself))
    out += "\n" + text_of_tensors(weights.tensors);
  else if (!options.tensors)
    out += "the tensors are listed with --tensors\n";
  return out;
}

std::string as_text(const Report& report, const Options& options) {
  std::string out;
  if (report.config) out += text_of(*report.config, "config.json") + "\n";
  if (report.trainer_state)
    out += text_of(*report.trainer_state, "trainer_state.json",
                   {"global_step", "epoch", "best_metric", "best_model_checkpoint"}) +
           "\n";
  if (report.manifest)
    out += report.manifest->empty() ? "MANIFEST.json: complete\n\n"
                                    : fmt::format("DAMAGED: {}\n\n", *report.manifest);
  if (!report.checkpoints.empty()) {
    out += "checkpoints\n";
    for (const Checkpoint& c : report.checkpoints)
      out += fmt::format("  {:<24} {}\n", c.path.filename().native(),
                         c.fault.empty() ? "complete" : fmt::format("DAMAGED: {}", c.fault));
    out += '\n';
  }
  if (report.weights) out += text_of_weights(*report.weights, options);
  return out;
}

void inspect(const Options& options) {
  const Report report = read(options);
  StandardOutput output;
  output.write(options.json ? as_json(report, options) : as_text(report, options));
  output.flush();
  if (options.verify) verify(report);
}

}  // namespace

void add_inspect(CLI::App& program) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "inspect", "What is in a model or a training run: tensors, sizes, digests, configuration");
  command
      ->add_option("path", options->path,
                   "A file of safetensors, GGUF or torch.save, a Hugging Face directory, a training run,\nor ORG/NAME[:QUANT] that was pulled")
      ->required();
  command->add_flag("--json", options->json, "One JSON object");
  CLI::Option* const list = command->add_flag_callback(
      "--tensors", [options] { options->tensors = true; }, "List every tensor (by itself up to 400 of them)");
  command
      ->add_flag_callback(
          "--no-tensors", [options] { options->tensors = false; }, "List no tensors")
      ->excludes(list);
  command->add_flag("--statistics", options->statistics,
                    "Range, mean and counts of not-a-number and infinite values of each tensor");
  command->add_flag("--verify", options->verify,
                    "Fail (exit status 3) if a checkpoint is damaged, or (6) if a weight is not finite");
  add_threads_option(*command);
  command->footer(
      "Examples:\n"
      "  glossa inspect runs/en-de\n"
      "  glossa inspect model.safetensors --statistics\n"
      "  glossa inspect pytorch_model.bin --verify\n"
      "  glossa inspect model-Q4_K_M.gguf --no-tensors\n"
      "  glossa inspect runs/en-de --verify --no-tensors && echo whole");
  command->callback([options] { inspect(*options); });
}

}  // namespace glossa::app
