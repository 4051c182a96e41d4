// class_parts.h -- what the tokenizer classes have in common: names of special tokens, tokens that are found
// in texts, tokens that stand around a text.
#pragma once
#include <initializer_list>

#include "text/parts.h"

namespace glossa {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names);
// Whether the name of a class leaves open which one it is.
bool says_nothing(std::string_view tokenizer_class);
// Error(tokenizer): the class of the configuration is not among the supported ones of this kind of file.
[[noreturn]] void refuse_class(const TokenizerConfig& config, std::string_view file,
                               std::string_view supported);

// The names that a configuration gives to special tokens, and where it gives none those of the class.
SpecialTokens with_defaults(SpecialTokens given, const SpecialTokens& otherwise);
// Those of the classes that come from fairseq: RoBERTa, BART, XLM-RoBERTa.
SpecialTokens fairseq_tokens();
std::vector<std::string> names_of(const SpecialTokens& tokens);
// Error(tokenizer) for one that is neither added nor in the vocabulary.
Token id_of(const TokenizerParts& parts, const std::string& token);

// Tokens that are found in texts: those given, with ids that must be right, and special ones by name; what
// the vocabulary does not have takes the next ids.
void add_tokens(TokenizerParts& parts, const std::vector<AddedToken>& given,
                const std::vector<std::string>& special);

post_processor::Piece special_piece(const std::string& token, int type);
post_processor::Piece first_piece();
post_processor::Piece second_piece(int type);
// A post-processor of these pieces, whose special tokens must exist.
void put_template(TokenizerParts& parts, std::vector<post_processor::Piece> single,
                  std::vector<post_processor::Piece> pair);
// [CLS] text [SEP] second [SEP], the second of type 1.
void put_bert_template(TokenizerParts& parts);
// The same tokens around each text; "" puts none.
void put_around(TokenizerParts& parts, const std::string& before, const std::string& after);
// Those around a text that the configuration asks for: add_bos_token, add_eos_token.
void put_asked_around(TokenizerParts& parts);

}  // namespace glossa
