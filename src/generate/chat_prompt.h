// chat_prompt.h -- a conversation as the tokens that a model goes on from.
#pragma once
#include <vector>

#include "base/json.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace glossa {

// The tokens of the conversation as the template renders it, with nothing added: templates write the start token themselves.
// What messages say never becomes a special token, unless `parse_special`: the names of such tokens in them are broken by a
// word joiner (U+2060), and those of one character left out. Errors as ChatTemplate::render's.
std::vector<Token> chat_prompt(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const OrderedJson& messages,
                               const ChatOptions& options, bool parse_special = false);

}  // namespace glossa
