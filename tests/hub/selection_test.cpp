#include "hub/selection.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "hub/names.h"
#include "hub/repository.h"
#include "support/error_of.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using Names = std::vector<std::string>;

TEST(QuantOf, FileNamesOfManyMakers) {
  const std::pair<const char*, const char*> cases[] = {
      {"SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"},
      {"gemma-3-270m-it-Q4_K_M.gguf", "Q4_K_M"},
      {"qwen2.5-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"},
      {"Llama-3.2-1B-Instruct-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
      {"ud-q8_0.gguf", "UD-Q8_0"},
      {"cloud-Q8_0.gguf", "Q8_0"},
      {"BF16/model-BF16-00001-of-00002.gguf", "BF16"},
      {"model-f16.gguf", "F16"},
      {"model-fp16.gguf", "FP16"},
      {"model-IQ3_XXS.GGUF", "IQ3_XXS"},
      {"model.TQ1_0.gguf", "TQ1_0"},
      {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
      {"Q4_0.gguf", "Q4_0"},
      {"model.gguf", ""},
      {"Q3-model.gguf", ""},
      {"model-Q4_K_M.safetensors", ""},
      {".gguf", ""},
      {"gguf", ""},
      {"", ""},
  };
  for (const auto& [name, quant] : cases) EXPECT_EQ(quant_of(name), quant) << name;
}

Names chosen(const Names& names, const Selection& selection = {}) {
  return selected_files(names, selection, "org/name");
}
std::string refused(const Names& names, const Selection& selection = {}) {
  return error_of([&] { chosen(names, selection); });
}

TEST(SelectedFiles, OfGgufTheQuantisationThatIsNamedOrTheUsualOne) {
  const Names names = {"README.md", "mmproj-model-f16.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "m.imatrix.gguf"};
  EXPECT_THAT(chosen(names), ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(chosen(names, {.quant = "Q8_0"}), ElementsAre("m-Q8_0.gguf"));
  EXPECT_THAT(refused(names, {.quant = "Q6_K"}), AllOf(StartsWith("E2002 org/name: has no Q6_K"), HasSubstr("there are Q4_K_M, Q8_0")));
  EXPECT_THAT(chosen({"m-Q8_0.gguf"}), ElementsAre("m-Q8_0.gguf"));
  EXPECT_THAT(chosen({"model.gguf"}), ElementsAre("model.gguf"));
  EXPECT_THAT(refused({"m-Q8_0.gguf", "m-Q6_K.gguf"}), AllOf(HasSubstr("Q4_K_M"), HasSubstr("there are Q6_K, Q8_0")));
  EXPECT_THAT(refused({"a-Q4_K_M.gguf", "b-Q4_K_M.gguf"}), AllOf(HasSubstr("2 files"), HasSubstr("--include")));
}

TEST(SelectedFiles, OfPartsAllOrNone) {
  const Names whole = {"q/m-Q4_K_M-00001-of-00003.gguf", "q/m-Q4_K_M-00002-of-00003.gguf", "q/m-Q4_K_M-00003-of-00003.gguf", "q/m-Q8_0.gguf"};
  EXPECT_THAT(chosen(whole), ElementsAre(whole[0], whole[1], whole[2]));
  EXPECT_THAT(refused({whole[0], whole[2]}), HasSubstr("parts are missing"));
  EXPECT_THAT(refused({"m-Q4_K_M-00000-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf"}), HasSubstr("parts are missing"));
  EXPECT_THAT(refused({"m-Q4_K_M-99999-of-99999.gguf"}), HasSubstr("parts are missing"));
}

TEST(SelectedFiles, OfADirectoryConfigurationTokenizerAndWeights) {
  const Names names = {".gitattributes", "README.md", "config.json", "generation_config.json", "model.safetensors", "onnx/model.onnx", "original/consolidated.00.pth",
                       "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.fp16.safetensors", "tf_model.h5"};
  Names sorted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"};
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(chosen(names), sorted);
  EXPECT_THAT(chosen({"config.json", "pytorch_model.bin", "vocab.txt"}), ElementsAre("config.json", "pytorch_model.bin", "vocab.txt"));
  EXPECT_THAT(chosen({"config.json", "other.safetensors"}), ElementsAre("config.json", "other.safetensors"));
  EXPECT_THAT(chosen({"adapter_config.json", "adapter_model.safetensors"}), ElementsAre("adapter_config.json", "adapter_model.safetensors"));
  EXPECT_THAT(refused({"README.md", "a.onnx"}), AllOf(StartsWith("E2002"), HasSubstr("--all")));
}

TEST(SelectedFiles, ShardsByTheirIndex) {
  const Names names = {"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors", "model.safetensors.index.json"};
  EXPECT_THAT(chosen(names), ElementsAre(names[0], names[1], names[2], names[4]));
  EXPECT_THAT(refused({names[0], names[1], names[4]}), HasSubstr("not all of its shards"));
  EXPECT_THAT(chosen({"config.json", "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"}).size(), 3u);
}

TEST(SelectedFiles, ADirectoryWithGgufFilesIsADirectoryUnlessAQuantisationIsNamed) {
  const Names names = {"config.json", "m-Q4_K_M.gguf", "model.safetensors"};
  EXPECT_THAT(chosen(names), ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(chosen(names, {.quant = "Q4_K_M"}), ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(chosen({"config.json", "m-Q4_K_M.gguf"}), ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(refused({"config.json", "model.safetensors"}, {.quant = "Q4_0"}), HasSubstr("no GGUF files"));
}

TEST(SelectedFiles, Patterns) {
  const Names names = {"a/b.json", "a/c.bin", "d.json"};
  EXPECT_THAT(chosen(names, {.all = true}), ElementsAre("a/b.json", "a/c.bin", "d.json"));
  EXPECT_THAT(chosen(names, {.include = {"*.json"}}), ElementsAre("a/b.json", "d.json"));
  EXPECT_THAT(chosen(names, {.all = true, .exclude = {"a/*"}}), ElementsAre("d.json"));
  EXPECT_THAT(refused(names, {.include = {"*.txt"}}), HasSubstr("--include"));
}

TEST(ModelNames, WhatTheHubKnows) {
  for (const char* good : {"org/name", "gpt2", "HuggingFaceTB/SmolLM2-135M-Instruct", "a/b.c_d-e:Q4_K_M", "0/1"}) EXPECT_TRUE(ModelName::is_one(good)) << good;
  for (const char* bad : {"", "/", "a/", "/a", "a/b/c", "../a", "a/..", ".a/b", "a/b.", "a--b/c", "a b/c", "a/b:", "a/b:../x", "a/b:Q4:x", "\xc3\xbc/b", "a\n/b", "-a/b"})
    EXPECT_FALSE(ModelName::is_one(bad)) << bad;
  EXPECT_FALSE(ModelName::is_one(std::string(97, 'a') + "/b"));
  EXPECT_EQ(ModelName::parse("a/b:ud-q4_k_xl").quant, "UD-Q4_K_XL");
  EXPECT_EQ(ModelName::parse("a/b").repository.folder(), "models--a--b");
  EXPECT_EQ(ModelName::parse("gpt2").repository.folder(), "models--gpt2");
  EXPECT_THAT(error_of([] { ModelName::parse("a/b/c"); }), StartsWith("E2002"));
}

TEST(ParseRepository, WhatItMustBe) {
  const std::string commit(40, '0');
  const auto answer = [&](const std::string& file) { return R"({"sha": ")" + commit + R"(", "siblings": [)" + file + "]}"; };
  const RemoteRepository good = parse_repository(
      answer(R"({"rfilename": "b", "size": 3, "blobId": ")" + commit + R"("}, {"rfilename": "a", "lfs": {"sha256": ")" + std::string(64, 'a') + R"(", "size": 5}}, {"rfilename": "c"})"), "hub");
  ASSERT_EQ(good.files.size(), 3u);
  EXPECT_EQ(good.files[0].name, "a");
  EXPECT_EQ(good.files[0].size, 5u);
  EXPECT_EQ(good.files[0].digest, std::string(64, 'a'));
  EXPECT_EQ(good.files[1].digest, commit);
  EXPECT_FALSE(good.files[2].size);
  for (const std::string& bad : {std::string("[]"), std::string("{}"), std::string(R"({"sha": "main", "siblings": []})"), R"({"sha": ")" + commit + R"("})",
                                 answer("7"), answer("{}"), answer(R"({"rfilename": 7})"), answer(R"({"rfilename": "a", "size": -1})"),
                                 answer(R"({"rfilename": "a", "size": 1.5})"), answer(R"({"rfilename": "a", "size": 18446744073709551615})"),
                                 answer(R"({"rfilename": "a", "blobId": "../x"})"), answer(R"({"rfilename": "a", "lfs": 1})"),
                                 answer(R"({"rfilename": "a", "lfs": {"sha256": "abc"}})"), answer(R"({"rfilename": "a"}, {"rfilename": "a"})")})
    EXPECT_THAT(error_of([&] { parse_repository(bad, "hub"); }), StartsWith("E3501 hub")) << bad;
  EXPECT_THAT(error_of([&] { parse_repository("{", "hub"); }), StartsWith("E3001"));
  Limits limits;
  limits.hub_files = 2;
  EXPECT_THAT(error_of([&] { parse_repository(answer(R"({"rfilename":"a"},{"rfilename":"b"},{"rfilename":"c"})"), "hub", limits); }), StartsWith("E5004"));
}

}  // namespace
}  // namespace glossa
