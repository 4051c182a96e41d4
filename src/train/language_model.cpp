#include "train/language_model.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "checkpoint/causal_model.h"
#include "generate/engine.h"
#include "models/all.h"
#include "train/estimate.h"
#include "train/model_card.h"
#include "train/validation.h"

namespace glossa {
namespace {

// Dropout is what the recipe says, whatever the configuration did.
void set_dropout(Json& config, const ModelRecipe& m) {
  const std::string type = JsonView(config, "the model's configuration").string("model_type", "");
  const bool gpt2 = type == "gpt2", everywhere = gpt2 || type == "phi3";
  check(everywhere || m.dropout == 0, Code::recipe,
        "recipe: model.dropout is {}, and {} has none; model.attention_dropout it has", m.dropout, type);
  if (everywhere) config["embd_pdrop"] = config["resid_pdrop"] = m.dropout;
  config[gpt2 ? "attn_pdrop" : "attention_dropout"] = m.attention_dropout;
}

std::uint64_t elements_of(const ParameterList& plan) {
  std::uint64_t all = 0;
  for (const auto& [name, shape] : plan.shapes())
    all = checked_add(all, static_cast<std::uint64_t>(shape.elements()));
  return all;
}

// A model for inference over copies of weights, which may go on changing.
struct Inference {
  ParameterList parameters;
  std::unique_ptr<CausalModel> model;
  Inference(const Json& config, const NamedTensors& weights)
      : parameters({.source = copies_of(weights), .training = false}),
        model(make_causal_model(config, "the model", parameters)) {}
};

// The file that describes the model, or "" if the recipe itself does. A resumed run has its own, whatever
// became of the one that it began with.
fs::path configuration_file(const Recipe& recipe, const TaskOptions& options) {
  if (recipe.model.config_name.empty()) return {};
  return options.checkpoint.empty() ? fs::path(recipe.model.config_name) : options.checkpoint / "config.json";
}

// The config.json of the model that a file or else the recipe describes, for a vocabulary.
Json configuration(const Recipe& recipe, const fs::path& file, std::int64_t vocabulary) {
  const ModelRecipe& m = recipe.model;
  if (!file.empty()) {
    Json config = read_configuration(file);
    check(config.is_object(), Code::config, "{}: not a model's configuration", shown(file));
    config["vocab_size"] = vocabulary;
    set_dropout(config, m);
    return config;
  }
  Json config{{"model_type", m.model_type},
              {"vocab_size", vocabulary},
              {"tie_word_embeddings", m.tie_word_embeddings}};
  if (m.model_type == "gpt2") {
    config["n_embd"] = m.hidden_size, config["n_layer"] = m.num_hidden_layers,
    config["n_head"] = m.num_attention_heads;
    config["n_inner"] = m.intermediate_size > 0 ? m.intermediate_size : 4 * m.hidden_size;
    config["n_positions"] = m.max_position_embeddings;
  } else {
    constexpr std::int64_t kMultiple = 32;
    config["hidden_size"] = m.hidden_size, config["num_hidden_layers"] = m.num_hidden_layers;
    config["num_attention_heads"] = m.num_attention_heads;
    config["num_key_value_heads"] = m.num_key_value_heads > 0 ? m.num_key_value_heads : m.num_attention_heads;
    config["head_dim"] = m.hidden_size / m.num_attention_heads;
    // Shazeer (2020): three matrices of 8/3 the width have the weights of two of four times the width.
    config["intermediate_size"] = m.intermediate_size > 0
                                      ? m.intermediate_size
                                      : (8 * m.hidden_size / 3 + kMultiple - 1) / kMultiple * kMultiple;
    config["max_position_embeddings"] = m.max_position_embeddings;
    config["sliding_window"] = nullptr;
  }
  set_dropout(config, m);
  return config;
}

}  // namespace

LanguageModelTask::Made LanguageModelTask::pretrained(const Recipe& recipe, const TaskOptions& options) {
  if (recipe.model.model_name_or_path.empty()) return {};
  ModelSource source =
      open_model(options.checkpoint.empty() ? fs::path(recipe.model.model_name_or_path) : options.checkpoint);
  set_dropout(source.config, recipe.model);
  std::uint64_t elements = 0;
  for (const TensorPlan& weight : plan_of(source).weights)
    elements = checked_add(elements, static_cast<std::uint64_t>(weight.shape.elements()));
  check_affordable(elements, recipe.train, "model.model_name_or_path");
  LoadedCausalModel loaded = load_causal_model(source, {.training = true});
  for (const std::string& note : loaded.notes) options.note(note);
  return {std::move(loaded.parameters), std::move(loaded.model), std::move(loaded.tokenizer)};
}

LanguageModelTask::Made LanguageModelTask::fresh(const Recipe& recipe, const TaskOptions& options,
                                                 const Tokenizer& tokenizer) {
  const fs::path file = configuration_file(recipe, options);
  const std::string origin = file.empty() ? "recipe" : shown(file);
  const Json config = configuration(recipe, file, tokenizer.size());
  ParameterList plan({.plan = true});
  make_causal_model(config, origin, plan);
  check_affordable(elements_of(plan), recipe.train,
                   file.empty() ? "model.hidden_size, model.num_hidden_layers and tokenizer.vocab_size"
                                : "model.config_name and tokenizer.vocab_size");
  Made made{.parameters = std::make_unique<ParameterList>(
                ParameterList::Options{.seed = static_cast<std::uint64_t>(recipe.train.seed)}),
            .model = nullptr};
  made.model = make_causal_model(config, origin, *made.parameters);
  return made;
}

LanguageModelTask::LanguageModelTask(const Recipe& recipe, const TaskOptions& options)
    : recipe_(recipe),
      made_(pretrained(recipe, options)),
      corpus_(read_text_corpus(recipe, options, std::exchange(made_.tokenizer, {}))),
      plan_(corpus_.train.data, block_options(recipe, corpus_)) {
  if (!made_.model) made_ = fresh(recipe, options, corpus_.tokenizer);
  shape_ = CausalShape::of(Json(made_.model->config()));
  const std::int64_t longest = made_.model->longest();
  check(recipe.data.block_size <= longest, Code::recipe,
        "recipe: data.block_size is {}, and the model has {} positions", recipe.data.block_size, longest);
  prompt_ = beginning_of_samples();
  check(static_cast<std::int64_t>(prompt_.size()) < longest, Code::recipe,
        "recipe: decode.prompt has {} tokens, and a model of {} positions goes on from at most {}",
        prompt_.size(), longest, longest - 1);
}

std::vector<Token> LanguageModelTask::beginning_of_samples() const {
  if (!has_validation() || recipe_.decode.max_new_tokens == 0) return {};
  std::vector<Token> text = corpus_.tokenizer.encode(recipe_.decode.prompt, false);
  if (text.empty() && corpus_.begin >= 0) text.push_back(corpus_.begin);
  return text;
}

std::string LanguageModelTask::digest() const {
  const TokenDataset& data = corpus_.train.data;
  return fmt::format("{:x}-{:08x}", data.size(), data.checksum());
}

BatchCost LanguageModelTask::cost() const {
  return {.flops = shape_.update_flops(plan_.batch(0, 0).tokens.sequences),
          .floats_per_token = shape_.floats_per_token(),
          .layers = shape_.layers,
          .width = shape_.width};
}

void LanguageModelTask::begin(BatchPosition from) {
  plan_.check_position(from);
  ahead_ = from;
  constexpr std::size_t kStepsAhead = 4;
  steps_.emplace([this] { return make_step(); }, kStepsAhead);
}

TaskStep LanguageModelTask::next() {
  return steps_->next();
}

TaskStep LanguageModelTask::make_step() {
  TaskStep step;
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < recipe_.train.gradient_accumulation_steps; ++i) {
    const CausalBatch batch = plan_.batch(ahead_.epoch, ahead_.batch);
    ahead_ = plan_.after(ahead_);
    tokens += batch.tokens.sequences.tokens();
    step.batches.push_back({counted_labels(batch),
                            [this, batch](const LossOptions& how) { return made_.model->loss(batch, how); }});
  }
  step.next = ahead_;
  step.epochs = static_cast<double>(tokens) / static_cast<double>(corpus_.train.data.size());
  return step;
}

double LanguageModelTask::mean_loss(const CausalModel& model) const {
  BlockOptions options = block_options(recipe_, corpus_);
  options.shuffle = false;
  const BlockPlan plan(corpus_.valid->data, options);
  double sum = 0;
  std::int64_t tokens = 0;
  for (std::uint64_t b = 0; b < plan.batches(0); ++b) {
    const CausalBatch batch = plan.batch(0, b);
    const std::int64_t count = counted_labels(batch);
    if (count == 0) continue;
    sum += static_cast<double>(model.loss(batch).item<float>()) * static_cast<double>(count);
    tokens += count;
  }
  return sum / static_cast<double>(std::max<std::int64_t>(tokens, 1));
}

std::string LanguageModelTask::sample(const CausalModel& model) const {
  if (prompt_.empty()) return "";
  const DecodeRecipe& d = recipe_.decode;
  std::vector<Token> text = prompt_;
  SamplingConfig sampling{.temp = d.temperature,
                          .top_k = static_cast<std::int32_t>(d.top_k),
                          .top_p = d.top_p,
                          .min_p = 0,
                          .seed = static_cast<std::uint64_t>(recipe_.train.seed)};
  Engine engine(model, kNothingBreaks, {.sequences = 1, .shift = true});
  GenerateRequest request{
      .prompt = text, .sampling = sampling, .max_new_tokens = static_cast<std::int32_t>(d.max_new_tokens)};
  if (corpus_.end >= 0) request.stop_tokens = {corpus_.end};
  engine.submit(std::move(request));
  std::vector<GenerateEvent> events;
  while (!engine.idle()) engine.step(events);
  for (const GenerateEvent& e : events)
    if (e.finish != Finish::stop) text.push_back(e.chosen.token);
  return corpus_.tokenizer.decode(text, true);
}

Evaluation LanguageModelTask::evaluate(const NamedTensors& weights) {
  const auto begin = std::chrono::steady_clock::now();
  const Inference inference(Json(made_.model->config()), weights);
  const double loss = mean_loss(*inference.model);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return {.metrics = {{"eval_loss", loss}, {"perplexity", std::exp(loss)}, {"eval_runtime", seconds}},
          .summary = fmt::format("validation loss {:.4f}, perplexity {:.2f}", loss, std::exp(loss)),
          .sample = sample(*inference.model)};
}

void LanguageModelTask::save(const fs::path& directory, const NamedTensors& weights) const {
  const DecodeRecipe& d = recipe_.decode;
  OrderedJson config = made_.model->config(), generation{{"do_sample", d.temperature > 0}};
  const auto set = [&](const char* key, Token id) {
    if (id >= 0) config[key] = id, generation[key] = id;
  };
  set("bos_token_id", corpus_.begin), set("eos_token_id", corpus_.end);
  if (d.temperature > 0)
    generation["temperature"] = d.temperature, generation["top_k"] = d.top_k, generation["top_p"] = d.top_p;
  save_model_directory(directory, {.config = config,
                                   .weights = weights,
                                   .tokenizer = corpus_.tokenizer,
                                   .generation_config = generation});
}

std::optional<Scores> LanguageModelTask::score(const NamedTensors& weights, const fs::path&) {
  if (!corpus_.valid) return {};
  const Inference inference(Json(made_.model->config()), weights);
  const double loss = mean_loss(*inference.model), perplexity = std::exp(loss);
  return Scores{.metrics = {{"eval_loss", loss}, {"perplexity", perplexity}},
                .text = fmt::format("validation loss {:.4f}, perplexity {:.2f}\n", loss, perplexity)};
}

CardParts LanguageModelTask::card(const fs::path& run, const std::optional<Scores>& scores) const {
  const DataRecipe& d = recipe_.data;
  const std::string name = run.string(), type = made_.model->config().at("model_type");
  CardParts parts;
  parts.tags = "pipeline_tag: text-generation\n";
  parts.what = fmt::format("A language model ({}) of {} layers, {} wide, that saw {} tokens at a time,{}",
                           type, shape_.layers, shape_.width, d.block_size,
                           recipe_.model.model_name_or_path.empty()
                               ? ""
                               : fmt::format(" trained on from `{}`,",
                                             fs::path(recipe_.model.model_name_or_path).filename().string()));
  if (scores)
    parts.scores = fmt::format(
        "\n## On the validation data\n\nCross entropy {:.4f} nats a token, perplexity {:.2f}.\n",
        scores->metrics.at("eval_loss").get<double>(), scores->metrics.at("perplexity").get<double>());
  parts.data = fmt::format("\n## Data\n\n- training{}: {}\n", file_names(d.train_file),
                           corpus_.train.report.summary());
  if (corpus_.valid)
    parts.data += fmt::format("- validation{}: {}\n",
                              d.valid_file.empty()
                                  ? fmt::format(" (the last {} % of the text)", d.validation_split_percentage)
                                  : file_names(d.valid_file),
                              corpus_.valid->report.summary());
  parts.use = fmt::format(
      "\n## Use\n\n```sh\nglossa generate --model {0} --prompt '...'\n```\n\n```python\nfrom transformers "
      "import AutoModelForCausalLM, "
      "AutoTokenizer\n\ntokenizer = AutoTokenizer.from_pretrained({1})\nmodel = "
      "AutoModelForCausalLM.from_pretrained({1})\n"
      "output = model.generate(**tokenizer(\"...\", return_tensors=\"pt\"), max_new_tokens=50)\n"
      "print(tokenizer.decode(output[0]))\n```\n",
      shell_word(name), literal(name));
  return parts;
}

}  // namespace glossa
