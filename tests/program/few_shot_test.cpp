#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "shell.h"

// `glossa few-shot` on the small random LLaMA of tests/golden, whose tokens are letters: 64 of them fit.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FewShot : public Shell {
 protected:
  static void SetUpTestSuite() {
    make_folder();
    put_letters_model();
    std::string examples, inputs;
    for (int i = 0; i < 12; ++i)
      examples += fmt::format("{{\"text\": \"{}\", \"label\": \"{}\"}}\n",
                              std::string(3, static_cast<char>('a' + i)), i % 3 ? "yes" : "no");
    for (int i = 0; i < 7; ++i)
      inputs += fmt::format("{{\"label\": \"{}\", \"text\": \"{}q\", \"more\": 1}}\n", i % 2 ? "yes" : "no",
                            static_cast<char>('a' + i));
    put("examples.jsonl", examples), put("inputs.jsonl", inputs);
    put("numbers.jsonl",
        "{\"text\": \"a\", \"label\": 0}\n{\"text\": \"b\", \"label\": 1}\n{\"text\": \"c\", \"label\": "
        "1}\n");
    put("unlabelled.jsonl", "{\"text\": \"q\"}\n{\"text\": \"r\"}\n");
  }
  static std::vector<Json> lines(const std::string& line) {
    const Outcome o = shell(line);
    EXPECT_EQ(o.status, 0) << line << "\n" << o.err;
    std::istringstream in(o.out);
    std::vector<Json> all;
    for (std::string text; std::getline(in, text);) all.push_back(Json::parse(text));
    return all;
  }
  // With the parts that differ from run to run taken out.
  static std::vector<Json> results(const std::string& options) {
    auto all = lines("glossa -q few-shot -m model -e examples.jsonl -i inputs.jsonl --json " + options);
    for (Json& j : all)
      if (j.contains("summary")) j["summary"].erase("seconds"), j["summary"].erase("inputs_per_second");
    return all;
  }
};

TEST_F(FewShot, ScoresLabelsAndSumsUp) {
  const auto all = results("-k 3");
  ASSERT_EQ(all.size(), 8u);
  int correct = 0;
  for (int i = 0; i < 7; ++i) {
    const Json& j = all[static_cast<std::size_t>(i)];
    EXPECT_EQ(j["input"]["text"], std::string(1, static_cast<char>('a' + i)) + "q");
    EXPECT_EQ(j["label"], i % 2 ? "yes" : "no");
    EXPECT_NEAR(j["probabilities"]["no"].get<double>() + j["probabilities"]["yes"].get<double>(), 1, 1e-6);
    EXPECT_EQ(j["prediction"], j["probabilities"]["no"] >= j["probabilities"]["yes"] ? "no" : "yes");
    EXPECT_LT(j["log_probabilities"]["no"].get<double>(), 0);
    EXPECT_EQ(j["correct"], j["prediction"] == j["label"]);
    EXPECT_EQ(j["shots"], 3);
    correct += j["correct"].get<bool>();
  }
  const Json summary = all[7]["summary"];
  EXPECT_EQ(summary["inputs"], 7);
  EXPECT_EQ(summary["correct"], correct);
  EXPECT_NEAR(summary["accuracy"].get<double>(), correct / 7.0, 1e-9);
  EXPECT_LT(summary["interval"][0].get<double>(), summary["accuracy"].get<double>() + 1e-9);
  EXPECT_NEAR(summary["most_frequent"].get<double>(), 4 / 7.0, 1e-9);
  EXPECT_EQ(summary["labels"]["no"]["inputs"], 4);
  const Outcome text = shell("glossa few-shot -m model -e examples.jsonl -i inputs.jsonl -k 3");
  EXPECT_THAT(text.out, AllOf(HasSubstr(fmt::format("{} of 7 right", correct)), HasSubstr("macro F1"),
                              HasSubstr("recall")));
  EXPECT_THAT(text.err, AllOf(HasSubstr("7 inputs with 3 examples"), HasSubstr("shared")));
}

TEST_F(FewShot, ExamplesAreDrawnBySeed) {
  EXPECT_EQ(results("-k 3"), results("-k 3 --threads 1"));
  EXPECT_NE(results("-k 3"), results("-k 3 --seed 7"));
  EXPECT_NE(results("-k 3"), results("-k 3 --redraw"));
  EXPECT_EQ(results("-k 3 --redraw --balanced"), results("-k 3 --redraw --balanced --threads 1"));
  const auto prompts = lines(
      "glossa few-shot -m model -e examples.jsonl -i inputs.jsonl -k 6 --balanced --print-prompts "
      "--template \"{text}: {label}\" --instruction \"Do\\\\nit.\" --separator \"\\\\t\"");
  ASSERT_EQ(prompts.size(), 7u);
  const std::string prompt = prompts[2]["prompt"];
  EXPECT_THAT(prompt, AllOf(testing::StartsWith("Do\nit.\t"), testing::EndsWith("\tcq:")));
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), '\t'), 7);
  int no = 0;
  for (std::size_t at = 0; (at = prompt.find(": no", at)) != std::string::npos; ++at) ++no;
  EXPECT_EQ(no, 3);
  const auto redrawn =
      lines("glossa few-shot -m model -e examples.jsonl -i inputs.jsonl -k 6 --redraw --print-prompts");
  EXPECT_NE(redrawn[0]["prompt"].get<std::string>().substr(0, 60),
            redrawn[1]["prompt"].get<std::string>().substr(0, 60));
}

TEST_F(FewShot, EveryMeasureSaysSomethingElse) {
  const auto p = [](const std::string& options) {
    return results("-k 2 " + options)[0]["probabilities"]["no"].get<double>();
  };
  const double plain = p("");
  for (const char* options :
       {"--normalize token", "--normalize byte", "--normalize unconditional", "--calibrate"})
    EXPECT_NE(p(options), plain) << options;
  EXPECT_EQ(p("--normalize none"), plain);
}

TEST_F(FewShot, OneInputAndInputsWithoutLabels) {
  const Outcome one = shell("glossa -q few-shot -m model -e examples.jsonl --input zz -k 3");
  EXPECT_THAT(one.out, testing::MatchesRegex("(yes|no)\t0\\.[0-9]+\n(yes|no)\t0\\.[0-9]+\n"));
  const Outcome many = shell("glossa -q few-shot -m model -e examples.jsonl -i - -k 3 < unlabelled.jsonl");
  EXPECT_EQ(std::count(many.out.begin(), many.out.end(), '\n'), 2) << many.err;
  const auto json = lines("glossa -q few-shot -m model -e examples.jsonl -i unlabelled.jsonl -k 3 --json");
  EXPECT_FALSE(json[0].contains("correct"));
  EXPECT_FALSE(json[2]["summary"].contains("accuracy"));
  // Without examples, for labels that have other words in prompts.
  const auto zero = lines("glossa -q few-shot -m model -i numbers.jsonl --labels 0=bad 1=good --json");
  EXPECT_EQ(zero[0]["label"], "0");
  EXPECT_EQ(zero[0]["shots"], 0);
  EXPECT_THAT(
      lines("glossa few-shot -m model -e numbers.jsonl --input z --labels 0=bad 1=good --print-prompts")
          [0]["prompt"]
              .get<std::string>(),
      AllOf(HasSubstr("Output: bad"), HasSubstr("Output: good"), Not(HasSubstr("Output: 1"))));
}

TEST_F(FewShot, GeneratesAnswers) {
  const auto all = lines(
      "glossa -q few-shot -m model -e examples.jsonl -i inputs.jsonl -k 2 --generate -n 4 --json --stop "
      "zzzz");
  ASSERT_EQ(all.size(), 8u);
  EXPECT_TRUE(all[0]["answer"].is_string());
  EXPECT_EQ(all[0]["correct"], all[0]["answer"] == all[0]["label"]);
  EXPECT_EQ(all[7]["summary"]["labelled"], 7);
  // What the model goes on with is what `generate` says of the same prompt.
  const std::string prompt =
      lines("glossa few-shot -m model -e examples.jsonl -i inputs.jsonl -k 2 --print-prompts")[0]["prompt"];
  put("prompt", prompt);
  EXPECT_EQ(shell("glossa -q generate -m model -f prompt -n 4 --temp 0").out,
            all[0]["answer"].get<std::string>() + "\n");
  const Outcome text =
      shell("glossa few-shot -m model -e examples.jsonl -i inputs.jsonl -k 2 --generate -n 4");
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 7);
  EXPECT_THAT(text.err, AllOf(HasSubstr("accuracy"), HasSubstr("shared")));
}

TEST_F(FewShot, ExamplesThatDoNotFitAreLeftOutAndCounted) {
  const Outcome o = shell("glossa few-shot -m model -e examples.jsonl -i inputs.jsonl -k 12 --json");
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_THAT(o.err, HasSubstr("examples were left out of the prompts of 7 inputs"));
  std::string long_text(80, 'a');
  put("long.jsonl", "{\"text\": \"a\"}\n{\"text\": \"" + long_text + "\"}\n");
  refused("glossa -q few-shot -m model -e examples.jsonl -i long.jsonl", 5,
          {"long.jsonl: line 2", "the context holds 64"});
  refused("glossa -q few-shot -m model -e examples.jsonl -i long.jsonl --generate", 5,
          {"long.jsonl: line 2", "the context of 64"});
}

TEST_F(FewShot, NotesWhatMayNotBeMeant) {
  EXPECT_THAT(shell("glossa few-shot -m model -e examples.jsonl --input q --labels yes no maybe").err,
              HasSubstr("label \"maybe\" occurs in no example of examples.jsonl"));
  EXPECT_THAT(shell("glossa few-shot -m model -e examples.jsonl -i examples.jsonl -k 12 -c 64").err,
              HasSubstr("12 inputs were among the examples"));
}

TEST_F(FewShot, RefusesWithOneLine) {
  const std::string run = "glossa -q few-shot -m model ", few = run + "-e examples.jsonl ";
  put("field.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"txt\": \"b\", \"label\": \"y\"}\n");
  put("empty.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"\"}\n");
  put("utf8.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"\xFF\", \"label\": \"y\"}\n");
  put("nothing.jsonl", "\n");
  put("one.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"x\"}\n");
  put("other.jsonl", "{\"text\": \"a\", \"label\": \"yes\"}\n{\"text\": \"a\", \"label\": \"perhaps\"}\n");
  refused(run + "-e field.jsonl --input q", 3, {"field.jsonl: line 2", "no field \"text\"", "\"txt\""});
  refused(few + "--input q --template \"{review} {label}\"", 3,
          {"examples.jsonl: line 1", "no field \"review\"", "\"text\""});
  refused(few + "--input q --label-field answer --template \"{text} {answer}\"", 3,
          {"line 1", "no field \"answer\""});
  refused(run + "-e empty.jsonl --input q", 3, {"empty.jsonl: line 2", "\"label\" is empty"});
  refused(run + "-e utf8.jsonl --input q", 3, {"utf8.jsonl", "line 2", "UTF-8"});
  refused(run + "-e nothing.jsonl --input q", 3, {"nothing.jsonl: no rows"});
  refused(run + "-e absent.jsonl --input q", 4, {"absent.jsonl"});
  refused(run + "-e one.jsonl --input q", 2, {"\"x\" is the only label"});
  refused(few + "-i other.jsonl", 3, {"other.jsonl: line 2", "\"perhaps\" is none of \"no\", \"yes\""});
  refused(few + "--input q --labels yes maybe", 3,
          {"examples.jsonl: line 1", "\"no\" is none of \"yes\", \"maybe\""});
  refused(few + "--input q --labels yes \"no= \"", 2, {"--labels \"no= \""});
  refused(few + "--input q --labels yes \"\"", 2, {"--labels", "empty"});
  refused(few + "--input q --labels yes yes", 2, {"\"yes\" is listed twice"});
  refused(few + "--input q --labels yes=a no=a", 2, {"two labels are written \"a\""});
  refused(few + "--input q --labels $'\\xff' no", 3, {"--labels", "byte 0 is not UTF-8"});
  refused(few + "--input $'q\\xff'", 3, {"--input", "byte 1 is not UTF-8"});
  refused(few + "--input q -k 13", 2, {"--shots 13", "examples.jsonl has 12 examples"});
  refused(few + "--input q -k 10 --balanced", 2, {"--balanced", "4 examples of \"no\"", "may take 5"});
  refused(few + "--input q --labels yes no maybe --balanced -k 3", 2, {"0 examples of \"maybe\""});
  refused(run + "--input q -k 3 --labels yes no", 2, {"--shots 3", "--examples FILE"});
  refused(run + "--input q", 2, {"no labels to choose from", "--labels"});
  refused(few, 2, {"--input TEXT", "--inputs FILE"});
  refused(few + "--input q -i inputs.jsonl", 2, {"give one of"});
  refused(run + "-e - -i - < examples.jsonl", 2, {"standard input"});
  refused(few + "--input q --template \"{text}\"", 2, {"template", "has no {label}"});
  refused(few + "--input q --template \"{text {label}\"", 2, {"template", "byte 0"});
  refused(few + "--input q --template \"\\\\q{text} {label}\"", 2, {"--template", "byte 0"});
  refused(few + "--input q --template \"{text}{label} {label}\"", 2, {"more than once"});
  refused(few + "--input q --template \"{text} {text2} {label}\"", 2,
          {"--input gives one text", "\"text2\""});
  refused(few + "--input q --template \"{text} {label}\" --normalize unconditional", 2, {"no text between"});
  refused(few + "--input q --calibrate --normalize unconditional", 2, {"--calibrate", "unconditional"});
  refused(few + "--input q --normalize bytes", 2, {"--normalize", "bytes"});
  refused(few + "--input q --generate --calibrate", 2, {"--calibrate"});
  refused(few + "--input q -n 3", 2, {"--generate"});
  refused(few + "--input q -c 65", 2, {"a context of 65", "64"});
  refused(few + "--input q --generate -c 65", 2, {"a context of 65", "64"});
  std::string free;
  for (int i = 0; i < 300; ++i) free += fmt::format("{{\"text\": \"a\", \"label\": \"w{}\"}}\n", i);
  put("free.jsonl", free);
  refused(run + "-e free.jsonl --input q", 5, {"free.jsonl", "300 different labels", "--generate"});
}

}  // namespace
}  // namespace glossa::test
