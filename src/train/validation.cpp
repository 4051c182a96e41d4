#include "train/validation.h"

#include <chrono>
#include <map>
#include <memory>

#include "data/batch_plan.h"
#include "generate/translator.h"

namespace glossa {
namespace {

double mean_loss(const Transformer& model, const Corpus& corpus, BatchOptions batches) {
  batches.shuffle = false;
  const BatchPlan plan(corpus.valid.data, batches);
  double sum = 0;
  std::int64_t tokens = 0;
  for (std::uint64_t w = 0; w < plan.windows(); ++w) {
    const BatchWindow window = plan.window(0, w);
    for (std::uint64_t b = 0; b < window.size(); ++b) {
      const Seq2SeqBatch batch = make_batch(corpus.valid.data, window[b], sentence_ends(model.config()));
      const std::int64_t count = batch.labels.elements();
      sum += static_cast<double>(model.loss(batch).item<float>()) * static_cast<double>(count);
      tokens += count;
    }
  }
  return sum / static_cast<double>(tokens);
}

}  // namespace

WeightSource copies_of(const NamedTensors& weights) {
  auto by_name = std::make_shared<std::map<std::string, Tensor>>();
  for (const auto& [name, tensor] : weights) (*by_name)[name] = tensor;
  return [by_name](const std::string& name) {
    const auto found = by_name->find(name);
    if (found == by_name->end()) return Tensor{};
    const Tensor weight = found->second.detach();
    Tensor copy = weight.like(weight.shape());
    Backend::of(copy.device()).copy(weight, copy);
    return copy;
  };
}

InferenceModel::InferenceModel(const TransformerConfig& config, const NamedTensors& weights)
    : parameters({.source = copies_of(weights), .training = false}), model(parameters, config) {
  parameters.check_complete();
}

Validation validate(const Transformer& model, const Corpus& corpus, const ValidationOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  Validation result;
  result.loss = mean_loss(model, corpus, options.batches);
  const std::size_t all = corpus.valid_texts.source.size();
  const std::size_t count = options.sentences > 0 ? std::min(all, static_cast<std::size_t>(options.sentences)) : all;
  const std::vector<std::string> translations =
      translate_all(model, corpus.tokenizer, options.generation, std::span(corpus.valid_texts.source).first(count));
  result.bleu = Bleu(options.bleu).corpus(translations, std::span(corpus.valid_texts.target).first(count));
  result.sentences = static_cast<std::int64_t>(count);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

std::vector<std::string> translate_all(const Transformer& model, const Tokenizer& tokenizer, const GenerationConfig& generation,
                                       std::span<const std::string> lines) {
  return Translator({&model}, tokenizer, tokenizer, generation, {.truncate = true}).translate(lines);
}

BleuTokenizer bleu_tokenizer_for(const std::string& language) {
  return language.starts_with("zh") ? BleuTokenizer::chinese : BleuTokenizer::mteval13a;
}

}  // namespace glossa
