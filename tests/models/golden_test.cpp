#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "backend/cpu/cpu_features.h"
#include "batches.h"
#include "checkpoint/tensor_directory.h"

// Small random models of Hugging Face, made by tools/make_goldens.py: logits, losses, every gradient, and
// training.
namespace glossa::test {
namespace {

struct How {
  const char* name;
  Device device;
  DType dtype;
  std::optional<cpu::InstructionSet> set = {};
  bool bf16 = false;
  // Of logits, losses and the course of training; and of gradients.
  double tolerance = 2e-5, gradient_tolerance = 1e-4;
};

std::vector<How> hows() {
  // The goldens are f32: 6e-8 is their own rounding.
  std::vector<How> all{{"reference_f64", kReference, DType::f64, {}, false, 5e-7, 5e-7}};
  for (const auto set : cpu::supported_instruction_sets()) {
    all.push_back({cpu::name_of(set).data(), kCpu, DType::f32, set});
    // Rounding moves sums near 0 across a relu, and with one of them goes the gradient of a row.
    if (set == cpu::InstructionSet::avx512_bf16)
      all.push_back({"bf16", kCpu, DType::f32, set, true, 2e-2, 2e-1});
  }
  return all;
}

class Golden : public testing::TestWithParam<std::tuple<const char*, How>> {
 protected:
  Golden()
      : before_(cpu::instruction_set()),
        folder_(std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + std::get<0>(GetParam())),
        weights_(folder_ + "/model.safetensors"),
        golden_(folder_ + "/golden.safetensors") {
    if (how().set) cpu::set_instruction_set(*how().set);
    const auto config = TransformerConfig::from_json(read_json(folder_ + "/config.json"), "config.json");
    model_ = std::make_unique<Model>(
        config, ParameterList::Options{.source = [&](const std::string& name) { return weights_.find(name); },
                                       .device = how().device,
                                       .dtype = how().dtype});
    batch_ = {{i32("source.ids"), sequences("source.lengths")},
              {i32("target.ids"), sequences("target.lengths")},
              i32("labels")};
  }
  ~Golden() override { cpu::set_instruction_set(before_); }

  const How& how() const { return std::get<1>(GetParam()); }
  Tensor i32(const std::string& name) const { return golden_.find(name).to(how().device); }
  Tensor golden(const std::string& name) const { return golden_.find(name); }
  Sequences sequences(const std::string& name) const {
    const auto lengths = golden(name).span<std::int32_t>();
    return Sequences::of_lengths({lengths.begin(), lengths.end()}, how().device);
  }
  double loss(float smoothing) const {
    return at(model_->transformer.loss(batch_, {.label_smoothing = smoothing}), 0);
  }
  double norm_of_gradients() const {
    double sum = 0;
    for (const Parameter& p : model_->parameters.all())
      if (p.trainable()) sum += Backend::of(how().device).sum_of_squares(p.leaf().gradient);
    return std::sqrt(sum);
  }

  cpu::InstructionSet before_;
  std::string folder_;
  TensorDirectory weights_, golden_;
  std::unique_ptr<Model> model_;
  Seq2SeqBatch batch_;
};

void expect_close(double found, double wanted, double tolerance) {
  EXPECT_NEAR(found, wanted, tolerance * std::fabs(wanted));
}

TEST_P(Golden, LogitsAndLosses) {
  const Bf16Products precision(how().bf16);
  const Transformer& model = model_->transformer;
  const Tensor memory = model.encode(batch_.source);
  const Tensor logits = model.logits(model.decode(batch_.target, memory, batch_.source.sequences));
  EXPECT_LE(relative_error(logits, golden("logits")), how().tolerance);
  expect_close(loss(0), at(golden("loss"), 0), how().tolerance);
  expect_close(loss(0.1f), at(golden("loss.smoothed"), 0), how().tolerance);
}

TEST_P(Golden, EveryGradient) {
  const Bf16Products precision(how().bf16);
  for (bool recompute : {false, true}) {
    SCOPED_TRACE(recompute ? "recomputed" : "plain");
    model_->parameters.clear_gradients();
    {
      Tape tape;
      tape.backward(model_->transformer.loss(batch_, {.label_smoothing = 0.1f, .recompute = recompute}));
    }
    double most = 0;  // biases of keys have a gradient of zero, but for rounding
    std::set<std::string> wanted, found;
    for (const std::string& name : golden_.names())
      if (name.starts_with("gradient.")) wanted.insert(name), most = std::max(most, largest(golden(name)));
    for (const auto& [name, gradient] : model_->parameters.gradients()) {
      found.insert("gradient." + name);
      EXPECT_LE(relative_error(gradient, golden("gradient." + name), 1e-2 * most), how().gradient_tolerance)
          << name;
    }
    EXPECT_EQ(found, wanted);
  }
}

TEST_P(Golden, TenStepsOfTraining) {
  const Bf16Products precision(how().bf16);
  const Tensor wanted = golden("training.losses");
  struct Moments {
    Tensor m, v;
  };
  std::vector<Moments> moments;
  for (const Parameter& p : model_->parameters.all())
    moments.push_back({Tensor::zeros(p.value().shape(), how().dtype, how().device),
                       Tensor::zeros(p.value().shape(), how().dtype, how().device)});
  for (std::int64_t step = 0; step < wanted.elements(); ++step) {
    model_->parameters.clear_gradients();
    Tape tape({.step = static_cast<std::uint64_t>(step)});
    const Tensor loss = model_->transformer.loss(batch_, {.label_smoothing = 0.1f});
    expect_close(at(loss, 0), at(wanted, step), 2 * how().tolerance * static_cast<double>(step + 1));
    tape.backward(loss);
    const auto scale = static_cast<float>(std::min(1.0, 1 / (norm_of_gradients() + 1e-6)));  // as torch clips
    for (std::size_t i = 0; i < moments.size(); ++i) {
      const Parameter& p = model_->parameters.all()[i];
      if (!p.trainable()) continue;
      Tensor weight = p.value();
      Backend::of(how().device)
          .adamw(weight, p.leaf().gradient, moments[i].m, moments[i].v,
                 {.learning_rate = 3e-3f,
                  .beta2 = 0.98f,
                  .weight_decay = 0.01f,
                  .gradient_scale = scale,
                  .step = step + 1});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         testing::Combine(testing::Values("marian-relu", "marian-swish", "marian-gelu-odd",
                                                          "marian-two-vocabularies", "marian-untied", "bart",
                                                          "m2m_100", "mbart"),
                                          testing::ValuesIn(hows())),
                         [](const auto& of) {
                           std::string name =
                               std::string(std::get<0>(of.param)) + "_" + std::get<1>(of.param).name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace glossa::test
