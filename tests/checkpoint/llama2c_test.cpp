// Files of llama2.c: made by hand in each version, hostile ones, and a real one where it is at hand.
#include "checkpoint/llama2c.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <map>

#include "files.h"
#include "torch_files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

// A model of two layers with two heads of four dimensions over one head of keys and values.
constexpr Llama2cConfig kConfig = {.hidden_size = 8,
                                   .intermediate_size = 12,
                                   .num_hidden_layers = 2,
                                   .num_attention_heads = 2,
                                   .num_key_value_heads = 1,
                                   .vocab_size = 6,
                                   .max_position_embeddings = 3,
                                   .tie_word_embeddings = true};

// The sizes of the tensors of a file in order, by the names that llama2.c gives them in its export.
const std::map<std::string, std::size_t> kSizes = {{"tok_embeddings", 48},
                                                   {"attention_norm", 16},
                                                   {"wq", 128},
                                                   {"wk", 64},
                                                   {"wv", 64},
                                                   {"wo", 128},
                                                   {"ffn_norm", 16},
                                                   {"w1", 192},
                                                   {"w2", 192},
                                                   {"w3", 192},
                                                   {"norm", 8},
                                                   {"freqs", 12},
                                                   {"output", 48}};
const std::vector<std::string> kOrder0 = {
    "tok_embeddings", "attention_norm", "wq",    "wk", "wv", "wo", "ffn_norm", "w1", "w2", "w3",
    "norm",           "freqs",          "output"};
const std::vector<std::string> kOrder1 = {
    "attention_norm", "ffn_norm", "norm", "tok_embeddings", "wq", "wk", "wv", "wo", "w1", "w2", "w3",
    "output"};

// Whole numbers of at most 7 bits, so that int8 holds them too.
float value_at(const std::string& name, std::size_t i) {
  std::size_t mix = i * 7 + 3;
  for (const char c : name) mix = mix * 31 + static_cast<unsigned char>(c);
  return static_cast<float>(static_cast<int>(mix % 255) - 127);
}

std::string floats_of(const std::string& name) {
  std::string bytes;
  for (std::size_t i = 0; i < kSizes.at(name); ++i)
    bytes += little(std::bit_cast<std::uint32_t>(value_at(name, i)));
  return bytes;
}

std::string seven(std::int32_t vocabulary = 6) {
  std::string bytes;
  for (const std::int32_t n : {8, 12, 2, 2, 1, vocabulary, 3}) bytes += little(n);
  return bytes;
}

std::string version0(bool tied = true) {
  std::string file = seven(tied ? 6 : -6);
  for (const std::string& name : kOrder0)
    if (!tied || name != "output") file += floats_of(name);
  return file;
}

std::string header_of(int version, bool tied, const std::string& rest = "") {
  std::string header = "24ka" + little(version) + seven() + std::string(1, tied ? '\1' : '\0') + rest;
  return header + std::string(256 - header.size(), '\0');
}

std::string version1(bool tied = true) {
  std::string file = header_of(1, tied);
  for (const std::string& name : kOrder1)
    if (!tied || name != "output") file += floats_of(name);
  return file;
}

// Scales of 0.5 and groups of 16, which reach over rows of 8 and 12. Each layer's tensor is followed by its
// scales.
std::string version2(bool tied = true) {
  std::string file = header_of(2, tied, little(16));
  for (const std::string& name : kOrder1) {
    if (tied && name == "output") continue;
    if (name.ends_with("norm")) {
      file += floats_of(name);
      continue;
    }
    const std::size_t layers = name.starts_with("w") ? 2 : 1, size = kSizes.at(name) / layers;
    for (std::size_t layer = 0; layer < layers; ++layer) {
      for (std::size_t i = 0; i < size; ++i) file += static_cast<char>(value_at(name, layer * size + i));
      for (std::size_t group = 0; group < size / 16; ++group)
        file += little(std::bit_cast<std::uint32_t>(0.5f));
    }
  }
  return file;
}

std::string said_of(const std::string& file) {
  return error_of([&] { read_llama2c(as_bytes(file), "m.bin"); });
}

const Tensor& named(const Llama2cModel& model, const std::string& name) {
  for (const auto& [n, tensor] : model.tensors)
    if (n == name) return tensor;
  throw std::out_of_range(name);
}

// The row of `name` in llama2.c's file that a row of Hugging Face's tensor must be.
void expect_rows(const Llama2cModel& model, const std::string& name, const std::string& theirs,
                 std::size_t layer, const std::vector<std::size_t>& rows, float scale = 1) {
  const Tensor& tensor = named(model, name);
  const auto cols = static_cast<std::size_t>(tensor.cols());
  ASSERT_EQ(tensor.rows(), static_cast<std::int64_t>(rows.size()));
  for (std::size_t row = 0; row < rows.size(); ++row)
    for (std::size_t col = 0; col < cols; ++col)
      ASSERT_EQ(tensor.span<float>()[row * cols + col],
                scale * value_at(theirs, (layer * rows.size() + rows[row]) * cols + col))
          << name << row;
}

TEST(Llama2c, EveryVersionGivesTheSameModelInHuggingFacesLayout) {
  for (const auto& [version, file] :
       {std::pair(0, version0()), std::pair(1, version1()), std::pair(2, version2())}) {
    const Llama2cModel model = read_llama2c(as_bytes(file), "m.bin");
    EXPECT_EQ(model.version, version);
    EXPECT_EQ(model.config.to_json(), kConfig.to_json());
    ASSERT_THAT(model.tensors, SizeIs(2 + 2 * 9));
    const float scale = version == 2 ? 0.5f : 1;
    expect_rows(model, "model.embed_tokens.weight", "tok_embeddings", 0, {0, 1, 2, 3, 4, 5}, scale);
    expect_rows(model, "model.norm.weight", "norm", 0, {0});
    EXPECT_EQ(named(model, "model.norm.weight").shape(), Shape{8});
    for (const std::size_t layer : {0, 1}) {
      const std::string prefix = fmt::format("model.layers.{}.", layer);
      // Neighbours (0, 1), (2, 3) of a head become (0, 2), (1, 3).
      expect_rows(model, prefix + "self_attn.q_proj.weight", "wq", layer, {0, 2, 1, 3, 4, 6, 5, 7}, scale);
      expect_rows(model, prefix + "self_attn.k_proj.weight", "wk", layer, {0, 2, 1, 3}, scale);
      expect_rows(model, prefix + "self_attn.v_proj.weight", "wv", layer, {0, 1, 2, 3}, scale);
      expect_rows(model, prefix + "self_attn.o_proj.weight", "wo", layer, {0, 1, 2, 3, 4, 5, 6, 7}, scale);
      expect_rows(model, prefix + "mlp.down_proj.weight", "w2", layer, {0, 1, 2, 3, 4, 5, 6, 7}, scale);
      EXPECT_EQ(named(model, prefix + "mlp.gate_proj.weight").shape(), (Shape{12, 8}));
      EXPECT_EQ(named(model, prefix + "mlp.up_proj.weight").span<float>()[0],
                scale * value_at("w3", layer * 96));
      EXPECT_EQ(named(model, prefix + "input_layernorm.weight").span<float>()[1],
                value_at("attention_norm", layer * 8 + 1));
      EXPECT_EQ(named(model, prefix + "post_attention_layernorm.weight").span<float>()[2],
                value_at("ffn_norm", layer * 8 + 2));
    }
  }
}

TEST(Llama2c, AHeadOfItsOwnIsReadWhereThereIsOne) {
  for (const auto& [scale, file] : {std::pair(1.0f, version0(false)), std::pair(1.0f, version1(false)),
                                    std::pair(0.5f, version2(false))}) {
    const Llama2cModel model = read_llama2c(as_bytes(file), "m.bin");
    EXPECT_FALSE(model.config.tie_word_embeddings);
    expect_rows(model, "lm_head.weight", "output", 0, {0, 1, 2, 3, 4, 5}, scale);
  }
}

// Scores of attention are the same with llama2.c's weights and rotation of neighbours as with those that were
// read and Hugging Face's rotation of halves.
TEST(Llama2c, ThePermutationKeepsWhatAttentionSees) {
  const Llama2cModel model = read_llama2c(as_bytes(version0()), "m.bin");
  const auto rotated = [](std::vector<double> x, int position, bool halves) {
    for (std::size_t i = 0; i < 2; ++i) {
      const double angle = position / std::pow(10000, static_cast<double>(i) / 2);
      double &a = x[halves ? i : 2 * i], &b = x[halves ? i + 2 : 2 * i + 1];
      const double turned = a * std::cos(angle) - b * std::sin(angle);
      b = a * std::sin(angle) + b * std::cos(angle);
      a = turned;
    }
    return x;
  };
  const auto projected = [](auto&& weight, std::size_t head, int seed) {
    std::vector<double> y(4);
    for (std::size_t row = 0; row < 4; ++row)
      for (std::size_t col = 0; col < 8; ++col)
        y[row] += weight((4 * head + row) * 8 + col) * std::sin(seed + static_cast<double>(col));
    return y;
  };
  for (const std::size_t head : {0, 1}) {
    double score[2] = {};
    for (const bool ours : {false, true}) {
      const auto q = [&](std::size_t i) {
        return ours ? named(model, "model.layers.0.self_attn.q_proj.weight").span<float>()[i]
                    : value_at("wq", i);
      };
      const auto k = [&](std::size_t i) {
        return ours ? named(model, "model.layers.0.self_attn.k_proj.weight").span<float>()[i]
                    : value_at("wk", i);
      };
      const auto query = rotated(projected(q, head, 1), 5, ours), key = rotated(projected(k, 0, 2), 3, ours);
      for (std::size_t i = 0; i < 4; ++i) score[ours] += query[i] * key[i];
    }
    EXPECT_NEAR(score[0], score[1], 1e-9 * std::fabs(score[0]));
  }
}

TEST(Llama2c, WhatIsWrittenIsWhatWasReadButForTheTables) {
  for (const bool tied : {true, false}) {
    const std::string file = version0(tied);
    const Llama2cModel model = read_llama2c(as_bytes(file), "m.bin");
    std::string again;
    write_llama2c([&](Bytes bytes) { again += as_text(bytes); }, model.config, model.tensors);
    ASSERT_EQ(again.size(), file.size());
    const std::size_t tables = file.size() - 4 * (12 + (tied ? 0 : 48));
    EXPECT_EQ(again.substr(0, tables), file.substr(0, tables));
    EXPECT_EQ(again.substr(tables + 48), file.substr(tables + 48));
    std::vector<float> rotary(12);
    std::memcpy(rotary.data(), again.data() + tables, 48);
    const auto is = [](double x) { return testing::FloatEq(static_cast<float>(x)); };
    EXPECT_THAT(rotary,
                ElementsAre(1, 1, is(std::cos(1)), is(std::cos(0.01)), is(std::cos(2)), is(std::cos(0.02)), 0,
                            0, is(std::sin(1)), is(std::sin(0.01)), is(std::sin(2)), is(std::sin(0.02))));
  }
}

TEST(Llama2c, TensorsThatAreMissingOrOfOtherShapesAreNotWritten) {
  const Llama2cModel model = read_llama2c(as_bytes(version0()), "m.bin");
  const auto written = [&](const Llama2cConfig& config) {
    return error_of([&] { write_llama2c([](Bytes) {}, config, model.tensors); });
  };
  Llama2cConfig other = model.config;
  other.tie_word_embeddings = false;
  EXPECT_THAT(written(other), AllOf(StartsWith("E3102"), HasSubstr("no tensor \"lm_head.weight\"")));
  other = model.config;
  other.intermediate_size = 16;
  EXPECT_THAT(written(other),
              AllOf(StartsWith("E3102"), HasSubstr("has shape [12, 8], and [16, 8] is needed")));
}

TEST(Llama2c, HeadersThatContradictThemselvesAreRefused) {
  for (const auto& [field, name] :
       {std::pair(0, "dim"), std::pair(1, "hidden_dim"), std::pair(2, "n_layers"), std::pair(3, "n_heads"),
        std::pair(4, "n_kv_heads"), std::pair(5, "vocab_size"), std::pair(6, "seq_len")})
    for (const std::int32_t value : {0, -1, INT32_MIN, INT32_MAX, 1 << 30})
      for (const std::string& good : {version0(), version1()}) {
        std::string file = good;
        file.replace(static_cast<std::size_t>((good[0] == '2' ? 8 : 0) + 4 * field), 4, little(value));
        if (field == 5 && value == -1 && good[0] != '2')
          continue;  // a head of its own, and then of another size
        EXPECT_THAT(said_of(file), AllOf(StartsWith("E3107"), HasSubstr(name))) << value;
      }
  std::string odd = version0();
  odd.replace(12, 4, little(8));  // heads of one dimension
  EXPECT_THAT(said_of(odd), HasSubstr("dim 8 and n_heads 8 do not give heads of an even size"));
  odd.replace(12, 4, little(3));
  EXPECT_THAT(said_of(odd), HasSubstr("n_heads 3"));
  std::string keys = header_of(1, true);
  keys.replace(8, 12, little(24) + little(12) + little(1));
  keys.replace(20, 8, little(6) + little(4));
  EXPECT_THAT(said_of(keys), HasSubstr("n_heads 6 is no multiple of n_kv_heads 4"));
}

TEST(Llama2c, TheFileHasTheVerySizeOfItsHeader) {
  for (const std::string& file : {version0(), version1(), version2(), version0(false)}) {
    EXPECT_EQ(said_of(file), "");
    EXPECT_THAT(said_of(file + "x"),
                AllOf(StartsWith("E3107"), HasSubstr("bytes, and a model of its header")));
    for (std::size_t size = 0; size < file.size(); size += 1 + size / 64)
      EXPECT_THAT(said_of(file.substr(0, size)), AnyOf(StartsWith("E3107"), StartsWith("E3004")));
  }
  // 2^31 of everything: refused by the header, with nothing allocated.
  std::string huge;
  for (int i = 0; i < 7; ++i) huge += little(1 << 20);
  EXPECT_LT(peak_growth([&] { EXPECT_THAT(said_of(huge), StartsWith("E3107")); }), bound(16));
}

TEST(Llama2c, HeadersOfVersionsOneAndTwo) {
  for (const int version : {-1, 0, 3, INT32_MAX})
    EXPECT_THAT(said_of(header_of(version, true)),
                HasSubstr(fmt::format("version {}; 1 and 2 are read", version)));
  std::string file = version1();
  file[255] = 'x';
  EXPECT_THAT(said_of(file), HasSubstr("byte 255 is not 0"));
  file = version1();
  file[36] = 2;
  EXPECT_THAT(said_of(file), HasSubstr("shared_classifier is 2"));
  for (const std::int32_t group : {0, -16, INT32_MIN}) {
    file = version2();
    file.replace(37, 4, little(group));
    EXPECT_THAT(said_of(file), HasSubstr("group_size is"));
  }
  file.replace(37, 4, little(7));
  EXPECT_THAT(said_of(file),
              HasSubstr("group_size 7 does not divide the 48 elements of model.embed_tokens.weight"));
}

std::string tokenizer_file(std::int32_t most, const std::vector<std::pair<float, std::string>>& tokens) {
  std::string file = little(most);
  for (const auto& [score, piece] : tokens)
    file += little(std::bit_cast<std::uint32_t>(score)) + little(static_cast<std::uint32_t>(piece.size())) +
            piece;
  return file;
}

TEST(Llama2c, TokenizersArePiecesAndScores) {
  const std::string file = tokenizer_file(5, {{0, "<unk>"}, {-1.5, " a"}, {-2, ""}, {3, "\xFF"}});
  const Llama2cTokenizer tokenizer = read_llama2c_tokenizer(as_bytes(file), "t.bin");
  EXPECT_THAT(tokenizer.pieces, ElementsAre("<unk>", " a", "", "\xFF"));
  EXPECT_THAT(tokenizer.scores, ElementsAre(0, -1.5, -2, 3));
}

TEST(Llama2c, TokenizersThatLieAreRefused) {
  const auto said = [](const std::string& file, const Limits& limits = {}) {
    return error_of([&] { read_llama2c_tokenizer(as_bytes(file), "t.bin", limits); });
  };
  const std::string good = tokenizer_file(5, {{0, "<unk>"}, {-1, " a"}});
  EXPECT_THAT(said(""), StartsWith("E3004"));
  for (std::size_t size = 1; size < good.size(); ++size)
    EXPECT_THAT(said(good.substr(0, size)), AnyOf(StartsWith("E3107"), "")) << size;
  EXPECT_THAT(said(little(5)), HasSubstr("holds no tokens"));
  for (const std::int32_t most : {0, -1, 4, INT32_MAX})
    EXPECT_THAT(said(tokenizer_file(most, {{0, "<unk>"}})), StartsWith("E3107")) << most;
  EXPECT_THAT(said(tokenizer_file(5, {{std::nanf(""), "a"}})), HasSubstr("score nan of token 0"));
  for (const std::int32_t length : {-1, INT32_MIN, 100}) {
    std::string file = good;
    file.replace(8, 4, little(length));
    EXPECT_THAT(said(file),
                AllOf(StartsWith("E3107"), HasSubstr(fmt::format("token 0 has {} bytes", length))));
  }
  EXPECT_THAT(said(good, {.vocabulary = 1}), StartsWith("E5004"));
}

TEST(Llama2c, ARealModelAndItsTokenizer) {
  const char* const data = std::getenv("GLOSSA_DATA");
  if (!data) GTEST_SKIP() << "GLOSSA_DATA does not name a folder of data";
  const fs::path folder = fs::path(data) / "models";
  const std::string file = read_file(folder / "stories260K.bin");
  const Llama2cModel model = read_llama2c(as_bytes(file), "stories260K.bin");
  EXPECT_EQ(model.config.hidden_size, 64);
  EXPECT_EQ(model.config.num_key_value_heads, 4);
  EXPECT_THAT(model.tensors, SizeIs(2 + 5 * 9));
  std::string again;
  write_llama2c([&](Bytes bytes) { again += as_text(bytes); }, model.config, model.tensors);
  ASSERT_EQ(again.size(), file.size());
  const std::size_t tables = 4 * 512 * 8;  // 512 positions, heads of 8 dimensions
  EXPECT_EQ(again.substr(0, file.size() - tables), file.substr(0, file.size() - tables));
  std::vector<float> ours(tables / 4), theirs(tables / 4);
  std::memcpy(ours.data(), again.data() + again.size() - tables, tables);
  std::memcpy(theirs.data(), file.data() + file.size() - tables, tables);
  for (std::size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], theirs[i], 1e-4);
  const std::string vocabulary = read_file(folder / "tok512.bin");
  const Llama2cTokenizer tokenizer = read_llama2c_tokenizer(as_bytes(vocabulary), "tok512.bin");
  EXPECT_THAT(tokenizer.pieces, SizeIs(512));
  EXPECT_EQ(tokenizer.pieces[2], "\n</s>\n");
}

}  // namespace
}  // namespace glossa
