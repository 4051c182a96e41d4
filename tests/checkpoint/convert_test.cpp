// Models written in another form are the same models, and what a form cannot hold is refused by name.
#include <gmock/gmock.h>

#include <cstring>
#include <set>

#include "checkpoint/causal_model.h"
#include "checkpoint/convert.h"
#include "checkpoint/gguf_file_type.h"
#include "checkpoint/llama2c.h"
#include "checkpoint/weight_types.h"
#include "files.h"
#include "models/all.h"
#include "text/tokenizer_json.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

// A tokenizer of 26 letters and some special tokens, as many as the models of tests/golden have rows.
std::string letters() {
  std::string vocabulary, added;
  for (int i = 0; i < 31; ++i)
    vocabulary +=
        fmt::format(R"({}"{}": {})", i ? ", " : "",
                    i < 26 ? std::string(1, static_cast<char>('a' + i)) : fmt::format("<{}>", i), i);
  for (int i = 26; i < 31; ++i)
    added += fmt::format(
        R"({}{{"id": {}, "content": "<{}>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}})",
        i > 26 ? ", " : "", i, i);
  return fmt::format(
      R"({{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{}], "normalizer": null,
    "pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}},
    "post_processor": null, "decoder": {{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}},
    "model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
               "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {{{}}}, "merges": [["a", "b"]]}}}})",
      added, vocabulary);
}

class Convert : public InFolder {
 protected:
  fs::path golden(const std::string& name) const {
    const fs::path from = fs::path(GLOSSA_SOURCE_DIR) / "tests/golden" / name, to = folder / name;
    fs::create_directory(to);
    for (const char* file : {"config.json", "model.safetensors"}) fs::copy_file(from / file, to / file);
    std::string tokenizer = letters();
    // The only merge makes a piece that is there: "ab" stands in the place of one letter.
    tokenizer.replace(tokenizer.find("\"z\": 25"), 7, "\"ab\": 25");
    write_file(to / "tokenizer.json", tokenizer);
    write_file(to / "tokenizer_config.json", R"({"eos_token": "<27>", "pad_token": "<28>"})");
    return to;
  }
  void change(const fs::path& directory, const std::string& key, const Json& value) const {
    Json config = read_json(directory / "config.json");
    config[key] = value;
    write_file(directory / "config.json", config.dump());
  }
  static Conversion convert(const fs::path& from, const fs::path& to, ModelFormat format,
                            const std::string& type = "") {
    return convert_model(open_model(from), to, {.format = format, .type = type});
  }
  static Tensor logits(const fs::path& path) { return logits(load_causal_model(path)); }
  static Tensor logits(const LoadedCausalModel& loaded) {
    const Tokens tokens{Tensor::of(std::vector<std::int32_t>{3, 1, 4, 1, 5, 9, 2, 6}),
                        Sequences::of_lengths({5, 3})};
    return loaded.model->logits(loaded.model->hidden(CausalInput::whole(tokens)));
  }
  static double difference(const Tensor& a, const Tensor& b) {
    double most = 0;
    for (std::int64_t i = 0; i < a.elements(); ++i)
      most = std::max<double>(most, std::fabs(a.data<float>()[i] - b.data<float>()[i]));
    return most;
  }
  std::string refused(const std::string& name, const std::string& key, const Json& value,
                      ModelFormat format = ModelFormat::gguf) const {
    const fs::path from = golden(name);
    if (!key.empty()) change(from, key, value);
    const std::string message = error_of([&] { convert(from, folder / "out", format); });
    EXPECT_FALSE(fs::exists(folder / "out"));
    fs::remove_all(from);
    return message;
  }
};

// Loaded in another type, a model has the weights that the file has which was converted to it, and gives what that gives.
TEST_F(Convert, LoadedInAnotherTypeItIsTheConvertedModel) {
  for (const char* name : {"llama", "qwen3", "gpt2"}) {
    const fs::path from = golden(name), plain = folder / "plain.gguf", made = folder / "made.gguf";
    convert(from, plain, ModelFormat::gguf);
    for (const char* type : {"q8_0", "Q4_0", "q5_1", "Q4_K_M", "f16", "bf16"}) {
      SCOPED_TRACE(fmt::format("{} {}", name, type));
      const Conversion c = convert(from, made, ModelFormat::gguf, type);
      const ModelSource wanted = open_model(made);
      for (const fs::path& path : {from, plain}) {
        const ModelSource found = with_type(open_model(path), type);
        for (const auto& [weight, shape, stored] : plan_of(wanted).weights) {
          const Tensor a = found.weight(weight).contiguous(), b = wanted.weight(weight).contiguous();
          ASSERT_EQ(a.dtype(), b.dtype()) << weight;
          ASSERT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0) << weight;
        }
        for (const std::string& line : found.notes) EXPECT_THAT(c.notes, Contains(line));
      }
      const Tensor a = logits(load_causal_model(with_type(open_model(plain), type))), b = logits(load_causal_model(wanted));
      EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
      fs::remove(made);
    }
    fs::remove(plain);
  }
  EXPECT_THAT(error_of([&] { with_type(open_model(folder / "llama"), "q4_9"); }), AllOf(HasSubstr("\"q4_9\""), HasSubstr("Q4_K_M")));
}

TEST_F(Convert, ThereAndBackItIsTheSameModel) {
  for (const char* name :
       {"llama", "llama-biases", "llama3", "llama-yarn", "mistral", "phi3", "qwen3", "gpt2"}) {
    SCOPED_TRACE(name);
    const fs::path from = golden(name), gguf = folder / "m.gguf", back = folder / "back";
    const Conversion c = convert(from, gguf, ModelFormat::gguf);
    EXPECT_EQ(c.types.size(), 1u);
    const Tensor wanted = logits(from);
    // Factors of rotary positions are worked out in another way.
    EXPECT_LE(difference(wanted, logits(gguf)), 2e-5);
    convert(gguf, back, ModelFormat::directory);
    EXPECT_LE(difference(wanted, logits(back)), 2e-5);
    const Tokenizer before = Tokenizer::load(from), after = Tokenizer::load(back);
    EXPECT_EQ(before.encode("abba cab<27>"), after.encode("abba cab<27>"));
    EXPECT_EQ(load_causal_model(back).stop_tokens, load_causal_model(from).stop_tokens);
    EXPECT_EQ(read_json(back / "config.json").at("model_type"),
              read_json(from / "config.json").at("model_type"));
    for (const fs::path& made : {gguf, back}) fs::remove_all(made);
  }
}

TEST_F(Convert, GemmaWithWhatItsFilesSay) {
  for (const char* name : {"gemma2", "gemma3"}) {
    SCOPED_TRACE(name);
    const fs::path from = golden(name);
    change(from, "query_pre_attn_scalar", 6);  // head_dim, which is all that the format knows
    convert(from, folder / "m.gguf", ModelFormat::gguf);
    EXPECT_LE(difference(logits(from), logits(folder / "m.gguf")), 2e-5);
    convert(folder / "m.gguf", folder / name / "back", ModelFormat::directory);
    EXPECT_LE(difference(logits(from), logits(folder / name / "back")), 2e-5);
  }
}

TEST_F(Convert, OtherDirectoriesAndTypes) {
  const fs::path from = golden("qwen3");
  const Tensor wanted = logits(from);
  convert(from, folder / "torch", ModelFormat::pytorch);
  EXPECT_TRUE(fs::exists(folder / "torch/pytorch_model.bin"));
  EXPECT_EQ(difference(wanted, logits(folder / "torch")), 0);
  EXPECT_EQ(difference(wanted, logits(folder / "torch/pytorch_model.bin")), 0);
  EXPECT_EQ(manifest_fault(folder / "torch"), "");
  convert(folder / "torch", folder / "half", ModelFormat::directory, "bf16");
  EXPECT_EQ(read_json(folder / "half/config.json").at("dtype"), "bfloat16");
  EXPECT_EQ(TensorDirectory(folder / "half").find("model.norm.weight").dtype(), DType::bf16);
  EXPECT_LE(difference(wanted, logits(folder / "half")), 0.1);
  EXPECT_THAT(error_of([&] { convert(from, folder / "q", ModelFormat::directory, "Q4_K_M"); }),
              HasSubstr("F32, F16 and BF16, not Q4_K_M"));
  EXPECT_THAT(error_of([&] { convert(from, folder / "q", ModelFormat::gguf, "Q4_K_X"); }),
              HasSubstr("the type \"Q4_K_X\" is not known; there are F32, F16"));
}

TEST_F(Convert, QuantisedGgufKeepsItsKeys) {
  const fs::path from = golden("llama"), f16 = folder / "f16.gguf", q8 = folder / "q8.gguf";
  write_file(from / "chat_template.jinja", "{{ messages }}");
  convert(from, f16, ModelFormat::gguf, "F16");
  const GgufFile first(f16);
  EXPECT_EQ(first.metadata().integer("general.file_type"), 1);
  EXPECT_EQ(first.metadata().text("general.name"), "llama");
  EXPECT_EQ(first.metadata().text("tokenizer.chat_template"), "{{ messages }}");
  EXPECT_EQ(first.metadata().text("tokenizer.ggml.pre"), "gpt-2");
  EXPECT_EQ(first.find("blk.0.attn_norm.weight").dtype(), DType::f32);
  EXPECT_EQ(first.find("blk.0.attn_q.weight").dtype(), DType::f16);
  // Rows of 16 and 24 are no multiple of a block.
  const Conversion c = convert(f16, q8, ModelFormat::gguf, "q8_0");
  EXPECT_THAT(c.notes,
              Contains(HasSubstr("rows of 16 are no multiple of 32, the block of Q8_0; they become F16")));
  const GgufFile second(q8);
  EXPECT_EQ(second.metadata().integer("general.file_type"), 7);
  EXPECT_EQ(second.metadata().integer("general.quantization_version"), 2);
  GgufMetadata kept = second.metadata();
  kept.set("general.file_type", std::uint32_t{1});
  EXPECT_EQ(kept.entries(), first.metadata().entries());
  const std::string before = read_file(q8);
  convert(q8, folder / "same.gguf", ModelFormat::gguf);  // without a type nothing changes
  EXPECT_EQ(read_file(folder / "same.gguf"), before);
}

// What llama-quantize chooses for a model of nine layers with four queries to a key
// (tools/compare_conversions.py compares them all).
TEST(GgufFileTypes, MixturesOfLlamaCpp) {
  const QuantisedModel model{.architecture = "llama", .layers = 9, .heads = 8, .kv_heads = 2, .tied = false};
  const auto type = [&](const char* file, const std::string& name, const Shape& shape = {64, 256}) {
    return choose_type(gguf_file_type(file), model, name, shape).type;
  };
  EXPECT_EQ(type("Q4_K_M", "token_embd.weight"), DType::q4_k);
  EXPECT_EQ(type("Q4_K_M", "output.weight"), DType::q6_k);
  EXPECT_EQ(type("Q4_K_M", "blk.0.attn_v.weight"), DType::q6_k);
  EXPECT_EQ(type("Q4_K_M", "blk.1.attn_v.weight"), DType::q4_k);
  EXPECT_EQ(type("q4_k", "blk.3.ffn_down.weight"), DType::q6_k);
  EXPECT_EQ(type("Q4_K_M", "blk.1.ffn_up.weight"), DType::q4_k);
  EXPECT_EQ(type("Q4_K_S", "blk.3.attn_v.weight"), DType::q5_k);
  EXPECT_EQ(type("Q4_K_S", "blk.4.attn_v.weight"), DType::q4_k);
  EXPECT_EQ(type("Q2_K", "blk.0.attn_v.weight"), DType::q4_k);
  EXPECT_EQ(type("Q2_K", "blk.0.attn_output.weight"), DType::q3_k);
  EXPECT_EQ(type("Q3_K_M", "blk.1.attn_v.weight"), DType::q5_k);
  EXPECT_EQ(type("Q6_K", "blk.0.ffn_gate.weight"), DType::q6_k);
  EXPECT_EQ(type("Q4_0", "output.weight"), DType::q6_k);
  EXPECT_EQ(type("Q8_0", "output.weight"), DType::q8_0);
  EXPECT_EQ(type("Q4_K_M", "blk.0.attn_norm.weight", {256}), DType::f32);
  EXPECT_EQ(type("F16", "position_embd.weight"), DType::f32);
  EXPECT_EQ(type("Q4_K_M", "blk.1.attn_q.weight", {64, 96}), DType::q5_0);
  EXPECT_EQ(type("Q6_K", "blk.1.attn_q.weight", {64, 96}), DType::q8_0);
  EXPECT_EQ(type("Q3_K_S", "blk.1.attn_q.weight", {64, 96}), DType::q4_0);
  EXPECT_EQ(type("Q5_K_S", "blk.1.attn_q.weight", {64, 96}), DType::q5_1);
  EXPECT_EQ(type("Q4_0", "blk.1.attn_q.weight", {64, 90}), DType::f16);
  std::set<std::uint32_t> numbers;
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_S",
                           "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ4_NL"})
    numbers.insert(gguf_file_type(name).number);
  EXPECT_EQ(numbers.size(), 18u);
}

TEST_F(Convert, RefusesWhatGgufCannotSay) {
  EXPECT_THAT(refused("llama-dynamic", "", {}),
              HasSubstr("a GGUF file cannot hold rope_parameters with rope_type dynamic"));
  EXPECT_THAT(
      refused("qwen2", "", {}),
      HasSubstr("use_sliding_window is true, which a GGUF file of the architecture qwen2 cannot say"));
  EXPECT_THAT(refused("gemma2", "", {}), HasSubstr("query_pre_attn_scalar is 5, not 6"));
  EXPECT_THAT(refused("gpt2", "activation_function", "relu"), HasSubstr("activation_function is relu"));
  EXPECT_THAT(refused("llama", "hidden_act", "gelu"), HasSubstr("hidden_act is"));
  EXPECT_THAT(refused("llama", "num_hidden_layers", 3),
              HasSubstr("\"model.layers.2.input_layernorm.weight\" is missing"));
  EXPECT_THAT(refused("llama", "num_hidden_layers", 1), HasSubstr("is too much"));
  EXPECT_THAT(refused("llama", "model_type", "mamba"), HasSubstr("model_type \"mamba\""));
}

TEST_F(Convert, RefusesWhatLlama2cCannotSay) {
  const auto why = [&](const char* name, const char* key = "", const Json& value = {}) {
    return refused(name, key, value, ModelFormat::llama2c);
  };
  EXPECT_THAT(why("gpt2"), HasSubstr("model_type is \"gpt2\", which a file of llama2.c cannot say"));
  EXPECT_THAT(why("llama-biases"), HasSubstr("attention_bias is true"));
  EXPECT_THAT(why("llama3"), HasSubstr("cannot say"));
  EXPECT_THAT(why("llama", "rope_parameters", {{"rope_theta", 500.0}, {"rope_type", "default"}}),
              AllOf(HasSubstr("rope_theta is 500, not 10000")));
}

TEST_F(Convert, A29_ValuesThatAreNotFiniteAreNamed) {
  const fs::path from = golden("llama");
  NamedTensors tensors;
  {
    const TensorDirectory weights(from);
    for (const std::string& name : weights.names()) {
      Tensor copy = Tensor::empty(weights.find(name).shape());
      std::memcpy(copy.raw(), weights.find(name).raw(), copy.bytes());
      tensors.emplace_back(name, copy);
    }
  }
  Tensor& spoiled = std::find_if(tensors.begin(), tensors.end(), [](const auto& t) {
                      return t.first.ends_with("1.mlp.up_proj.weight");
                    })->second;
  spoiled.data<float>()[5] = 1e6f;
  save_safetensors(from / "model.safetensors", tensors);
  EXPECT_THAT(
      error_of([&] { convert(from, folder / "out.gguf", ModelFormat::gguf, "F16"); }),
      AllOf(
          HasSubstr("blk.1.ffn_up.weight"),
          HasSubstr("1 of 384 values are too large for f16, the first at index 5; BF16 and F32 hold them")));
  spoiled.data<float>()[5] = NAN;
  save_safetensors(from / "model.safetensors", tensors);
  for (const char* type : {"", "F16", "F32"})
    EXPECT_THAT(error_of([&] { convert(from, folder / "out.gguf", ModelFormat::gguf, type); }),
                HasSubstr("1 of 384 values are not finite"));
  EXPECT_THAT(error_of([&] { convert(from, folder / "out", ModelFormat::directory); }),
              HasSubstr("model.layers.1.mlp.up_proj.weight"));
  for (const char* name : {"out.gguf", "out"}) EXPECT_FALSE(fs::exists(folder / name));
}

TEST_F(Convert, B27_AFileShorterThanItSaysLeavesNoOutput) {
  const fs::path from = golden("llama");
  convert(from, folder / "m.gguf", ModelFormat::gguf);
  const std::string whole = read_file(folder / "m.gguf");
  write_file(folder / "short.gguf", whole.substr(0, whole.size() - 700));
  EXPECT_NE(error_of([&] { convert(folder / "short.gguf", folder / "out.gguf", ModelFormat::gguf, "Q8_0"); }),
            "");
  EXPECT_FALSE(fs::exists(folder / "out.gguf"));
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder)) left.insert(entry.path().filename());
  EXPECT_EQ(left, (std::set<std::string>{"llama", "m.gguf", "short.gguf"}));
}

// The story that llama2.c tells (its doc/stories260K.md begins so), through every form.
TEST_F(Convert, StoriesInEveryForm) {
  const char* data = std::getenv("GLOSSA_DATA");
  if (!data || !fs::exists(fs::path(data) / "models/stories260K.bin"))
    GTEST_SKIP() << "GLOSSA_DATA does not name a folder of data";
  const fs::path models = fs::path(data) / "models", bin = models / "stories260K.bin";
  EXPECT_THAT(error_of([&] { open_model(bin); }), HasSubstr("--tokenizer"));
  const ModelSource source = open_model(bin, {.tokenizer = models / "tok512.bin"});
  EXPECT_EQ(source.tokenizer.decode(source.tokenizer.encode("Once upon a time"), true), "Once upon a time");
  EXPECT_EQ(source.tokenizer.encode("", true), std::vector<Token>{1});
  convert_model(source, folder / "s.gguf", {.format = ModelFormat::gguf});
  convert_model(open_model(folder / "s.gguf"), folder / "s", {.format = ModelFormat::directory});
  convert_model(open_model(folder / "s"), folder / "s.bin", {.format = ModelFormat::llama2c});
  EXPECT_EQ(Tokenizer::load(folder / "s").encode("Lily's ball, 3 é"),
            source.tokenizer.encode("Lily's ball, 3 é"));
  EXPECT_EQ(open_model(folder / "s.bin").tokenizer.encode("Lily's ball, 3 é"),
            source.tokenizer.encode("Lily's ball, 3 é"));
  const Llama2cFile first(bin), last(folder / "s.bin");
  for (const auto& [name, shape, stored] : plan_of(source).weights) {
    const Tensor a = first.find(name), b = last.find(name);
    EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0) << name;
  }
}

}  // namespace
}  // namespace glossa
