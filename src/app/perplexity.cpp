// perplexity.cpp -- `glossa perplexity`: how surprised a language model is by a text.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <memory>

#include "app/causal.h"
#include "app/command.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "generate/perplexity.h"

namespace glossa::app {
namespace {

struct Options {
  std::string model, file;
  PerplexityOptions how;
  bool json = false, per_token = false;
};

void run(Options o) {
  const std::string text = read_text(o.file);
  const LoadedCausalModel loaded = load_causal(o.model);
  for (const std::string& line : loaded.notes) note(line);
  const std::vector<Token> tokens = loaded.tokenizer.encode(text, o.how.stride == 0);
  // What the tokenizer puts before a text is put before each piece.
  const std::vector<Token> empty = loaded.tokenizer.encode("", true);
  if (!empty.empty() && !tokens.empty() && tokens.front() == empty.front()) o.how.bos = empty.front();
  o.how.context = std::min(o.how.context, loaded.model->longest());

  StandardOutput out;
  double sum = 0, squares = 0;
  std::uint64_t count = 0;
  const auto begin = std::chrono::steady_clock::now();
  score_tokens(*loaded.model, tokens, o.how, [&](std::span<const ScoredToken> scored) {
    for (const ScoredToken& t : scored) {
      sum += t.surprise, squares += static_cast<double>(t.surprise) * t.surprise, ++count;
      if (o.per_token)
        out.write(to_line({{"position", t.position},
                           {"token", tokens[static_cast<std::size_t>(t.position)]},
                           {"text", loaded.tokenizer.decode(std::vector<Token>{tokens[static_cast<std::size_t>(t.position)]})},
                           {"log_probability", -t.surprise}}));
    }
    if (terminal()) note(fmt::format("{} of {} tokens, perplexity {:.4f}", scored.back().position + 1, tokens.size(),
                                     std::exp(sum / static_cast<double>(count))));
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const auto n = static_cast<double>(count);
  const double mean = sum / n, perplexity = std::exp(mean);
  // The standard error of the mean, carried over to its exponential.
  const double deviation = count > 1 ? std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1)) * perplexity : 0;
  // Bits of all tokens if each were as surprising as those scored, for each byte of the text.
  const double bits = mean / std::log(2.0) * static_cast<double>(tokens.size()) / static_cast<double>(text.size());
  check(std::isfinite(perplexity), Code::nonfinite, "{}: the model's predictions are not finite numbers", o.model);
  if (o.json)
    out.write(to_line({{"perplexity", perplexity}, {"standard_error", deviation}, {"tokens", count}, {"negative_log_likelihood", mean},
                       {"bits_per_byte", bits}, {"seconds", seconds}}));
  else if (!o.per_token)
    out.write(fmt::format("perplexity {:.4f} +/- {:.4f} over {} tokens, {:.4f} bits per byte\n", perplexity, deviation, count, bits));
  out.flush();
}

}  // namespace

void add_perplexity(CLI::App& program) {
  CLI::App* c = program.add_subcommand("perplexity", "How surprised a language model is by a text");
  auto o = std::make_shared<Options>();
  c->add_option("-m,--model", o->model, "A model: a directory, a .gguf file, or ORG/NAME[:QUANT] that was pulled")->type_name("MODEL")->required();
  c->add_option("file", o->file, "The text, plain or as .gz or .zst; - is standard input")->type_name("FILE")->required();
  c->add_option("-c,--ctx-size", o->how.context, "Tokens of a piece, of which the later half is scored")
      ->type_name("N")->check(whole_number(2, 1 << 30))->capture_default_str();
  c->add_option("--stride", o->how.stride, "Overlapping windows that begin every N tokens, and of each what no window before had")
      ->type_name("N")->check(whole_number(0, 1 << 30))->capture_default_str();
  c->add_option("-b,--batch-size", o->how.batch_tokens, "Tokens of a step")->type_name("N")->check(whole_number(1, 1 << 20))->capture_default_str();
  c->add_flag("--per-token", o->per_token, "An object for each token: position, token, text, log_probability");
  c->add_flag("--json", o->json, "An object: perplexity, standard_error, tokens, negative_log_likelihood, bits_per_byte");
  add_threads_option(*c);
  c->footer(
      "Examples:\n"
      "  glossa perplexity -m MODEL wikitext2.test.txt\n"
      "  glossa perplexity -m MODEL text.txt --ctx-size 1024 --stride 512 --json");
  c->callback([o] { run(*o); });
}

}  // namespace glossa::app
