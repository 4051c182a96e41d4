#include "text/word_piece.h"

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

// Whether `text` has more characters than `most`.
bool longer_than(std::string_view text, std::int64_t most) {
  if (static_cast<std::int64_t>(text.size()) <= most) return false;
  std::int64_t count = 0;
  for (std::size_t at = 0; at < text.size() && count <= most; ++count) utf8_next(text, at);
  return count > most;
}

}  // namespace

WordPiece::WordPiece(const WordPieceModel& model, std::string_view origin) : model_(model), origin_(origin) {
  const std::string_view prefix = model.continuing_subword_prefix;
  std::vector<PieceTrie::Entry> beginning, continuing;
  for (Token id = 0; id < model.vocabulary.size(); ++id) {
    if (!model.vocabulary.has(id)) continue;
    const std::string_view piece = model.vocabulary[id];
    beginning.emplace_back(piece, id);
    if (piece.starts_with(prefix)) continuing.emplace_back(piece.substr(prefix.size()), id);
  }
  beginning_ = PieceTrie(std::move(beginning));
  continuing_ = PieceTrie(std::move(continuing));
}

Symbol WordPiece::unknown(std::string_view word) const {
  const Token id = model_.vocabulary.find(model_.unk_token);
  check(id >= 0, Code::tokenizer, "{}: the word {} is unknown, and the unk_token {} is not in the vocabulary",
        origin_, quoted(word), quoted(model_.unk_token));
  return {id, static_cast<std::uint32_t>(word.size())};
}

void WordPiece::encode(std::string_view word, std::vector<Symbol>& symbols) const {
  symbols.clear();
  if (longer_than(word, model_.max_input_chars_per_word)) return symbols.push_back(unknown(word));
  for (std::string_view rest = word; !rest.empty();) {
    Symbol longest{-1, 0};
    const PieceTrie& pieces = rest.size() == word.size() ? beginning_ : continuing_;
    pieces.each_prefix(rest, [&](std::size_t size, Token id) {
      longest = {id, static_cast<std::uint32_t>(size)};
    });
    if (longest.id < 0) return symbols.assign(1, unknown(word));
    symbols.push_back(longest);
    rest.remove_prefix(longest.size);
  }
}

}  // namespace glossa
