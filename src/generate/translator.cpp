#include "generate/translator.h"

#include <algorithm>
#include <exception>

#include "base/unicode.h"

namespace glossa {
namespace {

// Lines in memory for each place in the pool: enough that one slow line does not keep the pool from being
// full.
constexpr std::size_t kWindow = 16;

bool blank(std::string_view text) {
  for (std::size_t at = 0; at < text.size();)
    if (!is_space(utf8_next(text, at))) return false;
  return true;
}

SearchOptions with_attention(SearchOptions options, bool alignment) {
  options.attention = options.attention || alignment;
  return options;
}

GenerationConfig within(GenerationConfig config, std::int64_t tokens, std::int64_t vocabulary) {
  config.forbid_padding(tokens, vocabulary);
  return config;
}

}  // namespace

Translator::Translator(std::vector<const Transformer*> models, Tokenizer source, Tokenizer target,
                       const GenerationConfig& generation, const TranslatorOptions& options)
    : source_(std::move(source)),
      target_(std::move(target)),
      options_(options),
      positions_(models.at(0)->longest()),
      search_(models, within(generation, target_.size(), models[0]->config().target_vocab_size()),
              with_attention(options.search, options.alignment)) {
  for (const Transformer* model : models) positions_ = std::min(positions_, model->longest());
  const TransformerConfig& config = models[0]->config();
  check(source_.size() <= config.vocab_size && target_.size() <= config.target_vocab_size(), Code::tokenizer,
        "the tokenizer has {} tokens (target: {}), the model {} (target: {}): they do not belong together",
        source_.size(), target_.size(), config.vocab_size, config.target_vocab_size());
}

std::vector<std::string> Translator::translate(std::span<const std::string> lines) {
  std::vector<std::string> out;
  out.reserve(lines.size());
  std::size_t next = 0;
  run(
      [&](Line& line, bool) {
        if (next == lines.size()) return Read::end;
        line = {.text = lines[next++]};
        return Read::line;
      },
      [&](Translation t) { out.push_back(std::move(t.best[0].text)); });
  return out;
}

void Translator::run(const Reader& read, const Writer& write) {
  const auto batch = static_cast<std::size_t>(options_.search.batch_size);
  search_.clear();  // what an error may have left there
  pending_.clear();
  written_ = 0;
  // An error of reading or of a line comes after the translations of the lines before it.
  std::exception_ptr error;
  for (bool ended = false; !ended || !pending_.empty();) {
    try {
      while (!ended && search_.sentences() < 2 * batch && pending_.size() < kWindow * batch)
        if (!take_line(read, ended)) break;
    } catch (const Error&) {
      error = std::current_exception();
      ended = true;
    }
    results_.clear();
    if (!search_.idle()) search_.step(results_);
    for (SearchResult& result : results_) finish(std::move(result));
    while (!pending_.empty() && pending_.front().done) {
      write(std::move(pending_.front().translation));
      pending_.pop_front();
      ++written_;
    }
  }
  if (error) std::rethrow_exception(error);
}

// False if there is no line just now.
bool Translator::take_line(const Reader& read, bool& ended) {
  Line line;
  const Read outcome = read(line, pending_.empty());
  if (outcome == Read::line) accept(line);
  ended = outcome == Read::end;
  return outcome != Read::later;
}

void Translator::accept(const Line& line) {
  Pending p;
  Translation& t = p.translation;
  t.line = written_ + pending_.size();
  if (blank(line.text)) {
    t.best.emplace_back();
    p.done = true;
  } else {
    source_.encode(line.text, t.source);
    if (static_cast<std::int64_t>(t.source.size()) > positions_) {
      check(options_.truncate, Code::size,
            "{}: line {}: {} tokens; the model's max_position_embeddings is {} (--truncate cuts)",
            options_.origin, t.line + 1, t.source.size(), positions_);
      cut(line.text, t.source);
      t.truncated = true;
    }
    SearchRequest request{.index = t.line, .source = t.source};
    if (!line.prefix.empty()) target_.encode(line.prefix, request.prefix, false);
    search_.submit(std::move(request));
  }
  pending_.push_back(std::move(p));
}

// Leaves out the last tokens that stand for text, so that special ones at the end stay.
void Translator::cut(const std::string& text, std::vector<Token>& ids) const {
  const Encoding whole = source_.encode_with_offsets(text);
  auto excess = static_cast<std::int64_t>(whole.ids.size()) - positions_;
  std::vector<Token> kept;
  for (std::size_t i = whole.ids.size(); i-- > 0;)
    if (whole.special[i] || excess-- <= 0) kept.push_back(whole.ids[i]);
  ids.assign(kept.rbegin(), kept.rend());
}

void Translator::finish(SearchResult result) {
  Pending& p = pending_[static_cast<std::size_t>(result.index - written_)];
  for (Hypothesis& h : result.hypotheses)
    p.translation.best.push_back(translated(p.translation, std::move(h)));
  p.done = true;
}

Translated Translator::translated(const Translation& translation, Hypothesis h) const {
  Translated t{.text = {}, .tokens = {}, .log_probability = h.log_probability, .score = h.score};
  const std::size_t width = translation.source.size();
  for (std::size_t i = 1; i < h.tokens.size(); ++i) {
    if (target_.is_special(h.tokens[i])) continue;
    t.tokens.push_back(h.tokens[i]);
    if (!options_.alignment) continue;
    const float* attention = h.attention.data() + (i - 1) * width;
    std::size_t best = width;
    for (std::size_t j = 0; j < width; ++j)
      if (!source_.is_special(translation.source[j]) && (best == width || attention[j] > attention[best]))
        best = j;
    if (best < width)
      t.alignment.emplace_back(static_cast<std::int32_t>(best),
                               static_cast<std::int32_t>(t.tokens.size()) - 1);
  }
  t.text = target_.decode(t.tokens);
  return t;
}

}  // namespace glossa
