#include "train/update.h"

#include <cmath>

#include "train/schedule.h"

namespace glossa {

UpdateResult Updater::operator()(std::span<const Seq2SeqBatch> batches, std::int64_t step) {
  UpdateResult result;
  for (const Seq2SeqBatch& b : batches) result.tokens += b.labels.elements();
  parameters_.clear_gradients();
  const Bf16Products precision(bf16_);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    // Each micro-batch draws dropout of its own: its number extends the step's.
    Tape tape({.seed = static_cast<std::uint64_t>(recipe_.seed),
               .step = static_cast<std::uint64_t>(step) * static_cast<std::uint64_t>(recipe_.gradient_accumulation_steps) + i});
    const Tensor loss = model_.loss(batches[i], {.label_smoothing = static_cast<float>(recipe_.label_smoothing_factor),
                                                 .denominator = static_cast<double>(result.tokens),
                                                 .recompute = recipe_.gradient_checkpointing});
    result.loss += loss.item<float>();
    tape.backward(loss);
  }
  result.gradient_norm = optimizer_.gradient_norm();
  if (!std::isfinite(result.gradient_norm) || !std::isfinite(result.loss)) return result;
  const double limit = recipe_.max_grad_norm;
  const double scale = limit > 0 && result.gradient_norm > limit ? limit / result.gradient_norm : 1.0;
  optimizer_.update(learning_rate(recipe_, model_.config().d_model, step), scale, step);
  result.applied = true;
  return result;
}

double update_flops(const TransformerConfig& c, const Seq2SeqBatch& batch) {
  const auto d = static_cast<double>(c.d_model);
  const auto source = static_cast<double>(batch.source.ids.elements()), target = static_cast<double>(batch.target.ids.elements());
  const auto layers = [](std::int64_t n) { return static_cast<double>(n); };
  // Multiplications of one forward pass.
  double products = layers(c.encoder_layers) * source * (4 * d * d + 2 * d * static_cast<double>(c.encoder_ffn_dim));
  products += layers(c.decoder_layers) * (target * (6 * d * d + 2 * d * static_cast<double>(c.decoder_ffn_dim)) + source * 2 * d * d);
  products += target * d * static_cast<double>(c.target_vocab_size());
  const auto s = batch.source.sequences.starts.span<std::int32_t>(), t = batch.target.sequences.starts.span<std::int32_t>();
  for (std::int32_t i = 0; i < batch.source.sequences.count; ++i) {
    const double n = s[i + 1] - s[i], m = t[i + 1] - t[i];
    products += 2 * d * (layers(c.encoder_layers) * n * n + layers(c.decoder_layers) * (m * m / 2 + m * n));
  }
  return 2 * 3 * products;  // a multiplication and an addition; the backward pass costs twice the forward
}

}  // namespace glossa
