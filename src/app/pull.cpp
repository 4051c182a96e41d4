// pull.cpp -- `glossa pull`: a model of the Hugging Face hub into the cache that other programs use too.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "app/command.h"
#include "app/progress_bar.h"
#include "base/error.h"
#include "base/json.h"
#include "base/unicode.h"
#include "hub/pull.h"

namespace glossa::app {
namespace {

struct Options {
  std::string name, revision = "main", file, sha256;
  Selection selection;
  bool offline = false, json = false;
};

// Counts the bytes of all files that come, and how fast.
class PullProgress {
 public:
  explicit PullProgress(bool shown) : shown_(shown) {}
  void begin(const PullPlan& plan) {
    total_ = plan.missing;
    begun_ = Clock::now();
    if (total_ > 0)
      note(fmt::format("{} of {} to fetch, {} {}", readable_size(total_), readable_size(plan.bytes),
                       plan.files.size(), plan.files.size() == 1 ? "file" : "files"));
  }
  void show(const RemoteFile& file, std::uint64_t done) {
    if (file.name != file_) file_ = file.name, most_ = done;  // what was here before is no progress
    if (done <= most_) return;                                // nor is what is fetched again
    came_ += done - most_, most_ = done;
    const double seconds = std::chrono::duration<double>(Clock::now() - begun_).count();
    const std::uint64_t came = std::min(came_, total_);
    if (shown_ && seconds > 0)
      bar_.show(DownloadProgress{.file = file_,
                                 .done = came,
                                 .total = total_,
                                 .bytes_per_second = static_cast<double>(came) / seconds});
  }
  void note(std::string_view line) { bar_.note(line); }

 private:
  using Clock = std::chrono::steady_clock;
  ProgressBar bar_;
  std::string file_;
  std::uint64_t total_ = 0, came_ = 0, most_ = 0;
  bool shown_;
  Clock::time_point begun_ = Clock::now();
};

void print(const Options& o, const PulledModel& model) {
  StandardOutput out;
  if (o.json) {
    out.write(to_line({{"name", o.name},
                       {"commit", model.commit},
                       {"path", model.path.native()},
                       {"files", model.files},
                       {"bytes", model.bytes},
                       {"fetched", model.fetched}}));
  } else {
    out.write(model.path.native() + "\n");
  }
  out.flush();
}

void run(const Options& o) {
  const ModelName name = ModelName::parse(o.name);
  if (!o.file.empty()) {
    check(name.quant.empty(), Code::usage,
          "--from-file: the quantisation is said by the file's name, not by {}", o.name);
    return print(o, import_file(HubCache(hub_cache_folder()), name.repository, o.file, o.sha256));
  }
  check(name.quant.empty() || (!o.selection.all && o.selection.include.empty()), Code::usage,
        "{}: the quantisation chooses the files, and so do --all and --include; one of them is enough",
        o.name);
  HubSettings settings = HubSettings::from_environment();
  settings.offline |= o.offline;
  PullProgress progress(settings.bars);
  stop_on_signals();
  const PulledModel model = pull(
      settings,
      {.name = name,
       .revision = o.revision,
       .selection = o.selection,
       .hooks = {.note = [&](std::string_view line) { progress.note(line); },
                 .progress = [&](const RemoteFile& file, std::uint64_t done) { progress.show(file, done); },
                 .stop = stop_asked},
       .planned = [&](const PullPlan& plan) { progress.begin(plan); }});
  print(o, model);
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && is_digest(text);
}

}  // namespace

void add_pull(CLI::App& program) {
  CLI::App* c =
      program.add_subcommand("pull", "Fetch a model from the Hugging Face hub, or go on fetching it");
  auto o = std::make_shared<Options>();
  c->add_option("name", o->name, "The model; of GGUF files which quantisation, Q4_K_M if none is named")
      ->type_name("ORG/NAME[:QUANT]")
      ->required();
  c->add_option("--revision", o->revision, "A branch, a tag or a commit")
      ->type_name("REV")
      ->capture_default_str();
  CLI::Option* all = c->add_flag("--all", o->selection.all, "Every file of the repository");
  CLI::Option* include = c->add_option("--include", o->selection.include,
                                       "Files that match, instead of the model's; may be repeated")
                             ->type_name("PATTERN")
                             ->allow_extra_args(false)
                             ->excludes(all);
  CLI::Option* exclude =
      c->add_option("--exclude", o->selection.exclude, "Not those that match; may be repeated")
          ->type_name("PATTERN")
          ->allow_extra_args(false);
  CLI::Option* offline =
      c->add_flag("--offline", o->offline, "Do not ask the hub: what is in the cache, or status 4");
  CLI::Option* file = c->add_option("--from-file", o->file,
                                    "Put this file into the cache under the name, and do not ask the hub")
                          ->type_name("FILE")
                          ->excludes(all)
                          ->excludes(include)
                          ->excludes(exclude)
                          ->excludes(offline)
                          ->excludes("--revision");
  c->add_option("--sha256", o->sha256, "The digest that the file must have")
      ->type_name("HEX")
      ->needs(file)
      ->check(CLI::Validator(
          [](std::string& text) {
            return is_sha256(text)
                       ? std::string()
                       : fmt::format("found {}, 64 small hexadecimal digits are wanted", quoted(text));
          },
          ""));
  c->add_flag("--json", o->json, "The result as JSON: name, commit, path, files, bytes, fetched");
  c->footer(
      "Prints where the model is. Commands take its name in the place of a path. HF_HUB_CACHE and HF_HOME "
      "say\n"
      "where models are kept, HF_ENDPOINT which hub, HF_TOKEN who asks. Ctrl-C ends with status 75; the "
      "same\n"
      "command goes on from there. A second pull of the same model at the same time ends with status 7.\n\n"
      "Examples:\n"
      "  glossa pull ORG/NAME\n"
      "  glossa pull ORG/NAME:Q8_0\n"
      "  glossa pull ORG/NAME --revision v1.0 --include '*.json'\n"
      "  glossa pull my/model --from-file model-Q8_0.gguf");
  c->callback([o] { run(*o); });
}

}  // namespace glossa::app
