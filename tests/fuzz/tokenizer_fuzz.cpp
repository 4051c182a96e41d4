// tokenizer_fuzz.cpp -- bytes as a tokenizer.json, a zero byte, and a text: the file is refused by an Error, or read; then it is
// written and read again as the same, and the text goes through it both ways.
#include "base/error.h"
#include "base/unicode.h"
#include "fuzz.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  const std::string_view all = fuzz_text(data, size);
  const std::size_t end = all.find('\0');
  const std::string_view json = all.substr(0, end), text = end == std::string_view::npos ? "A dog, 狗!" : all.substr(end + 1);
  try {
    const Tokenizer tokenizer = Tokenizer::parse(json, "tokenizer.json");
    const std::string written = tokenizer.to_json();
    const Tokenizer again = Tokenizer::parse(written, "written");
    require(again.to_json() == written);
    const std::vector<Token> ids = tokenizer.encode(text);
    require(again.encode(text) == ids);
    for (const Token id : ids) require(id >= 0 && id < tokenizer.size());
    require(!utf8_error(tokenizer.decode(ids)).has_value());
    if (!utf8_error(text)) require(tokenizer.encode_with_offsets(text).ids == ids);
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
