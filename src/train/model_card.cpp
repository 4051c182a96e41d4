#include "train/model_card.h"

#include <fmt/format.h>

#include "base/version.h"

namespace glossa {
namespace {

// A string literal of YAML and of Python alike: without quotes, the language `no` would be a boolean.
std::string literal(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// A word of a shell command, in quotes where it needs them.
std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=+:@%,";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return text;
  std::string quoted_text;
  for (const char c : text) quoted_text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + quoted_text + "'";
}

// The bars of a signature would end a cell of a table, even between back-quotes.
std::string cell(std::string signature) {
  for (std::size_t at = 0; (at = signature.find('|', at)) != signature.npos; at += 2) signature.insert(at, 1, '\\');
  return "`" + signature + "`";
}

std::string model_name(const fs::path& run) {
  fs::path path = fs::absolute(run).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // written with a slash at its end
  return path.filename().string();
}

// The fields that the hub reads.
std::string front_matter(const Finish& f, const std::optional<TestScores>& test) {
  const DataRecipe& d = f.recipe.data;
  std::string text = "---\nlibrary_name: transformers\ntags:\n- translation\n- glossa\n";
  if (d.task == "translation")
    text += fmt::format("language:\n- {}\n- {}\npipeline_tag: translation\n", literal(d.source_lang),
                        literal(d.target_lang));
  if (test)
    text += fmt::format(
        "metrics:\n- bleu\n- chrf\nmodel-index:\n- name: {}\n  results:\n  - task:\n      type: translation\n"
        "    dataset:\n      type: text\n      name: test\n    metrics:\n    - type: bleu\n      value: {:.2f}\n"
        "    - type: chrf\n      value: {:.2f}\n",
        literal(model_name(f.run)), test->bleu, test->chrf);
  return text + "---\n";
}

std::string description(const Finish& f) {
  const DataRecipe& d = f.recipe.data;
  const TransformerConfig& c = f.config;
  std::int64_t parameters = 0;
  for (const auto& [name, tensor] : f.weights) parameters += tensor.elements();
  const std::string purpose = d.task == "translation"
                                  ? fmt::format("Translates from {} to {}.", d.source_lang, d.target_lang)
                                  : fmt::format("Learnt the task {}.", d.task);
  return fmt::format(
      "\n# {}\n\n{} A Transformer ({}) of {} + {} layers, {} wide, with {:.2f} million parameters, trained by glossa "
      "{} for {} steps ({:.1f} epochs, {:.1f} minutes, {}).\n",
      model_name(f.run), purpose, c.model_type, c.encoder_layers, c.decoder_layers, c.d_model,
      static_cast<double>(parameters) / 1e6, kVersion, f.state.step, f.state.epoch, f.state.seconds / 60,
      f.state.instruction_set);
}

std::string scores_section(const TestScores& t) {
  return fmt::format(
      "\n## Scores on the test data\n\n| score | value | signature |\n|---|---|---|\n| BLEU | {:.2f} | {} |\n"
      "| BLEU, lower case | {:.2f} | {} |\n| chrF2 | {:.2f} | {} |\n| equal to the reference | {:.2f} % | |\n",
      t.bleu, cell(t.bleu_signature), t.bleu_lowercase, cell(t.bleu_lowercase_signature), t.chrf,
      cell(t.chrf_signature), 100 * t.exact);
}

// " (`a`, `b`)": of the files that the recipe names.
std::string files(std::initializer_list<std::string> paths) {
  std::string text;
  for (const std::string& path : paths)
    if (!path.empty()) text += fmt::format("{}`{}`", text.empty() ? " (" : ", ", fs::path(path).filename().string());
  return text.empty() ? text : text + ")";
}

std::string data_section(const Finish& f) {
  const DataRecipe& d = f.recipe.data;
  std::string text = "\n## Data\n\n";
  if (d.task != "translation")
    text += fmt::format("Generated: {}, sequences of up to {} digits.\n\n", d.task, d.generated_max_digits);
  text += fmt::format("- training{}: {}\n", files({d.train_source, d.train_target, d.train_file}),
                      f.corpus.train.report.summary());
  if (f.corpus.has_valid())
    text += fmt::format("- validation{}: {}\n", files({d.valid_source, d.valid_target, d.valid_file}),
                        f.corpus.valid.report.summary());
  if (!f.corpus.test.empty())
    text += fmt::format("- test{}: {} lines\n", files({d.test_source, d.test_target}), f.corpus.test.source.size());
  return text;
}

std::string use_section(const Finish& f) {
  const std::string run = f.run.string();
  std::string text = fmt::format("\n## Use\n\n```sh\nglossa translate --model {}\n```\n", shell_word(run));
  if (f.config.model_type != "marian") return text;
  return text + fmt::format(
                    "\n```python\nfrom transformers import MarianMTModel, PreTrainedTokenizerFast\n\n"
                    "tokenizer = PreTrainedTokenizerFast.from_pretrained({0})\n"
                    "model = MarianMTModel.from_pretrained({0})\n"
                    "output = model.generate(**tokenizer([\"...\"], return_tensors=\"pt\"))\n"
                    "print(tokenizer.batch_decode(output, skip_special_tokens=True))\n```\n",
                    literal(run));
}

std::string making_section(const Finish& f) {
  std::string text = "\n## Making\n\n";
  if (!f.command.empty()) text += fmt::format("```sh\n{}\n```\n\n", f.command);
  return text + fmt::format("![Course of the training](curves.svg)\n\nThe recipe (sha256 `{}`):\n\n```yaml\n{}```\n",
                            f.recipe.hash(), f.recipe.to_yaml());
}

}  // namespace

std::string model_card(const Finish& finish, const std::optional<TestScores>& test) {
  return front_matter(finish, test) + description(finish) + (test ? scores_section(*test) : "") +
         data_section(finish) + use_section(finish) + making_section(finish);
}

}  // namespace glossa
