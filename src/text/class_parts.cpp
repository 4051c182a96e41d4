#include "text/class_parts.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"

namespace glossa {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool says_nothing(std::string_view name) {
  return is_one_of(name, {"", "PreTrainedTokenizer", "TokenizersBackend"});
}

void refuse_class(const TokenizerConfig& config, std::string_view file, std::string_view supported) {
  fail(Code::tokenizer,
       "{}: tokenizer_class: {} is not supported with {}; supported are {}. "
       "save_pretrained of transformers' AutoTokenizer writes a tokenizer.json, which is",
       config.origin, quoted(config.tokenizer_class), file, supported);
}

SpecialTokens with_defaults(SpecialTokens given, const SpecialTokens& otherwise) {
  for (std::string SpecialTokens::*token :
       {&SpecialTokens::bos, &SpecialTokens::eos, &SpecialTokens::unk, &SpecialTokens::pad,
        &SpecialTokens::sep, &SpecialTokens::cls, &SpecialTokens::mask})
    if ((given.*token).empty()) given.*token = otherwise.*token;
  return given;
}

SpecialTokens fairseq_tokens() {
  return {.bos = "<s>", .eos = "</s>", .unk = "<unk>", .pad = "<pad>", .sep = "</s>", .cls = "<s>", .mask = "<mask>"};
}

std::vector<std::string> names_of(const SpecialTokens& s) {
  return {s.bos, s.eos, s.unk, s.sep, s.pad, s.cls, s.mask};
}

Token id_of(const TokenizerParts& parts, const std::string& token) {
  for (const AddedToken& t : parts.added_tokens)
    if (t.content == token) return t.id;
  const Token id = parts.vocabulary().find(token);
  check(id >= 0, Code::tokenizer, "{}: the special token {} is not in the vocabulary", parts.origin,
        quoted(token));
  return id;
}

post_processor::Piece special_piece(const std::string& token, int type) {
  return {post_processor::Piece::Kind::special, token, type};
}
post_processor::Piece first_piece() {
  return {post_processor::Piece::Kind::first, "", 0};
}
post_processor::Piece second_piece(int type) {
  return {post_processor::Piece::Kind::second, "", type};
}

void put_template(TokenizerParts& parts, std::vector<post_processor::Piece> single,
                  std::vector<post_processor::Piece> pair) {
  post_processor::Template made{std::move(single), std::move(pair), {}};
  for (const auto* pieces : {&made.single, &made.pair})
    for (const auto& piece : *pieces)
      if (piece.kind == post_processor::Piece::Kind::special)
        made.special_tokens[piece.special] = {{id_of(parts, piece.special)}, {piece.special}};
  parts.post_processor = {std::move(made)};
}

void put_bert_template(TokenizerParts& parts) {
  const auto cls = special_piece(parts.special_tokens.cls, 0),
             sep = special_piece(parts.special_tokens.sep, 0);
  put_template(parts, {cls, first_piece(), sep},
               {cls, first_piece(), sep, second_piece(1), special_piece(parts.special_tokens.sep, 1)});
}

void add_tokens(TokenizerParts& parts, const std::vector<AddedToken>& given,
                const std::vector<std::string>& special) {
  const Vocabulary& vocabulary = parts.vocabulary();
  auto& tokens = parts.added_tokens;
  Token next = vocabulary.count();
  std::unordered_map<std::string, std::size_t> places;
  for (const AddedToken& t : tokens) {
    next = std::max(next, t.id + 1);
    places.emplace(t.content, places.size());
  }
  const auto put = [&](AddedToken token) {
    if (token.content.empty() || !places.emplace(token.content, tokens.size()).second) return;
    const Token known = vocabulary.find(token.content), id = known >= 0 ? known : next++;
    check(token.id < 0 || token.id == id, Code::tokenizer, "{}: the added token {} has the id {}; {} {}",
          parts.origin, quoted(token.content), token.id,
          known >= 0 ? "in the vocabulary it has" : "the next free one is", id);
    token.id = id;
    tokens.push_back(std::move(token));
  };
  for (const AddedToken& token : given) put(token);
  for (const std::string& name : special) {
    put({.content = name, .normalized = false, .special = true});
    if (const auto known = places.find(name); known != places.end()) tokens[known->second].special = true;
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

void put_around(TokenizerParts& parts, const std::string& before, const std::string& after) {
  if (before.empty() && after.empty()) return;
  std::vector<post_processor::Piece> single, pair;
  const auto text = [&](post_processor::Piece piece, int type, std::vector<post_processor::Piece>& pieces) {
    if (!before.empty()) pieces.push_back(special_piece(before, type));
    pieces.push_back(std::move(piece));
    if (!after.empty()) pieces.push_back(special_piece(after, type));
  };
  text(first_piece(), 0, single);
  text(first_piece(), 0, pair);
  text(second_piece(1), 1, pair);
  put_template(parts, std::move(single), std::move(pair));
}

void put_asked_around(TokenizerParts& parts) {
  const SpecialTokens& s = parts.special_tokens;
  put_around(parts, s.add_bos ? s.bos : "", s.add_eos ? s.eos : "");
}

}  // namespace glossa
