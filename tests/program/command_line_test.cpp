#include "shell.h"

#include <sys/stat.h>

#include "base/json.h"

// What the command line may say, where input comes from and results go to, and what surrounds the program: whatever a user
// or a machine gets wrong costs one clear line and an exit status, and leaves nothing half written.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A model that need not be good, learnt in a tenth of a second.
class CommandLine : public Shell {
 protected:
  static void SetUpTestSuite() {
    make_folder();
    put("tiny", "--threads 1 --set data.generated_examples=400 --set data.generated_valid_examples=20 --set data.generated_max_digits=4 "
                "--set data.max_length=20 --set model.d_model=16 --set model.encoder_layers=1 --set model.decoder_layers=1 "
                "--set model.encoder_attention_heads=2 --set model.decoder_attention_heads=2 --set model.encoder_ffn_dim=32 "
                "--set model.decoder_ffn_dim=32 --set model.max_position_embeddings=32 --set train.max_steps=20 "
                "--set train.max_tokens=256 --set train.warmup_steps=10 --set train.save_steps=10 --set decode.max_length=8");
    put("lines", "1 2\n3\n");
    const Outcome o = shell("glossa train \"$recipe\" $(cat tiny) -o model");
    ASSERT_EQ(o.status, 0) << o.err;
  }
  static std::vector<std::string> names(const fs::path& directory) {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(directory)) all.push_back(entry.path().filename().string());
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST_F(CommandLine, K01_UnknownWordsAreRefusedWithWhatWasMeant) {
  const struct { std::string line, found, meant; } cases[] = {
      {"train --lerning-rate 3", "--lerning-rate", "--set train.learning_rate=VALUE"},
      {"train \"$recipe\" --max-steps=5", "--max-steps=5", "--set train.max_steps=VALUE"},
      {"train --overide train.seed \"$recipe\"", "--overide", "--override"},
      {"train --resume --override train.sede \"$recipe\" -o absent", "train.sede", "train.seed"},
      {"translate --modle model", "--modle", "--model"},
      {"--log-format json translate --modle model", "--modle", "--model"},
      {"tokenizer encode --model model --peices", "--peices", "--pieces"},
      {"score lines --imput lines", "--imput", "--input"},
      {"bench train --presets x", "--presets", "--preset"},
      {"data preview \"$recipe\" --batch 2", "--batch", "--batches"},
      {"inspect model --verfy", "--verfy", "--verify"},
      {"doctor --jsno", "--jsno", "--json"},
      {"pull org/name --revison main", "--revison", "--revision"},
      {"models --jsno", "--jsno", "--json"},
      {"trian x.yaml", "trian", "train"},
      {"--log-format json trian", "trian", "train"},
      {"tokenizer decod", "decod", "decode"},
  };
  for (const auto& c : cases) refused("glossa " + c.line + " < lines", 2, {"unknown", c.found, "did you mean " + c.meant + "?"});
  refused("glossa translate --model model surplus < lines", 2, {"unknown argument", "surplus"});
}

TEST_F(CommandLine, K02_AbbreviationsAreRefusedWithTheWholeName) {
  refused("glossa translate --mod model < lines", 2, {"--mod", "--model?"});
  refused("glossa translate --model model --beam 3 < lines", 2, {"--beam", "--beam-size?"});
  refused("glossa train \"$recipe\" --over", 2, {"--over", "--override or --overwrite?"});
  refused("glossa tok encode --model model", 2, {"tok", "tokenizer?"});
}

TEST_F(CommandLine, K03_ValuesAreNumbersInTheirRangeGivenOnce) {
  const struct { std::string line, option, found, allowed; } cases[] = {
      {"translate -m model --beam-size 1e3x", "--beam-size", "1e3x", "1 to 1000"},
      {"translate -m model --beam-size -1", "--beam-size", "-1", "1 to 1000"},
      {"translate -m model --beam-size 0", "--beam-size", "0", "1 to 1000"},
      {"translate -m model --beam-size 010", "--beam-size", "010", "1 to 1000"},
      {"translate -m model --beam-size 0x10", "--beam-size", "0x10", "1 to 1000"},
      {"translate -m model --beam-size 99999999999999999999", "--beam-size", "99999999999999999999", "1 to 1000"},
      {"translate -m model --beam-size \"\"", "--beam-size", "\"\"", "1 to 1000"},
      {"translate -m model --length-penalty 1,5", "--length-penalty", "1,5", "-100 to 100"},
      {"translate -m model --length-penalty nan", "--length-penalty", "nan", "-100 to 100"},
      {"translate -m model --top-p inf", "--top-p", "inf", "to 1"},
      {"translate -m model --temperature 0", "--temperature", "0", "to 1000000"},
      {"translate -m model --seed -1", "--seed", "-1", "from 0"},
      {"translate -m model --threads 1.5", "--threads", "1.5", "0 to 1024"},
      {"tokenizer train -i lines -o t --vocab-size 1e3", "--vocab-size", "1e3", "from 1"},
      {"tokenizer train -i lines -o t --character-coverage 2", "--character-coverage", "2", "0 to 1"},
      {"tokenizer encode -m model --dropout 1.5", "--dropout", "1.5", "0 to 1"},
      {"score lines -i lines -w 101", "--width", "101", "0 to 100"},
      {"score lines -i lines --chrf-beta -2", "--chrf-beta", "-2", "0 to 1000"},
      {"bench train --steps 0", "--steps", "0", "1 to 100000"},
      {"data preview x.yaml --batches 0", "--batches", "0", "1 to 1000000"},
      {"train x.yaml --seed 1e3", "--seed", "1e3", "from 0"},
      {"train \"$recipe\" --set train.max_steps=1e3x", "train.max_steps", "1e3x", "1 to"},
      {"train \"$recipe\" --set train.learning_rate=1,5", "train.learning_rate", "1,5", "0 to 1000000"},
      {"train \"$recipe\" --set train.max_steps", "--set", "train.max_steps", "key=value"},
  };
  for (const auto& c : cases) refused("glossa " + c.line + " < lines", 2, {c.option, c.found, c.allowed});
  refused("glossa translate -m model --beam-size", 2, {"--beam-size", "missing"});
  refused("glossa translate -m model --beam-size 3 --num-beams 4", 2, {"--beam-size", "more often than once"});
  refused("glossa translate -m model -i lines --input lines", 2, {"--input", "more often than once"});
  refused("glossa translate", 2, {"--model is required", "glossa translate --help"});
  for (const char* option : {"--model \"\"", "--model model --input \"\"", "--model model --output \"\""})
    refused(std::string("glossa translate ") + option + " < lines", 2, {"the value is empty"});
}

TEST_F(CommandLine, K04_InputsThatCannotBeReadAreNamedEscaped) {
  refused("glossa translate -m model -i absent", 4, {"absent", "No such file"});
  refused("glossa translate -m model -i $'absent\\n\\xff\\e[31m'", 4, {"\"absent\\x0a\\xff\\x1b[31m\""});
  refused("glossa translate -m model -i model", 3, {"model", "is a directory"});
  refused("glossa translate -m model -i /dev/zero", 3, {"/dev/zero", "character device"});
  refused("glossa translate -m lines -i lines", 4, {"lines/config.json"});
  refused("glossa inspect absent", 4, {"absent"});
  refused("glossa score absent -i lines", 4, {"absent"});
  refused("glossa tokenizer encode -m absent -i lines", 4, {"absent"});
  refused("glossa train model", 3, {"model", "is a directory"});
  refused("glossa data preview absent.yaml", 4, {"absent.yaml"});
}

TEST_F(CommandLine, F20_StandardInputIsReadOnce) {
  for (const char* command : {"translate -m model --prefixes -", "tokenizer train -o twice -i - -", "score - -i -", "score -"})
    refused(std::string("glossa ") + command + " < lines", 2, {"standard input"});
}

TEST_F(CommandLine, K04_PathsOfAnyBytesWork) {
  const std::string odd = "$'a b\\n\\xff'";
  const std::string wanted = shell("glossa translate -m model -i lines").out;
  const Outcome o = shell("mkdir " + odd + " && cd " + odd + " && cp ../lines $'\\xff' && sed s/nothing// \"$recipe\" > $'\\xff.yaml' && glossa train $'\\xff.yaml' $(cat ../tiny) -o $'run\\xff' --json "
                          "&& glossa train $'\\xff.yaml' $(cat ../tiny) -o $'run\\xff' --resume && glossa inspect --json $'run\\xff' --verify >&2");
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_EQ(Json::parse(o.out.substr(0, o.out.find('\n')))["output_dir"], "run\uFFFD");
  EXPECT_EQ(shell("cd " + odd + " && glossa translate -m $'run\\xff' -i $'\\xff' -o $'out\\xff' && cat $'out\\xff'").out, wanted);
  EXPECT_EQ(shell("cd " + odd + " && glossa score $'\\xff' -i $'\\xff' -b && glossa tokenizer train -i $'\\xff' -o $'\\xfe'").status, 0);
}

TEST_F(CommandLine, K05_OutputsThatCannotBeAreRefusedBeforeAllWork) {
  refused("glossa translate -m model -i lines -o lines", 2, {"lines", "read from"});
  refused("glossa translate -m model -i lines -o ./model/../lines", 2, {"lines", "read from"});
  EXPECT_EQ(text("lines"), "1 2\n3\n");
  refused("glossa translate -m absent -i lines -o model", 4, {"model", "is a directory"});
  refused("glossa translate -m absent -i lines -o absent/out", 4, {"absent/out", "No such file"});
  refused("glossa translate -m absent -i lines -o /dev/null", 4, {"/dev/null", "character device"});
  refused("ln -sf elsewhere link; glossa translate -m absent -i lines -o link", 4, {"link", "symbolic link"});
  refused("glossa train \"$recipe\" -o lines", 4, {"lines"});
  refused("glossa train \"$recipe\" -o /proc/run", 4, {"/proc/run"});
  refused("glossa tokenizer train -i lines -o lines/t", 4, {"lines/t"});
  EXPECT_FALSE(fs::exists(folder() / "elsewhere"));
}

TEST_F(CommandLine, K06_WhatIsThereStaysUnlessTheResultIsWhole) {
  refused("glossa train \"$recipe\" -o model", 2, {"model", "--resume", "--overwrite"});
  refused("cp model/tokenizer.json t.json; glossa tokenizer train -i lines -o model", 2, {"model", "--overwrite"});
  EXPECT_EQ(shell("cmp model/tokenizer.json t.json").status, 0);
  shell("mkdir k06; echo old > k06/out; printf \"1\\n\\xff\\n\" > bad");
  refused("glossa translate -m model -i bad -o k06/out", 3, {"bad", "line 2"});
  EXPECT_EQ(text("k06/out"), "old\n");
  EXPECT_EQ(shell("glossa translate -m model -i lines -o k06/out").status, 0);
  EXPECT_EQ(text("k06/out"), shell("glossa translate -m model -i lines").out);
  EXPECT_THAT(names(folder() / "k06"), ElementsAre("out"));
}

TEST_F(CommandLine, K07_AReaderThatGoesAwayEndsTheProgramQuietly) {
  shell("for i in {1..3000}; do echo 1 2 3 4; done > many");
  for (const char* command : {"tokenizer encode -m model -i many --pieces", "translate -m model -i many --max-length 3", "train --reference",
                              "train --help", "completion bash"}) {
    const Outcome o = shell(std::string("set -o pipefail; glossa ") + command + " | head -n 1 > /dev/null");
    EXPECT_EQ(o.status, 0) << command;
    EXPECT_EQ(o.err, "") << command;
  }
}

TEST_F(CommandLine, G19_TrainingGoesOnWhenNobodyReadsItsLog) {
  const Outcome o = shell("set -o pipefail; glossa train \"$recipe\" $(cat tiny) -o unread 2>&1 > /dev/null | true && glossa inspect unread --verify");
  EXPECT_EQ(o.status, 0) << o.err;
}

TEST_F(CommandLine, K08_AFullStandardOutputIsStatus4) {
  for (const char* command :
       {"--help", "--version", "train --help", "train --schema", "translate -m model -i lines", "translate -m model -i lines --json",
        "tokenizer encode -m model -i lines", "score lines -i lines", "inspect model", "completion zsh", "--quiet data preview \"$recipe\" $(cat tiny)"})
    refused(std::string("glossa ") + command + " > /dev/full", 4, {"write to standard output failed"});
  refused("glossa --quiet train \"$recipe\" $(cat tiny) -o full --json > /dev/full", 4, {"write to standard output failed"});
  EXPECT_TRUE(fs::exists(folder() / "full/model.safetensors"));
}

TEST_F(CommandLine, K09_ClosedStreamsDoNotLendTheirNumbersToFiles) {
  const std::string wanted = shell("glossa translate -m model -i lines").out;
  EXPECT_EQ(shell("glossa translate -m model -i lines -o out <&- >&- 2>&-").status, 0);
  EXPECT_EQ(text("out"), wanted);
  EXPECT_EQ(shell("glossa translate -m model <&-").out, "");
  EXPECT_EQ(shell("glossa train \"$recipe\" $(cat tiny) -o closed <&- >&- 2>&- && glossa inspect closed --verify").status, 0);
  EXPECT_EQ(shell("cmp closed/model.safetensors model/model.safetensors && cmp closed/tokenizer.json model/tokenizer.json").status, 0);
}

TEST_F(CommandLine, K10_G36_LocaleAndTerminalDoNotShow) {
  const std::string commands = "glossa translate -m model -i lines --json; glossa score lines -i lines -f text; glossa train --reference";
  const std::string wanted = shell(commands).out;
  shell("localedef -i de_DE -f UTF-8 ./de_DE.UTF-8");  // so that there is one with a decimal comma, where that can be
  for (const char* setting : {"LC_ALL=C", "LOCPATH=$PWD LC_ALL=de_DE.UTF-8", "LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8", "LC_ALL=de_DE.UTF-8 LC_NUMERIC=de_DE.UTF-8", "LC_ALL=nonsense", "TERM=", "COLUMNS=1 LINES=1", "NO_COLOR=1"}) {
    const Outcome o = shell(std::string("export ") + setting + "; " + commands);
    EXPECT_EQ(o.out, wanted) << setting;
    EXPECT_THAT(o.err, Not(HasSubstr("\x1B"))) << setting;
  }
}

TEST_F(CommandLine, K11_NeitherHomeNorTemporaryNorCurrentFolderAreNeeded) {
  const std::string wanted = shell("glossa translate -m model -i lines").out, here = folder().native();
  EXPECT_EQ(shell("unset HOME PATH; TMPDIR=/nonexistent glossa translate -m model -i lines").out, wanted);
  EXPECT_EQ(shell("mkdir gone; cd gone; rmdir ../gone; glossa translate -m " + here + "/model -i " + here + "/lines").out, wanted);
  refused("mkdir gone; cd gone; rmdir ../gone; glossa translate -m " + here + "/model -i " + here + "/lines -o out", 4, {"out"});
  refused("mkdir gone; cd gone; rmdir ../gone; glossa train \"$recipe\"", 4, {"runs/reverse-digits"});
}

TEST_F(CommandLine, K12_FaultsOfARecipeAreNamedWithTheirLine) {
  const struct { std::string yaml; std::vector<std::string> parts; } cases[] = {
      {"train:\n  max_stepz: 3\n", {"r.yaml:2", "max_stepz", "did you mean train.max_steps?"}},
      {"train:\n  seed: 3\n  seed: 4\n", {"r.yaml:3", "train.seed", "twice"}},
      {"train:\n  seed: [3]\n", {"r.yaml:2", "train.seed", "one value"}},
      {"train:\n  seed: three\n", {"r.yaml:2", "train.seed", "three", "a whole number"}},
      {"\ntraining:\n  seed: 3\n", {"r.yaml:2", "training", "did you mean train?"}},
      {"train: {seed: 3\n", {"r.yaml:", "YAML"}},
      {"train:\n  precision: f64\n", {"r.yaml:2", "train.precision", "f64", "auto, f32, bf16"}},
      {"- 3\n", {"r.yaml", "sections"}},
  };
  for (const auto& c : cases) {
    put("r.yaml", c.yaml);
    refused("glossa train r.yaml -o absent", 2, c.parts);
  }
  EXPECT_FALSE(fs::exists(folder() / "absent"));
}

TEST_F(CommandLine, K14_ManyArgumentsAndArgumentsThatLookLikeOptions) {
  shell("cp lines -- -lines; cp -r model -- -model");
  const std::string wanted = shell("glossa translate -m model -i lines").out;
  EXPECT_EQ(shell("glossa translate --model=-model --input=-lines --output=-out && cat -- -out").out, wanted);
  EXPECT_EQ(shell("glossa score -i lines -b -- -lines").status, 0);
  EXPECT_EQ(shell("glossa inspect --no-tensors -- -model").status, 0);
  const Outcome o = shell("for i in {1..5000}; do echo lines; done | xargs -n 5000 '" GLOSSA_PROGRAM "' tokenizer train -o many-inputs --type words -i");
  EXPECT_EQ(o.status, 0) << o.err;
}

TEST_F(CommandLine, K15_HelpNeedsNothing) {
  for (const char* command : {"", "train", "translate", "score", "tokenizer", "tokenizer train", "tokenizer encode", "tokenizer decode", "inspect",
                              "data", "data preview", "pull", "models", "models rm", "doctor", "bench", "bench train", "bench translate", "bench ops", "bench model", "generate", "chat", "perplexity", "template",
                              "convert", "verify", "completion"}) {
    const Outcome o = shell(std::string("glossa ") + command + " --help");
    EXPECT_EQ(o.status, 0) << command;
    EXPECT_THAT(o.out, HasSubstr("Usage: glossa")) << command;
    EXPECT_EQ(o.err, "") << command;
  }
  EXPECT_EQ(shell("glossa train --help >&- <&-").status, 0);
  EXPECT_EQ(shell("glossa --version >&-").status, 0);
  EXPECT_THAT(shell("GLOSSA_ISA=none glossa --version").out, testing::StartsWith("glossa "));
}

TEST_F(CommandLine, K16_InstructionSetsThatThereAreNotAreRefusedAndThePlainOneAlwaysWorks) {
  for (const char* command : {"translate -m model -i lines", "--quiet train \"$recipe\" $(cat tiny) -o isa", "doctor", "bench ops"})
    refused(std::string("GLOSSA_ISA=neon glossa ") + command, 2, {"GLOSSA_ISA", "neon", "portable"});
  EXPECT_EQ(shell("GLOSSA_ISA=portable glossa translate -m model -i lines").status, 0);
}

TEST_F(CommandLine, K17_G33_G34_TooLittleOfAnythingIsSaidOrDoneWithout) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers take more of everything for themselves";
#endif
  for (const char* kilobytes : {"15000", "20000", "25000", "30000", "35000", "40000"})
    for (const char* command : {"translate -m model -i lines", "score lines -i lines", "--quiet train \"$recipe\" $(cat tiny) -o little --overwrite"}) {
      const Outcome o = shell(std::string("ulimit -v ") + kilobytes + "; glossa " + command);
      if (o.status == 127) continue;  // not even the loader had enough
      EXPECT_THAT(o.status, testing::AnyOf(0, 5)) << kilobytes << ' ' << command << ": " << o.err;
      EXPECT_THAT(o.err, HasSubstr(o.status == 5 ? "error[E500" : "")) << command;
    }
  for (const int files : {4, 5, 6, 16})
    for (const char* command : {"translate -m model -i lines", "tokenizer encode -m model -i lines"}) {
      const Outcome o = shell("ulimit -n " + std::to_string(files) + "; glossa " + command);
      if (o.status == 127 && files < 16) continue;  // what runs the test holds files too, and the loader had none left
      EXPECT_THAT(o.status, testing::AnyOf(0, 4)) << files << ' ' << command << ": " << o.err;
      EXPECT_THAT(o.err, HasSubstr(o.status == 4 ? "Too many open files" : "")) << command;
    }
  for (const char* command : {"translate -m model -i lines", "inspect model", "score lines -i lines", "--help"})
    EXPECT_EQ(shell(std::string("ulimit -s 64; glossa ") + command).status, 0) << command;
}

TEST_F(CommandLine, K18_ResultsHaveTheRightsThatTheMaskLeaves) {
  const auto mode = [](const char* name) {
    struct stat status;
    return stat((folder() / name).c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
  };
  shell("umask 022; glossa translate -m model -i lines -o m022; umask 077; glossa translate -m model -i lines -o m077; glossa tokenizer train -i lines -o t077");
  EXPECT_EQ(mode("m022"), 0644u);
  EXPECT_EQ(mode("m077"), 0600u);
  EXPECT_EQ(mode("t077/tokenizer.json"), 0600u);
}

TEST_F(CommandLine, K19_ARunThatSomebodyWritesIsNotWrittenByAnother) {
  refused("mkdir held; exec 9> held/LOCK; flock 9; glossa train \"$recipe\" -o held --overwrite 9>&-", 7, {"held", "in use"});
  EXPECT_THAT(names(folder() / "held"), ElementsAre("LOCK"));
}

TEST_F(CommandLine, K20_LogsGrowWithTimeNotWithSteps) {
  const Outcome o = shell("glossa train \"$recipe\" $(cat tiny) --set train.max_steps=400 --set train.eval_steps=0 --set train.save_steps=0 -o log");
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_LT(std::count(o.err.begin(), o.err.end(), '\n'), 40);
  EXPECT_EQ(shell("glossa --quiet train \"$recipe\" $(cat tiny) -o quiet").err, "");
}

}  // namespace
}  // namespace glossa::test
