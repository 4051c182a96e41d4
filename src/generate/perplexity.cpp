#include "generate/perplexity.h"

#include <algorithm>

#include "base/error.h"

namespace glossa {
namespace {

// Tokens [begin, end) of the text, of which those from `scored` on are predicted by the ones before them.
struct Window {
  std::int64_t begin, scored, end;
};

std::vector<Window> windows_of(std::int64_t size, const PerplexityOptions& o) {
  std::vector<Window> windows;
  if (o.stride == 0) {
    check(size >= o.context, Code::bad_value, "the text has {} tokens, and a piece {}; give a longer text, or a smaller --ctx-size", size,
          o.context);
    for (std::int64_t begin = 0; begin + o.context <= size; begin += o.context)
      windows.push_back({begin, begin + o.context / 2 + 1, begin + o.context});
    return windows;
  }
  check(size >= 2, Code::bad_value, "the text has {} tokens; there must be at least 2", size);
  std::int64_t done = 1;  // the first token has nothing before it
  for (std::int64_t begin = 0; done < size; begin += o.stride) {
    const std::int64_t end = std::min(begin + o.context, size);
    if (end > done) windows.push_back({begin, done, end});
    done = std::max(done, end);
  }
  return windows;
}

// The surprise of labels [rows] given hidden states [rows, width], a block of rows at a time.
void surprises(const CausalModel& model, const Tensor& hidden, const Tensor& labels, float* out) {
  const std::int64_t block = std::max<std::int64_t>(1, (std::int64_t{1} << 24) / model.vocabulary());
  for (std::int64_t begin = 0; begin < hidden.rows(); begin += block) {
    const std::int64_t end = std::min(begin + block, hidden.rows());
    Tensor logits = model.logits(hidden.slice(0, begin, end)).to(DType::f32), loss = logits.like({end - begin});
    Backend::of(logits.device()).cross_entropy(logits, labels.slice(0, begin, end), 0, false, 1, loss);
    std::copy_n(loss.data<float>(), end - begin, out + begin);
  }
}

}  // namespace

void score_tokens(const CausalModel& model, std::span<const Token> tokens, const PerplexityOptions& o,
                  const std::function<void(std::span<const ScoredToken>)>& report) {
  check(o.context >= 2 && o.context <= model.longest(), Code::bad_value, "pieces of {} tokens; the model takes from 2 to {}", o.context,
        model.longest());
  check(o.stride >= 0 && o.stride <= o.context, Code::bad_value, "a stride of {} with pieces of {} would leave tokens out", o.stride, o.context);
  const std::vector<Window> windows = windows_of(static_cast<std::int64_t>(tokens.size()), o);
  const std::size_t together = static_cast<std::size_t>(std::max<std::int64_t>(1, o.batch_tokens / o.context));
  std::vector<float> values;
  std::vector<ScoredToken> scored;
  for (std::size_t first = 0; first < windows.size(); first += together) {
    std::vector<std::int32_t> ids, lengths, rows, labels;
    scored.clear();
    for (std::size_t w = first; w < std::min(first + together, windows.size()); ++w) {
      const auto [begin, from, end] = windows[w];
      const auto at = static_cast<std::int64_t>(ids.size());
      ids.insert(ids.end(), tokens.begin() + begin, tokens.begin() + end);
      if (o.bos >= 0 && o.stride == 0) ids[static_cast<std::size_t>(at)] = o.bos;
      lengths.push_back(static_cast<std::int32_t>(end - begin));
      for (std::int64_t t = from; t < end; ++t) {
        rows.push_back(static_cast<std::int32_t>(at + t - begin - 1));
        labels.push_back(tokens[t]);
        scored.push_back({t, 0});
      }
    }
    const Tensor hidden = model.hidden(CausalInput::whole({Tensor::of(ids), Sequences::of_lengths(lengths)}));
    Tensor wanted = hidden.like({static_cast<std::int64_t>(rows.size()), hidden.cols()});
    Backend::of(hidden.device()).gather_rows(hidden, Tensor::of(rows), wanted);
    values.resize(scored.size());
    surprises(model, wanted, Tensor::of(labels), values.data());
    for (std::size_t i = 0; i < scored.size(); ++i) scored[i].surprise = values[i];
    report(scored);
  }
}

}  // namespace glossa
