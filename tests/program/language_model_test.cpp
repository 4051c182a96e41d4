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
    put_letters_model();
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

TEST_F(LanguageModel, GuessesAheadWithoutChangingTheText) {
  put("prompts.jsonl", "{\"prompt\": \"abcabcab\"}\n{\"prompt\": \"zebraze\"}\n");
  for (const char* how : {"--temp 0", "--temp 1.5 --seed 3"}) {
    const std::string line = std::string("glossa generate -m model prompts.jsonl -n 20 --ignore-eos ") + how;
    const Outcome plain = shell(line);
    const Outcome lookup = shell(line + " --prompt-lookup --draft-max 3"), draft = shell(line + " -md model --draft-p-min 0");
    EXPECT_EQ(lookup.out, plain.out);
    EXPECT_EQ(draft.out, plain.out);
    EXPECT_THAT(lookup.err, HasSubstr(" guesses were right"));
    EXPECT_THAT(draft.err, HasSubstr(" guesses were right"));
    EXPECT_THAT(plain.err, testing::Not(HasSubstr("guesses")));
  }
  shell("cp -r model other && sed -i 's/\"a\": 0, \"b\": 1/\"b\": 0, \"a\": 1/' other/tokenizer.json");
  refused("glossa generate -m model -p abc -md other", 3, {"other: a draft model needs the tokens of the model", "token 0 is \"b\" there and \"a\" here"});
  refused("glossa generate -m model -p abc -md model --prompt-lookup", 2, {"not both"});
  refused("glossa generate -m model -p abc --prompt-lookup --draft-max 0", 2, {"--draft"});
  EXPECT_EQ(shell("glossa -q chat -m model -p abc -n 6 --temp 0 --prompt-lookup --chat-template '{{ messages[0].content }}'").out,
            shell("glossa -q chat -m model -p abc -n 6 --temp 0 --chat-template '{{ messages[0].content }}'").out);
}

TEST_F(LanguageModel, TheCacheMayBeNarrower) {
  const auto likely = [](const std::string& options) {
    const Json j = json("glossa -q generate -m model -p abcabc -n 1 --temp 0 --ignore-eos --json --logprobs 1 " + options);
    return j["log_probabilities"][0]["log_probability"].get<double>();
  };
  const double wide = likely("");
  EXPECT_EQ(likely("-ctk f32 -ctv f32"), wide);
  EXPECT_NE(likely("-ctk bf16 --cache-type-v f16"), wide);
  EXPECT_NEAR(likely("-ctk bf16 --cache-type-v f16"), wide, 0.02);
  refused("glossa generate -m model -p a -ctk q8_0", 2, {"a cache of q8_0 needs heads of a multiple of 32 numbers"});
  refused("glossa generate -m model -p a -ctk q3", 2, {"q3", "bf16"});
}

TEST_F(LanguageModel, SearchesWithBeams) {
  put("prompts.jsonl", "{\"prompt\": \"abc\"}\n{\"prompt\": \"zebra\"}\n");
  const std::string line = "glossa -q generate -m model -p abc -n 6 --ignore-eos ";
  EXPECT_EQ(shell(line + "--num-beams 1").out, shell(line + "--temp 0").out);
  const Json best = json(line + "--num-beams 4 --json");
  EXPECT_EQ(best["tokens"].size(), 6u);
  EXPECT_EQ(best["finish_reason"], "length");
  EXPECT_NEAR(best["score"].get<double>(), best["log_probability"].get<double>() / 6, 1e-6);
  const Json three = json(line + "--num-beams 4 --n-best 3 --json");
  ASSERT_EQ(three["sequences"].size(), 3u);
  EXPECT_EQ(three["text"], best["text"]);
  EXPECT_EQ(three["sequences"][0]["text"], best["text"]);
  EXPECT_GE(three["sequences"][0]["score"].get<double>(), three["sequences"][1]["score"].get<double>());
  const Outcome list = shell("glossa -q generate -m model prompts.jsonl -n 4 --num-beams 2 --n-best 2 --length-penalty 0");
  EXPECT_EQ(std::count(list.out.begin(), list.out.end(), '\n'), 4);
  EXPECT_THAT(list.out, AllOf(testing::StartsWith("0 ||| "), HasSubstr("\n1 ||| ")));
  refused(line + "--num-beams 4 --temp 0", 2, {"--temp has no meaning for beam search"});
  refused(line + "--num-beams 4 --stop x", 2, {"--stop has no meaning for beam search"});
  refused(line + "--num-beams 3 --num-beam-groups 2", 2, {"num_beam_groups"});
  refused("glossa generate -m model -p abc -n 0 --num-beams 3", 2, {"--predict 0"});
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

TEST_F(LanguageModel, E06_G32_AModelThatMemoryCannotHoldIsRefusedBeforeItIsRead) {
  put("text", "abcdefghijklmnopqrstuvwxyz");
  for (const char* command : {"generate -m model -p abc -n 2", "perplexity -m model text -c 8", "bench model -m model -p 4 -n 4 --runs 1",
                              "chat -m model -p abc --chat-template x"})
    refused(std::string("GLOSSA_MEMORY=0 glossa -q ") + command, 5,
            {"model: the model needs ", "MiB of memory for its weights alone, and 0 are free"});
  EXPECT_EQ(shell("GLOSSA_MEMORY=1 glossa -q generate -m model -p abc -n 2").status, 0);
}

// From text to a model that answers, through the program alone.
TEST_F(LanguageModel, IsPretrainedOnText) {
  std::string text, lines;
  for (int i = 0; i < 300; ++i) {
    text += fmt::format("{} \xE5\x8A\xA0 {} \xE7\xAD\x89\xE4\xBA\x8E {}\n", i, i, 2 * i);
    lines += fmt::format("{{\"text\": \"{} and {}\"}}\n", i, i);
  }
  put("zh.txt", text), put("en.jsonl", lines);
  const std::string small =
      " --set data.block_size=16 --set model.hidden_size=16 --set model.num_hidden_layers=1 --set model.num_attention_heads=2"
      " --set model.max_position_embeddings=32 --set train.max_tokens=64 --set train.max_steps=6 --set train.warmup_steps=2"
      " --set train.save_steps=3 --set decode.max_new_tokens=5 --json";
  const std::string recipes = GLOSSA_SOURCE_DIR "/recipes/";
  const Json zh = json("glossa -q train " + recipes + "shakespeare-char.yaml -o zh --set data.train_file=zh.txt" + small);
  EXPECT_EQ(zh["step"], 6);
  EXPECT_GT(zh["perplexity"].get<double>(), 1);
  EXPECT_EQ(shell("glossa -q generate -m zh -p 1 -n 4 --ignore-eos").status, 0);
  EXPECT_EQ(json("glossa -q train " + recipes + "shakespeare-gpt.yaml -o en --set data.train_file=en.jsonl --set tokenizer.vocab_size=270" + small)["step"], 6);
  EXPECT_GT(json("glossa perplexity -m en zh.txt -c 16 --json")["perplexity"].get<double>(), 1);
  const Json batch = json("glossa data preview " + recipes + "shakespeare-gpt.yaml --json --set data.train_file=en.jsonl --set tokenizer.vocab_size=270"
                          " --set train.max_tokens=128");
  EXPECT_EQ(batch["tokens"]["ids"].size(), batch["labels"].size());
  refused("glossa train " + recipes + "shakespeare-char.yaml -o none --set data.train_file=none.txt", 4, {"none.txt"});
  refused("glossa train " + recipes + "shakespeare-char.yaml -o none --set data.train_file=zh.txt --set model.d_model=8", 2, {"model.d_model is a key of translation"});
  put("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"a\"}\n");
  refused("glossa train " + recipes + "shakespeare-gpt.yaml -o none --set data.train_file=bad.jsonl", 3, {"bad.jsonl: line 2", "data.text_column"});
}

}  // namespace
}  // namespace glossa::test
