#include "shell.h"

#include "base/json.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Program : public Shell {
 protected:
  static void SetUpTestSuite() {
    make_folder();
    const Outcome o = shell("glossa train \"$recipe\" -o model --json --set train.max_steps=260 "
                            "--set data.generated_max_digits=4 --set model.d_model=64 --set train.max_tokens=1024 --set train.warmup_steps=40 "
                            "--set train.learning_rate=4e-3 --set train.eval_steps=130");
    ASSERT_EQ(o.status, 0) << o.err;
    result() = Json::parse(o.out);
  }
  static Json& result() {
    static Json json;
    return json;
  }
};

TEST_F(Program, TrainingLearnsAndLeavesADirectoryThatTellsAll) {
  EXPECT_GT(result()["test_exact"].get<double>(), 0.5);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "README.md",
                           "trainer_state.json", "metrics.jsonl", "curves.svg", "all_results.json", "recipe.yaml", "checkpoint-260/MANIFEST.json"})
    EXPECT_TRUE(fs::exists(folder() / "model" / name)) << name;
  const Json config = read_json(folder() / "model" / "config.json");
  EXPECT_EQ(config["model_type"], "marian");
  EXPECT_EQ(config["architectures"][0], "MarianMTModel");
  std::stringstream metrics(text("model/metrics.jsonl"));
  int evaluations = 0;
  for (std::string line; std::getline(metrics, line);) evaluations += Json::parse(line).contains("eval_bleu");
  EXPECT_EQ(evaluations, 2);
  EXPECT_THAT(text("model/README.md"), AllOf(HasSubstr("test data"), HasSubstr("nrefs:1"), HasSubstr("max_steps: 260")));
  EXPECT_THAT(text("model/curves.svg"), AllOf(HasSubstr("<svg"), HasSubstr("polyline"), HasSubstr("</svg>")));
}

TEST_F(Program, TranslatesLinesInOrderAndKeepsEmptyOnes) {
  const Outcome o = shell("printf \"1 2\\n\\n3\\n\" | glossa translate --model model");
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_EQ(o.out, "2 1\n\n3\n");
}

TEST_F(Program, TranslatesTheSameWhateverTheBatchBeamOrThreads) {
  std::ofstream lines(folder() / "lines");
  for (int i = 0; i < 60; ++i) lines << i % 10 << ' ' << i / 10 << (i % 3 ? " 7" : "") << '\n';
  lines.close();
  const std::string all = shell("glossa translate --model model -i lines --json").out;
  EXPECT_FALSE(all.empty());
  EXPECT_EQ(shell("glossa translate --model model -i lines --json --batch-size 1").out, all);
  EXPECT_EQ(shell("glossa translate --model model -i lines --json --batch-size 7 --threads 1").out, all);
  EXPECT_EQ(shell("glossa translate --model model -i lines -o translated --json").status, 0);
  EXPECT_EQ(text("translated"), all);
}

TEST_F(Program, ShowsSeveralTranslationsScoresAndAlignments) {
  const Outcome o = shell("echo 1 2 3 | glossa translate --model model --beam-size 4 --n-best 3 --json --alignments");
  const Json line = Json::parse(o.out);
  ASSERT_EQ(line["translations"].size(), 3u);
  EXPECT_EQ(line["translations"][0]["text"], "3 2 1");
  EXPECT_GE(line["translations"][0]["score"], line["translations"][1]["score"]);
  EXPECT_EQ(line["translations"][0]["alignment"].size(), 3u);
  EXPECT_THAT(shell("echo 1 2 3 | glossa translate --model model --n-best 2 --beam-size 4").out, HasSubstr("0 ||| 3 2 1 ||| "));
  EXPECT_EQ(shell("echo 1 2 3 | glossa translate --model model --model model").out, "3 2 1\n");
  const std::string drawn = shell("echo 1 2 3 | glossa translate --model model --sampling --top-p 0.9 --seed 3").out;
  EXPECT_EQ(shell("echo 1 2 3 | glossa translate --model model --sampling --top-p 0.9 --seed 3").out, drawn);
}

TEST_F(Program, D19_IdsThatAreNoTokensAreNamedByTheirLine) {
  refused("printf \"3\\n3 99999\\n\" | glossa tokenizer decode --model model", 3, {"E3301", "standard input: line 2", "no token 99999", "from 0 to"});
  refused("echo -1 | glossa tokenizer decode --model model", 3, {"line 1", "no token -1"});
  refused("echo 2147483648 | glossa tokenizer decode --model model", 3, {"line 1", "is not a token id"});
}

TEST_F(Program, ByteLevelVocabulariesAreNotNormalized) {
  refused("glossa tokenizer train --type byte_bpe --normalization nfkc -i model/tokenizer.json -o t", 2, {"--normalization nfkc", "none only"});
}

TEST_F(Program, EncodesAndDecodes) {
  const Outcome ids = shell("echo 3 1 4 | glossa tokenizer encode --model model");
  EXPECT_EQ(ids.status, 0) << ids.err;
  EXPECT_EQ(shell("echo 3 1 4 | glossa tokenizer encode --model model | glossa tokenizer decode --model model --skip-special").out, "3 1 4\n");
}

TEST_F(Program, PreviewsData) {
  const Outcome o = shell("glossa data preview " GLOSSA_SOURCE_DIR "/recipes/reverse-digits.yaml --set data.generated_examples=500 --json");
  EXPECT_EQ(o.status, 0) << o.err;
  const Json batch = Json::parse(o.out);
  EXPECT_EQ(batch["target"]["ids"].size(), batch["labels"].size());
  EXPECT_THAT(shell("glossa data preview " GLOSSA_SOURCE_DIR "/recipes/reverse-digits.yaml --set data.generated_examples=500").out, HasSubstr("</s>"));
}

TEST_F(Program, ExaminesTheMachine) {
  const Json found = Json::parse(shell("glossa doctor --json").out);
  EXPECT_GT(found["f32_gflops"].get<double>(), 0.1);
  EXPECT_FALSE(found["instruction_sets"].empty());
}

TEST_F(Program, CompletesCommandsInBash) {
  const Outcome o = shell("source <(glossa completion bash); COMP_WORDS=(glossa tokenizer tr); COMP_CWORD=2; _glossa; echo \"${COMPREPLY[0]}\"; "
                          "COMP_WORDS=(glossa train --over); COMP_CWORD=2; _glossa; echo \"${COMPREPLY[*]}\"");
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_THAT(o.out, AllOf(HasSubstr("train\n"), HasSubstr("--overwrite")));
  for (const char* shell_name : {"zsh", "fish"}) EXPECT_THAT(shell(std::string("glossa completion ") + shell_name).out, HasSubstr("translate"));
}

TEST_F(Program, ASchemaForEditorsAndTheReferenceInTheDocuments) {
  const Json schema = Json::parse(shell("glossa train --schema").out);
  EXPECT_EQ(schema["properties"]["train"]["properties"]["max_steps"]["type"], "integer");
  const std::string reference = shell("glossa train --reference").out;
  EXPECT_NE(read_file(GLOSSA_SOURCE_DIR "/docs/recipes.md").find(reference), std::string::npos) << "docs/recipes.md is out of date";
}

TEST_F(Program, RefusesWithOneLineAndTheStatusOfItsKind) {
  refused("glossa trian x.yaml", 2, {"trian", "did you mean train?"});
  refused("glossa translate --modle model", 2, {"--modle", "did you mean --model?"});
  refused("glossa translate --model nowhere", 4, {"nowhere/config.json"});
  refused("printf \"model: {d_modle: 3}\" > r.yaml; glossa train r.yaml -o x", 2, {"r.yaml:1", "d_modle", "did you mean model.d_model?"});
  refused("glossa train " GLOSSA_SOURCE_DIR "/recipes/reverse-digits.yaml -o model", 2, {"--resume", "--overwrite"});
  refused("printf \"ok\\n\\xff\\n\" | glossa translate --model model > /dev/null", 3, {"line 2", "UTF-8"});
  refused("yes 1 | head -200 | tr \"\\n\" \" \" | glossa translate --model model", 5, {"line 1", "202 tokens", "--truncate"});
  EXPECT_EQ(shell("yes 1 | head -200 | tr \"\\n\" \" \" | glossa translate --model model --truncate").status, 0);
  refused("echo 1 | glossa translate --model model > /dev/full", 4, {"standard output"});
}

TEST_F(Program, RefusesDataThatDoNotFitEachOther) {
  const auto recipe = [&](const std::string& source, const std::string& target) {
    std::ofstream(folder() / "pairs.yaml") << "data: {train_source: " << source << ", train_target: " << target << "}\n";
    return std::string("glossa train pairs.yaml -o pairs --overwrite");
  };
  shell("printf \"a\\nb\\nc\\n\" > three; printf \"a\\nb\\n\" > two; : > none; printf \"a\\n\\xc3\\n\" > bad");
  refused(recipe("three", "two"), 3, {"3", "2"});
  refused(recipe("none", "none"), 3, {"none"});
  refused(recipe("bad", "two"), 3, {"bad", "2", "UTF-8"});
  refused(recipe("two", "absent"), 4, {"absent"});
}

TEST_F(Program, ACheckpointOfAnotherArchitectureIsNamed) {
  shell("rm -rf other && cp -r model other && sed -i s/marian/gpt2/ other/config.json");
  refused("echo 1 | glossa translate --model other", 3, {"gpt2", "marian"});
  shell("rm -rf other && cp -r model other && sed -i \"s/\\\"d_model\\\": 64/\\\"d_model\\\": 32/\" other/config.json");
  refused("echo 1 | glossa translate --model other", 3, {"model.shared.weight", "32", "64"});
  shell("rm -rf other && cp -r model other && truncate -s -100 other/model.safetensors");
  refused("echo 1 | glossa translate --model other", 3, {"model.safetensors"});
}

}  // namespace
}  // namespace glossa::test
