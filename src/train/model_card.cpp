#include "train/model_card.h"

#include <fmt/format.h>

#include "base/version.h"

namespace glossa {
namespace {

// The fields that the hub reads.
std::string front_matter(const Finish& f, const std::optional<TestScores>& test) {
  const DataRecipe& d = f.recipe.data;
  std::string text = "---\nlibrary_name: transformers\ntags:\n- translation\n- glossa\n";
  if (d.task == "translation") text += fmt::format("language:\n- {}\n- {}\npipeline_tag: translation\n", d.source_lang, d.target_lang);
  if (test)
    text += fmt::format(
        "model-index:\n- name: {}\n  results:\n  - task:\n      type: translation\n    dataset:\n      type: text\n      name: test\n"
        "    metrics:\n    - type: bleu\n      value: {:.2f}\n    - type: chrf\n      value: {:.2f}\n",
        f.run.filename().string(), test->bleu, test->chrf);
  return text + "---\n";
}

std::string data_section(const Finish& f) {
  const DataRecipe& d = f.recipe.data;
  const auto line = [](const char* name, const DataReport& report) { return fmt::format("- {}: {}\n", name, report.summary()); };
  std::string text = "\n## Data\n\n";
  if (d.task != "translation") text += fmt::format("Generated: {}, sequences of up to {} digits.\n\n", d.task, d.generated_max_digits);
  text += line("training", f.corpus.train.report);
  if (f.corpus.has_valid()) text += line("validation", f.corpus.valid.report);
  if (!f.corpus.test.empty()) text += fmt::format("- test: {} lines\n", f.corpus.test.source.size());
  return text;
}

std::string scores_section(const TestScores& t) {
  return fmt::format("\n## Scores on the test data\n\n| score | value | signature |\n|---|---|---|\n| BLEU | {:.2f} | `{}` |\n"
                     "| BLEU, lower case | {:.2f} | `{}` |\n| chrF2 | {:.2f} | `{}` |\n| equal to the reference | {:.2f} % | |\n",
                     t.bleu, t.bleu_signature, t.bleu_lowercase, t.bleu_lowercase_signature, t.chrf, t.chrf_signature, 100 * t.exact);
}

}  // namespace

std::string model_card(const Finish& f, const std::optional<TestScores>& test) {
  const DataRecipe& d = f.recipe.data;
  std::int64_t parameters = 0;
  for (const auto& [name, tensor] : f.weights) parameters += tensor.elements();
  const TransformerConfig& c = f.config;
  std::string text = front_matter(f, test);
  text += fmt::format("\n# {}\n\n", f.run.filename().string());
  text += d.task == "translation" ? fmt::format("Translates from {} to {}.", d.source_lang, d.target_lang)
                                  : fmt::format("Learnt the task {}.", d.task);
  text += fmt::format(
      " A Transformer ({}) of {} + {} layers, {} wide, with {:.2f} million parameters, trained by glossa {} for {} steps ({:.1f} epochs, "
      "{:.1f} minutes, {}).\n",
      c.model_type, c.encoder_layers, c.decoder_layers, c.d_model, static_cast<double>(parameters) / 1e6, kVersion, f.state.step,
      f.state.epoch, f.state.seconds / 60, f.state.instruction_set);
  if (test) text += scores_section(*test);
  text += data_section(f);
  text += fmt::format("\n## Use\n\n```sh\nglossa translate --model {}\n```\n", f.run.string());
  if (c.model_type == "marian")
    text += fmt::format(
        "\n```python\nfrom transformers import MarianMTModel, PreTrainedTokenizerFast\n\ntokenizer = PreTrainedTokenizerFast.from_pretrained(\"{0}\")\n"
        "model = MarianMTModel.from_pretrained(\"{0}\")\nprint(tokenizer.batch_decode(model.generate(**tokenizer([\"...\"], "
        "return_tensors=\"pt\")), skip_special_tokens=True))\n```\n",
        f.run.string());
  text += "\n## Making\n\n";
  if (!f.command.empty()) text += fmt::format("```sh\n{}\n```\n\n", f.command);
  text += fmt::format("![Course of the training](curves.svg)\n\nThe recipe (sha256 `{}`):\n\n```yaml\n{}```\n", f.recipe.hash(), f.recipe.to_yaml());
  return text;
}

}  // namespace glossa
