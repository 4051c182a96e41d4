#include "app/presets.h"

#include "base/random.h"

namespace glossa::app {

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names{"encdec-base", "encdec-small", "encdec-tiny"};
  return names;
}

Preset preset(const std::string& name) {
  TransformerConfig c;
  c.vocab_size = 10000;
  if (name == "encdec-base") return {name, c, 64, 24};
  const bool tiny = name == "encdec-tiny";
  check(tiny || name == "encdec-small", Code::bad_value, "unknown preset {}", quoted(name));
  if (tiny) c.vocab_size = 1000;
  c.d_model = tiny ? 64 : 256;
  c.encoder_layers = c.decoder_layers = tiny ? 2 : 3;
  c.encoder_attention_heads = c.decoder_attention_heads = 4;
  c.encoder_ffn_dim = c.decoder_ffn_dim = 4 * c.d_model;
  return {name, c, tiny ? 8 : 128, tiny ? 8 : 16};
}

const std::vector<std::string>& causal_preset_names() {
  static const std::vector<std::string> names{"gpt2-124m", "gpt-small"};
  return names;
}

CausalPreset causal_preset(const std::string& name) {
  Json c{{"model_type", "gpt2"}, {"embd_pdrop", 0}, {"attn_pdrop", 0}, {"resid_pdrop", 0}};
  if (name == "gpt2-124m") return {name, c, 4, 256};
  check(name == "gpt-small", Code::bad_value, "unknown preset {}", quoted(name));
  c["vocab_size"] = 8000, c["n_embd"] = 384, c["n_layer"] = 6, c["n_head"] = 6, c["n_positions"] = 256;
  return {name, c, 16, 256};
}

namespace {

// Tokens from 2 on.
Tensor random_tokens(const Philox& random, std::uint64_t part, std::int64_t tokens, std::int64_t vocabulary) {
  Tensor ids = Tensor::empty({tokens}, DType::i32);
  for (std::int64_t i = 0; i < tokens; ++i)
    ids.data<std::int32_t>()[i] = 2 + static_cast<std::int32_t>(random.below(part << 32 | static_cast<std::uint64_t>(i),
                                                                             static_cast<std::uint64_t>(vocabulary) - 2));
  return ids;
}

Sequences equal_sequences(std::int32_t count, std::int32_t length) {
  return Sequences::of_lengths(std::vector<std::int32_t>(static_cast<std::size_t>(count), length));
}

}  // namespace

Seq2SeqBatch random_batch(const Preset& p, std::uint64_t seed) {
  const Philox random(seed, Purpose::sample);
  const Sequences sequences = equal_sequences(p.sentences, p.length);
  const auto draw = [&](std::uint64_t part) { return random_tokens(random, part, sequences.tokens(), p.config.vocab_size); };
  return {{draw(0), sequences}, {draw(1), sequences}, draw(2)};
}

CausalBatch random_batch(const CausalPreset& p, std::uint64_t seed) {
  const Philox random(seed, Purpose::sample);
  const Sequences sequences = equal_sequences(p.sequences, p.length);
  const std::int64_t vocabulary = p.config.value("vocab_size", 50257);
  return {{random_tokens(random, 0, sequences.tokens(), vocabulary), sequences}, random_tokens(random, 1, sequences.tokens(), vocabulary)};
}

double translate_flops(const Preset& p, std::int64_t beams) {
  const TransformerConfig& c = p.config;
  const auto d = static_cast<double>(c.d_model), n = static_cast<double>(p.length);
  const auto encoders = static_cast<double>(c.encoder_layers), decoders = static_cast<double>(c.decoder_layers);
  // Multiplications for one sentence: the encoder, the keys and values of its output for the decoder, and then the lines of
  // the search: one in the first step, `beams` in the others. Line t attends to t tokens of its own and to all of the source.
  const double encode = n * encoders * (4 * d * d + 2 * d * static_cast<double>(c.encoder_ffn_dim) + 2 * n * d);
  const double remember = n * decoders * 2 * d * d;
  const double lines = 1 + (n - 1) * static_cast<double>(beams);
  const double line = decoders * (6 * d * d + 2 * d * static_cast<double>(c.decoder_ffn_dim) + 2 * d * ((n + 1) / 2 + n)) +
                      d * static_cast<double>(c.target_vocab_size());
  return 2 * p.sentences * (encode + remember + lines * line);
}

}  // namespace glossa::app
