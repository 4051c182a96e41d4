#include "train/translation.h"

#include <algorithm>

#include "checkpoint/model_directory.h"
#include "evaluate/chrf.h"
#include "evaluate/metric.h"
#include "train/cost.h"
#include "train/estimate.h"
#include "train/validation.h"

namespace glossa {
namespace {

TransformerConfig affordable_model(const Recipe& recipe, const Tokenizer& tokenizer) {
  TransformerConfig config = model_config(recipe, tokenizer);
  check_affordable(static_cast<std::uint64_t>(config.parameters()), recipe.train,
                   "model.d_model, model.encoder_layers and model.decoder_layers");
  return config;
}

}  // namespace

OrderedJson TestScores::metrics() const {
  return {{"test_bleu", bleu},
          {"test_bleu_signature", bleu_signature},
          {"test_bleu_lowercase", bleu_lowercase},
          {"test_bleu_lowercase_signature", bleu_lowercase_signature},
          {"test_chrf", chrf},
          {"test_chrf_signature", chrf_signature},
          {"test_exact", exact}};
}

std::string TestScores::text() const {
  return fmt::format("BLEU  {:.2f}  {}\nBLEU  {:.2f}  {}\nchrF2 {:.2f}  {}\nexact {:.2f} %\n", bleu,
                     bleu_signature, bleu_lowercase, bleu_lowercase_signature, chrf, chrf_signature,
                     100 * exact);
}

TranslationTask::TranslationTask(const Recipe& recipe, const TaskOptions& options)
    : recipe_(recipe),
      corpus_(read_corpus(recipe, options)),
      config_(affordable_model(recipe, corpus_.tokenizer)),
      parameters_({.seed = static_cast<std::uint64_t>(recipe.train.seed)}),
      model_(parameters_, config_) {}

BatchCost TranslationTask::cost() const {
  const BatchPlan plan(corpus_.train.data, batch_options(recipe_));
  const BatchWindow window = plan.window(0, 0);
  double flops = 0;
  const std::uint64_t sample = std::min<std::uint64_t>(window.size(), 16);
  for (std::uint64_t b = 0; b < sample; ++b)
    flops += update_flops(config_, make_batch(corpus_.train.data, window[b], sentence_ends(config_))) /
             static_cast<double>(sample);
  return {.flops = flops,
          .floats_per_token = floats_per_token(config_),
          .layers = config_.encoder_layers + config_.decoder_layers,
          .width = config_.d_model};
}

void TranslationTask::begin(BatchPosition from) {
  LoaderOptions loading{.batches = batch_options(recipe_),
                        .ends = sentence_ends(config_),
                        .gradient_accumulation_steps = recipe_.train.gradient_accumulation_steps,
                        .max_length = recipe_.data.max_length};
  if (recipe_.tokenizer.dropout > 0) {
    const double probability = recipe_.tokenizer.dropout;
    const auto seed = static_cast<std::uint64_t>(recipe_.train.seed);
    loading.reencode = [tokenizer = corpus_.tokenizer, probability, seed](
                           std::string_view text, std::uint64_t stream, std::vector<std::int32_t>& ids) {
      tokenizer.encode(text, BpeDropout{.probability = probability, .seed = seed, .sample = stream}, ids,
                       false);
    };
  }
  loader_.emplace(corpus_.train.data, loading, from);
}

TaskStep TranslationTask::next() {
  TranslationStep step = loader_->next();
  TaskStep out{
      .batches = {},
      .next = step.next,
      .epochs = static_cast<double>(step.sentences) / static_cast<double>(corpus_.train.data.size())};
  for (Seq2SeqBatch& batch : step.batches) {
    const std::int64_t tokens = batch.labels.elements();
    out.batches.push_back({tokens, [this, batch = std::move(batch)](const LossOptions& how) {
                             return model_.loss(batch, how);
                           }});
  }
  return out;
}

GenerationConfig TranslationTask::generation(std::int64_t beams) const {
  GenerationConfig g = GenerationConfig::of_model(config_);
  g.num_beams = static_cast<std::int32_t>(beams);
  g.max_length = static_cast<std::int32_t>(recipe_.decode.max_length);
  g.length_penalty = recipe_.decode.length_penalty;
  return g;
}

Evaluation TranslationTask::evaluate(const NamedTensors& weights) {
  const InferenceModel inference(config_, weights);
  const Validation v = validate(inference.model, corpus_,
                                {.generation = generation(recipe_.train.eval_num_beams),
                                 .sentences = recipe_.train.eval_sentences,
                                 .batches = batch_options(recipe_),
                                 .bleu = {.tokenizer = bleu_tokenizer_for(recipe_.data.target_lang)}});
  return {.metrics = {{"eval_loss", v.loss},
                      {"eval_bleu", v.bleu.value},
                      {"eval_runtime", v.seconds},
                      {"eval_samples_per_second",
                       v.seconds > 0 ? static_cast<double>(v.sentences) / v.seconds : 0}},
          .summary = fmt::format("validation loss {:.4f}, BLEU {:.2f}", v.loss, v.bleu.value)};
}

void TranslationTask::save(const fs::path& directory, const NamedTensors& weights) const {
  save_model_directory(directory, {.config = config_.to_json(),
                                   .weights = weights,
                                   .tokenizer = corpus_.tokenizer,
                                   .generation_config = generation(recipe_.decode.num_beams).to_json()});
}

std::optional<Scores> TranslationTask::score(const NamedTensors& weights, const fs::path& run) {
  if (corpus_.test.empty()) return {};
  const InferenceModel inference(config_, weights);
  const std::vector<std::string> translations = translate_all(
      inference.model, corpus_.tokenizer, generation(recipe_.decode.num_beams), corpus_.test.source);
  const std::vector<std::string>& references = corpus_.test.target;
  const std::vector<std::string_view> views(translations.begin(), translations.end());
  const References expected{std::span(references)};
  TestScores scores;
  const auto measure = [&](const Metric& metric, double& value, std::string& text) {
    value = glossa::score(metric, segment_statistics(metric, views, expected).sum()).value;
    text = signature(metric, expected.count()).text();
  };
  const BleuTokenizer tokenizer = bleu_tokenizer_for(recipe_.data.target_lang);
  measure(Bleu({.tokenizer = tokenizer}), scores.bleu, scores.bleu_signature);
  measure(Bleu({.tokenizer = tokenizer, .lowercase = true}), scores.bleu_lowercase,
          scores.bleu_lowercase_signature);
  measure(Chrf(), scores.chrf, scores.chrf_signature);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < translations.size(); ++i) equal += translations[i] == references[i];
  scores.exact = static_cast<double>(equal) / static_cast<double>(translations.size());
  std::string text;
  for (const std::string& line : translations) text += line + "\n";
  write_file(run / "generated_predictions.txt", text);
  test_ = scores;
  return Scores{.metrics = scores.metrics(), .text = scores.text()};
}

CardParts TranslationTask::card(const fs::path& run, const std::optional<Scores>& scores) const {
  return translation_card({.recipe = recipe_,
                           .corpus = corpus_,
                           .config = config_,
                           .run = run,
                           .test = scores ? test_ : std::nullopt});
}

}  // namespace glossa
