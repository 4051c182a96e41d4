#include "models/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>

#include "base/parallel.h"
#include "batches.h"
#include "checkpoint/tensor_directory.h"

namespace glossa::test {
namespace {

using testing::HasSubstr;

Seq2SeqBatch batch_of(Device device) {
  return {tokens({sentence(5, 1, 37), sentence(3, 2, 37), sentence(11, 3, 37)}, device),
          tokens({sentence(4, 4, 37), sentence(8, 5, 37), sentence(1, 6, 37)}, device),
          Tensor::of(sentence(13, 7, 37), device)};
}

// Gradients of one batch under dropout, and the loss last.
std::vector<Tensor> gradients(Model& model, Device device, bool recompute) {
  model.parameters.clear_gradients();
  Tape tape({.seed = 4, .step = 9});
  const Tensor loss =
      model.transformer.loss(batch_of(device), {.label_smoothing = 0.1f, .recompute = recompute});
  tape.backward(loss);
  std::vector<Tensor> all;
  for (const auto& [name, gradient] : model.parameters.gradients()) {
    Tensor copy = gradient.like(gradient.shape());
    Backend::of(device).copy(gradient, copy);
    all.push_back(copy);
  }
  all.push_back(loss.detach());
  return all;
}

TEST(Transformer, RecomputationUnderDropoutIsThePlainPass) {
  for (const char* type : {"marian", "mbart"}) {
    Model model(small_config(type), {.device = kReference, .dtype = DType::f64});
    const auto plain = gradients(model, kReference, false), again = gradients(model, kReference, true);
    for (std::size_t i = 0; i < plain.size(); ++i)
      EXPECT_LE(relative_error(again[i], plain[i], 1e-6), 1e-12) << i;
  }
}

TEST(Transformer, RecomputationKeepsLess) {
  TransformerConfig config = small_config("marian");
  config.encoder_layers = config.decoder_layers = 8;
  Model model(config, {.device = kReference});
  const auto bytes = [&](bool recompute) {
    Tape tape;
    const std::size_t before = memory_statistics().in_use;
    const Tensor loss = model.transformer.loss(batch_of(kReference), {.recompute = recompute});
    return memory_statistics().in_use - before;
  };
  EXPECT_LT(bytes(true), bytes(false) / 4);
}

TEST(Transformer, BitsDoNotDependOnThreads) {
  const int before = thread_count();
  Model model(small_config("bart"), {});
  set_thread_count(1);
  const auto wanted = gradients(model, kCpu, false);
  for (int threads : {2, 3}) {
    set_thread_count(threads);
    const auto found = gradients(model, kCpu, false);
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_TRUE(same_bits(found[i], wanted[i])) << i;
  }
  set_thread_count(before);
}

TEST(Transformer, TrainingAllocatesNothingOnceWarm) {
  Model model(small_config("marian"), {});
  for (int i = 0; i < 2; ++i) gradients(model, kCpu, false);
  const auto before = memory_statistics().system_allocations;
  for (int i = 0; i < 3; ++i) gradients(model, kCpu, false);
  EXPECT_EQ(memory_statistics().system_allocations, before);
}

TEST(Transformer, InitialValuesDependOnSeedAndNameAlone) {
  TransformerConfig deeper = small_config("marian");
  deeper.encoder_layers = 5;
  Model a(small_config("marian"), {.seed = 1}), b(deeper, {.seed = 1}),
      c(small_config("marian"), {.seed = 2});
  const auto named = [](const Model& m, const std::string& name) {
    for (const auto& [n, value] : m.parameters.values())
      if (n == name) return value;
    return Tensor();
  };
  const std::string name = "model.decoder.layers.1.encoder_attn.v_proj.weight";
  EXPECT_TRUE(same_bits(named(a, name), named(b, name)));
  EXPECT_FALSE(same_bits(named(a, name), named(c, name)));
}

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / fmt::format("glossa-models-{}", ::getpid())) {
    std::filesystem::create_directory(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

TEST(Transformer, SaveLoadSaveIsIdentical) {
  const Folder folder;
  for (const char* type : {"marian", "bart", "m2m_100", "mbart"}) {
    const TransformerConfig config = small_config(type);
    const Model made(config, {.seed = 8});
    save_safetensors(folder / "first.safetensors", made.parameters.values());
    for (bool training : {false, true}) {
      const TensorDirectory file(folder / "first.safetensors");
      const Model loaded(
          TransformerConfig::from_json(parse_json(to_text(config.to_json()), "config.json"), "config.json"),
          {.source = [&](const std::string& name) { return file.find(name); },
           .seed = 1,
           .training = training});
      save_safetensors(folder / "second.safetensors", loaded.parameters.values());
      EXPECT_EQ(read_file(folder / "first.safetensors"), read_file(folder / "second.safetensors")) << type;
    }
  }
}

TEST(TransformerConfig, RoundTrips) {
  for (const char* type : {"marian", "bart", "m2m_100", "mbart"}) {
    TransformerConfig config = small_config(type);
    config.activation_function = Unary::silu;
    config.forced_bos_token_id = 7;
    const std::string text = to_text(config.to_json());
    EXPECT_EQ(to_text(TransformerConfig::from_json(parse_json(text, "config.json"), "config.json").to_json()),
              text);
  }
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(TransformerConfig, RefusesContradictions) {
  const auto refused = [](const std::function<void(TransformerConfig&)>& change) {
    TransformerConfig config = small_config("marian");
    change(config);
    return message([&] { config.validate("config.json"); });
  };
  EXPECT_THAT(refused([](auto& c) { c.encoder_attention_heads = 5; }),
              HasSubstr("d_model 24 is not divisible by encoder_attention_heads 5"));
  EXPECT_THAT(refused([](auto& c) { c.decoder_vocab_size = 20; }), HasSubstr("decoder_vocab_size 20"));
  EXPECT_THAT(refused([](auto& c) { c.eos_token_id = 37; }), HasSubstr("eos_token_id is 37"));
  EXPECT_EQ(refused([](auto&) {}), "no error");
}

TEST(Transformer, NamesWhatACheckpointLacks) {
  const Model made(small_config("marian"), {});
  const auto all = made.parameters.values();
  const auto source = [&](const std::string& name) {
    if (name == "model.encoder.layers.0.fc1.bias") return Tensor();
    for (const auto& [n, value] : all)
      if (n == name) return n == "model.shared.weight" ? value.slice(0, 0, 30) : value;
    return Tensor();
  };
  const std::string text =
      message([&] { Model(small_config("marian"), {.source = source, .origin = "m.safetensors"}); });
  EXPECT_THAT(text, HasSubstr("m.safetensors: 2 tensors do not fit"));
  EXPECT_THAT(text, HasSubstr("\"model.encoder.layers.0.fc1.bias\" is missing (wanted [40])"));
  EXPECT_THAT(text, HasSubstr("\"model.shared.weight\" has shape [30, 24], wanted [37, 24]"));
}

TEST(Transformer, FrozenEncoderNeedsNoGradientEvenRecomputed) {
  for (bool recompute : {false, true}) {
    Model model(small_config("marian"), {.device = kReference});
    for (const Parameter& p : model.parameters.all()) {
      const bool encoder = p.name().starts_with("model.encoder") || p.name().starts_with("model.shared");
      if (encoder && p.trainable()) p.leaf().trainable = false;
    }
    Tape tape;
    tape.backward(model.transformer.loss(batch_of(kReference), {.recompute = recompute}));
    for (const Parameter& p : model.parameters.all()) EXPECT_EQ(static_cast<bool>(p.leaf().gradient), p.trainable()) << p.name();
  }
}

}  // namespace
}  // namespace glossa::test
