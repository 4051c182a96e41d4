// generate.cpp -- `glossa generate`: prompts in, what a language model goes on with out; one prompt, or many as one batch.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "app/causal.h"
#include "app/command.h"
#include "app/drafting.h"
#include "app/sampling_options.h"
#include "app/search_options.h"
#include "app/measure.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "data/byte_stream.h"
#include "generate/causal_decoder.h"
#include "generate/search.h"
#include "generate/text_stream.h"

namespace glossa::app {
namespace {

struct Options {
  ModelOptions model;
  std::string prompt, file, input;
  std::int32_t predict = -1, log_probabilities = 0;
  bool json = false, ignore_eos = false, no_special = false, special = false;
  std::vector<std::string> stop;
  EngineOptions engine;
  DraftOptions draft;
  SamplingConfig sampling;
  SearchChanges search;  // any: beam search
};

// A prompt at work.
struct Job {
  std::string prompt, text;
  std::size_t prompt_tokens = 0;
  std::vector<Chosen> chosen;
  TextStream stream;
  std::string reason;  // why it ended; "" while it goes on
};

using Clock = std::chrono::steady_clock;
std::vector<std::string> prompts_of(const Options& o) {
  check(o.prompt.empty() + o.file.empty() + o.input.empty() == 2, Code::usage,
        "give one of --prompt TEXT, --file FILE, or a file of prompts (- is standard input)");
  if (!o.prompt.empty()) return {o.prompt};
  const std::string path = o.file.empty() ? o.input : o.file;
  const std::string text = read_text(path);
  if (!path.ends_with(".jsonl")) return {text};
  std::vector<std::string> prompts;
  std::int64_t line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string where = fmt::format("{}, line {}", path, ++line);
    const std::string row = text.substr(begin, end - begin);
    begin = end + 1;
    if (row.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json object = parse_json(row, where);
    check(object.is_object() && object.contains("prompt") && object.at("prompt").is_string(), Code::text_data,
          "{}: an object with the text \"prompt\" is wanted, found {}", where, quoted(row));
    prompts.push_back(object.at("prompt"));
  }
  check(!prompts.empty(), Code::empty, "{}: no prompts", path);
  return prompts;
}

OrderedJson as_json(const Job& job, const Tokenizer& tokenizer, std::int32_t best) {
  OrderedJson tokens = OrderedJson::array(), list = OrderedJson::array();
  const auto named = [&](Token token, float log_probability) {
    return OrderedJson{{"token", token}, {"text", tokenizer.decode(std::vector<Token>{token})}, {"log_probability", log_probability}};
  };
  for (const Chosen& c : job.chosen) {
    tokens.push_back(c.token);
    if (best <= 0) continue;
    OrderedJson entry = named(c.token, c.log_probability);
    for (const auto& [token, log_probability] : c.best) entry["top"].push_back(named(token, log_probability));
    list.push_back(std::move(entry));
  }
  OrderedJson j{{"text", job.text}, {"tokens", std::move(tokens)}, {"finish_reason", job.reason}, {"prompt_tokens", job.prompt_tokens}};
  if (best > 0) j["log_probabilities"] = std::move(list);
  return j;
}

// The outputs of a search for one prompt, best first.
class Found {
 public:
  Found(const Options& o, const LoadedCausalModel& loaded, SearchResult result, std::size_t prompt_tokens)
      : prompt_tokens_(prompt_tokens) {
    for (Hypothesis& h : result.hypotheses) {
      const std::vector<Token> generated(h.tokens.begin() + static_cast<std::ptrdiff_t>(prompt_tokens), h.tokens.end());
      const bool ended = !o.ignore_eos && !generated.empty() && is_stop(loaded, generated.back());
      std::vector<Token> tokens(generated.begin(), generated.end() - (ended ? 1 : 0));
      std::string text = loaded.tokenizer.decode(tokens, !o.special);
      outputs_.push_back({std::move(tokens), std::move(text), ended ? "stop" : "length", h.score, h.log_probability});
    }
  }

  OrderedJson as_json() const {
    OrderedJson j = as_json(outputs_[0]);
    j["prompt_tokens"] = prompt_tokens_;
    if (outputs_.size() > 1)
      for (const Output& output : outputs_) j["sequences"].push_back(as_json(output));
    return j;
  }
  // The text; of several, Marian's list, with newlines as \n: number ||| text ||| score.
  std::string as_text(std::size_t number, bool list) const {
    if (!list) return outputs_[0].text + "\n";
    std::string all;
    for (const Output& output : outputs_) all += fmt::format("{} ||| {} ||| {:.6f}\n", number, in_a_line(output.text), output.score);
    return all;
  }

 private:
  struct Output {
    std::vector<Token> tokens;
    std::string text, reason;
    double score, log_probability;
  };
  static bool is_stop(const LoadedCausalModel& loaded, Token token) {
    return std::find(loaded.stop_tokens.begin(), loaded.stop_tokens.end(), token) != loaded.stop_tokens.end();
  }
  static OrderedJson as_json(const Output& o) {
    return {{"text", o.text}, {"tokens", o.tokens}, {"finish_reason", o.reason}, {"score", o.score}, {"log_probability", o.log_probability}};
  }
  static std::string in_a_line(const std::string& text) {
    std::string line;
    for (const char c : text) c == '\n' ? line += "\\n" : line += c;
    return line;
  }

  std::size_t prompt_tokens_;
  std::vector<Output> outputs_;
};

void search(const Options& o, const std::vector<std::string>& prompts, const LoadedCausalModel& loaded) {
  check(o.predict != 0, Code::bad_value, "--predict 0: a search has at least one token to find");
  GenerationConfig config;
  config.max_new_tokens = std::max(o.predict, 0);
  if (!o.ignore_eos) config.eos_token_id = loaded.stop_tokens;
  config.forbid_padding(loaded.tokenizer.size(), loaded.model->vocabulary());
  for (const auto& change : o.search) change(config);
  config.num_beams = std::max(config.num_beams, config.num_return_sequences);
  Search search(std::make_unique<CausalDecoder>(*loaded.model, o.engine.cache), config, {.batch_size = o.engine.sequences});
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    SearchRequest request{.index = i, .source = {}, .prefix = loaded.tokenizer.encode(prompts[i], !o.no_special)};
    lengths.push_back(request.prefix.size());
    search.submit(std::move(request));
  }
  std::vector<SearchResult> results;
  while (!search.idle()) search.step(results);
  std::sort(results.begin(), results.end(), [](const SearchResult& a, const SearchResult& b) { return a.index < b.index; });
  StandardOutput out;
  for (SearchResult& result : results) {
    const std::size_t i = result.index;
    const Found found(o, loaded, std::move(result), lengths[i]);
    out.write(o.json ? to_line(found.as_json()) : found.as_text(i, config.num_return_sequences > 1));
  }
  out.flush();
}

void run(const Options& o) {
  o.sampling.validate();
  const std::vector<std::string> prompts = prompts_of(o);
  const auto started = Clock::now();
  const LoadedCausalModel loaded = load_causal(o.model);
  const double load_seconds = seconds_since(started);
  if (!o.search.empty()) return search(o, prompts, loaded);
  const std::function<bool(std::int32_t)> breaks = sequence_breaks(loaded.tokenizer, o.sampling);
  const std::unique_ptr<Drafter> drafter = make_drafter(o.draft, loaded.tokenizer, o.engine.sequences);
  Engine engine(*loaded.model, breaks, with_drafter(o.engine, drafter.get()));
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    GenerateRequest request{.index = i, .prompt = loaded.tokenizer.encode(prompts[i], !o.no_special), .sampling = o.sampling,
                            .max_new_tokens = o.predict, .stop_tokens = o.ignore_eos ? std::vector<Token>{} : loaded.stop_tokens,
                            .best = o.log_probabilities};
    jobs.push_back({prompts[i], "", request.prompt.size(), {}, TextStream(loaded.tokenizer, o.stop, !o.special), ""});
    if (o.predict == 0) jobs.back().reason = "length";
    else engine.submit(std::move(request));
  }

  StandardOutput out;
  const bool streams = jobs.size() == 1 && !o.json;
  const auto begin = Clock::now();
  double first_seconds = 0;
  std::vector<GenerateEvent> events;
  while (!engine.idle()) {
    events.clear();
    engine.step(events);
    for (const GenerateEvent& e : events) {
      if (first_seconds == 0) first_seconds = seconds_since(begin);
      Job& job = jobs[e.index];
      std::string piece;
      if (e.finish != Finish::stop) {
        job.chosen.push_back(e.chosen);
        piece = job.stream.push(e.chosen.token);
      }
      if (e.finish != Finish::no && !job.stream.stopped()) piece += job.stream.finish();
      if (e.finish != Finish::no) job.reason = e.finish == Finish::stop ? "stop" : "length";
      if (job.stream.stopped()) {
        job.reason = "stop";
        if (e.finish == Finish::no) engine.cancel(e.index);
      }
      job.text += piece;
      if (streams && !piece.empty()) out.write(piece), out.flush();
    }
  }
  const double seconds = seconds_since(begin);
  const Engine::Counts& n = engine.counts();
  if (o.json) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      OrderedJson j = as_json(jobs[i], loaded.tokenizer, o.log_probabilities);
      if (jobs.size() == 1)
        j["timings"] = {{"load_seconds", load_seconds}, {"first_token_seconds", first_seconds}, {"total_seconds", seconds}};
      out.write(to_line(j));
    }
  } else if (streams) {
    out.write("\n");
  } else {
    for (const Job& job : jobs) out.write(job.text + "\n");
  }
  out.flush();
  // With one sequence, all before the first token was reading and all after it was writing.
  const double writing = seconds - first_seconds;
  note(fmt::format("{} tokens read{}, {} written in {:.2f} s{}{}", n.prompt, n.shared ? fmt::format(" and {} shared", n.shared) : "", n.generated,
                   seconds,
                   jobs.size() == 1 && n.generated > 1
                       ? fmt::format(": {:.1f} tokens/s read, {:.1f} tokens/s written", static_cast<double>(n.prompt) / first_seconds,
                                     static_cast<double>(n.generated - 1) / writing)
                       : "",
                   guesses_said(n)));
}

}  // namespace

void add_generate(CLI::App& program) {
  CLI::App* c = program.add_subcommand("generate", "Continue text with a language model");
  auto o = std::make_shared<Options>();
  add_model_options(*c, o->model);
  c->add_option("-p,--prompt", o->prompt, "The text to go on from")->type_name("TEXT");
  c->add_option("-f,--file", o->file, "A file that holds it; a .jsonl file: many, {\"prompt\": TEXT} a line, decoded together")->type_name("FILE");
  c->add_option("input", o->input, "The same; - is standard input")->type_name("FILE");
  add_length_options(*c, o->predict, o->engine);
  add_cache_options(*c, o->engine.cache);
  c->add_option("--np,--parallel", o->engine.sequences, "Prompts decoded together")->type_name("N")->check(whole_number(1, 1 << 16))->capture_default_str();
  c->add_flag("--context-shift", o->engine.shift, "When the context is full, forget the middle of the text and go on");
  c->add_option("--keep", o->engine.keep, "Tokens at the beginning that are not forgotten then")->type_name("N")->check(whole_number(0, 1 << 30))->capture_default_str();
  c->add_option("--stop", o->stop, "Text that ends the output and is not part of it; may be repeated")->type_name("TEXT")->allow_extra_args(false);
  c->add_flag("--ignore-eos", o->ignore_eos, "Go on after the model's end tokens");
  c->add_flag("--no-special", o->no_special, "Do not put the model's start token before the prompt");
  c->add_flag("--special", o->special, "Show special tokens in the output");
  c->add_flag("--json", o->json, "An object for each prompt: text, tokens, finish_reason, timings");
  c->add_option("--logprobs,--n-probs", o->log_probabilities, "With --json: log-probabilities of each token and of the N likeliest")
      ->type_name("N")->check(whole_number(0, 1000))->capture_default_str();
  add_threads_option(*c);
  add_draft_options(*c, o->draft, o->engine);
  add_sampling_options(*c, o->sampling);
  // What says how single tokens are chosen, or looks at texts on the way.
  std::vector<const CLI::Option*> of_tokens;
  for (const CLI::Option* option : c->get_options())
    if (option->get_group() != "Options") of_tokens.push_back(option);
  for (const char* name : {"--stop", "--logprobs", "--context-shift", "--keep", "--ctx-size", "--batch-size"})
    of_tokens.push_back(c->get_option(name));
  add_beam_options(*c, o->search, "--num-beams,--beam-size", "Outputs of each prompt, as `number ||| text ||| score`");
  c->footer(
      "Examples:\n"
      "  glossa generate -m MODEL -p 'Once upon a time' -n 50\n"
      "  glossa generate -m MODEL --file story.txt --temp 0 --json\n"
      "  glossa generate -m MODEL prompts.jsonl -n 100 --json\n"
      "  glossa generate -m MODEL -p 'Paris is' -n 20 --num-beams 4 --n-best 2");
  c->callback([o, of_tokens] {
    for (const CLI::Option* option : of_tokens)
      check(o->search.empty() || option->count() == 0, Code::usage, "{} has no meaning for beam search, which other options ask for",
            option->get_name());
    run(*o);
  });
}

}  // namespace glossa::app
