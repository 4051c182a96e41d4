// config_fuzz.cpp -- any bytes as the config.json of an encoder-decoder: refused by an Error, or read, and
// then what is written of it is read the same.
#include "base/error.h"
#include "fuzz.h"
#include "models/transformer_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  try {
    const TransformerConfig config =
        TransformerConfig::from_json(parse_json(fuzz_text(data, size), "config.json"), "config.json");
    const std::string written = to_text(config.to_json());
    require(to_text(TransformerConfig::from_json(parse_json(written, "written"), "written").to_json()) ==
            written);
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
