#include "app/causal.h"

#include <memory>

#include "base/unicode.h"
#include "checkpoint/gguf_model.h"
#include "data/byte_stream.h"
#include "hub/cache.h"

namespace glossa::app {

LoadedCausalModel load_causal(const std::string& model) {
  const fs::path path = model_path(model);
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? load_causal_directory(path) : load_gguf_model(path);
}

std::function<bool(std::int32_t)> sequence_breaks(const Tokenizer& tokenizer, const SamplingConfig& sampling) {
  if (sampling.dry_multiplier == 0) return [](std::int32_t) { return false; };
  auto breaks = std::make_shared<std::vector<bool>>(static_cast<std::size_t>(tokenizer.size()));
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const std::string text = tokenizer.decode(std::vector<Token>{token});
    for (const std::string& breaker : sampling.dry_sequence_breakers)
      if (!breaker.empty() && text.find(breaker) != std::string::npos) (*breaks)[static_cast<std::size_t>(token)] = true;
  }
  return [breaks](std::int32_t token) { return (*breaks)[static_cast<std::size_t>(token)]; };
}

std::string read_text(const std::string& path) {
  ByteStream stream = ByteStream::open(path);
  std::string text;
  std::vector<std::byte> block(1 << 16);
  while (const std::size_t count = stream.read(block)) text.append(reinterpret_cast<const char*>(block.data()), count);
  const auto error = utf8_error(text);
  check(!error, Code::utf8, "{}: byte {} is not UTF-8", stream.name(), error.value_or(0));
  return text;
}

}  // namespace glossa::app
