// A small GPT-2 that others trained to sort three letters, with every activation of its first block
// (GLOSSA_DATA).
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/base64.h"
#include "golden.h"
#include "models/gpt2.h"

namespace glossa::test {
namespace {

class NanoSort : public testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("GLOSSA_DATA");
    const fs::path folder = fs::path(data ? data : "") / "models/gpt-nano-sort";
    if (!data || !fs::exists(folder)) GTEST_SKIP() << "GLOSSA_DATA does not name a folder of data";
    weights_ = read_json(folder / "gpt-nano-sort-model.json");
    activations_ = read_json(folder / "gpt-nano-sort-t0-partials.json");
    parameters_ = std::make_unique<ParameterList>(ParameterList::Options{
        .source = [this](const std::string& name) { return weight(name); }, .training = false});
    const Json& c = weights_.at("config");
    config_ = Gpt2Config::from_json({{"model_type", "gpt2"},
                                     {"vocab_size", c.at("vocab_size")},
                                     {"n_positions", c.at("block_size")},
                                     {"n_embd", c.at("n_embd")},
                                     {"n_layer", c.at("n_layer")},
                                     {"n_head", c.at("n_head")},
                                     {"tie_word_embeddings", false}},
                                    "config");
  }

  static Tensor tensor(const Json& json) {
    std::vector<std::int64_t> dims = json.at("shape");
    while (dims.size() > 2) dims[1] *= dims[0], dims.erase(dims.begin());  // all sequences, or heads, as rows
    const std::string bytes = from_base64(json.at("data").get<std::string>()).value();
    Tensor t = Tensor::empty(Shape(dims));
    EXPECT_EQ(bytes.size(), t.bytes());
    std::memcpy(t.raw(), bytes.data(), t.bytes());
    return t;
  }

  // The file has matrices as [out, in], Hugging Face's GPT-2 as [in, out].
  Tensor weight(const std::string& name) const {
    if (!weights_.contains(name)) return {};
    const Tensor t = tensor(weights_.at(name));
    if (t.rank() < 2 || !name.starts_with("transformer.h.")) return t;
    Tensor turned = Tensor::empty({t.size(1), t.size(0)});
    for (std::int64_t r = 0; r < t.size(0); ++r)
      for (std::int64_t c = 0; c < t.size(1); ++c)
        turned.data<float>()[c * t.size(0) + r] = t.data<float>()[r * t.size(1) + c];
    return turned;
  }

  Tensor wanted(const char* name) const { return tensor(activations_.at(name)); }
  void same(const char* name, const Tensor& found) const {
    const Tensor dense = found.contiguous();
    EXPECT_LE(relative_error(dense.view({dense.rows(), dense.cols()}), wanted(name)), 1e-5) << name;
  }
  // [sequences * heads * positions, dim] of the file from [tokens, heads, dim].
  Tensor by_heads(const Tensor& x) const {
    const std::int64_t heads = config_.n_head, dim = config_.n_embd / heads, length = config_.n_positions;
    Tensor y = Tensor::empty({x.size(0) * heads, dim});
    const Tensor dense = x.contiguous();
    for (std::int64_t t = 0; t < x.size(0); ++t)
      for (std::int64_t h = 0; h < heads; ++h)
        std::copy_n(dense.data<float>() + (t * heads + h) * dim, dim,
                    y.data<float>() + ((t / length * heads + h) * length + t % length) * dim);
    return y;
  }

  Json weights_, activations_;
  std::unique_ptr<ParameterList> parameters_;
  Gpt2Config config_;
};

TEST_F(NanoSort, EveryActivation) {
  const Tensor letters = wanted("idx");
  Ids ids;
  for (std::int64_t i = 0; i < letters.elements(); ++i)
    ids.push_back(static_cast<std::int32_t>(letters.data<float>()[i]));
  const auto length = static_cast<std::int32_t>(config_.n_positions),
             count = static_cast<std::int32_t>(ids.size()) / length;
  const Tokens tokens{Tensor::of(ids), Sequences::of_lengths(std::vector<std::int32_t>(
                                           static_cast<std::size_t>(count), length))};
  const CausalInput in = CausalInput::whole(tokens);
  const Scope top = parameters_->scope() / "transformer";
  const Parameter wte = (top / "wte").parameter("weight", {config_.vocab_size, config_.n_embd});
  const Parameter wpe = (top / "wpe").parameter("weight", {config_.n_positions, config_.n_embd});
  same("tok_emb", embed(tokens.ids, wte));
  same("pos_emb", wpe);
  Tensor x = embed(tokens.ids, wte, {.positions = wpe, .position = in.positions});
  same("x", x);
  for (int layer = 0; layer < 3; ++layer) {
    const Gpt2Block b(top / "h" / layer, config_);
    const Tensor normed = b.ln_1(x), qkv = b.c_attn(normed);
    const auto [q, k, v] = split<3>(qkv);
    const Tensor qs = heads(q, 3), ks = heads(k, 3), vs = heads(v, 3);
    const Tensor y = attention(qs, ks, vs, tokens.sequences, tokens.sequences, {.mask = {.causal = true}});
    const Tensor projected = b.attn_proj(y), h = add(x, projected), second = b.ln_2(h);
    const Tensor inner = b.c_fc(second), active = b.c_fc(second, {.act = Unary::gelu_tanh}),
                 mlp = b.mlp_proj(active);
    if (layer == 0) {
      same("ln1", normed), same("qkv", qkv), same("q", by_heads(qs)), same("k", by_heads(ks)),
          same("v", by_heads(vs));
      same("y", y), same("yProj", projected), same("attnResid", h), same("ln2", second), same("fc", inner),
          same("gelu", active);
      same("mlp", mlp), same("mlpResid", add(h, mlp));
      // Scores and their softmax, which the fused op never has.
      const Tensor softmax = wanted("attSm"), scores = wanted("att");
      const Tensor found_q = by_heads(qs), found_k = by_heads(ks);
      for (std::int64_t row = 0; row < scores.rows(); ++row) {
        const std::int64_t first = row / length * length;
        std::vector<double> e;
        double sum = 0;
        for (std::int64_t t = 0; t <= row % length; ++t) {
          double dot = 0;
          for (std::int64_t d = 0; d < found_q.cols(); ++d)
            dot += static_cast<double>(found_q.data<float>()[row * found_q.cols() + d]) *
                   found_k.data<float>()[(first + t) * found_q.cols() + d];
          const double score = dot / std::sqrt(static_cast<double>(found_q.cols()));
          EXPECT_NEAR(score, scores.data<float>()[row * length + t], 1e-4);
          e.push_back(std::exp(score));
          sum += e.back();
        }
        for (std::int64_t t = 0; t <= row % length; ++t)
          EXPECT_NEAR(e[static_cast<std::size_t>(t)] / sum, softmax.data<float>()[row * length + t], 1e-5);
      }
    }
    x = add(h, mlp);
    same(layer == 0 ? "block0" : layer == 1 ? "block1" : "block2", x);
  }
}

TEST_F(NanoSort, TheModelAsAWhole) {
  const Gpt2 model(*parameters_, config_);
  const Tensor letters = wanted("idx");
  Ids ids;
  for (std::int64_t i = 0; i < letters.elements(); ++i)
    ids.push_back(static_cast<std::int32_t>(letters.data<float>()[i]));
  const auto length = static_cast<std::int32_t>(config_.n_positions);
  const Tokens tokens{Tensor::of(ids), Sequences::of_lengths(std::vector<std::int32_t>(
                                           ids.size() / static_cast<std::size_t>(length), length))};
  const Tensor hidden = model.hidden(CausalInput::whole(tokens), false), logits = model.logits(hidden);
  same("ln_f", hidden);
  same("lm_head", logits);
  const Tensor probabilities = wanted("probs");
  for (std::int64_t r = 0; r < logits.rows(); ++r) {
    const float* row = logits.data<float>() + r * 3;
    const double sum = std::exp(row[0]) + std::exp(row[1]) + std::exp(row[2]);
    for (int i = 0; i < 3; ++i)
      EXPECT_NEAR(std::exp(row[i]) / sum, probabilities.data<float>()[r * 3 + i], 1e-5);
  }
}

}  // namespace
}  // namespace glossa::test
