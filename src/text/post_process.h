// post_process.h -- the post-processors of a tokenizer.json: tokens around a text, and narrower offsets.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/vocabulary.h"

namespace glossa {

struct Encoding;

namespace post_processor {

struct Piece {
  enum class Kind {
    first,
    second,
    special
  } kind = Kind::first;  // the text, the second text of a pair, a token
  std::string special;   // the name of the special token
  std::int64_t type_id = 0;
};
struct Special {  // what a name in a template stands for
  std::vector<Token> ids;
  std::vector<std::string> tokens;
};
struct Template {
  std::vector<Piece> single, pair;
  std::map<std::string, Special> special_tokens;
};
struct ByteLevel {  // spaces leave the offsets if trim_offsets
  bool add_prefix_space = true, trim_offsets = true, use_regex = true;
};
struct Bert {  // [CLS] text [SEP]
  std::pair<std::string, Token> sep, cls;
};
struct Roberta {
  std::pair<std::string, Token> sep, cls;
  bool trim_offsets = true, add_prefix_space = true;
};

using Step = std::variant<Template, ByteLevel, Bert, Roberta>;

}  // namespace post_processor

using PostProcessor = std::vector<post_processor::Step>;

// The ids that all steps put before and after a text.
struct Frame {
  std::vector<Token> before, after;
};
Frame frame_of(const PostProcessor& processor);
// Applies all steps to the encoding of `text`; `special`: with the tokens they add.
void post_process(const PostProcessor& processor, std::string_view text, bool special, Encoding& encoding);

}  // namespace glossa
