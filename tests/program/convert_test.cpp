#include "base/json.h"
#include "checkpoint/tensor_directory.h"
#include "shell.h"

// `glossa convert` and `glossa verify` on the small random LLaMA of tests/golden, whose tokens are letters.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ConvertCommand : public Shell {
 protected:
  static void SetUpTestSuite() {
    make_folder();
    put_letters_model();
  }
};

TEST_F(ConvertCommand, WritesAndVerifies) {
  const Outcome made = shell("glossa convert model a.gguf");
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_THAT(made.out, AllOf(HasSubstr("a.gguf: "), HasSubstr(" F32)")));
  EXPECT_EQ(shell("glossa -q generate -m a.gguf -p abc -n 8 --temp 0 --ignore-eos").out,
            shell("glossa -q generate -m model -p abc -n 8 --temp 0 --ignore-eos").out);
  const Outcome same = shell("glossa verify model a.gguf");
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_THAT(same.out, AllOf(HasSubstr("the same ids by both tokenizers"), HasSubstr("KL divergence from A"),
                              HasSubstr("100.00 % of")));
  EXPECT_EQ(shell("glossa -q convert a.gguf back >/dev/null && glossa -q convert back b.gguf --type f16 "
                  "--json | grep -c \\\"F16\\\"")
                .out,
            "1\n");
  EXPECT_EQ(shell("glossa verify model back --text abcdefg").status, 0);
  EXPECT_EQ(shell("glossa convert model torch --format pytorch >/dev/null && ls torch").out,
            "MANIFEST.json\nconfig.json\npytorch_model.bin\ntokenizer.json\n");
  const Json far = Json::parse(shell("glossa -q verify model b.gguf --json").out);
  EXPECT_GT(far["max_logit_difference"], 0);
  EXPECT_EQ(far["within_tolerance"], true);
  const Outcome strict = shell("glossa verify model b.gguf --max-logit-difference 1e-9");
  EXPECT_EQ(strict.status, 6);
  EXPECT_THAT(strict.err, AllOf(HasSubstr("logits differ by"), HasSubstr("--max-logit-difference")));
  EXPECT_THAT(strict.out, HasSubstr("perplexity"));
}

TEST_F(ConvertCommand, AnotherTokenizerIsWritten) {
  ASSERT_EQ(shell("cp -r model letters && sed -i \"s/\\\"a\\\": 0/\\\"a\\\": 1/; s/\\\"b\\\": 1/\\\"b\\\": 0/\" letters/tokenizer.json").status, 0);
  const std::string ids = shell("echo cab | glossa tokenizer encode -m letters").out;
  ASSERT_NE(ids, shell("echo cab | glossa tokenizer encode -m model").out);
  for (const std::string& line : {"glossa -q convert model with.d --tokenizer letters --format directory", "glossa -q convert model with.gguf --tokenizer letters",
                                  "glossa -q convert with.gguf model.gguf --tokenizer model >/dev/null && glossa -q convert model.gguf again.gguf --tokenizer letters"}) {
    const std::string out = line.find("again") != line.npos ? "again.gguf" : line.find("with.d") != line.npos ? "with.d" : "with.gguf";
    const Outcome o = shell(line + " >/dev/null && echo cab | glossa tokenizer encode -m " + out);
    EXPECT_EQ(o.out, ids) << line << o.err;
  }
}

TEST_F(ConvertCommand, VocabulariesThatDiffer) {
  ASSERT_EQ(
      shell("cp -r model other && sed -i 's/\"a\": 0/\"a\": 1/; s/\"b\": 1/\"b\": 0/' other/tokenizer.json")
          .status,
      0);
  const Outcome o = shell("glossa verify model other --text cab --json");
  EXPECT_EQ(o.status, 6);
  EXPECT_EQ(Json::parse(o.out)["same_tokens"], false);
  EXPECT_THAT(o.err, HasSubstr("the tokenizers give other ids from token 1 on"));
  EXPECT_THAT(shell("glossa verify model other --text cab").out, HasSubstr("the models are compared on A's"));
}

TEST_F(ConvertCommand, K05_K06_OutputsInTheWay) {
  put("there.gguf", "kept");
  refused("glossa convert model there.gguf", 2, {"there.gguf: exists; --force replaces it"});
  EXPECT_EQ(text("there.gguf"), "kept");
  EXPECT_EQ(shell("glossa -q convert model there.gguf --force && glossa -q verify model there.gguf").status,
            0);
  refused("glossa convert model model --format directory --force", 4, {"model: the output is the input"});
  refused("glossa convert there.gguf there.gguf --force", 4, {"the output is the input"});
  refused("glossa convert model absent/a.gguf", 4, {"absent", "does not exist"});
  refused("mkdir d.gguf && glossa convert model d.gguf --force", 4, {"d.gguf"});
  refused("glossa convert nowhere a1.gguf", 4, {"nowhere"});
  refused("glossa convert model a1.gguf --type Q9", 2, {"the type \"Q9\" is not known"});
  refused("glossa convert model a1.pt", 2, {"give the name of one, without .pt"});
  refused("glossa convert model m.bin", 3, {"model"});  // eps, bytes: not what llama2.c has
  refused("glossa convert model a1.gguf --format gguff", 2, {"--format"});
  refused("glossa verify model there.gguf --text a --prompt-file x", 2, {"give one of"});
  EXPECT_FALSE(fs::exists(folder() / "a1.gguf"));
}

TEST_F(ConvertCommand, B27_ADamagedFileLeavesNothing) {
  ASSERT_EQ(shell("glossa -q convert model whole.gguf && head -c -500 whole.gguf > short.gguf").status, 0);
  refused("glossa convert short.gguf new.gguf --type Q8_0", 3, {"short.gguf"});
  EXPECT_FALSE(fs::exists(folder() / "new.gguf"));
  EXPECT_EQ(shell("ls -A | grep tmp-").out, "");
}

}  // namespace
}  // namespace glossa::test
