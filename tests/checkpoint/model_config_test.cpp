#include "checkpoint/model_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "files.h"
#include "text/train_tokenizer.h"

// Directories of models whose parts do not fit each other, or that claim what cannot be.
namespace glossa {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TransformerConfig small_model() {
  TransformerConfig c;
  c.d_model = 16;
  c.encoder_layers = 2, c.decoder_layers = 1;
  c.encoder_attention_heads = c.decoder_attention_heads = 2;
  c.encoder_ffn_dim = c.decoder_ffn_dim = 24;
  c.max_position_embeddings = 16;
  return c;
}

class ModelConfig : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    TokenizerTrainer trainer({.kind = TokenizerKind::chars, .min_frequency = 1});
    const std::string_view texts[] = {"a b c d", "e f g"};
    trainer.add(texts);
    const Tokenizer tokenizer = trainer.train();
    config_ = small_model();
    config_.vocab_size = tokenizer.size();
    config_.pad_token_id = config_.decoder_start_token_id = *tokenizer.id(tokenizer.special_tokens().pad);
    config_.eos_token_id = *tokenizer.id(tokenizer.special_tokens().eos);
    ParameterList parameters({});
    const Transformer model(parameters, config_);
    weights_ = parameters.values();
    save_model_directory(folder, {.config = config_.to_json(),
                                  .weights = weights_,
                                  .tokenizer = tokenizer,
                                  .generation_config = OrderedJson::object()});
  }
  // What is said to the directory with its config.json changed.
  std::string with(const std::function<void(OrderedJson&)>& change) {
    OrderedJson json = config_.to_json();
    change(json);
    put("config.json", json.dump());
    return said();
  }
  std::string with(const char* key, const OrderedJson& value) {
    return with([&](OrderedJson& json) { json[key] = value; });
  }
  std::string with_text(std::string_view text) {
    put("config.json", text);
    return said();
  }
  // What is said to the directory with other weights.
  std::string with_weights(const NamedTensors& weights) {
    save_safetensors(folder / "model.safetensors", weights);
    return said();
  }
  // "" for a model that loads.
  std::string said() {
    return error_of([&] { notes_ = load_model_directory(folder).notes; });
  }

  TransformerConfig config_;
  NamedTensors weights_;
  std::vector<std::string> notes_;
};

TEST_F(ModelConfig, AWholeOneLoadsWithoutANote) {
  EXPECT_EQ(said(), "");
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(ModelConfig, E01_SizesThatContradictEachOtherAreNamedWithTheirEquation) {
  EXPECT_THAT(with("encoder_attention_heads", 3), AllOf(StartsWith("E3103"), HasSubstr("d_model 16 is not divisible by encoder_attention_heads 3")));
  EXPECT_THAT(with("decoder_attention_heads", 5), HasSubstr("d_model 16 is not divisible by decoder_attention_heads 5"));
  EXPECT_THAT(with("decoder_vocab_size", 99), HasSubstr("decoder_vocab_size 99"));
  EXPECT_THAT(with("eos_token_id", 99), HasSubstr("eos_token_id is 99, outside a vocabulary of"));
}

TEST_F(ModelConfig, E02_NoSizeIsTakenThatIsNoneOrOutOfRange) {
  for (const char* key : {"vocab_size", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads",
                          "encoder_ffn_dim", "decoder_ffn_dim", "max_position_embeddings"})
    for (const char* value : {"-1", "0", "2147483648", "9223372036854775808", "1e300", "1e400", "\"768\"", "null", "true", "3.5", "[1]", "{}"}) {
      OrderedJson json = config_.to_json();
      json[key] = "HERE";
      std::string text = json.dump();
      EXPECT_THAT(with_text(text.replace(text.find("\"HERE\""), 6, value)), AllOf(StartsWith("E3"), HasSubstr("config.json"))) << key << ' ' << value;
    }
}

TEST_F(ModelConfig, E03_LayersAndVocabularyAreThoseOfTheWeights) {
  EXPECT_THAT(with("encoder_layers", 12),
              AllOf(StartsWith("E3102"), HasSubstr("encoder_layers of config.json is 12, and the weights have 2 of them (model.encoder.layers.*)")));
  EXPECT_THAT(with("encoder_layers", 1), HasSubstr("encoder_layers of config.json is 1, and the weights have 2"));
  EXPECT_THAT(with("decoder_layers", 1024), HasSubstr("decoder_layers of config.json is 1024, and the weights have 1"));
  const auto vocabulary = [&](std::int64_t size) {
    return with([&](OrderedJson& json) { json["vocab_size"] = json["decoder_vocab_size"] = size; });
  };
  EXPECT_THAT(vocabulary(config_.vocab_size + 1), AllOf(StartsWith("E3102"), HasSubstr("\"model.shared.weight\" has shape")));
  EXPECT_THAT(vocabulary(config_.vocab_size - 1), AllOf(StartsWith("E3201"), HasSubstr("the tokenizer has ids up to")));
}

TEST_F(ModelConfig, E04_UnknownArchitecturesAndActivationsAreNamedWithThoseThereAre) {
  EXPECT_THAT(with("model_type", "gpt2"), AllOf(StartsWith("E3103"), HasSubstr("\"gpt2\""), HasSubstr("marian, bart, m2m_100, mbart")));
  EXPECT_THAT(with("model_type", ""), HasSubstr("supported: marian"));
  EXPECT_THAT(with("activation_function", "relu6"), AllOf(StartsWith("E3103"), HasSubstr("\"relu6\""), HasSubstr("relu, gelu")));
}

TEST_F(ModelConfig, E05_UnknownKeysAreNotedOnceWithTheNearestKnown) {
  EXPECT_EQ(with("d_modle", 3), "");
  EXPECT_THAT(notes_, ElementsAre(AllOf(HasSubstr("\"d_modle\" has no effect"), HasSubstr("did you mean d_model?"))));
  EXPECT_EQ(with("transformers_version", "9.0"), "");
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(ModelConfig, E06_SizesThatNobodyHasMemoryForCostNone) {
  std::string message;
  const auto huge = [&] {
    message = with([](OrderedJson& json) { json["d_model"] = 1 << 17, json["encoder_ffn_dim"] = json["decoder_ffn_dim"] = 1 << 20; });
  };
  EXPECT_LT(peak_growth(huge), bound(16));
  EXPECT_THAT(message, AllOf(StartsWith("E3102"), HasSubstr("[131072, 131072]")));
}

TEST_F(ModelConfig, E07_E08_RatesAndPositionsStayInTheirRange) {
  for (const char* key : {"dropout", "attention_dropout", "activation_dropout"}) {
    EXPECT_THAT(with(key, 1.5), AllOf(StartsWith("E3103"), HasSubstr(key))) << key;
    EXPECT_THAT(with(key, -0.1), AllOf(StartsWith("E3103"), HasSubstr(key))) << key;
  }
  EXPECT_THAT(with("max_position_embeddings", 1u << 31), AllOf(StartsWith("E3103"), HasSubstr("1 to 1048576")));
}

TEST_F(ModelConfig, E09_AHeadThatDiffersFromWhatItIsTiedToIsNoted) {
  NamedTensors weights = weights_;
  const auto shared = std::find_if(weights_.begin(), weights_.end(), [](const auto& w) { return w.first == "model.shared.weight"; });
  weights.emplace_back("lm_head.weight", shared->second);
  EXPECT_EQ(with_weights(weights), "");
  EXPECT_THAT(notes_, IsEmpty());
  weights.back().second = Tensor::zeros(shared->second.shape(), DType::f32);
  EXPECT_EQ(with_weights(weights), "");
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("lm_head.weight differs from model.shared.weight")));
}

TEST_F(ModelConfig, E10_ConfigurationsThatAreNoneAreRefusedAtTheirByte) {
  const struct { std::string text; const char* code; } cases[] = {
      {"", "E3001"}, {"{", "E3001"}, {"[]", "E3103"}, {"null", "E3103"}, {"\xEF\xBB\xBF{}", "E3001"}, {std::string("\xFF\xFE{\0}\0", 6), "E3001"},
      {"{\"model_type\": \"\\ud800\"}", "E3001"}, {std::string("{\"model_type\": \"mar\0ian\"}", 24), "E3001"},
      {"{\"model_type\": \"mar\\u0000ian\"}", "E3103"}, {"{\"a\": 1, \"a\": 2}", "E3001"}, {"{\"a\": NaN}", "E3001"},
      {std::string(1000000, '['), "E5003"}};
  for (const auto& c : cases) EXPECT_THAT(with_text(c.text), AllOf(StartsWith(c.code), HasSubstr("config.json"))) << c.text.substr(0, 40);
  std::string message;
  const auto gigabyte = [&] {
    put("config.json", "{");
    fs::resize_file(folder / "config.json", 1u << 30);
    message = said();
  };
  EXPECT_LT(peak_growth(gigabyte), bound(16));
  EXPECT_THAT(message, StartsWith("E5002"));
}

TEST_F(ModelConfig, E11_AllTensorsThatDoNotFitAreInOneList) {
  NamedTensors weights = weights_;
  const auto named = [&](const std::string& name) {
    return std::find_if(weights.begin(), weights.end(), [&](const auto& w) { return w.first == name; });
  };
  const auto fc1 = named("model.encoder.layers.0.fc1.weight");
  fc1->second = Tensor::zeros({16, 24}, DType::f32);  // transposed
  weights.emplace_back("model.encoder.layers.0.self_attn.q_norm.weight", Tensor::zeros({16}, DType::f32));
  weights.erase(named("model.decoder.layers.0.fc2.bias"));
  EXPECT_THAT(with_weights(weights),
              AllOf(StartsWith("E3102"), HasSubstr("3 tensors do not fit"), HasSubstr("\"model.encoder.layers.0.fc1.weight\" has shape [16, 24], wanted [24, 16]"),
                    HasSubstr("\"model.decoder.layers.0.fc2.bias\" is missing (wanted [16])"),
                    HasSubstr("\"model.encoder.layers.0.self_attn.q_norm.weight\" is too much")));
  EXPECT_THAT(with("d_model", 32), HasSubstr("; and "));
}

TEST_F(ModelConfig, E13_CodeThatComesWithAModelIsNotRun) {
  EXPECT_EQ(with([](OrderedJson& json) { json["auto_map"] = {{"AutoModel", "evil.Model"}}, json["trust_remote_code"] = true; }), "");
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("auto_map is passed over: code in models is never run"), HasSubstr("trust_remote_code")));
}

}  // namespace
}  // namespace glossa
