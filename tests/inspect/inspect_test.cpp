// glossa inspect on files, Hugging Face directories and training runs, good and damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <fstream>

#include "app/command.h"
#include "base/error.h"
#include "base/json.h"
#include "checkpoint/gguf.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/torch_file.h"
#include "support/in_folder.h"
#include "tensor/blocks.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Inspect : public InFolder {
 protected:
  // What the command prints. The Error it ends with, if any, is kept in `code`.
  std::string output(std::vector<std::string> words) {
    CLI::App program("test", "glossa");
    program.require_subcommand(1);
    app::add_inspect(program);
    words.insert(words.begin(), "inspect");
    std::reverse(words.begin(), words.end());
    code = Code::internal;
    testing::internal::CaptureStdout();
    try {
      program.parse(words);
    } catch (const Error& error) {
      code = error.code();
    }
    return testing::internal::GetCapturedStdout();
  }

  void put(const fs::path& name, std::string_view text) const { std::ofstream(folder / name) << text; }
  void put_model(const fs::path& directory, std::vector<float> values) const {
    save_safetensors(directory / "model.safetensors",
                     {{"a.weight", Tensor::of(values)}, {"ids", Tensor::of(std::vector<std::int64_t>{3})}});
  }

  Code code = Code::internal;
};

TEST_F(Inspect, AFileShowsItsTensorsTypesSizesAndDigest) {
  put_model(folder, {1, -2, 0});
  const fs::path path = folder / "model.safetensors";
  const std::string text = output({path.native(), "--statistics"});
  EXPECT_THAT(text,
              AllOf(HasSubstr("sha256 " + sha256_of_file(path)), HasSubstr("parameters: 3"),
                    HasSubstr("a.weight"), HasSubstr("[3]"), HasSubstr("not-a-number: 0, infinite: 0")));
  EXPECT_THAT(output({path.native(), "--no-tensors"}), Not(HasSubstr("a.weight")));
}

TEST_F(Inspect, JsonHoldsTheSame) {
  put_model(folder, {1, -2, 0});
  put("config.json", R"({"model_type": "marian", "d_model": 8})");
  const Json json = parse_json(output({folder.native(), "--json", "--statistics"}), "output");
  EXPECT_EQ(json["parameters"], 3);
  EXPECT_EQ(json["config"]["d_model"], 8);
  EXPECT_EQ(json["files"][0]["sha256"], sha256_of_file(folder / "model.safetensors"));
  EXPECT_EQ(json["types"]["I64"]["bytes"], 8);
  ASSERT_EQ(json["tensors"].size(), 2u);
  EXPECT_EQ(json["tensors"][0]["name"], "a.weight");
  EXPECT_EQ(json["tensors"][0]["shape"], Json({3}));
  EXPECT_EQ(json["tensors"][0]["statistics"]["minimum"], -2);
  EXPECT_EQ(json["tensors"][0]["statistics"]["zero"], 1);
}

TEST_F(Inspect, ADirectoryShowsItsConfiguration) {
  put_model(folder, {1});
  put("config.json", R"({"model_type": "marian", "id2label": {"0": "x"}, "d_model": 8})");
  EXPECT_THAT(output({folder.native()}),
              AllOf(HasSubstr("model_type"), HasSubstr("\"marian\""), Not(HasSubstr("id2label"))));
}

TEST_F(Inspect, A29_ValuesThatAreNotFiniteAreCountedAndFailVerification) {
  put_model(folder, {1, std::nanf(""), HUGE_VALF});
  EXPECT_THAT(output({folder.native(), "--statistics"}), HasSubstr("not-a-number: 1, infinite: 1"));
  EXPECT_EQ(code, Code::internal);
  output({folder.native(), "--verify"});
  EXPECT_EQ(code, Code::nonfinite);
}

TEST_F(Inspect, G11_ARunListsItsCheckpointsAndNamesTheDamagedOnes) {
  for (const char* name : {"checkpoint-20", "checkpoint-100", "checkpoint-3"}) {
    AtomicDirectory directory(folder / name);
    put_model(directory.path(), {1});
    directory.commit();
  }
  fs::create_directory(folder / "checkpoint-x");
  std::string text = output({folder.native(), "--verify"});
  EXPECT_EQ(code, Code::internal);
  EXPECT_LT(text.find("checkpoint-3 "), text.find("checkpoint-20 "));
  EXPECT_LT(text.find("checkpoint-20 "), text.find("checkpoint-100 "));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("DAMAGED")), Not(HasSubstr("checkpoint-x"))));
  std::ofstream(folder / "checkpoint-20" / "model.safetensors", std::ios::app) << "x";
  text = output({folder.native(), "--verify"});
  EXPECT_EQ(code, Code::run_state);
  EXPECT_THAT(text, HasSubstr("checkpoint-20            DAMAGED"));
  const Json json = parse_json(output({folder.native(), "--json"}), "output");
  EXPECT_EQ(json["checkpoints"][1]["complete"], false);
  EXPECT_EQ(json["checkpoints"][2]["step"], 100);
  output({(folder / "checkpoint-3").native(), "--verify"});
  EXPECT_EQ(code, Code::internal);
}

TEST_F(Inspect, A28_StrangeNamesAreShownEscaped) {
  save_safetensors(folder / "m.safetensors", {{"\x1B[31m\n", Tensor::of(std::vector<float>{1})},
                                              {"", Tensor::of(std::vector<float>{1})}});
  const std::string text = output({(folder / "m.safetensors").native()});
  EXPECT_THAT(text, AllOf(HasSubstr("\"\\x1b[31m\\x0a\""), Not(HasSubstr("\x1B")), HasSubstr("\"\"")));
  EXPECT_EQ(
      parse_json(output({(folder / "m.safetensors").native(), "--json"}), "output")["tensors"][1]["name"],
      "\x1B[31m\n");
}

TEST_F(Inspect, AFileOfTorchSaveShowsWhatItHoldsAndWhatIsPassedOver) {
  const fs::path golden = fs::path(GLOSSA_SOURCE_DIR) / "tests/golden/torch/checkpoint-protocol2.pt";
  const std::string text = output({golden.native(), "--statistics", "--verify"});
  EXPECT_EQ(code, Code::internal);
  EXPECT_THAT(text, AllOf(HasSubstr("parameters: 16"), HasSubstr("1.running_mean"), HasSubstr("I64"),
                          HasSubstr("the tensors are those under the key \"model_state_dict\""),
                          HasSubstr("\"optimizer\", \"args\" and 5 more")));
  fs::copy_file(golden, folder / "pytorch_model.bin");
  const Json json = parse_json(output({folder.native(), "--json"}), "output");
  EXPECT_EQ(json["files"][0]["name"], "pytorch_model.bin");
  EXPECT_EQ(json["tensors"].size(), 7u);
}

TEST_F(Inspect, C16_VerificationChecksTheChecksumsOfAFileOfTorchSave) {
  const std::vector<float> values = {1.5f, 2.5f};
  save_torch_file(folder / "m.pt", {{"x", Tensor::of(values)}});
  std::string file = read_file(folder / "m.pt");
  const std::string_view bytes = as_text(std::as_bytes(std::span(values)));
  file[file.find(bytes)] ^= 1;
  put("m.pt", file);
  output({(folder / "m.pt").native()});
  EXPECT_EQ(code, Code::internal);
  output({(folder / "m.pt").native(), "--verify"});
  EXPECT_EQ(code, Code::torch_file);
}

void save_blocks(const fs::path& path, bool damaged = false) {
  GgufMetadata metadata;
  metadata.set("general.architecture", std::string("llama"));
  metadata.set("llama.block_count", std::uint32_t{2});
  metadata.set("llama.rope.freq_base", 10000.5f);
  metadata.set("large", UINT64_MAX);
  metadata.set("causal", true);
  metadata.set("few", GgufArray::of(std::vector<std::int32_t>{1, -2}));
  metadata.set("tokenizer.ggml.tokens", GgufArray::of(std::vector<std::string>(100, "\xFF")));
  metadata.set("tokenizer.chat_template", std::string(1000, 't'));
  metadata.set("\x1B[31m", std::string("\n"));
  Tensor w = Tensor::of(std::vector<float>(512, 3)).view({2, 256}).to(DType::q4_k);
  if (damaged) w.span<BlockQ4_K>()[1].d = float16{0x7C00};
  save_gguf(path, metadata, {{"w", w}, {"ids", Tensor::of(std::vector<std::int64_t>{3})}});
}

TEST_F(Inspect, AGgufFileShowsItsMetadataAndTensors) {
  save_blocks(folder / "m.gguf");
  EXPECT_THAT(
      output({(folder / "m.gguf").native(), "--statistics"}),
      AllOf(HasSubstr("sha256 " + sha256_of_file(folder / "m.gguf")), HasSubstr("GGUF version 3, 9 keys"),
            ContainsRegex("\n  general.architecture +\"llama\"\n"),
            ContainsRegex("\n  llama.rope.freq_base +10000.5\n"), ContainsRegex("\n  causal +true\n"),
            ContainsRegex("\n  few +2 INT32: 1, -2\n"), HasSubstr("100 STRING: \"\\xff\", "),
            HasSubstr("(1000 bytes)"), HasSubstr("\"\\x1b[31m\""), HasSubstr("parameters: 512\n"),
            ContainsRegex("\nw +Q4_K +\\[2, 256\\] +288 +2.999 +2.999 "), Not(HasSubstr("\x1B"))));
}

TEST_F(Inspect, AGgufFileAsJson) {
  save_blocks(folder / "m.gguf");
  const Json json = parse_json(output({(folder / "m.gguf").native(), "--json", "--statistics"}), "output");
  const Json& metadata = json["gguf"]["metadata"];
  EXPECT_EQ(json["gguf"]["version"], 3);
  EXPECT_EQ(metadata["llama.block_count"], 2);
  EXPECT_EQ(metadata["large"], UINT64_MAX);
  EXPECT_EQ(metadata["causal"], true);
  EXPECT_EQ(metadata["few"], Json({1, -2}));
  EXPECT_EQ(metadata["tokenizer.ggml.tokens"]["count"], 100);
  EXPECT_EQ(metadata["tokenizer.ggml.tokens"]["type"], "STRING");
  EXPECT_EQ(metadata["tokenizer.ggml.tokens"]["first"].size(), 6u);
  EXPECT_EQ(metadata["tokenizer.chat_template"], std::string(1000, 't'));
  EXPECT_EQ(json["types"]["Q4_K"]["bytes"], 288);
  EXPECT_EQ(json["tensors"][0]["shape"], Json({2, 256}));
  EXPECT_EQ(json["tensors"][0]["statistics"]["maximum"], 2.999267578125);
  EXPECT_EQ(json["tensors"][1]["dtype"], "I64");
}

TEST_F(Inspect, B24_ScalesThatAreNotFiniteAreCountedAndFailVerification) {
  save_blocks(folder / "m.gguf", true);
  EXPECT_THAT(output({(folder / "m.gguf").native(), "--statistics"}),
              HasSubstr("not-a-number: 0, infinite: 256"));
  output({(folder / "m.gguf").native(), "--verify"});
  EXPECT_EQ(code, Code::nonfinite);
}

TEST_F(Inspect, B26_PartsOfAModelAreListedTogether) {
  for (const int part : {0, 1}) {
    GgufMetadata metadata;
    metadata.set("split.no", static_cast<std::uint16_t>(part));
    metadata.set("split.count", std::uint16_t{2});
    save_gguf(folder / fmt::format("m-{:05}-of-00002.gguf", part + 1), metadata,
              {{fmt::format("t{}", part), Tensor::of(std::vector<float>{1})}});
  }
  const Json json = parse_json(output({(folder / "m-00001-of-00002.gguf").native(), "--json"}), "output");
  EXPECT_EQ(json["files"].size(), 2u);
  EXPECT_EQ(json["files"][1]["sha256"], sha256_of_file(folder / "m-00002-of-00002.gguf"));
  EXPECT_EQ(json["tensors"].size(), 2u);
}

TEST_F(Inspect, WhatIsNotThereOrNotOursIsAnError) {
  output({(folder / "absent").native()});
  EXPECT_EQ(code, Code::open);
  output({folder.native()});
  EXPECT_EQ(code, Code::weights);
  put("m.gguf", "GGUF" + std::string(100, '\xFF'));
  output({(folder / "m.gguf").native()});
  EXPECT_EQ(code, Code::gguf);
}

}  // namespace
}  // namespace glossa
