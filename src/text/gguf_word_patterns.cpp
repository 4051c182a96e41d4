#include "text/gguf_word_patterns.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace glossa {
namespace {

using pre_tokenizer::Behavior;
using pre_tokenizer::ByteLevel;
using pre_tokenizer::Split;
using Steps = PreTokenizer;

constexpr ByteLevel kBytes{.add_prefix_space = false, .trim_offsets = true, .use_regex = false};
constexpr ByteLevel kWordsOfBytes{.add_prefix_space = false, .trim_offsets = true, .use_regex = true};

// Splits by expressions, each within the pieces of those before; then bytes.
Steps splits(std::initializer_list<const char*> expressions) {
  Steps steps;
  for (const char* e : expressions)
    steps.push_back(Split{Regex(e, "a known pattern"), Behavior::isolated, false});
  steps.push_back(kBytes);
  return steps;
}
Steps known(WordPattern pattern) {
  return {Split{pattern, Behavior::isolated, false}, kBytes};
}

Steps gpt2() {
  return {kWordsOfBytes};
}
Steps cl100k() {
  return known(WordPattern::cl100k);
}
Steps qwen2() {
  return known(WordPattern::qwen2);
}
Steps digits() {
  return {pre_tokenizer::Digits{true}, kWordsOfBytes};
}

Steps qwen35() {
  return splits(
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)"
       R"(\s*[\r\n]+|\s+(?!\S)|\s+)"});
}
Steps o200k() {
  return splits(
      {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
       R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
       R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
       R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
}
Steps tekken() {
  return splits({R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                 R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                 R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
}
Steps deepseek_v3() {
  return splits({R"(\p{N}{1,3})", "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
                 R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
                 R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"});
}
Steps deepseek_coder() {
  return splits({R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
                 R"(\p{N})"});
}
Steps falcon() {
  return {pre_tokenizer::Punctuation{Behavior::contiguous}, kWordsOfBytes, pre_tokenizer::Digits{false},
          Split{Regex("[0-9][0-9][0-9]", "a known pattern"), Behavior::isolated, false}};
}
Steps bloom() {
  return splits({" ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"});
}
Steps viking() {
  return splits({" ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+", R"(\p{N})"});
}
Steps bailing() {
  return splits(
      {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|)"
       R"(\s+(?!\S)|\s+)"});
}
Steps seed_coder() {
  return splits(
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|)"
       R"(\s+(?!\S)|\s+)"});
}
// Of files that name no tokenizer.
Steps unnamed() {
  return splits({R"([\p{P}\$\+<=>\^~\|]+)",
                 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))", R"(\p{N}+)",
                 "[0-9][0-9][0-9]"});
}

struct Pre {
  const char* names;  // with a space behind each
  Steps (*steps)();
  bool ignore_merges = false, add_bos = false, add_sep = false, nfc = false;
};
constexpr Pre kPres[] = {
    {"default ", unnamed},
    {"gpt-2 phi-2 jais trillion jina-es jina-de jina-v2-es jina-v2-de exaone4 granite-docling ", gpt2},
    {.names = "mpt olmo modern-bert ", .steps = gpt2, .nfc = true},
    {.names = "roberta-bpe jina-v1-en jina-v2-code ", .steps = gpt2, .add_sep = true},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 ",
     .steps = cl100k,
     .ignore_merges = true,
     .add_bos = true},
    {"dbrx smaug-bpe chatglm-bpe glm4 ", cl100k},
    {.names = "qwen2 deepseek-r1-qwen ", .steps = qwen2, .nfc = true},
    {"stablelm2 megrez hunyuan grok-2 solar-open ", qwen2},
    {.names = "qwen35 ", .steps = qwen35, .nfc = true},
    {"starcoder refact smollm codeshell exaone minerva-7b ", digits},
    {.names = "command-r ", .steps = digits, .nfc = true},
    {"gpt-4o llama4 kanana2 minimax-m2 ", o200k},
    {.names = "tekken ", .steps = tekken, .ignore_merges = true, .add_bos = true},
    {"deepseek-v3 hunyuan-dense joyai-llm ", deepseek_v3},
    {"deepseek-coder ", deepseek_coder},
    {"falcon ", falcon},
    {"bloom gpt3-finnish poro-chat ", bloom},
    {"viking ", viking},
    {"bailingmoe bailingmoe2 llada-moe ", bailing},
    {"seed-coder ", seed_coder},
};

bool has_name(const Pre& pre, std::string_view name) {
  const std::string all = std::string(" ") + pre.names;
  return all.find(fmt::format(" {} ", name)) != all.npos;
}

// The words that the model would see, with a byte 0 behind each.
std::string words_of(const Normalizer& normalizer, const PreTokenizer& pre_tokenizer, std::string_view text) {
  AlignedText work;
  work.reset(text, 0, false);
  normalize(normalizer, work);
  PieceCutter cutter;
  std::string words;
  for (const Piece& piece : cutter.cut(pre_tokenizer, work)) {
    words += work.view().substr(piece.begin, piece.end - piece.begin);
    words += '\0';
  }
  return words;
}

}  // namespace

GgufWordPattern gguf_word_pattern(std::string_view name, std::string_view origin) {
  const auto* pre = std::find_if(std::begin(kPres), std::end(kPres),
                                 [&](const Pre& p) { return has_name(p, name.empty() ? "default" : name); });
  if (pre == std::end(kPres) || name.find(' ') != name.npos) {
    std::string supported;
    for (const Pre& p : kPres) supported += p.names;
    supported.pop_back();
    fail(Code::tokenizer, "{}: tokenizer.ggml.pre {} is not supported; supported: {}", origin, quoted(name),
         supported);
  }
  GgufWordPattern made;
  if (pre->nfc) made.normalizer.push_back(normalizer::Unicode{Normalization::nfc});
  made.pre_tokenizer = pre->steps();
  made.ignore_merges = pre->ignore_merges;
  made.add_bos = pre->add_bos;
  made.add_sep = pre->add_sep;
  return made;
}

std::string gguf_pre_of(const TokenizerParts& parts, std::span<const std::string_view> texts) {
  const auto* const model = std::get_if<BpeModel>(&parts.model);
  if (!model || !gives_bytes(parts.pre_tokenizer)) return "";
  for (const Pre& pre : kPres) {
    const std::string name(pre.names, std::string_view(pre.names).find(' '));
    const GgufWordPattern pattern = gguf_word_pattern(name, "a known pattern");
    const auto same = [&](std::string_view text) {
      return words_of(parts.normalizer, parts.pre_tokenizer, text) ==
             words_of(pattern.normalizer, pattern.pre_tokenizer, text);
    };
    if (pattern.ignore_merges == model->ignore_merges && std::all_of(texts.begin(), texts.end(), same))
      return name;
  }
  return "";
}

}  // namespace glossa
