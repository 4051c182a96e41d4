#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>

#include "backend/cpu/cpu_features.h"
#include "base/error.h"
#include "base/memory.h"
#include "train/checkpoints.h"
#include "train/estimate.h"
#include "train/finish.h"
#include "train/pace.h"
#include "train/run_records.h"
#include "train/schedule.h"
#include "train/task.h"
#include "train/update.h"

namespace glossa {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

bool use_bf16(const TrainRecipe& recipe, const TrainingHooks& hooks) {
  const bool there = cpu::instruction_set() == cpu::InstructionSet::avx512_bf16;
  if (recipe.precision == "bf16" && !there)
    hooks.note("this processor has no bf16 products: training in f32");
  return recipe.precision != "f32" && there;
}

// A directory for a run must be empty, or hold one to go on with or to replace.
void prepare_directory(const TrainingOptions& options) {
  const fs::path& run = options.output_directory;
  remove_leftovers(run);
  static const std::set<std::string> kOursOnly{"LOCK", "cache"};
  bool occupied = false;
  for (const auto& entry : fs::directory_iterator(run))
    occupied |= !kOursOnly.contains(entry.path().filename().string());
  if (!occupied || options.resume) return;
  check(options.overwrite, Code::output_exists,
        "{}: is not empty; --resume goes on with the run there, --overwrite removes it", shown(run));
}

// The recipe as it is saved: comments that say its hash, then every key.
std::string recipe_text(const Recipe& recipe) {
  return fmt::format("# The effective recipe of this run.\n# sha256 of what follows: {}\n{}", recipe.hash(),
                     recipe.to_yaml());
}

void check_same_recipe(const fs::path& stored, const Recipe& recipe, const TrainingOptions& options) {
  const Recipe before = Recipe::parse(read_file(stored), shown(stored), {});
  std::string differences;
  for (const std::string& difference : before.differences(recipe)) {
    const std::string key = difference.substr(0, difference.find(':'));
    const auto& may = options.override_keys;
    if (std::find(may.begin(), may.end(), key) == may.end())
      differences += (differences.empty() ? "" : "; ") + difference;
  }
  check(differences.empty(), Code::run_state,
        "{}: the run to resume had another recipe: {}; --override KEY lets it change", shown(stored),
        differences);
}

// ", the first in NAME": of gradients that are not finite; nothing where only their sum of squares is not.
std::string first_nonfinite(const NamedTensors& gradients) {
  for (const auto& [name, gradient] : gradients) {
    const auto values = gradient.span<float>();
    if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
      return ", the first in " + name;
  }
  return "";
}

// One run from its directory's lock to its last file.
class Run {
 public:
  Run(const Recipe& recipe, const TrainingOptions& options);
  TrainingResult operator()();

 private:
  void restore();
  void check_resources() const;
  NamedTensors evaluated_weights() const { return average_.empty() ? parameters_.values() : average_; }
  void update_average();
  void learn();
  void after_update(const UpdateResult& update);
  void log(const UpdateResult& update);
  bool evaluate();  // true if it was the best so far
  void save();
  void show_progress(const UpdateResult& update) const;
  bool due(std::int64_t every) const { return (every > 0 && state_.step % every == 0) || finished(); }
  bool finished() const { return state_.step >= recipe_.train.max_steps || state_.stopped_early; }

  const Recipe recipe_;
  const TrainingOptions options_;
  const TrainingHooks& hooks_;
  const fs::path run_;
  DirectoryLock lock_;
  fs::path resumed_from_;  // a checkpoint, or empty
  std::unique_ptr<Task> task_;
  ParameterList& parameters_;
  Updater updater_;
  NamedTensors average_;  // the exponential average, if the recipe wants one
  RunState state_;
  RunRecords records_;
  Pace pace_;
  double recent_seconds_ = 0;  // of the last updates
  std::int64_t recent_tokens_ = 0, log_tokens_ = 0;
  double log_seconds_ = 0;
  fs::path last_checkpoint_;
};

fs::path locked_directory(const TrainingOptions& options) {
  check(!options.output_directory.empty(), Code::usage, "training needs an output directory");
  check(!options.resume || !options.overwrite, Code::usage, "--resume and --overwrite contradict each other");
  make_directories(options.output_directory);
  return options.output_directory;
}

// The checkpoint to go on from, or none.
fs::path checkpoint_to_resume(const Recipe& recipe, const TrainingOptions& options) {
  prepare_directory(options);
  if (!options.resume) return {};
  const fs::path& run = options.output_directory;
  const NewestCheckpoint newest = newest_checkpoint(run);
  for (const std::string& fault : newest.faults) options.hooks.note(fault);
  const fs::path stored = newest.path.empty() ? run / kRecipeName : newest.path / kRecipeName;
  if (fs::exists(stored)) check_same_recipe(stored, recipe, options);
  options.hooks.note(newest.path.empty()
                         ? fmt::format("{}: no checkpoint to resume from, so training begins", shown(run))
                         : fmt::format("resuming from {}", shown(newest.path)));
  return newest.path;
}

Run::Run(const Recipe& recipe, const TrainingOptions& options)
    : recipe_(recipe),
      options_(options),
      hooks_(options_.hooks),
      run_(locked_directory(options)),
      lock_(run_),
      resumed_from_(checkpoint_to_resume(recipe, options)),
      task_(make_task(recipe, {.cache = run_ / "cache",
                               .resume = options.resume,
                               .checkpoint = resumed_from_,
                               .note = hooks_.note})),
      parameters_(task_->parameters()),
      updater_(parameters_, recipe_.train, task_->width(), use_bf16(recipe.train, hooks_)),
      records_(run_, hooks_.note) {
  state_.data_digest = task_->digest();
  state_.instruction_set = name_of(cpu::instruction_set());
  if (recipe_.train.ema_decay > 0) {
    for (const auto& [name, value] : parameters_.values()) {
      Tensor copy = value.like(value.shape());
      Backend::of(copy.device()).copy(value, copy);
      average_.emplace_back(name, copy);
    }
  }
  if (!resumed_from_.empty()) restore();
  check_resources();
  // Not before: whatever is wrong with recipe, data or machine must not cost the run that is there.
  if (options_.overwrite) remove_run(run_);
  write_file(run_ / kRecipeName, recipe_text(recipe_));
  records_.begin(state_.step, state_.history);
}

void Run::restore() {
  const RunState now = state_;
  const fs::path state = resumed_from_ / kStateName;
  state_ = RunState::from_json(parse_ordered_json(read_file(state, Limits{}.json_bytes), shown(state)),
                               shown(state));
  check(state_.data_digest == now.data_digest, Code::run_state,
        "{}: the training data have changed since: digest {} then, {} now", shown(state), state_.data_digest,
        now.data_digest);
  if (state_.instruction_set != now.instruction_set)
    hooks_.note(fmt::format("the run began on {} and goes on on {}: results may differ in the last bits",
                            state_.instruction_set, now.instruction_set));
  state_.instruction_set = now.instruction_set;
  load_tensors(resumed_from_ / "model.safetensors", parameters_.values());
  load_tensors(resumed_from_ / kOptimizerName, updater_.optimizer().state());
  if (!average_.empty()) load_tensors(resumed_from_ / kAverageName, average_);
  last_checkpoint_ = resumed_from_;
}

void Run::check_resources() const {
  std::int64_t kept = 0;
  for (const auto& [name, tensor] : updater_.optimizer().state()) kept += tensor.elements();
  const Estimate e = estimate({.recipe = recipe_.train,
                               .parameters = parameters_.elements(),
                               .state = kept,
                               .batch = task_->cost(),
                               .bf16 = use_bf16(recipe_.train, {}),
                               .steps = recipe_.train.max_steps - state_.step});
  hooks_.note(fmt::format("{} parameters; the run needs {}", parameters_.elements(), e.summary()));
  const std::uint64_t memory = available_memory(), disk = free_space(run_);
  // What is allocated already counts as used.
  check(e.batch <= memory, Code::memory,
        "the run needs about {:.0f} MiB of memory more, {:.0f} are free; train.max_tokens and "
        "train.gradient_checkpointing "
        "change that",
        as_mib(e.batch), as_mib(memory));
  // One checkpoint is written before an older one is removed, and the finished model stands beside them.
  const auto copies = static_cast<std::uint64_t>(
      std::max(recipe_.train.save_total_limit, recipe_.train.average_checkpoints) + 3);
  check(e.checkpoint * copies <= disk, Code::write,
        "{}: the run needs about {:.0f} MiB of disk ({} checkpoints of {:.0f}), {:.0f} are free; "
        "train.save_total_limit changes that",
        shown(run_), as_mib(e.checkpoint * copies), copies, as_mib(e.checkpoint), as_mib(disk));
}

void Run::update_average() {
  // Early on the average follows faster, so that it forgets the initial weights.
  const auto step = static_cast<double>(state_.step);
  const double decay = std::min(recipe_.train.ema_decay, (1 + step) / (10 + step));
  const NamedTensors now = parameters_.values();
  for (std::size_t i = 0; i < now.size(); ++i)
    Backend::of(now[i].second.device()).interpolate(average_[i].second, now[i].second, 1 - decay);
}

void Run::learn() {
  task_->begin(state_.position);
  auto begin = Clock::now();
  while (!finished()) {
    const TaskStep batches = task_->next();
    const UpdateResult update = updater_(batches.batches, state_.step + 1);
    ++state_.step;
    state_.position = batches.next;
    state_.epoch += batches.epochs;
    const double seconds = seconds_since(begin);
    pace_.add(seconds);
    recent_seconds_ += seconds, recent_tokens_ += update.tokens;
    log_seconds_ += seconds, log_tokens_ += update.tokens;
    state_.seconds += seconds, state_.target_tokens += update.tokens;
    after_update(update);
    if (!finished() && hooks_.stop()) {
      if (last_checkpoint_ != checkpoint_path(run_, state_.step) && state_.bad_steps == 0) save();
      return;
    }
    begin = Clock::now();
  }
}

void Run::after_update(const UpdateResult& update) {
  if (update.applied) {
    state_.bad_steps = 0;
    state_.loss_sum += update.loss, ++state_.loss_steps;
    if (!average_.empty()) update_average();
  } else {
    ++state_.bad_steps, ++state_.skipped_steps;
    hooks_.note(fmt::format("step {}: loss {}, gradient norm {}: update left out", state_.step, update.loss,
                            update.gradient_norm));
    if (state_.bad_steps >= recipe_.train.max_bad_steps)
      fail(Code::nonfinite,
           "step {}: loss {}, gradient norm {}{}: no finite gradient in {} updates in a row "
           "(train.max_bad_steps), the last before "
           "batch {} of epoch {}; the last good checkpoint is {}",
           state_.step, update.loss, update.gradient_norm, first_nonfinite(parameters_.gradients()),
           state_.bad_steps, state_.position.batch, state_.position.epoch,
           last_checkpoint_.empty() ? "none" : shown(last_checkpoint_));
  }
  show_progress(update);
  if (due(recipe_.train.logging_steps)) log(update);
  const bool better = task_->has_validation() && due(recipe_.train.eval_steps) && evaluate();
  // A checkpoint of weights that are no numbers, or in doubt, must never become the newest.
  if ((better || due(recipe_.train.save_steps)) && state_.bad_steps == 0) save();
}

void Run::show_progress(const UpdateResult& update) const {
  const double speed = recent_seconds_ > 0 ? static_cast<double>(recent_tokens_) / recent_seconds_ : 0;
  TrainingProgress p{
      .step = state_.step,
      .max_steps = recipe_.train.max_steps,
      .epoch = state_.epoch,
      .loss = update.loss,
      .learning_rate = learning_rate(recipe_.train, task_->width(), state_.step),
      .tokens_per_second = speed,
      .seconds_left = pace_.seconds() * static_cast<double>(recipe_.train.max_steps - state_.step)};
  const auto last = std::find_if(state_.history.rbegin(), state_.history.rend(),
                                 [](const OrderedJson& line) { return line.contains("eval_loss"); });
  if (last != state_.history.rend()) {
    p.eval_loss = last->at("eval_loss").get<double>();
    if (last->contains("eval_bleu")) p.eval_bleu = last->at("eval_bleu").get<double>();
  }
  hooks_.progress(p);
}

void Run::log(const UpdateResult& update) {
  const double loss =
      state_.loss_steps > 0 ? state_.loss_sum / static_cast<double>(state_.loss_steps) : update.loss;
  OrderedJson line{
      {"loss", loss},
      {"grad_norm", update.gradient_norm},
      {"learning_rate", learning_rate(recipe_.train, task_->width(), state_.step)},
      {"epoch", state_.epoch},
      {"step", state_.step},
      {"tokens_per_second", log_seconds_ > 0 ? static_cast<double>(log_tokens_) / log_seconds_ : 0}};
  if (state_.skipped_steps > 0) line["skipped_steps"] = state_.skipped_steps;
  state_.loss_sum = 0, state_.loss_steps = 0, log_seconds_ = 0, log_tokens_ = 0;
  recent_seconds_ /= 2, recent_tokens_ /= 2;  // what was long ago weighs less
  state_.history.push_back(line);
  records_.add(line);
}

bool Run::evaluate() {
  const Evaluation found = task_->evaluate(evaluated_weights());
  OrderedJson line = found.metrics;
  line["epoch"] = state_.epoch, line["step"] = state_.step;
  state_.history.push_back(line);
  records_.add(line);
  const std::string& key = recipe_.train.metric_for_best_model;
  const double metric = found.metrics.at(key).get<double>();
  const bool less_is_better = key == "eval_loss";
  const bool better =
      !state_.best_metric || (less_is_better ? metric < *state_.best_metric : metric > *state_.best_metric);
  hooks_.note(fmt::format("step {}: {}{}", state_.step, found.summary, better ? ", the best so far" : ""));
  if (!found.sample.empty()) {
    hooks_.note("a sample: " + found.sample);
    records_.keep_sample(state_.step, found.sample);
  }
  if (better) {
    state_.best_metric = metric, state_.best_step = state_.step, state_.evaluations_without_better = 0;
  } else if (++state_.evaluations_without_better >= recipe_.train.early_stopping_patience &&
             recipe_.train.early_stopping_patience > 0) {
    state_.stopped_early = true;
    hooks_.note(
        fmt::format("{} validations without a better one: training ends", state_.evaluations_without_better));
  }
  return better;
}

void Run::save() {
  const fs::path path = checkpoint_path(run_, state_.step);
  AtomicDirectory directory(path);
  task_->save(directory.path(), parameters_.values());
  save_safetensors(directory.path() / kOptimizerName, updater_.optimizer().state());
  if (!average_.empty()) save_safetensors(directory.path() / kAverageName, average_);
  write_file(directory.path() / kRecipeName, recipe_text(recipe_));
  write_file(directory.path() / kStateName, to_text(state_.to_json()));
  directory.commit();
  last_checkpoint_ = path;
  records_.draw(state_.history);
  prune_checkpoints(run_, state_.step,
                    {.save_steps = recipe_.train.save_steps,
                     .regular = std::max(recipe_.train.save_total_limit, recipe_.train.average_checkpoints),
                     .best_step = state_.best_step});
}

TrainingResult Run::operator()() {
  learn();
  TrainingResult result{
      .stopped = !finished(), .step = state_.step, .checkpoint = last_checkpoint_, .seconds = state_.seconds};
  if (result.stopped) return result;
  const FinishedRun finished{.recipe = recipe_,
                             .run = run_,
                             .task = *task_,
                             .state = state_,
                             .weights = evaluated_weights(),
                             .command = options_.command,
                             .note = hooks_.note};
  result.scores = finish_run(finished);
  records_.draw(state_.history);
  return result;
}

}  // namespace

TrainingResult train(const Recipe& recipe, const TrainingOptions& options) {
  recipe.validate();
  for (const std::string& key : options.override_keys) Recipe::check_key(key, "--override");
  check(options.override_keys.empty() || options.resume, Code::usage, "--override goes with --resume");
  return Run(recipe, options)();
}

}  // namespace glossa
