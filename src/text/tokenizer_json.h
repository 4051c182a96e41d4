// tokenizer_json.h -- tokenizer.json, read and written. What is not supported is refused by name; nothing is
// passed over.
#pragma once
#include <string>
#include <string_view>

#include "base/limits.h"
#include "text/parts.h"

namespace glossa {

TokenizerParts parse_tokenizer(std::string_view json, std::string_view origin, const Limits& limits = {});
std::string to_tokenizer_json(const TokenizerParts& parts);

}  // namespace glossa
