// token_cache_fuzz.cpp -- any bytes as a cache of tokens: refused, or read, and then every place in it can be
// asked for.
#include <memory>
#include <string>
#include <vector>

#include "data/token_dataset.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  const auto bytes = std::make_shared<const std::string>(fuzz_text(data, size));
  const auto tokens = read_or_refused([&] { return TokenDataset::of_memory(bytes); });
  if (!tokens) return 0;
  require(tokens->size() <= size && tokens->documents() <= tokens->size());
  std::vector<std::int32_t> ids(tokens->size());
  tokens->copy(0, tokens->size(), ids.data());
  for (std::uint64_t d = 0; d < tokens->documents(); ++d) {
    require(tokens->start(d) < tokens->size() && tokens->document_from(tokens->start(d)) == d);
    static_cast<void>(tokens->hash(d));
  }
  require(tokens->document_from(tokens->size()) == tokens->documents());
  return 0;
}
