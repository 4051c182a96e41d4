// translate.cpp -- `glossa translate`: lines in, their translations out, in order and as they come.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "app/command.h"
#include "app/line_queue.h"
#include "app/search_options.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "checkpoint/model_directory.h"
#include "generate/translator.h"
#include "hub/cache.h"

namespace glossa::app {
namespace {

struct Options {
  std::vector<std::string> models;
  std::string input = "-", output = "-", prefixes;
  bool json = false, replace_invalid = false, bf16 = false;
  TranslatorOptions translator;
  // What the command line says of the search; the rest is the model's generation_config.json.
  SearchChanges changes;
};

// Where results go: standard output, or a file that appears when it is complete.
class Output {
 public:
  explicit Output(const Options& o) {
    if (o.output == "-") return;
    for (const std::string& read : {o.input, o.prefixes}) {
      std::error_code absent;
      check(!fs::equivalent(o.output, read, absent), Code::usage, "{}: is read from, so it cannot be the output as well", shown(o.output));
    }
    file_.emplace(o.output);
  }
  void write(std::string_view text) {
    if (file_) file_->write(text);
    else standard_.write(text);
  }
  void flush() {
    if (!file_) standard_.flush();
  }
  void finish() {
    if (file_) file_->commit();
    else standard_.flush();
  }

 private:
  std::optional<AtomicFile> file_;
  StandardOutput standard_;
};

OrderedJson as_json(const Translation& t, const Tokenizer& tokenizer, bool alignment) {
  OrderedJson hypotheses = OrderedJson::array();
  for (const Translated& best : t.best) {
    OrderedJson pieces = OrderedJson::array();
    for (const Token id : best.tokens) pieces.push_back(tokenizer.piece(id));
    OrderedJson hypothesis{{"text", best.text}, {"tokens", pieces}, {"score", best.score}, {"log_probability", best.log_probability}};
    if (alignment) hypothesis["alignment"] = best.alignment;
    hypotheses.push_back(std::move(hypothesis));
  }
  OrderedJson line{{"line", t.line + 1}, {"translations", std::move(hypotheses)}};
  if (t.truncated) line["truncated"] = true;
  return line;
}

std::string pairs_of(const Translated& best) {
  std::string text;
  for (const auto& [source, target] : best.alignment) text += fmt::format("{}{}-{}", text.empty() ? "" : " ", source, target);
  return text;
}

// A line, or with several hypotheses Marian's list: number ||| text ||| score.
std::string as_text(const Translation& t, bool list, bool alignment) {
  std::string text;
  for (const Translated& best : t.best) {
    if (list) text += fmt::format("{} ||| {} ||| {:.6f}", t.line, best.text, best.score);
    else text += best.text;
    if (alignment) text += " ||| " + pairs_of(best);
    text += '\n';
  }
  return text;
}

struct Models {
  std::vector<LoadedModel> loaded;
  std::vector<const Transformer*> pointers;
};

Models load(const Options& o) {
  Models models;
  for (const std::string& path : o.models) {
    models.loaded.push_back(load_model_directory(model_path(path)));
    for (const std::string& line : models.loaded.back().notes) note(line);
    check(models.loaded[0].tokenizer.hash() == models.loaded.back().tokenizer.hash(), Code::tokenizer,
          "{}: another tokenizer than that of {}: models that translate together must share one", path, o.models[0]);
  }
  for (const LoadedModel& m : models.loaded) models.pointers.push_back(m.model.get());
  return models;
}

void run(Options& o) {
  check_one_standard_input({o.input, o.prefixes});
  Output out(o);  // first: a place that cannot be written to is no matter of models
  const Models models = load(o);
  const LoadedModel& first = models.loaded[0];
  std::vector<std::string> notes;
  GenerationConfig generation = GenerationConfig::load(model_path(o.models[0]), first.config, &notes);
  for (const std::string& line : notes) note(line);
  for (const auto& change : o.changes) change(generation);
  generation.num_beams = std::max(generation.num_beams, generation.do_sample ? 1 : generation.num_return_sequences);
  generation.validate(first.config.target_vocab_size(), "command line", Code::bad_value);

  TextOptions text;
  if (o.replace_invalid) text.invalid_utf8 = InvalidUtf8::replace;
  LineQueue lines(o.input, o.prefixes, text);
  o.translator.origin = lines.name();
  Translator translator(models.pointers, first.tokenizer, first.tokenizer, generation, o.translator);
  std::uint64_t truncated = 0;
  const bool list = generation.num_return_sequences > 1;
  const Bf16Products precision(o.bf16);
  translator.run(
      [&](Translator::Line& line, bool wait) {
        if (wait) out.flush();  // somebody may be waiting for what is there before saying more
        return lines.next(line, wait);
      },
      [&](const Translation& t) {
        truncated += t.truncated;
        out.write(o.json ? to_line(as_json(t, first.tokenizer, o.translator.alignment)) : as_text(t, list, o.translator.alignment));
      });
  out.finish();
  if (truncated > 0) note(fmt::format("{} lines were longer than the model's {} positions and were cut", truncated, first.model->longest()));
  if (lines.repaired() > 0) note(fmt::format("{} lines had bytes that are not UTF-8, which were replaced", lines.repaired()));
}

void add_search_options(CLI::App& c, SearchChanges& changes) {
  using G = GenerationConfig;
  add_beam_options(c, changes, "-b,--beam-size,--num-beams", "Translations of each line, as `line ||| text ||| score`");
  const auto add = [&](const auto& change) { add_change(c, changes, change)->group("Search"); };
  add(Change{"--coverage-penalty", &G::coverage_penalty, 0, 1e6, "GNMT's beta, for source words that nothing attended to"});
  add(Change{"--min-length", &G::min_new_tokens, 0, INT32_MAX, "Least tokens of a translation"});
  add(Change{"--max-length", &G::max_new_tokens, 1, INT32_MAX, "Most tokens of a translation"});
  add(Change{"--max-length-ratio", &G::max_length_ratio, 0, 1e6, "Most tokens, in multiples of the source's, and ten"});
  add(Change{"--repetition-penalty", &G::repetition_penalty, kLittle, 1e6, "Above 1: tokens that were used are less likely"});
}

void add_sampling_options(CLI::App& c, SearchChanges& changes) {
  using G = GenerationConfig;
  const char* group = "Sampling";
  c.add_flag_function("--sampling,--do-sample", [&changes](std::int64_t) {
     changes.push_back([](G& g) { g.do_sample = true, g.num_beams = 1; });
   }, "Draw tokens instead of searching")->group(group);
  const auto add = [&](const auto& change) { add_change(c, changes, change)->group(group); };
  add(Change{"--temperature", &G::temperature, kLittle, 1e6, "Below 1: likelier tokens more often"});
  add(Change{"--top-k", &G::top_k, 0, INT32_MAX, "Only the likeliest; 0: all"});
  add(Change{"--top-p", &G::top_p, kLittle, 1, "Only the likeliest that make up this probability"});
  add(Change{"--min-p", &G::min_p, 0, 1, "Only tokens this likely, compared with the likeliest"});
  add(Change{"--typical-p", &G::typical_p, kLittle, 1, "Locally typical sampling"});
  add(Change{"--seed", &G::seed, 0, INT64_MAX, "Of what is drawn"});
}

}  // namespace

void add_translate(CLI::App& program) {
  CLI::App* c = program.add_subcommand("translate", "Translate lines of text");
  auto o = std::make_shared<Options>();
  c->add_option("-m,--model", o->models, "A model's directory, or ORG/NAME that was pulled; several: they translate together")->type_name("DIR")->required()->allow_extra_args(false);
  c->add_option("-i,--input", o->input, "Text, plain or as .gz or .zst; - is standard input")->type_name("FILE")->capture_default_str();
  c->add_option("-o,--output", o->output, "Where translations go; a file appears when it is complete")->type_name("FILE")->capture_default_str();
  c->add_option("--prefixes", o->prefixes, "A file of as many lines: how each translation must begin")->type_name("FILE");
  c->add_option("--batch-tokens", o->translator.search.batch_tokens, "Source tokens in work at once")->check(whole_number(1, 1 << 24))->capture_default_str();
  c->add_option("--batch-size", o->translator.search.batch_size, "Lines in work at once")->check(whole_number(1, 1 << 16))->capture_default_str();
  c->add_flag("--truncate", o->translator.truncate, "Cut lines that are longer than the model's positions instead of refusing them");
  c->add_flag("--replace-invalid", o->replace_invalid, "U+FFFD in the place of bytes that are not UTF-8");
  c->add_flag("--alignments", o->translator.alignment, "Show which source token each target token looks at most");
  c->add_flag("--json", o->json, "One JSON object a line: text, tokens, scores");
  c->add_flag("--bf16", o->bf16, "Matrix products in bf16, where the processor has it");
  add_threads_option(*c);
  add_search_options(*c, o->changes);
  add_sampling_options(*c, o->changes);
  c->footer(
      "What the command line leaves open, generation_config.json of the model decides. Lines come out in their order; an empty line stays empty.\n\n"
      "Examples:\n"
      "  echo 'A dog runs across the beach.' | glossa translate --model runs/multi30k-en-de-quick\n"
      "  glossa translate --model runs/multi30k-en-de-quick --input test.en.gz --output test.de --beam-size 5\n"
      "  glossa translate --model runs/multi30k-en-de-quick --sampling --top-p 0.9 --n-best 3 --json < test.en");
  c->callback([o] { run(*o); });
}

}  // namespace glossa::app
