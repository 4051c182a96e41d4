// json_fuzz.cpp -- any bytes as JSON: refused by an Error, or read, and then what is written of it reads back
// equal.
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/unicode.h"
#include "fuzz.h"

namespace {

using namespace glossa;

// The tree's own parser reads our text without duplicates or depth to fear: the two must agree.
void check_tree(std::string_view text, const Json& json) {
  require(!utf8_error(text));
  require(Json::accept(text));
  require(Json::parse(text) == json);
  const std::string written = json.dump();
  require(parse_json(written, "written") == json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz_text(data, size);
  Limits limits;
  limits.json_token_bytes = 4096;
  try {
    check_tree(text, parse_json(text, "input", limits));
  } catch (const Error& error) {
    require(!utf8_error(error.what()) && std::string_view(error.what()).size() < 1000);
  }
  return 0;
}
