#include "golden.h"
#include "models/all.h"

// Decoder-only models against Hugging Face's (tools/make_causal_goldens.py), and decoding against whole passes.
namespace glossa::test {
namespace {

constexpr const char* kModels[] = {"gpt2",       "gpt2-variant", "llama", "llama-biases", "llama3", "llama-dynamic", "llama-yarn",
                                   "mistral",    "phi3",         "qwen2", "qwen3",        "gemma2", "gemma3"};

struct Causal {
  TensorDirectory weights;
  Json config;
  ParameterList parameters;
  std::unique_ptr<CausalModel> model;
  Causal(const std::string& folder, Device device, DType dtype, bool training = true)
      : weights(folder + "/model.safetensors"),
        config(read_json(folder + "/config.json")),
        parameters({.source = [this, dtype](const std::string& name) { return weights.find(name, dtype); },
                    .offered = weights.names(),
                    .training = training,
                    .device = device,
                    .dtype = dtype}),
        model(make_causal_model(config, "config.json", parameters)) {}
};

std::string folder_of(const char* name) { return std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + name; }

class CausalGolden : public testing::TestWithParam<std::tuple<const char*, How>> {
 protected:
  CausalGolden() : before_(cpu::instruction_set()), golden_(folder_of(std::get<0>(GetParam())) + "/golden.safetensors") {
    if (how().set) cpu::set_instruction_set(*how().set);
    causal_ = std::make_unique<Causal>(folder_of(std::get<0>(GetParam())), how().device, how().dtype);
    const auto lengths = golden_.find("lengths").span<std::int32_t>();
    batch_ = {{golden_.find("ids").to(how().device), Sequences::of_lengths({lengths.begin(), lengths.end()}, how().device)},
              golden_.find("labels").to(how().device)};
  }
  ~CausalGolden() override { cpu::set_instruction_set(before_); }

  // The reference implementation takes norms and probabilities in f32 whatever the model is.
  How how() const {
    How h = std::get<1>(GetParam());
    h.tolerance = std::max(h.bf16 ? 4e-2 : h.tolerance, 2e-6), h.gradient_tolerance = std::max(h.gradient_tolerance, 1e-5);
    return h;
  }

  cpu::InstructionSet before_;
  TensorDirectory golden_;
  std::unique_ptr<Causal> causal_;
  CausalBatch batch_;
};

TEST_P(CausalGolden, LogitsAndLoss) {
  const Bf16Products precision(how().bf16);
  const CausalModel& model = *causal_->model;
  EXPECT_LE(relative_error(model.logits(model.hidden(CausalInput::whole(batch_.tokens))), golden_.find("logits")), how().tolerance);
  expect_close(at(model.loss(batch_), 0), at(golden_.find("loss"), 0), how().tolerance);
}

TEST_P(CausalGolden, EveryGradient) {
  const Bf16Products precision(how().bf16);
  for (bool recompute : {false, true}) {
    SCOPED_TRACE(recompute ? "recomputed" : "plain");
    causal_->parameters.clear_gradients();
    {
      Tape tape;
      tape.backward(causal_->model->loss(batch_, {.recompute = recompute}));
    }
    expect_gradients(causal_->parameters, golden_, how());
  }
}

TEST_P(CausalGolden, TenStepsOfTraining) {
  const Bf16Products precision(how().bf16);
  expect_training(causal_->parameters, golden_, how(), [&] { return causal_->model->loss(batch_); });
}

INSTANTIATE_TEST_SUITE_P(Models, CausalGolden, testing::Combine(testing::ValuesIn(kModels), testing::ValuesIn(hows())), golden_name);

class CausalDecoding : public testing::TestWithParam<const char*> {};

// Sequences of different lengths, fed in pieces of several sizes, some of them together.
TEST_P(CausalDecoding, CachedStepsEqualWholePasses) {
  const Causal causal(folder_of(GetParam()), kCpu, DType::f32, false);
  const CausalModel& model = *causal.model;
  // Dynamic positions change with the length, and what is cached was turned when the sequence was shorter: only what fits
  // into the original length is the same.
  const std::size_t most = std::string_view(GetParam()) == "llama-dynamic" || std::string_view(GetParam()) == "phi3" ? 10 : 13;
  const std::vector<Ids> sequences{sentence(most, 1, 31), sentence(7, 2, 31), sentence(10, 3, 31)};
  KvCache cache = model.make_cache();
  std::vector<Ids> rows(sequences.size());
  std::vector<std::size_t> done(sequences.size());
  for (int step = 0; done[0] < sequences[0].size() || done[1] < sequences[1].size() || done[2] < sequences[2].size(); ++step) {
    Ids ids, positions, lengths, new_rows, past_rows, counts, past_counts;
    std::vector<std::pair<std::size_t, std::size_t>> what;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const std::size_t piece = std::min<std::size_t>(1 + (step + s) % 3 * 2, sequences[s].size() - done[s]);
      if (piece == 0) continue;
      for (std::size_t i = done[s]; i < done[s] + piece; ++i) {
        rows[s].push_back(cache.take());
        ids.push_back(sequences[s][i]), positions.push_back(static_cast<std::int32_t>(i)), new_rows.push_back(rows[s].back());
        lengths.push_back(static_cast<std::int32_t>(done[s] + piece));
        what.emplace_back(s, i);
      }
      done[s] += piece;
      counts.push_back(static_cast<std::int32_t>(piece)), past_counts.push_back(static_cast<std::int32_t>(rows[s].size()));
      past_rows.insert(past_rows.end(), rows[s].begin(), rows[s].end());
    }
    const CausalInput in{.tokens = {Tensor::of(ids), Sequences::of_lengths(counts)},
                         .positions = Tensor::of(positions),
                         .lengths = Tensor::of(lengths),
                         .cache = &cache,
                         .new_rows = Tensor::of(new_rows),
                         .past = {Sequences::of_lengths(past_counts), Tensor::of(past_rows)}};
    const Tensor found = model.logits(model.hidden(in));
    for (std::size_t i = 0; i < what.size(); ++i) {
      const auto [s, at] = what[i];
      const Tensor whole = model.logits(model.hidden(CausalInput::whole(tokens({sequences[s]}, kCpu))));
      EXPECT_LE(relative_error(found.slice(0, static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1),
                               whole.slice(0, static_cast<std::int64_t>(at), static_cast<std::int64_t>(at) + 1)),
                1e-5)
          << "sequence " << s << ", token " << at;
    }
  }
}

TEST_P(CausalDecoding, ASequenceAloneEqualsTheSameInABatch) {
  const Causal causal(folder_of(GetParam()), kCpu, DType::f32, false);
  const std::vector<Ids> sequences{sentence(13, 1, 31), sentence(7, 2, 31), sentence(1, 3, 31)};
  const Tensor together = causal.model->logits(causal.model->hidden(CausalInput::whole(tokens(sequences, kCpu))));
  std::int64_t begin = 0;
  for (const Ids& s : sequences) {
    const auto end = begin + static_cast<std::int64_t>(s.size());
    EXPECT_LE(relative_error(causal.model->logits(causal.model->hidden(CausalInput::whole(tokens({s}, kCpu)))), together.slice(0, begin, end)),
              1e-6);
    begin = end;
  }
}

TEST_P(CausalDecoding, TheConfigurationGoesBothWays) {
  const Causal causal(folder_of(GetParam()), kCpu, DType::f32, false);
  const OrderedJson written = causal.model->config();
  ParameterList again({.training = false});
  const auto same = make_causal_model(Json::parse(written.dump()), "written", again);
  EXPECT_EQ(same->config(), written);
  std::vector<std::string> notes;
  ParameterList third({.training = false});
  make_causal_model(Json::parse(written.dump()), "written", third, &notes);
  EXPECT_THAT(notes, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Models, CausalDecoding, testing::ValuesIn(kModels), [](const auto& of) {
  std::string name = of.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace glossa::test
