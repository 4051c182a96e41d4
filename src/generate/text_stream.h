// text_stream.h -- tokens to text as they come, up to a string that ends it. What is handed out never ends within a
// character, and never holds the beginning of what may become such a string.
#pragma once
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace glossa {

class TextStream {
 public:
  TextStream(Tokenizer tokenizer, std::vector<std::string> stop_strings, bool skip_special = true);
  std::string push(Token token);  // the text that is certain now
  std::string finish();           // the rest
  bool stopped() const { return stopped_; }  // at a stop string, which is not part of the text

 private:
  std::string release(bool all);

  Tokenizer::Stream stream_;
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace glossa
