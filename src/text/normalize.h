// normalize.h -- the normalizers of a tokenizer.json: text to text, before anything is cut.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/unicode.h"
#include "text/aligned_text.h"
#include "text/charsmap.h"
#include "text/regex.h"

namespace glossa {

namespace normalizer {

struct Unicode {  // NFC, NFD, NFKC, NFKD
  Normalization form;
};
struct Lowercase {};
struct Strip {
  bool left = true, right = true;
};
struct StripAccents {};  // all combining marks; usually after NFD
struct Replace {
  std::variant<std::string, Regex> pattern;  // a text is never empty
  std::string content;
};
struct Prepend {  // to text that is not empty
  std::string text;
};
struct Bert {
  bool clean_text = true, handle_chinese_chars = true;
  std::optional<bool> strip_accents;  // nothing: as lowercase
  bool lowercase = true;
};
struct ByteLevel {};  // each byte as one of 256 printable characters
struct Nmt {};        // without control characters, and with plain spaces
struct Precompiled {  // of SentencePiece
  Charsmap charsmap;
};

using Step = std::variant<Unicode, Lowercase, Strip, StripAccents, Replace, Prepend, Bert, ByteLevel, Nmt,
                          Precompiled>;

}  // namespace normalizer

using Normalizer = std::vector<normalizer::Step>;

// Applies all steps to well-formed UTF-8.
void normalize(const Normalizer& normalizer, AlignedText& text);
std::string normalize(const Normalizer& normalizer, std::string_view text);

}  // namespace glossa
