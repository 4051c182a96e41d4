#include "generate/chat_prompt.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr std::string_view kJoiner = "\u2060";

// Text without the names of special tokens: each is broken after its first character (one of a single character is left out), until none is left.
std::string without_special_tokens(const Tokenizer& tokenizer, std::string text) {
  constexpr int kRounds = 64;
  int round = 0;
  for (bool broken = true; broken; ++round) {
    check(round < kRounds, Code::tokenizer, "names of special tokens in a message cannot be broken");
    broken = false;
    for (const Token id : tokenizer.encode(text, false)) {
      if (!tokenizer.is_special(id)) continue;
      const std::string_view piece = tokenizer.piece(id);
      const std::size_t first = std::max<std::size_t>(1, utf8_length_at(piece, 0));
      for (std::size_t at = 0; !piece.empty() && (at = text.find(piece, at)) != text.npos; broken = true) {
        if (first >= piece.size()) text.erase(at, piece.size());  // one character cannot be broken
        else text.insert(at + first, kJoiner), at += first + kJoiner.size();
      }
    }
  }
  return text;
}

}  // namespace

std::vector<Token> chat_prompt(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const OrderedJson& messages,
                               const ChatOptions& options, bool parse_special) {
  if (parse_special) return tokenizer.encode(chat_template.render(messages, options).text, false);
  OrderedJson safe = messages;
  for (OrderedJson& message : safe) {
    OrderedJson& content = message["content"];
    if (content.is_string()) content = without_special_tokens(tokenizer, content.get<std::string>());
    if (!content.is_array()) continue;
    for (OrderedJson& part : content)
      if (part.is_object() && part.contains("text") && part["text"].is_string())
        part["text"] = without_special_tokens(tokenizer, part["text"].get<std::string>());
  }
  return tokenizer.encode(chat_template.render(safe, options).text, false);
}

}  // namespace glossa
