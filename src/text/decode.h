// decode.h -- the decoders of a tokenizer.json: pieces back to text.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "text/regex.h"

namespace glossa {

namespace decoder {

struct ByteLevel {  // GPT-2's names back to bytes
  bool add_prefix_space = true, trim_offsets = true, use_regex = true;
};
struct Metaspace {
  std::string replacement = "\xE2\x96\x81";
  std::string prepend_scheme = "always";  // unless "never", the first piece has no space in front
  bool split = true;
};
struct Bpe {  // the suffix becomes a space, and nothing at the end
  std::string suffix = "</w>";
};
struct ByteFallback {};  // <0x0A> back to bytes
struct Fuse {};          // one piece of all
struct Strip {           // so many of one character at each end of a piece
  std::string content;
  std::size_t start = 0, stop = 0;
};
struct Replace {
  std::variant<std::string, Regex> pattern;  // a text is never empty
  std::string content;
};
struct WordPiece {  // pieces without the prefix get a space in front, all but the first
  std::string prefix = "##";
  bool cleanup = true;  // takes spaces away again before marks of punctuation and English contractions
};
struct Ctc {  // of equal pieces in a row one; then without pad tokens
  std::string pad_token = "<pad>", word_delimiter_token = "|";
  bool cleanup = true;  // as of WordPiece; and delimiters become spaces
};

using Step = std::variant<ByteLevel, Metaspace, Bpe, ByteFallback, Fuse, Strip, Replace, WordPiece, Ctc>;

}  // namespace decoder

using Decoder = std::vector<decoder::Step>;

// Joins pieces to text. Without any step, spaces go between them. `exact`: bytes that form no character stay;
// else they are U+FFFD as the library has it. Error(size) if a Replace makes the text more than 32 times longer.
std::string decode(const Decoder& decoder, std::vector<std::string> pieces, bool exact);

}  // namespace glossa
