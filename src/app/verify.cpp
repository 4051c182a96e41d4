// verify.cpp -- `glossa verify`: whether two files hold the same language model, as far as its predictions
// tell.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "app/causal.h"
#include "app/command.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "generate/compare_models.h"

namespace glossa::app {
namespace {

// Prose, dialogue, numbers, Chinese and code, so that nothing need be at hand.
constexpr std::string_view kText =
    "The lighthouse keeper wrote in her journal every evening. On the third of March 1887 she noted that the "
    "wind had turned, that two "
    "ships had passed, and that the lamp had burned 14.5 litres of oil. \"Will it hold until spring?\" the "
    "boy asked. \"It has held for "
    "forty years,\" she said, and went on writing.\n\n"
    "Water boils at 100 degrees Celsius at sea level; on a mountain of 3,000 metres it boils at about 90.\n\n"
    "春天来了，河边的柳树发出新芽。孩子们在公园里放风筝，老人坐在长椅上下棋。今天是星期六，图书馆下午五点关门"
    "。\n\n"
    "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n\n"
    "for (int i = 0; i < 10; ++i) {\n    total += values[i] * weights[i];  // a dot product\n}\n";

struct Options {
  std::string first, second, type, file, text;
  std::int64_t context = 512;
  double largest_difference = 0.1, mean_kl = 0.001, agreement = 0.99;
  bool json = false;
};

struct Findings {
  ModelComparison models = {};
  std::int64_t first_vocabulary = 0, second_vocabulary = 0;
  std::size_t tokens = 0;
  std::int64_t other_from = -1;          // where the tokenizers part; -1: nowhere
  std::vector<std::string> beyond = {};  // what is more than is allowed
};

Findings compare(const Options& o) {
  const std::string text = !o.text.empty() ? o.text : o.file.empty() ? std::string(kText) : read_text(o.file);
  const LoadedCausalModel a = load_causal({.model = o.first}), b = load_causal({.model = o.second, .type = o.type});
  const std::vector<Token> ids = a.tokenizer.encode(text), others = b.tokenizer.encode(text);
  Findings f{.first_vocabulary = a.model->vocabulary(),
             .second_vocabulary = b.model->vocabulary(),
             .tokens = ids.size()};
  if (ids != others)
    f.other_from = std::mismatch(ids.begin(), ids.end(), others.begin(), others.end()).first - ids.begin();
  f.models = compare_models(*a.model, *b.model, ids, o.context);
  if (f.other_from >= 0)
    f.beyond.push_back(fmt::format("the tokenizers give other ids from token {} on", f.other_from));
  if (f.models.largest_difference > o.largest_difference)
    f.beyond.push_back(fmt::format("logits differ by {:.4g}, allowed {:.4g} (--max-logit-difference)",
                                   f.models.largest_difference, o.largest_difference));
  if (f.models.mean_kl > o.mean_kl)
    f.beyond.push_back(
        fmt::format("the mean divergence is {:.4g}, allowed {:.4g} (--max-kl)", f.models.mean_kl, o.mean_kl));
  if (f.models.agreement < o.agreement)
    f.beyond.push_back(fmt::format("{:.4g} of the likeliest tokens agree, wanted {:.4g} (--min-agreement)",
                                   f.models.agreement, o.agreement));
  return f;
}

std::string table(const Findings& f) {
  const ModelComparison& m = f.models;
  std::string text;
  const auto row = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<26}{}\n", name, value);
  };
  row("tokens",
      f.other_from < 0
          ? fmt::format("{}, the same ids by both tokenizers", f.tokens)
          : fmt::format(
                "{}; the tokenizers give other ids from token {} on, and the models are compared on A's",
                f.tokens, f.other_from));
  row("vocabulary",
      f.first_vocabulary == f.second_vocabulary
          ? fmt::format("{}", f.first_vocabulary)
          : fmt::format("A has {}, B has {}; the first {} are compared", f.first_vocabulary,
                        f.second_vocabulary, std::min(f.first_vocabulary, f.second_vocabulary)));
  row("largest logit difference", fmt::format("{:.6g}", m.largest_difference));
  row("KL divergence from A", fmt::format("mean {:.6g}, largest {:.6g} nats", m.mean_kl, m.largest_kl));
  row("likeliest token agrees", fmt::format("{:.2f} % of {}", 100 * m.agreement, m.predictions));
  row("perplexity", fmt::format("A {:.4f}, B {:.4f}", m.first_perplexity, m.second_perplexity));
  return text;
}

OrderedJson as_json(const Findings& f) {
  const ModelComparison& m = f.models;
  return {{"tokens", f.tokens},
          {"same_tokens", f.other_from < 0},
          {"vocabulary", {f.first_vocabulary, f.second_vocabulary}},
          {"max_logit_difference", m.largest_difference},
          {"mean_kl", m.mean_kl},
          {"max_kl", m.largest_kl},
          {"agreement", m.agreement},
          {"perplexity", {m.first_perplexity, m.second_perplexity}},
          {"within_tolerance", f.beyond.empty()}};
}

void run(const Options& o) {
  check(o.file.empty() || o.text.empty(), Code::usage, "give one of --prompt-file FILE and --text TEXT");
  const Findings f = compare(o);
  StandardOutput out;
  out.write(o.json ? to_line(as_json(f)) : table(f));
  out.flush();
  if (!f.beyond.empty())
    fail(Code::tolerance, "{} differs from {} by more than is allowed: {}", shown(o.second), shown(o.first),
         fmt::join(f.beyond, "; "));
}

}  // namespace

void add_verify(CLI::App& program) {
  CLI::App* c = program.add_subcommand("verify", "Whether two files hold the same language model");
  auto o = std::make_shared<Options>();
  c->add_option("a", o->first, "The model to compare with")->type_name("A")->required();
  c->add_option("b", o->second, "The model to compare")->type_name("B")->required();
  add_type_option(*c, o->type, "B's weights");
  c->add_option("-f,--prompt-file", o->file,
                "A text to compare on, plain or as .gz or .zst; - is standard input; without one a short "
                "text that is built in")
      ->type_name("FILE");
  c->add_option("--text", o->text, "The text itself")->type_name("TEXT");
  c->add_option("-c,--ctx-size", o->context, "Tokens that are read together")
      ->type_name("N")
      ->check(whole_number(2, 1 << 20))
      ->capture_default_str();
  c->add_option("--max-logit-difference", o->largest_difference, "The most that two logits may differ by")
      ->type_name("X")
      ->check(number(0, 1e9))
      ->capture_default_str();
  c->add_option("--max-kl", o->mean_kl, "The most that the mean Kullback-Leibler divergence may be, in nats")
      ->type_name("X")
      ->check(number(0, 1e9))
      ->capture_default_str();
  c->add_option("--min-agreement", o->agreement,
                "The least share of places where both models hold the same token the likeliest")
      ->type_name("X")
      ->check(number(0, 1))
      ->capture_default_str();
  c->add_flag("--json", o->json,
              "An object: tokens, same_tokens, vocabulary, max_logit_difference, mean_kl, max_kl, agreement, perplexity, "
              "within_tolerance");
  add_threads_option(*c);
  c->footer(
      "The exit status is 6 if B is further from A than is allowed. What is allowed by default fits the same "
      "weights, or weights rounded\n"
      "to 16 bits; of quantised ones ask less, such as --max-logit-difference 10 --max-kl 0.1 "
      "--min-agreement 0.85.\n"
      "Examples:\n"
      "  glossa verify model-directory model.gguf\n"
      "  glossa verify model-directory model-directory --type Q8_0 --max-logit-difference 10 --max-kl 0.1 --min-agreement 0.85\n"
      "  glossa verify model.gguf model-Q4_K_M.gguf --prompt-file text.txt --max-kl 0.1 "
      "--max-logit-difference 10 --min-agreement 0.85");
  c->callback([o] { run(*o); });
}

}  // namespace glossa::app
