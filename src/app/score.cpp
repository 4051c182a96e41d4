// score.cpp -- `glossa score`: BLEU, chrF and TER of files, with sacreBLEU's options and output.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/values.h"
#include "app/scored_texts.h"
#include "base/error.h"
#include "evaluate/bootstrap.h"
#include "evaluate/metric.h"
#include "evaluate/report.h"

namespace glossa::app {
namespace {

struct Options {
  std::vector<std::string> references, inputs, metrics = {"bleu"};
  int reference_fields = 1;
  bool sentence_level = false;
  std::string language_pair;

  std::optional<std::string> tokenizer;
  std::string smoothing = "exp";
  BleuOptions bleu;
  bool force = false;
  ChrfOptions chrf;
  TercomOptions ter;

  bool confidence = false, paired_bootstrap = false, paired_randomization = false;
  int confidence_resamples = 1000, paired_resamples = 1000, paired_trials = 10000;
  std::string seed = "12345";

  ReportStyle style;
  bool json = false, no_color = false;
  std::string format = "json";

  bool paired() const { return paired_bootstrap || paired_randomization; }
};

// ---- the metrics asked for

// sacreBLEU's choice for a target language, if the user has not made one.
BleuTokenizer chosen_tokenizer(const Options& options) {
  const std::size_t dash = options.language_pair.find('-');
  check(options.language_pair.empty() || dash != std::string::npos, Code::usage,
        "language pair {} is not of the form en-de", quoted(options.language_pair));
  const std::string target = options.language_pair.empty() ? "" : options.language_pair.substr(dash + 1);
  const std::string best = target == "zh"   ? "zh"
                           : target == "ja" ? "ja-mecab"
                           : target == "ko" ? "ko-mecab"
                                            : "13a";
  if (options.tokenizer && best != "13a" && *options.tokenizer != best)
    note(fmt::format("consider the tokenizer {} for {}", best, target));
  return bleu_tokenizer(options.tokenizer.value_or(best));
}

BleuSmoothing smoothing_named(const std::string& name) {
  if (name == "exp") return BleuSmoothing::exp;
  if (name == "floor") return BleuSmoothing::floor;
  if (name == "add-k") return BleuSmoothing::add_k;
  return BleuSmoothing::none;
}

Bleu make_bleu(const Options& options) {
  BleuOptions bleu = options.bleu;
  bleu.tokenizer = chosen_tokenizer(options);
  bleu.smoothing = smoothing_named(options.smoothing);
  bleu.effective_order = options.sentence_level;
  const bool takes_value = bleu.smoothing == BleuSmoothing::floor || bleu.smoothing == BleuSmoothing::add_k;
  if (bleu.smooth_value && !takes_value)
    note(fmt::format("--smooth-value is for floor and add-k, and has no effect on {}", options.smoothing));
  return Bleu(bleu);
}

// Each once. Paired tests keep the order of the command line, everything else is in alphabetical order.
std::vector<Metric> make_metrics(const Options& options) {
  std::vector<std::string> names;
  for (const std::string& name : options.metrics)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  if (!options.paired()) std::sort(names.begin(), names.end());
  std::vector<Metric> metrics;
  for (const std::string& name : names) {
    if (name == "bleu") {
      metrics.emplace_back(make_bleu(options));
    } else if (name == "chrf") {
      metrics.emplace_back(Chrf(options.chrf));
    } else {
      metrics.emplace_back(Ter(options.ter));
    }
  }
  return metrics;
}

// BLEU of text that was tokenised before is not comparable with anybody's.
void warn_if_tokenized(const Options& options, const Lines& system) {
  constexpr std::ptrdiff_t kSuspicious = 100;
  if (options.force ||
      std::find(options.metrics.begin(), options.metrics.end(), "bleu") == options.metrics.end())
    return;
  if (std::count_if(system.begin(), system.end(),
                    [](std::string_view line) { return line.ends_with(" ."); }) < kSuspicious)
    return;
  note(
      "100 lines or more end in a tokenized period; BLEU is defined on detokenized text (--force silences "
      "this)");
}

std::uint64_t seed_of(const Options& options) {
  if (options.seed == "none" || options.seed == "None") {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  }
  std::uint64_t seed = 0;
  const auto [end, error] =
      std::from_chars(options.seed.data(), options.seed.data() + options.seed.size(), seed);
  check(error == std::errc() && end == options.seed.data() + options.seed.size(), Code::bad_value,
        "--seed {} is neither a whole number from 0 nor none", quoted(options.seed));
  return seed;
}

// ---- the jobs

void score_sentences(const Options& options, std::span<const Metric> metrics, const ScoredTexts& corpus,
                     StandardOutput& out) {
  check(options.metrics.size() == 1, Code::usage, "--sentence-level takes one metric, not {}",
        options.metrics.size());
  check(corpus.systems.size() == 1, Code::usage, "--sentence-level takes one system, not {}",
        corpus.systems.size());
  check(!options.confidence && !options.paired(), Code::usage,
        "--sentence-level allows no statistical tests");
  const Metric& metric = metrics[0];
  const References references(corpus.references);
  const SegmentStatistics statistics = segment_statistics(metric, corpus.systems[0], references);
  ReportedScore reported = {{}, signature(metric, references.count())};
  for (std::size_t i = 0; i < statistics.segments(); ++i) {
    reported.score = score(metric, statistics[i]);
    out.write(score_line(reported, options.style) + '\n');
  }
}

void score_system(const Options& options, std::span<const Metric> metrics, const ScoredTexts& corpus,
                  StandardOutput& out) {
  warn_if_tokenized(options, corpus.systems[0]);
  const References references(corpus.references);
  std::optional<Resampling> resampling;
  // One resample says nothing about confidence, and sacreBLEU then draws none.
  if (options.confidence && options.confidence_resamples > 1)
    resampling = Resampling{.bootstrap = options.confidence_resamples, .seed = seed_of(options)};
  std::vector<ReportedScore> scores;
  for (const Metric& metric : metrics) {
    const SegmentStatistics statistics = segment_statistics(metric, corpus.systems[0], references);
    ReportedScore& reported = scores.emplace_back();
    reported.score = score(metric, statistics.sum());
    reported.signature = signature(metric, references.count(), resampling);
    if (resampling)
      reported.confidence =
          bootstrap_confidence(metric, statistics, *resampling->bootstrap, resampling->seed);
  }
  out.write(options.format == "json" ? score_json(scores, options.style)
                                     : score_lines(scores, options.style));
}

std::vector<PairedResult> compared(const Options& options, const Metric& metric,
                                   std::span<const SegmentStatistics> systems, std::uint64_t seed) {
  if (options.paired_bootstrap) return paired_bootstrap(metric, systems, options.paired_resamples, seed);
  if (options.paired_randomization) return paired_randomization(metric, systems, options.paired_trials, seed);
  std::vector<PairedResult> results;
  for (const SegmentStatistics& system : systems) results.push_back({score(metric, system.sum()).value});
  return results;
}

// The names of the systems as tables have them.
std::vector<std::string> labels(const Options& options, const ScoredTexts& corpus) {
  std::vector<std::string> names = corpus.names;
  if (!options.paired()) return names;
  if (options.inputs.empty()) {
    names.insert(names.begin(), "Baseline");
    names.pop_back();
  } else {
    names[0] = "Baseline: " + names[0];
  }
  return names;
}

void compare_systems(const Options& options, std::span<const Metric> metrics, const ScoredTexts& corpus,
                     StandardOutput& out) {
  check(!options.confidence, Code::usage,
        "--confidence is for one system; --paired-bs and --paired-ar are for several");
  for (const Lines& system : corpus.systems) warn_if_tokenized(options, system);
  const References references(corpus.references);
  Comparison comparison = {.systems = labels(options, corpus)};
  std::optional<Resampling> resampling;
  if (options.paired_bootstrap) {
    comparison.test = Comparison::Test::bootstrap, comparison.trials = options.paired_resamples;
    resampling = Resampling{.bootstrap = options.paired_resamples, .seed = seed_of(options)};
  } else if (options.paired_randomization) {
    comparison.test = Comparison::Test::randomization, comparison.trials = options.paired_trials;
    resampling = Resampling{.randomization = options.paired_trials, .seed = seed_of(options)};
  }
  for (const Metric& metric : metrics) {
    std::vector<SegmentStatistics> systems;
    for (const Lines& system : corpus.systems)
      systems.push_back(segment_statistics(metric, system, references));
    comparison.metrics.push_back({score(metric, systems[0].sum()).name,
                                  signature(metric, references.count(), resampling),
                                  compared(options, metric, systems, resampling ? resampling->seed : 0)});
  }
  if (options.format == "json") {
    out.write(comparison_json(comparison, options.style));
  } else {
    out.write(comparison_table(comparison, options.format == "latex" ? TableFormat::latex : TableFormat::text,
                               options.style));
  }
}

void run(Options options) {
  // sacreBLEU's variable goes before its option.
  if (const char* format = std::getenv("SACREBLEU_FORMAT")) {
    std::string name(format);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name == "json" || name == "text" || name == "latex") options.format = name;
  }
  if (options.json) options.format = "json";
  const char* no_color = std::getenv("NO_COLOR");
  options.style.colors =
      !options.no_color && !(no_color && *no_color) && isatty(STDOUT_FILENO) && options.format != "json";
  const std::vector<Metric> metrics = make_metrics(options);  // refuses their options before anything is read

  std::vector<std::string> inputs = options.references;
  inputs.insert(inputs.end(), options.inputs.begin(), options.inputs.end());
  if (options.inputs.empty()) inputs.emplace_back("-");
  check_one_standard_input(inputs);
  const ScoredTexts corpus = ScoredTexts::read({.references = options.references,
                                                .reference_fields = options.reference_fields,
                                                .inputs = options.inputs,
                                                .may_repeat_baseline = options.paired()});
  check(!options.paired() || corpus.systems.size() > 1, Code::usage,
        "a paired test needs several systems (-i SYSTEM1 SYSTEM2 ...)");
  StandardOutput out;
  if (options.sentence_level) {
    score_sentences(options, metrics, corpus, out);
  } else if (corpus.systems.size() == 1) {
    score_system(options, metrics, corpus, out);
  } else {
    compare_systems(options, metrics, corpus, out);
  }
  out.flush();
}

// ---- the command line

void add_metric_options(CLI::App& command, Options& o) {
  const char* const bleu = "BLEU";
  command.add_option("--smooth-method,-s", o.smoothing, "Smoothing of orders without a match")
      ->check(CLI::IsMember({"none", "floor", "add-k", "exp"}))
      ->capture_default_str()
      ->group(bleu);
  command
      .add_option("--smooth-value,--sv", o.bleu.smooth_value,
                  "Value of floor (0.1 if absent) and add-k (1 if absent)")
      ->check(number(0, 1e6))
      ->group(bleu);
  command
      .add_option("--tokenize,--tok", o.tokenizer,
                  "13a, intl, zh, char or none; zh for -l ...-zh, else 13a, if absent")
      ->type_name("NAME")
      ->group(bleu);
  command.add_flag("--lowercase,--lc", o.bleu.lowercase, "Ignore case")->group(bleu);
  command.add_flag("--force", o.force, "The input is detokenized, whatever it looks like")->group(bleu);

  const char* const chrf = "chrF";
  command.add_option("--chrf-char-order,--cc", o.chrf.char_order, "Longest n-grams of characters")
      ->check(whole_number(0, 1000))
      ->capture_default_str()
      ->group(chrf);
  command.add_option("--chrf-word-order,--cw", o.chrf.word_order, "Longest n-grams of words; 2 is chrF++")
      ->check(whole_number(0, 1000))
      ->capture_default_str()
      ->group(chrf);
  command.add_option("--chrf-beta", o.chrf.beta, "Weight of recall")
      ->check(whole_number(0, 1000))
      ->capture_default_str()->group(chrf);
  command.add_flag("--chrf-whitespace", o.chrf.whitespace, "White space takes part in n-grams")->group(chrf);
  command.add_flag("--chrf-lowercase", o.chrf.lowercase, "Ignore case")->group(chrf);
  command.add_flag("--chrf-eps-smoothing", o.chrf.eps_smoothing, "Smooth as chrF++.py, NLTK and Moses do")
      ->group(chrf);

  const char* const ter = "TER";
  command.add_flag("--ter-case-sensitive", o.ter.case_sensitive, "Do not ignore case")->group(ter);
  command
      .add_flag("--ter-asian-support", o.ter.asian_support,
                "Split (with --ter-normalized) CJK characters, remove (with --ter-no-punct) CJK punctuation")
      ->group(ter);
  command.add_flag("--ter-no-punct", o.ter.no_punctuation, "Remove punctuation")->group(ter);
  command.add_flag("--ter-normalized", o.ter.normalized, "Unescape entities and split punctuation")
      ->group(ter);
}

void add_test_options(CLI::App& command, Options& o) {
  const char* const group = "Statistical tests";
  const auto count = whole_number(1, 10'000'000);
  command
      .add_flag("--confidence,--ci", o.confidence,
                "Confidence interval of one system by bootstrap resampling")
      ->group(group);
  command.add_option("--confidence-n,--cin", o.confidence_resamples, "Resamples for --confidence")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  CLI::Option* bootstrap = command
                               .add_flag("--paired-bs,--pbs", o.paired_bootstrap,
                                         "Compare with the first system by paired bootstrap resampling")
                               ->group(group);
  command
      .add_flag("--paired-ar,--par", o.paired_randomization,
                "Compare with the first system by approximate randomization")
      ->excludes(bootstrap)
      ->group(group);
  command.add_option("--paired-bs-n,--pbsn", o.paired_resamples, "Resamples for --paired-bs")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command.add_option("--paired-ar-n,--parn", o.paired_trials, "Trials for --paired-ar")
      ->check(count)
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", o.seed, "Seed of the resampling, or none for a new one each time")
      ->envname("SACREBLEU_SEED")
      ->capture_default_str()
      ->group(group);
}

void add_output_options(CLI::App& command, Options& o) {
  const char* const group = "Output";
  command.add_flag("--score-only,-b", o.style.score_only, "Print numbers only")->group(group);
  command.add_option("--width,-w", o.style.digits, "Digits behind the point")
      ->check(whole_number(0, 100))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--format,-f", o.format,
                  "json, text, or for several systems latex; SACREBLEU_FORMAT goes before it")
      ->check(CLI::IsMember({"json", "text", "latex"}))
      ->capture_default_str()
      ->group(group);
  command.add_flag("--json", o.json, "JSON, whatever else asks for another format")->group(group);
  command.add_flag("--short,--sh", o.style.short_names, "Shorter signatures")->group(group);
  command.add_flag("--no-color,--nc", o.no_color, "No colours on a terminal")->group(group);
}

}  // namespace

void add_score(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("score", "Score translations: BLEU, chrF and TER as sacreBLEU has them");
  const auto options = std::make_shared<Options>();
  Options& o = *options;
  command->add_option("REF", o.references, "References, one file each, one segment a line; .gz and .zst too")
      ->required();
  command
      ->add_option("--input,-i", o.inputs,
                   "Translations to score, one file for each system, - for standard input; without it, "
                   "systems in tab-separated columns of standard input")
      ->type_name("HYP");
  command->add_option("--metrics,-m", o.metrics, "Any of bleu, chrf, ter")
      ->check(CLI::IsMember({"bleu", "chrf", "ter"}))
      ->capture_default_str();
  command->add_flag("--sentence-level,--sl", o.sentence_level, "Score each line");
  command
      ->add_option("--num-refs,--nr", o.reference_fields, "References in tab-separated columns of one file")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  command->add_option("--language-pair,-l", o.language_pair, "Such as en-zh: chooses the tokenizer")
      ->type_name("PAIR");
  add_metric_options(*command, o);
  add_test_options(*command, o);
  add_output_options(*command, o);
  add_threads_option(*command);
  command->footer(
      "Examples:\n"
      "  glossa score test.de -i hypotheses.de -m bleu chrf ter\n"
      "  glossa score test.de -i hypotheses.de -lc -b -w 2\n"
      "  glossa score test.zh -i hypotheses.zh -tok zh --confidence -f text\n"
      "  glossa score test.de -i baseline.de system.de -m bleu chrf --paired-bs -f text");
  command->callback([options] { run(*options); });
}

}  // namespace glossa::app
