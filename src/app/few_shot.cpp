// few_shot.cpp -- `glossa few-shot`: a task put to a language model by some examples; labels scored, or
// answers generated.
#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <numeric>

#include "app/causal.h"
#include "app/command.h"
#include "app/few_shot_report.h"
#include "app/few_shot_task.h"
#include "app/measure.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "generate/few_shot_classifier.h"
#include "generate/text_stream.h"

namespace glossa::app {
namespace {

constexpr std::size_t kTogether = 256;  // inputs that are read, scored and written before the next ones
constexpr std::int32_t kUsualAnswer = 32;

const std::map<std::string, LabelMeasure> kMeasures{{"none", LabelMeasure::sum},
                                                    {"token", LabelMeasure::token},
                                                    {"byte", LabelMeasure::byte},
                                                    {"unconditional", LabelMeasure::unconditional}};

struct Options {
  ModelOptions model;
  FewShotFlags task;
  std::string normalize = "none", stop = "\\n";
  FewShotOptions how;
  std::int32_t predict = kUsualAnswer;
  bool print_prompts = false, json = false;
};

using Clock = std::chrono::steady_clock;
OrderedJson fields_of(const FewShotTask& task, std::size_t i) {
  OrderedJson fields = OrderedJson::object();
  for (std::size_t f = 0; f < task.form().fields().size(); ++f)
    fields[task.form().fields()[f]] = task.input(i).values[f];
  return fields;
}

// What happened on the way that users may not have meant.
void note_of(const FewShotTask& task, const Tally& tally) {
  if (tally.dropped > 0)
    note(fmt::format(
        "{} examples were left out of the prompts of {} inputs, which did not fit into the context",
        tally.dropped, tally.shortened));
  if (task.shown_their_own() > 0)
    note(fmt::format("{} inputs were among the examples that they were shown", task.shown_their_own()));
}

// ---- labels scored

OrderedJson scored_json(const FewShotTask& task, std::size_t i, const LabelScores& scores,
                        std::optional<std::size_t> truth) {
  OrderedJson j{{"input", fields_of(task, i)}, {"prediction", task.labels()[scores.best]}};
  if (truth) j["label"] = task.labels()[*truth], j["correct"] = *truth == scores.best;
  for (std::size_t l = 0; l < task.labels().size(); ++l) {
    j["probabilities"][task.labels()[l]] = scores.probabilities[l];
    j["log_probabilities"][task.labels()[l]] = scores.log_probabilities[l];
  }
  j["shots"] = scores.shots, j["prompt_tokens"] = scores.prompt_tokens;
  return j;
}

// All labels of one input, the likeliest first.
std::string scored_lines(const FewShotTask& task, const LabelScores& scores) {
  std::vector<std::size_t> order(task.labels().size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return scores.probabilities[a] > scores.probabilities[b];
  });
  std::string text;
  for (const std::size_t l : order)
    text += fmt::format("{}\t{:.4f}\n", task.labels()[l], scores.probabilities[l]);
  return text;
}

void score(FewShotTask& task, const Options& o, const LoadedCausalModel& loaded) {
  FewShotClassifier classifier(*loaded.model, loaded.tokenizer, task.form(), task.words(), o.how);
  StandardOutput out;
  Tally tally;
  Classification found(task.labels().size());
  bool all_labelled = true;
  for (std::size_t i = 0; i < task.size(); ++i) all_labelled = all_labelled && task.input(i).label;
  const auto begin = Clock::now();
  for (std::size_t first = 0; first < task.size(); first += kTogether) {
    const std::size_t count = std::min(kTogether, task.size() - first);
    std::vector<std::vector<std::string>> own;  // examples, if each input has its own
    if (o.task.redraw) own.reserve(count);
    std::vector<FewShotCase> cases;
    for (std::size_t i = first; i < first + count; ++i) {
      const std::vector<std::string>* examples = &task.examples_of(i);
      if (o.task.redraw) examples = &own.emplace_back(*examples);
      cases.push_back({task.input(i).values, *examples, task.place(i)});
    }
    const std::vector<LabelScores> results = classifier.classify(cases);
    for (std::size_t i = first; i < first + count; ++i) {
      const LabelScores& scores = results[i - first];
      const std::optional<std::size_t> truth = task.truth(i);
      ++tally.inputs, tally.labelled += truth.has_value(), tally.correct += truth == scores.best;
      tally.add_shots(task.shots(), scores.shots);
      if (truth) found.add(*truth, scores.best);
      if (o.json)
        out.write(to_line(scored_json(task, i, scores, truth)));
      else if (!o.task.input.empty())
        out.write(scored_lines(task, scores));
      else if (!all_labelled)
        out.write(fmt::format("{}\t{:.4f}\n", task.labels()[scores.best], scores.probabilities[scores.best]));
    }
    out.flush();
    if (terminal() && task.size() > kTogether)
      note(fmt::format("{} of {} inputs", tally.inputs, task.size()));
  }
  tally.seconds = seconds_since(begin);
  if (o.json) {
    OrderedJson summary = summary_of(task, o.task.seed, tally);
    add_labels(summary, task, found);
    out.write(to_line({{"summary", summary}}));
  } else if (tally.labelled > 0) {
    out.write(accuracy_line(tally) + table_of(task, found));
  }
  out.flush();
  note_of(task, tally);
  note(fmt::format(
      "{} inputs with {} examples in {:.2f} s, {:.1f} a second; {} tokens computed and {} shared",
      tally.inputs, task.shots(), tally.seconds, static_cast<double>(tally.inputs) / tally.seconds,
      classifier.counts().computed, classifier.counts().shared));
}

// ---- answers generated

// The prompt of an input with as many examples as leave room for an answer.
FewShotPrompt prompt_of(FewShotTask& task, const Options& o, const LoadedCausalModel& loaded, std::size_t i) {
  const std::int64_t context = o.how.context > 0 ? o.how.context : loaded.model->longest(),
                     answer = std::max(1, o.predict);
  const auto tokens = [&](const FewShotPrompt& p) {
    return static_cast<std::int64_t>(loaded.tokenizer.encode(p.text).size());
  };
  const FewShotPrompt prompt =
      fitting_prompt(task.frame(), task.examples_of(i), task.form().query(task.input(i).values),
                     [&](const FewShotPrompt& p) { return tokens(p) + answer <= context; });
  if (prompt.shots == 0)
    check(tokens(prompt) + answer <= context, Code::size,
          "{}: has {} tokens without any example, and the context of {} must hold {} more for the answer",
          task.place(i), tokens(prompt), context, answer);
  return prompt;
}

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

struct Answer {
  TextStream stream;
  std::string text = {};
  std::size_t shots, prompt_tokens;
};

// Runs the engine until all of the answers are there.
void finish(Engine& engine, std::vector<Answer>& answers, std::size_t first) {
  std::vector<GenerateEvent> events;
  while (!engine.idle()) {
    events.clear();
    engine.step(events);
    for (const GenerateEvent& e : events) {
      Answer& a = answers[e.index - first];
      if (a.stream.stopped()) continue;
      if (e.finish != Finish::stop) a.text += a.stream.push(e.chosen.token);
      if (e.finish != Finish::no && !a.stream.stopped()) a.text += a.stream.finish();
      if (a.stream.stopped() && e.finish == Finish::no) engine.cancel(e.index);
    }
  }
}

OrderedJson answer_json(const FewShotTask& task, std::size_t i, const std::string& answer,
                        std::optional<bool> right) {
  OrderedJson j{{"input", fields_of(task, i)}, {"answer", answer}};
  if (right) j["label"] = *task.input(i).label, j["correct"] = *right;
  return j;
}

void generate(FewShotTask& task, const Options& o, const LoadedCausalModel& loaded) {
  Engine engine(*loaded.model, kNothingBreaks, {.context = o.how.context, .batch_tokens = o.how.batch_tokens});
  const std::vector<std::string> stops{unescaped(o.stop, "--stop")};
  StandardOutput out;
  Tally tally;
  const auto begin = Clock::now();
  for (std::size_t first = 0; first < task.size(); first += kTogether) {
    std::vector<Answer> answers;
    for (std::size_t i = first; i < std::min(first + kTogether, task.size()); ++i) {
      const FewShotPrompt prompt = prompt_of(task, o, loaded, i);
      std::vector<Token> tokens = loaded.tokenizer.encode(prompt.text);
      answers.push_back({.stream = TextStream(loaded.tokenizer, stops),
                         .shots = prompt.shots,
                         .prompt_tokens = tokens.size()});
      engine.submit({.index = i,
                     .prompt = std::move(tokens),
                     .sampling = {.temp = 0},
                     .max_new_tokens = o.predict,
                     .stop_tokens = loaded.stop_tokens});
      // The first goes ahead, so that the others find the examples in the cache.
      if (i == 0) finish(engine, answers, first);
    }
    finish(engine, answers, first);
    for (std::size_t i = first; i < first + answers.size(); ++i) {
      const Answer& a = answers[i - first];
      const std::string answer = trimmed(a.text);
      std::optional<bool> right;
      if (task.input(i).label) right = answer == trimmed(task.word_of(*task.input(i).label));
      ++tally.inputs, tally.labelled += right.has_value(), tally.correct += right.value_or(false);
      tally.add_shots(task.shots(), a.shots);
      OrderedJson j = answer_json(task, i, answer, right);
      j["shots"] = a.shots, j["prompt_tokens"] = a.prompt_tokens;
      out.write(o.json ? to_line(j) : answer + "\n");
    }
    out.flush();
  }
  tally.seconds = seconds_since(begin);
  if (o.json) out.write(to_line({{"summary", summary_of(task, o.task.seed, tally)}}));
  out.flush();
  // Answers are lines for a file, so that what is said of them goes elsewhere.
  if (!o.json && tally.labelled > 0) note(trimmed(accuracy_line(tally)));
  note_of(task, tally);
  note(fmt::format(
      "{} inputs with {} examples in {:.2f} s, {:.1f} a second; {} tokens read, {} shared, {} written",
      tally.inputs, task.shots(), tally.seconds, static_cast<double>(tally.inputs) / tally.seconds,
      engine.counts().prompt, engine.counts().shared, engine.counts().generated));
}

// ---- the command

void print_prompts(FewShotTask& task) {
  StandardOutput out;
  for (std::size_t i = 0; i < task.size(); ++i)
    out.write(to_line({{"prompt", few_shot_prompt(task.frame(), task.examples_of(i),
                                                  task.form().query(task.input(i).values))
                                      .text}}));
  out.flush();
}

void run(Options o) {
  FewShotTask task(o.task);
  if (!o.task.free_text && task.shots() > 0)
    for (const std::string& label : task.labels_without_example())
      note(fmt::format("label {} occurs in no example of {}", quoted(label), o.task.examples));
  if (o.print_prompts) return print_prompts(task);
  o.how.frame = task.frame();
  o.how.measure = kMeasures.at(o.normalize);
  check(!o.how.calibrate || o.how.measure != LabelMeasure::unconditional, Code::usage,
        "--calibrate and --normalize unconditional both divide by what labels get without a case; give one "
        "of them");
  const LoadedCausalModel loaded = load_causal(o.model);
  o.task.free_text ? generate(task, o, loaded) : score(task, o, loaded);
}

void add_task_options(CLI::App& c, FewShotFlags& o) {
  c.add_option("-e,--examples", o.examples,
               "Solved cases, JSON lines with the template's fields and a label; .gz and .zst too")
      ->type_name("FILE");
  c.add_option(
       "-i,--inputs", o.inputs,
       "Cases to solve, JSON lines of the same form; with labels, accuracy is printed; - is standard input")
      ->type_name("FILE");
  c.add_option("--input", o.input, "One case: the text of the template's only field")->type_name("TEXT");
  c.add_option("--template", o.form,
               "How a case is written: {NAME} is a field, {{ and }} are braces, \\n and \\t as in C")
      ->type_name("TEXT")
      ->capture_default_str();
  c.add_option("--instruction", o.instruction, "What stands before the examples")->type_name("TEXT");
  c.add_option("--separator", o.separator, "What stands between cases")
      ->type_name("TEXT")
      ->capture_default_str();
  c.add_option("--label-field", o.label_field, "The field of the answer")
      ->type_name("NAME")
      ->capture_default_str();
  c.add_option(
       "--labels", o.labels,
       "Labels to choose from, LABEL or LABEL=WORDS (how prompts write it); without it those of the examples")
      ->type_name("LABEL");
  c.add_option("-k,--shots", o.shots, "Examples in a prompt; without it 16, or all if there are fewer")
      ->type_name("N")
      ->check(whole_number(0, 1 << 20));
  c.add_option("-s,--seed", o.seed, "Seed of the choice of examples")
      ->type_name("N")
      ->check(whole_number(0, INT64_MAX))
      ->capture_default_str();
  c.add_flag("--balanced", o.balanced,
             "Examples of every label, as many of one as of another; without it they are drawn from all");
  c.add_flag(
      "--redraw", o.redraw,
      "Other examples for each input; without it all inputs see the same ones, which are then read once");
}

}  // namespace

void add_few_shot(CLI::App& program) {
  CLI::App* c =
      program.add_subcommand("few-shot", "Solve a task with a language model that is shown some examples");
  auto o = std::make_shared<Options>();
  add_model_options(*c, o->model);
  add_task_options(*c, o->task);
  CLI::Option* normalize = c->add_option("--normalize", o->normalize,
                                         "What a label's log-probability is divided by: its tokens, its "
                                         "bytes, or (as probabilities) what it has without a case")
                               ->check(CLI::IsMember({"none", "token", "byte", "unconditional"}))
                               ->capture_default_str();
  CLI::Option* calibrate =
      c->add_flag("--calibrate", o->how.calibrate,
                  "Divide probabilities by those for cases that say nothing (N/A, [MASK], no text)");
  CLI::Option* generate =
      c->add_flag(
           "--generate", o->task.free_text,
           "Answers in the model's own words, the likeliest token each time, in the place of scored labels")
          ->excludes(normalize)
          ->excludes(calibrate);
  c->add_option("-n,--predict,--max-new-tokens", o->predict, "With --generate: most tokens of an answer")
      ->type_name("N")
      ->check(whole_number(1, INT32_MAX))
      ->capture_default_str()
      ->needs(generate);
  c->add_option("--stop", o->stop, "With --generate: text that ends an answer")
      ->type_name("TEXT")
      ->capture_default_str()
      ->needs(generate);
  c->add_option("-c,--ctx-size", o->how.context,
                "Tokens of a prompt with its answer; examples that do not fit are left out; 0: as many as "
                "the model has positions for")
      ->type_name("N")
      ->check(whole_number(0, 1 << 30))
      ->capture_default_str();
  c->add_option("-b,--batch-size", o->how.batch_tokens, "Tokens of a step")
      ->type_name("N")
      ->check(whole_number(1, 1 << 20))
      ->capture_default_str();
  c->add_flag("--print-prompts", o->print_prompts,
              "Only write the prompts, as glossa generate takes them: {\"prompt\": TEXT} a line");
  c->add_flag("--json", o->json, "An object for each input, and one of the whole: {\"summary\": ...}");
  add_threads_option(*c);
  c->footer(
      "Examples:\n"
      "  glossa few-shot -m MODEL -e train.jsonl --input 'a fine film' --template 'Review: "
      "{text}\\nSentiment: {label}' -k 8\n"
      "  glossa few-shot -m MODEL -e train.jsonl -i test.jsonl --labels 0=negative 1=positive --balanced "
      "--calibrate\n"
      "  glossa few-shot -m MODEL -i test.jsonl -k 0 --labels yes no --instruction 'Is it a question?' "
      "--json\n"
      "  glossa few-shot -m MODEL -e sums.jsonl --input '17 + 25' --template '{text} = {label}' --generate "
      "-n 8");
  c->callback([o] { run(*o); });
}

}  // namespace glossa::app
