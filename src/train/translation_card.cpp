// translation_card.cpp -- what the model card of a translator says.
#include <fmt/format.h>

#include "train/model_card.h"
#include "train/translation.h"

namespace glossa {
namespace {

// The bars of a signature would end a cell of a table, even between back-quotes.
std::string cell(std::string signature) {
  for (std::size_t at = 0; (at = signature.find('|', at)) != signature.npos; at += 2)
    signature.insert(at, 1, '\\');
  return "`" + signature + "`";
}

// The fields that the hub reads.
std::string tags(const TranslationCard& f) {
  const DataRecipe& d = f.recipe.data;
  const auto& test = f.test;
  std::string text = "- translation\n";
  if (d.task == "translation")
    text += fmt::format("language:\n- {}\n- {}\npipeline_tag: translation\n", literal(d.source_lang),
                        literal(d.target_lang));
  if (test)
    text += fmt::format(
        "metrics:\n- bleu\n- chrf\nmodel-index:\n- name: {}\n  results:\n  - task:\n      type: translation\n"
        "    dataset:\n      type: text\n      name: test\n    metrics:\n    - type: bleu\n      value: "
        "{:.2f}\n"
        "    - type: chrf\n      value: {:.2f}\n",
        literal(model_name(f.run)), test->bleu, test->chrf);
  return text;
}

std::string what(const TranslationCard& f) {
  const DataRecipe& d = f.recipe.data;
  const TransformerConfig& c = f.config;
  const std::string purpose = d.task == "translation"
                                  ? fmt::format("Translates from {} to {}.", d.source_lang, d.target_lang)
                                  : fmt::format("Learnt the task {}.", d.task);
  return fmt::format("{} A Transformer ({}) of {} + {} layers, {} wide,", purpose, c.model_type,
                     c.encoder_layers, c.decoder_layers, c.d_model);
}

std::string scores_section(const TestScores& t) {
  return fmt::format(
      "\n## Scores on the test data\n\n| score | value | signature |\n|---|---|---|\n| BLEU | {:.2f} | {} |\n"
      "| BLEU, lower case | {:.2f} | {} |\n| chrF2 | {:.2f} | {} |\n| equal to the reference | {:.2f} % | "
      "|\n",
      t.bleu, cell(t.bleu_signature), t.bleu_lowercase, cell(t.bleu_lowercase_signature), t.chrf,
      cell(t.chrf_signature), 100 * t.exact);
}

std::vector<std::string> all(std::vector<std::string> paths, const std::vector<std::string>& more) {
  paths.insert(paths.end(), more.begin(), more.end());
  return paths;
}

std::string data_section(const TranslationCard& f) {
  const DataRecipe& d = f.recipe.data;
  std::string text = "\n## Data\n\n";
  if (d.task != "translation")
    text += fmt::format("Generated: {}, sequences of up to {} digits.\n\n", d.task, d.generated_max_digits);
  text += fmt::format("- training{}: {}\n", file_names(all({d.train_source, d.train_target}, d.train_file)),
                      f.corpus.train.report.summary());
  if (f.corpus.has_valid())
    text +=
        fmt::format("- validation{}: {}\n", file_names(all({d.valid_source, d.valid_target}, d.valid_file)),
                    f.corpus.valid.report.summary());
  if (!f.corpus.test.empty())
    text += fmt::format("- test{}: {} lines\n", file_names({d.test_source, d.test_target}),
                        f.corpus.test.source.size());
  return text;
}

std::string use_section(const TranslationCard& f) {
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

}  // namespace

CardParts translation_card(const TranslationCard& f) {
  return {.tags = tags(f),
          .what = what(f),
          .scores = f.test ? scores_section(*f.test) : "",
          .data = data_section(f),
          .use = use_section(f)};
}

}  // namespace glossa
