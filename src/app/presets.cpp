#include "app/presets.h"

#include "base/random.h"

namespace glossa::app {

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names{"encdec-base", "encdec-small"};
  return names;
}

Preset preset(const std::string& name) {
  TransformerConfig c;
  c.vocab_size = 10000;
  if (name == "encdec-base") return {name, c, 64, 24};
  check(name == "encdec-small", Code::bad_value, "unknown preset {}", quoted(name));
  c.d_model = 256;
  c.encoder_layers = c.decoder_layers = 3;
  c.encoder_attention_heads = c.decoder_attention_heads = 4;
  c.encoder_ffn_dim = c.decoder_ffn_dim = 1024;
  return {name, c, 128, 16};
}

Seq2SeqBatch random_batch(const Preset& p, std::uint64_t seed) {
  const Philox random(seed, Purpose::sample);
  const std::int64_t tokens = std::int64_t{p.sentences} * p.length;
  const auto draw = [&](std::uint64_t part) {
    Tensor ids = Tensor::empty({tokens}, DType::i32);
    for (std::int64_t i = 0; i < tokens; ++i)
      ids.data<std::int32_t>()[i] = 2 + static_cast<std::int32_t>(random.below(part << 32 | static_cast<std::uint64_t>(i),
                                                                               static_cast<std::uint64_t>(p.config.vocab_size) - 2));
    return ids;
  };
  const Sequences sequences = Sequences::of_lengths(std::vector<std::int32_t>(static_cast<std::size_t>(p.sentences), p.length));
  return {{draw(0), sequences}, {draw(1), sequences}, draw(2)};
}

}  // namespace glossa::app
