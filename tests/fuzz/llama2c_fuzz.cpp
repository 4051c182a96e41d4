// llama2c_fuzz.cpp -- any bytes as a model and as a tokenizer of llama2.c: refused by an Error of exit status
// 3 or 5, or read; a model that is written again as version 0 reads back as the same.
#include <string>

#include "checkpoint/llama2c.h"
#include "fuzz.h"

namespace {

using namespace glossa;

std::string written(const Llama2cModel& model) {
  std::string out;
  write_llama2c([&](Bytes bytes) { out += as_text(bytes); }, model.config, model.tensors);
  return out;
}

void check_model(const Llama2cModel& model) {
  // Versions 1 and 2 have no tables of cosines, whose size the header of a short file may put at gigabytes.
  if (model.config.max_position_embeddings * model.config.head_dim() > 1 << 16) return;
  const std::string text = written(model);
  const Llama2cModel again = read_llama2c(as_bytes(text), "rewritten");
  require(again.config.to_json() == model.config.to_json() && again.tensors.size() == model.tensors.size());
  require(written(again) == text);
}

void check_tokenizer(const Llama2cTokenizer& tokenizer, Bytes file) {
  require(tokenizer.pieces.size() == tokenizer.scores.size());
  std::size_t size = 4;
  for (const std::string& piece : tokenizer.pieces) size += 8 + piece.size();
  require(size == file.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes file = as_bytes(fuzz_text(data, size));
  if (const auto model = read_or_refused([&] { return read_llama2c(file, "input"); })) check_model(*model);
  if (const auto tokenizer = read_or_refused([&] { return read_llama2c_tokenizer(file, "input"); }))
    check_tokenizer(*tokenizer, file);
  return 0;
}
