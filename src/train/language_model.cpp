#include "train/language_model.h"

#include <chrono>
#include <cmath>

#include "base/error.h"
#include "checkpoint/causal_model.h"
#include "generate/engine.h"
#include "train/estimate.h"
#include "train/model_card.h"
#include "train/validation.h"

namespace glossa {
namespace {

constexpr const char* kSizeKeys = "model.hidden_size, model.num_hidden_layers and tokenizer.vocab_size";

// Dropout is what the recipe says, whatever the configuration did.
void set_dropout(Json& config, const ModelRecipe& m) {
  const std::string type = JsonView(config, "the model's configuration").string("model_type", "");
  const bool gpt2 = type == "gpt2", everywhere = gpt2 || type == "phi3";
  check(everywhere || m.dropout == 0, Code::recipe,
        "recipe: model.dropout is {}, and {} has none; model.attention_dropout it has", m.dropout, type);
  if (everywhere) config["embd_pdrop"] = config["resid_pdrop"] = m.dropout;
  config[gpt2 ? "attn_pdrop" : "attention_dropout"] = m.attention_dropout;
}

void check_affordable_config(const Json& config, const TrainRecipe& train) {
  check_affordable(CausalShape::of(config).parameters(), train, kSizeKeys);
}

// A model for inference over copies of weights, which may go on changing.
struct Inference {
  ParameterList parameters;
  std::unique_ptr<CausalModel> model;
  Inference(const Json& config, const NamedTensors& weights)
      : parameters({.source = copies_of(weights), .training = false}),
        model(make_causal_model(config, "the model", parameters)) {}
};

Json plain(const OrderedJson& config) {
  return Json::parse(config.dump());
}

}  // namespace

Json language_model_config(const Recipe& recipe, std::int64_t vocabulary) {
  const ModelRecipe& m = recipe.model;
  if (!m.config_name.empty()) {
    Json config = read_configuration(m.config_name);
    check(config.is_object(), Code::config, "{}: not a model's configuration", shown(m.config_name));
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

LanguageModelTask::Made LanguageModelTask::pretrained(const Recipe& recipe, const TaskOptions& options) {
  const std::string& path = recipe.model.model_name_or_path;
  if (path.empty()) return {};
  LoadedCausalModel loaded = load_causal_model(path, {.training = true, .change_config = [&](Json& config) {
                                                  check_affordable_config(config, recipe.train);
                                                  set_dropout(config, recipe.model);
                                                }});
  for (const std::string& note : loaded.notes) options.note(note);
  return {std::move(loaded.parameters), std::move(loaded.model), std::move(loaded.tokenizer)};
}

LanguageModelTask::Made LanguageModelTask::fresh(const Recipe& recipe, const Tokenizer& tokenizer) {
  const Json config = language_model_config(recipe, tokenizer.size());
  check_affordable_config(config, recipe.train);
  Made made{.parameters = std::make_unique<ParameterList>(
                ParameterList::Options{.seed = static_cast<std::uint64_t>(recipe.train.seed)}),
            .model = nullptr};
  const std::string& file = recipe.model.config_name;
  made.model = make_causal_model(config, file.empty() ? "recipe" : shown(file), *made.parameters);
  return made;
}

LanguageModelTask::LanguageModelTask(const Recipe& recipe, const TaskOptions& options)
    : recipe_(recipe),
      base_(pretrained(recipe, options)),
      corpus_(read_text_corpus(recipe, options, base_.tokenizer)),
      made_(base_.model ? std::move(base_) : fresh(recipe, corpus_.tokenizer)),
      shape_(CausalShape::of(plain(made_.model->config()))),
      plan_(corpus_.train.data, block_options(recipe, corpus_)) {
  check(recipe.data.block_size <= made_.model->longest(), Code::recipe,
        "recipe: data.block_size is {}, and the model has {} positions", recipe.data.block_size,
        made_.model->longest());
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
  steps_.emplace(
      [this] {
        Step step;
        for (std::int64_t i = 0; i < recipe_.train.gradient_accumulation_steps; ++i) {
          step.batches.push_back(plan_.batch(ahead_.epoch, ahead_.batch));
          ahead_ = plan_.after(ahead_);
        }
        step.next = ahead_;
        return step;
      },
      kStepsAhead);
}

TaskStep LanguageModelTask::next() {
  Step step = steps_->next();
  TaskStep out{.batches = {}, .next = step.next};
  std::int64_t tokens = 0;
  for (CausalBatch& batch : step.batches) {
    tokens += batch.tokens.sequences.tokens();
    const std::int64_t counted = counted_labels(batch);
    out.batches.push_back({counted, [this, batch = std::move(batch)](const LossOptions& how) {
                             return made_.model->loss(batch, how);
                           }});
  }
  out.epochs = static_cast<double>(tokens) / static_cast<double>(corpus_.train.data.size());
  return out;
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
  const DecodeRecipe& d = recipe_.decode;
  std::vector<Token> text = corpus_.tokenizer.encode(d.prompt, false);
  if (text.empty() && corpus_.begin >= 0) text.push_back(corpus_.begin);
  if (d.max_new_tokens == 0 || text.empty()) return "";
  SamplingConfig sampling{.temp = d.temperature,
                          .top_k = static_cast<std::int32_t>(d.top_k),
                          .top_p = d.top_p,
                          .min_p = 0,
                          .seed = static_cast<std::uint64_t>(recipe_.train.seed)};
  const std::function<bool(std::int32_t)> no_breaks = [](std::int32_t) { return false; };
  Engine engine(model, no_breaks, {.sequences = 1, .shift = true});
  GenerateRequest request{
      .prompt = text, .sampling = sampling, .max_new_tokens = static_cast<std::int32_t>(d.max_new_tokens)};
  if (corpus_.end >= 0) request.stop_tokens = {corpus_.end};
  engine.submit(std::move(request));
  std::vector<GenerateEvent> events;
  while (!engine.idle()) engine.step(events);
  for (const GenerateEvent& e : events)
    if (e.finish != glossa::Finish::stop) text.push_back(e.chosen.token);
  return corpus_.tokenizer.decode(text, true);
}

Evaluation LanguageModelTask::evaluate(const NamedTensors& weights) {
  const auto begin = std::chrono::steady_clock::now();
  const Inference inference(plain(made_.model->config()), weights);
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
  write_file(directory / "config.json", to_text(config));
  write_file(directory / "generation_config.json", to_text(generation));
  corpus_.tokenizer.save(directory);
  save_safetensors(directory / "model.safetensors", weights);
}

std::optional<Scores> LanguageModelTask::score(const NamedTensors& weights, const fs::path&) {
  if (!corpus_.valid) return {};
  const Inference inference(plain(made_.model->config()), weights);
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
