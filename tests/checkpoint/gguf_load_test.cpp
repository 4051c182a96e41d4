// A model of Hugging Face's written as a GGUF file must be the same model when it is read.
#include <gmock/gmock.h>

#include "checkpoint/causal_model.h"
#include "files.h"
#include "models/all.h"
#include "support/error_of.h"

namespace glossa {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kVocabulary = 31;

// The small random model of tests/golden, and the file that llama.cpp's converter would make of it.
struct Original {
  TensorDirectory weights;
  Json config;
  ParameterList parameters;
  std::unique_ptr<CausalModel> model;
  explicit Original(const std::string& name)
      : weights(std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + name + "/model.safetensors"),
        config(read_json(std::string(GLOSSA_SOURCE_DIR) + "/tests/golden/" + name + "/config.json")),
        parameters({.source = [this](const std::string& n) { return weights.find(n); }, .training = false}),
        model(make_causal_model(config, name, parameters)) {}
  std::int64_t integer(const char* key) const { return config.at(key).get<std::int64_t>(); }
};

GgufMetadata metadata_of(const Original& o, const std::string& architecture) {
  GgufMetadata m;
  const auto whole = [&](const std::string& key, std::int64_t value) { m.set(architecture + "." + key, static_cast<std::uint32_t>(value)); };
  m.set("general.architecture", architecture);
  whole("context_length", o.integer("max_position_embeddings"));
  whole("embedding_length", o.integer("hidden_size"));
  whole("block_count", o.integer("num_hidden_layers"));
  whole("feed_forward_length", o.integer("intermediate_size"));
  whole("attention.head_count", o.integer("num_attention_heads"));
  whole("attention.head_count_kv", o.integer("num_key_value_heads"));
  if (o.config.contains("head_dim")) whole("attention.key_length", o.integer("head_dim"));
  m.set(architecture + ".attention.layer_norm_rms_epsilon", o.config.at("rms_norm_eps").get<float>());
  m.set("tokenizer.ggml.model", std::string("gpt2"));
  std::vector<std::string> tokens;
  for (std::int64_t i = 0; i < kVocabulary; ++i) tokens.push_back(i < 26 ? std::string(1, static_cast<char>('a' + i)) : fmt::format("<{}>", i));
  std::vector<std::int32_t> types(tokens.size(), 1);
  std::fill(types.begin() + 26, types.end(), 3);
  m.set("tokenizer.ggml.tokens", GgufArray::of(tokens));
  m.set("tokenizer.ggml.token_type", GgufArray::of(types));
  m.set("tokenizer.ggml.merges", GgufArray::of(std::vector<std::string>{}));
  m.set("tokenizer.ggml.eos_token_id", std::uint32_t{27});
  return m;
}

// From halves of heads to neighbours, as the format has rows of queries and keys of this architecture.
Tensor neighbours(const Tensor& t, std::int64_t heads) {
  Tensor y = Tensor::empty(t.shape());
  const std::int64_t dim = t.size(0) / heads;
  for (std::int64_t r = 0; r < t.size(0); ++r) {
    const std::int64_t place = r % dim, to = r / dim * dim + 2 * (place % (dim / 2)) + place / (dim / 2);
    std::copy_n(t.data<float>() + r * t.size(1), t.size(1), y.data<float>() + to * t.size(1));
  }
  return y;
}

NamedTensors llama_tensors(const Original& o) {
  NamedTensors all;
  const auto add = [&](const std::string& to, const std::string& from, std::int64_t heads = 0) {
    const Tensor t = o.weights.find(from);
    all.emplace_back(to, heads ? neighbours(t, heads) : t);
  };
  add("token_embd.weight", "model.embed_tokens.weight");
  add("output_norm.weight", "model.norm.weight");
  add("output.weight", "lm_head.weight");
  for (std::int64_t i = 0; i < o.integer("num_hidden_layers"); ++i) {
    const std::string to = fmt::format("blk.{}.", i), from = fmt::format("model.layers.{}.", i);
    add(to + "attn_norm.weight", from + "input_layernorm.weight");
    add(to + "attn_q.weight", from + "self_attn.q_proj.weight", o.integer("num_attention_heads"));
    add(to + "attn_k.weight", from + "self_attn.k_proj.weight", o.integer("num_key_value_heads"));
    add(to + "attn_v.weight", from + "self_attn.v_proj.weight");
    add(to + "attn_output.weight", from + "self_attn.o_proj.weight");
    add(to + "ffn_norm.weight", from + "post_attention_layernorm.weight");
    add(to + "ffn_gate.weight", from + "mlp.gate_proj.weight");
    add(to + "ffn_up.weight", from + "mlp.up_proj.weight");
    add(to + "ffn_down.weight", from + "mlp.down_proj.weight");
  }
  return all;
}

Tensor logits(const CausalModel& model) {
  const Tokens tokens{Tensor::of(std::vector<std::int32_t>{3, 1, 4, 1, 5, 9, 2, 6}), Sequences::of_lengths({5, 3})};
  return model.logits(model.hidden(CausalInput::whole(tokens)));
}

class GgufModel : public InFolder {
 protected:
  fs::path file() const { return folder / "m.gguf"; }
};

TEST_F(GgufModel, ALlamaIsTheSameModel) {
  const Original o("llama");
  GgufMetadata m = metadata_of(o, "llama");
  m.set("llama.rope.freq_base", 10000.0f);
  save_gguf(file(), m, llama_tensors(o));
  const LoadedCausalModel loaded = load_causal_model(file());
  const Tensor wanted = logits(*o.model), found = logits(*loaded.model);
  for (std::int64_t i = 0; i < wanted.elements(); ++i) ASSERT_NEAR(found.data<float>()[i], wanted.data<float>()[i], 1e-5);
  EXPECT_EQ(loaded.tokenizer.encode("abba<28>c"), (std::vector<Token>{0, 1, 1, 0, 28, 2}));
  EXPECT_EQ(loaded.tokenizer.decode(std::vector<Token>{0, 28, 2}, true), "ac");
  EXPECT_EQ(loaded.stop_tokens, std::vector<Token>{27});
}

TEST_F(GgufModel, AMistypedOrMissingTensorIsNamed) {
  const Original o("llama");
  NamedTensors tensors = llama_tensors(o);
  tensors[5].first = "blk.0.attn_kk.weight";
  save_gguf(file(), metadata_of(o, "llama"), tensors);
  EXPECT_THAT(error_of([&] { load_causal_model(file()); }), HasSubstr("\"model.layers.0.self_attn.k_proj.weight\" is missing"));
}

TEST_F(GgufModel, B22_KeysOfTheArchitecture) {
  const Original o("llama");
  const auto refusal = [&](const std::string& key, const GgufValue& value) {
    GgufMetadata m = metadata_of(o, "llama");
    m.set(key, value);
    save_gguf(file(), m, llama_tensors(o));
    return error_of([&] { load_causal_model(file()); });
  };
  EXPECT_THAT(refusal("general.architecture", std::string("mamba")), HasSubstr("the architecture \"mamba\" is not supported; supported: gemma2"));
  EXPECT_THAT(refusal("llama.block_count", std::string("two")), HasSubstr("llama.block_count"));
  EXPECT_THAT(refusal("llama.block_count", std::uint32_t{1} << 31), HasSubstr("llama.block_count"));
  EXPECT_THAT(refusal("llama.attention.head_count", std::uint32_t{0}), HasSubstr("llama.attention.head_count"));
  EXPECT_THAT(refusal("llama.attention.head_count_kv", std::uint32_t{3}), HasSubstr("num_attention_heads 4 is not divisible by num_key_value_heads 3"));
  EXPECT_THAT(refusal("llama.rope.dimension_count", std::uint32_t{3}), HasSubstr("3 rotary elements of a head"));
  EXPECT_THAT(refusal("llama.block_count", std::uint32_t{3}), HasSubstr("\"model.layers.2.input_layernorm.weight\" is missing"));
  EXPECT_THAT(refusal("tokenizer.ggml.model", std::string("rwkv")), HasSubstr("tokenizer.ggml.model \"rwkv\" is not supported"));
  EXPECT_THAT(refusal("tokenizer.ggml.pre", std::string("poro")), HasSubstr("tokenizer.ggml.pre \"poro\" is not supported"));
}

TEST_F(GgufModel, WeightsOfBlockTypesStayWhatTheyAre) {
  // 256 wide, so that every type fits; two layers of one kind.
  const Json config = {{"model_type", "llama"}, {"vocab_size", 48}, {"hidden_size", 256}, {"intermediate_size", 256}, {"num_hidden_layers", 2},
                       {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"max_position_embeddings", 64}, {"tie_word_embeddings", true},
                       {"initializer_range", 0.08}};
  ParameterList parameters({.training = false});
  const auto model = make_causal_model(config, "made here", parameters);
  std::map<std::string, Tensor> blocks, plain;
  for (const auto& [name, value] : parameters.values()) {
    const DType type = name.find("v_proj") != name.npos ? DType::q6_k : name.find("embed") != name.npos ? DType::q8_0 : DType::q4_k;
    blocks[name] = value.rank() == 2 ? value.contiguous().to(type) : value;
    plain[name] = blocks[name].to(DType::f32);
  }
  const auto made = [&](std::map<std::string, Tensor>& from) {
    auto list = std::make_unique<ParameterList>(ParameterList::Options{.source = [&](const std::string& n) { return from.at(n); }, .training = false});
    auto same = make_causal_model(config, "made here", *list);
    return std::pair(std::move(list), std::move(same));
  };
  const auto quantised = made(blocks), decoded = made(plain);
  const Tensor wanted = logits(*decoded.second), found = logits(*quantised.second);
  double most = 0;
  for (std::int64_t i = 0; i < wanted.elements(); ++i) most = std::max<double>(most, std::fabs(wanted.data<float>()[i]));
  for (std::int64_t i = 0; i < wanted.elements(); ++i) ASSERT_NEAR(found.data<float>()[i], wanted.data<float>()[i], 0.03 * most);
}

}  // namespace
}  // namespace glossa
