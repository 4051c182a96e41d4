#include "base/error.h"
#include "checkpoint/gguf.h"
#include "text/vocabulary.h"

namespace glossa {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

std::uint64_t length_of(const GgufMetadata& metadata, const char* key, std::uint64_t otherwise) {
  const auto* const array = metadata.has(key) ? std::get_if<GgufArray>(metadata.find(key)) : nullptr;
  return array ? array->size() : otherwise;
}

void check_counts(const GgufMetadata& metadata, const GgufArray& tokens) {
  if (metadata.has(kScores)) metadata.numbers(kScores);  // whether these are what they must be
  if (metadata.has(kTypes)) metadata.integers(kTypes);
  const std::uint64_t count = tokens.size(), scores = length_of(metadata, kScores, count),
                      types = length_of(metadata, kTypes, count);
  check(scores == count && types == count, Code::gguf,
        "{}: {} tokens, {} scores and {} token types do not fit each other", metadata.origin(), count, scores,
        types);
}

// A merge names its two tokens with a space between them, which does not separate where it is the first byte.
// Spaces within tokens stand as U+0120 there.
void check_merges(const GgufMetadata& metadata, const GgufArray& tokens) {
  Vocabulary pieces;
  for (std::uint64_t i = 0; i < tokens.size(); ++i) pieces.add(tokens.text(i));
  const auto is_token = [&](std::string_view piece) {
    if (pieces.find(piece) >= 0) return true;
    constexpr std::string_view kSpace = "\u0120";
    std::string spaced;
    for (std::size_t at = 0; at < piece.size();) {
      const bool is_space = piece.substr(at).starts_with(kSpace);
      spaced += is_space ? ' ' : piece[at];
      at += is_space ? kSpace.size() : 1;
    }
    return pieces.find(spaced) >= 0;
  };
  const GgufArray& merges = metadata.strings(kMerges);
  for (std::uint64_t i = 0; i < merges.size(); ++i) {
    const std::string_view merge = merges.text(i);
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos)
      fail(Code::gguf, "{}: merge {} is {}, which is not two tokens with a space between", metadata.origin(),
           i, quoted(merge, 40));
    for (const std::string_view piece : {merge.substr(0, space), merge.substr(space + 1)})
      if (!is_token(piece))
        fail(Code::gguf, "{}: merge {} is {}, and {} is not among the {} tokens", metadata.origin(), i,
             quoted(merge, 40), quoted(piece, 40), tokens.size());
  }
}

}  // namespace

void check_token_tables(const GgufMetadata& metadata, const Limits& limits) {
  if (!metadata.has(kTokens)) return;
  const GgufArray& tokens = metadata.strings(kTokens);
  check(tokens.size() <= limits.vocabulary, Code::count, "{}: {} tokens, and at most {} are allowed",
        metadata.origin(), tokens.size(), limits.vocabulary);
  check_counts(metadata, tokens);
  if (metadata.has(kMerges)) check_merges(metadata, tokens);
  for (const auto& [key, value] : metadata.entries())
    if (key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id"))
      metadata.integer(key, {0, static_cast<std::int64_t>(tokens.size()) - 1});
}

}  // namespace glossa
