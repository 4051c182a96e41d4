#include "golden.h"

// Small random models of Hugging Face, made by tools/make_goldens.py: logits, losses, every gradient, and
// training.
namespace glossa::test {
namespace {

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
  cpu::InstructionSet before_;
  std::string folder_;
  TensorDirectory weights_, golden_;
  std::unique_ptr<Model> model_;
  Seq2SeqBatch batch_;
};

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
    expect_gradients(model_->parameters, golden_, how());
  }
}

TEST_P(Golden, TenStepsOfTraining) {
  const Bf16Products precision(how().bf16);
  expect_training(model_->parameters, golden_, how(),
                  [&] { return model_->transformer.loss(batch_, {.label_smoothing = 0.1f}); });
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         testing::Combine(testing::Values("marian-relu", "marian-swish", "marian-gelu-odd",
                                                          "marian-two-vocabularies", "marian-untied", "bart",
                                                          "m2m_100", "mbart"),
                                          testing::ValuesIn(hows())),
                         golden_name);

}  // namespace
}  // namespace glossa::test
