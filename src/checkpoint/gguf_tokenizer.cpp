#include "checkpoint/gguf_tokenizer.h"

#include "base/error.h"
#include "text/parts.h"

namespace glossa {
namespace {

// Kinds of tokens, by the format's numbers.
constexpr std::int64_t kControl = 3, kUserDefined = 4;

PreTokenizer cutting(const std::string& pre, const std::string& origin) {
  namespace p = pre_tokenizer;
  const auto words = [](WordPattern pattern) {
    return PreTokenizer{p::Split{.pattern = pattern, .behavior = p::Behavior::isolated}, p::ByteLevel{.add_prefix_space = false, .use_regex = false}};
  };
  if (pre == "default" || pre == "gpt-2") return {p::ByteLevel{.add_prefix_space = false}};
  if (pre == "smollm") return {p::Digits{.individual_digits = true}, p::ByteLevel{.add_prefix_space = false}};
  if (pre == "llama-bpe") return words(WordPattern::cl100k);
  if (pre == "qwen2") return words(WordPattern::qwen2);
  fail(Code::tokenizer, "{}: tokenizer.ggml.pre {} is not supported; supported: default, gpt-2, smollm, llama-bpe, qwen2", origin, quoted(pre));
}

}  // namespace

Tokenizer gguf_tokenizer(const GgufFile& file) {
  const GgufMetadata& m = file.metadata();
  const std::string origin = shown(file.path());
  const std::string& kind = m.text("tokenizer.ggml.model");
  check(kind == "gpt2", Code::tokenizer, "{}: tokenizer.ggml.model {} is not supported; supported: gpt2", origin, quoted(kind));
  const GgufArray &tokens = m.strings("tokenizer.ggml.tokens"), &merges = m.strings("tokenizer.ggml.merges");
  const std::vector<std::int64_t> types = m.has("tokenizer.ggml.token_type") ? m.integers("tokenizer.ggml.token_type") : std::vector<std::int64_t>();

  TokenizerParts parts;
  parts.origin = origin;
  BpeModel bpe;
  for (std::uint64_t i = 0; i < tokens.size(); ++i) {
    const std::string_view piece = tokens.text(i);
    check(bpe.vocabulary.add(piece) >= 0, Code::tokenizer, "{}: tokenizer.ggml.tokens has {} twice, the second time as {}", origin, quoted(piece), i);
    const std::int64_t type = i < types.size() ? types[i] : 1;
    if (type == kControl || type == kUserDefined)
      parts.added_tokens.push_back({.id = static_cast<Token>(i), .content = std::string(piece), .normalized = false, .special = type == kControl});
  }
  for (std::uint64_t i = 0; i < merges.size(); ++i) {
    const std::string_view merge = merges.text(i);
    const std::size_t space = merge.find(' ', 1);
    const Token left = space == merge.npos ? -1 : bpe.vocabulary.find(merge.substr(0, space));
    const Token right = space == merge.npos ? -1 : bpe.vocabulary.find(merge.substr(space + 1));
    check(left >= 0 && right >= 0, Code::tokenizer, "{}: merge {} of tokenizer.ggml.merges, {}, does not join two tokens", origin, i, quoted(merge));
    bpe.merges.emplace_back(left, right);
  }
  // What Llama 3's own files say: a word that is a token as a whole is never merged together.
  const std::string pre = m.text_or("tokenizer.ggml.pre", "default");
  bpe.ignore_merges = pre == "llama-bpe";
  parts.model = std::move(bpe);
  parts.pre_tokenizer = cutting(pre, origin);
  parts.decoder = {decoder::ByteLevel{}};

  const auto special = [&](const char* key) {
    const std::int64_t id = m.integer_or(key, -1);
    return id >= 0 && id < static_cast<std::int64_t>(tokens.size()) ? std::string(tokens.text(static_cast<std::uint64_t>(id))) : std::string();
  };
  SpecialTokens& s = parts.special_tokens;
  s.bos = special("tokenizer.ggml.bos_token_id"), s.eos = special("tokenizer.ggml.eos_token_id");
  s.unk = special("tokenizer.ggml.unknown_token_id"), s.pad = special("tokenizer.ggml.padding_token_id");
  s.add_bos = m.boolean_or("tokenizer.ggml.add_bos_token", false) && !s.bos.empty();
  s.chat_template = m.text_or("tokenizer.chat_template", "");
  if (s.add_bos) {
    const Token id = static_cast<Token>(m.integer("tokenizer.ggml.bos_token_id"));
    post_processor::Template first;
    first.single = {{.kind = post_processor::Piece::Kind::special, .special = s.bos}, {}};
    first.pair = {{.kind = post_processor::Piece::Kind::special, .special = s.bos}, {}, {.kind = post_processor::Piece::Kind::second, .special = {}, .type_id = 1}};
    first.special_tokens = {{s.bos, {{id}, {s.bos}}}};
    parts.post_processor = {first};
  }
  return Tokenizer(std::move(parts));
}

}  // namespace glossa
