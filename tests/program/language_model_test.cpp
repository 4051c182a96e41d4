#include <fmt/format.h>

#include <cmath>

#include "base/json.h"
#include "shell.h"

// `glossa generate` and `glossa perplexity` on the small random LLaMA of tests/golden, whose tokens are letters.
namespace glossa::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class LanguageModel : public Shell {
 protected:
  static void SetUpTestSuite() {
    make_folder();
    fs::create_directory(folder() / "model");
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(fs::path(GLOSSA_SOURCE_DIR) / "tests/golden/llama" / name, folder() / "model" / name);
    std::string vocabulary;
    for (int i = 0; i < 31; ++i) vocabulary += fmt::format(R"({}"{}": {})", i ? ", " : "", i < 26 ? std::string(1, static_cast<char>('a' + i)) : fmt::format("<{}>", i), i);
    put("model/tokenizer.json",
        fmt::format(R"({{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
          "pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
          "post_processor": null, "decoder": {{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}},
          "model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                     "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {{{}}}, "merges": []}}}})", vocabulary));
  }
  static Json json(const std::string& line) {
    const Outcome o = shell(line);
    EXPECT_EQ(o.status, 0) << line << "\n" << o.err;
    return Json::parse(o.out);
  }
};

TEST_F(LanguageModel, GoesOnFromAPrompt) {
  const Json one = json("glossa -q generate -m model -p abc -n 8 --temp 0 --ignore-eos --json");
  EXPECT_EQ(one["tokens"].size(), 8u);
  EXPECT_EQ(one["finish_reason"], "length");
  EXPECT_EQ(one["prompt_tokens"], 3);
  EXPECT_GT(one["timings"]["total_seconds"], 0);
  EXPECT_EQ(shell("glossa -q generate -m model -p abc -n 8 --temp 0 --ignore-eos").out, one["text"].get<std::string>() + "\n");
  EXPECT_EQ(shell("printf abc | glossa -q generate -m model - -n 8 --temp 0 --ignore-eos").out, one["text"].get<std::string>() + "\n");
  const Outcome loud = shell("glossa generate -m model -p abc -n 8 --temp 0");
  EXPECT_THAT(loud.err, AllOf(HasSubstr("3 tokens read"), HasSubstr("tokens/s")));
}

TEST_F(LanguageModel, ManyPromptsAreWhatEachIsAlone) {
  put("prompts.jsonl", "{\"prompt\": \"abc\"}\n\n{\"prompt\": \"zebra\"}\n{\"prompt\": \"q\"}\n");
  for (const char* how : {"--temp 0", "--temp 1.5 --seed 3"}) {
    const Outcome all = shell(std::string("glossa -q generate -m model prompts.jsonl -n 6 --ignore-eos ") + how);
    std::istringstream lines(all.out);
    std::vector<std::string> texts;
    for (std::string line; std::getline(lines, line);) texts.push_back(line);
    ASSERT_EQ(texts.size(), 3u) << all.err;
    EXPECT_EQ(shell(std::string("glossa -q generate -m model -p abc -n 6 --ignore-eos ") + how).out, texts[0] + "\n");
    EXPECT_EQ(shell(std::string("glossa -q generate -m model prompts.jsonl -n 6 --ignore-eos --parallel 1 -b 2 ") + how).out, all.out);
  }
}

TEST_F(LanguageModel, LogProbabilitiesStopStringsAndBias) {
  const Json likely = json("glossa -q generate -m model -p abc -n 3 --temp 0 --ignore-eos --json --logprobs 4");
  ASSERT_EQ(likely["log_probabilities"].size(), 3u);
  for (const Json& token : likely["log_probabilities"]) {
    ASSERT_EQ(token["top"].size(), 4u);
    EXPECT_EQ(token["top"][0]["token"], token["token"]);
    EXPECT_LT(token["log_probability"].get<double>(), 0);
  }
  const std::string text = json("glossa -q generate -m model -p abc -n 12 --ignore-eos --temp 1 --seed 1 --json")["text"];
  const std::string stop = text.substr(4, 2);
  const Json stopped = json("glossa -q generate -m model -p abc -n 12 --ignore-eos --temp 1 --seed 1 --json --stop " + stop);
  EXPECT_EQ(stopped["text"], text.substr(0, text.find(stop)));
  EXPECT_EQ(stopped["finish_reason"], "stop");
  EXPECT_EQ(json("glossa -q generate -m model -p abc -n 4 --ignore-eos --temp 0 -l 7+100 --json")["text"], "hhhh");
}

TEST_F(LanguageModel, PerplexityOfAText) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>('a' + i * i % 26);
  put("text", text);
  const Json halves = json("glossa -q perplexity -m model text -c 20 --json");
  EXPECT_EQ(halves["tokens"], 90);  // ten pieces, of each the last nine tokens
  const double perplexity = halves["perplexity"];
  EXPECT_NEAR(perplexity, std::exp(halves["negative_log_likelihood"].get<double>()), 1e-6 * perplexity);
  EXPECT_NEAR(halves["bits_per_byte"].get<double>(), std::log2(perplexity), 1e-6);  // a token for each byte
  const Json strided = json("glossa -q perplexity -m model text -c 20 --stride 5 --json");
  EXPECT_EQ(strided["tokens"], 199);
  // Every token by itself gives the same sum.
  std::istringstream lines(shell("glossa -q perplexity -m model text -c 20 --stride 5 --per-token").out);
  double sum = 0;
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) sum -= Json::parse(line)["log_probability"].get<double>();
  EXPECT_EQ(count, 199);
  EXPECT_NEAR(sum / count, strided["negative_log_likelihood"].get<double>(), 1e-6);
  EXPECT_THAT(shell("glossa -q perplexity -m model text -c 20").out, HasSubstr("over 90 tokens"));
}

TEST_F(LanguageModel, RefusesWithOneLine) {
  put("short", "abc");
  put("bad.jsonl", "{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n");
  refused("glossa generate -m model", 2, {"--prompt TEXT"});
  refused("glossa generate -m model -p a -f short", 2, {"give one of"});
  refused("glossa generate -m nowhere -p a", 4, {"nowhere"});
  refused("glossa generate -m model bad.jsonl", 3, {"bad.jsonl, line 2", "prompt"});
  refused("glossa generate -m model -p a --samplers \"top_k;topp\"", 2, {"topp", "did you mean top_p?"});
  refused("glossa generate -m model -p a --top-p 2", 2, {"--top-p"});
  refused("glossa generate -m model -p a -l 5", 2, {"TOKEN+BIAS"});
  refused("glossa generate -m model -p a -c 1000", 2, {"a context of 1000", "64"});
  refused("glossa generate -m model -p abcdefgh -c 8", 5, {"the prompt has 8 tokens", "--ctx-size"});
  refused("printf \"\\377\" | glossa generate -m model -", 3, {"not UTF-8"});
  refused("glossa perplexity -m model short", 2, {"the text has 3 tokens"});
  refused("glossa generate -m short -p a", 3, {"short"});
}

}  // namespace
}  // namespace glossa::test
