// utf8_fuzz.cpp -- any bytes as text: what is repaired is well formed, what is well formed is left alone, and
// what is normalised stays so.
#include "base/error.h"
#include "base/unicode.h"
#include "fuzz.h"

namespace {

using namespace glossa;

void check_well_formed(const std::string& text) {
  std::string again;
  for (std::size_t at = 0; at < text.size();) {
    require(utf8_length_at(text, at) > 0);
    const std::size_t begin = at;
    const char32_t c = utf8_next(text, at);
    require(at - begin == utf8_length_at(text, begin) && c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF));
    utf8_append(again, c);
    (void)(is_letter(c) + is_number(c) + is_space(c) + is_punctuation(c) + is_mark(c) + is_symbol(c));
  }
  require(again == text);
  require(utf8_repaired(text) == text);
  require(!utf8_error(lower_cased(text)));
  for (const auto form : {Normalization::nfc, Normalization::nfd, Normalization::nfkc, Normalization::nfkd}) {
    const std::string once = normalized(text, form);
    require(!utf8_error(once) && normalized(once, form) == once);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz_text(data, size));
  const auto fault = utf8_error(text);
  if (fault) {
    require(*fault < text.size() && utf8_length_at(text, *fault) == 0 && !utf8_error(text.substr(0, *fault)));
  }
  const std::string repaired = utf8_repaired(text);
  require((repaired == text) == !fault);
  check_well_formed(repaired);
  const std::string shown = quoted(text);
  require(!utf8_error(shown));
  for (char c : shown) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  return 0;
}
