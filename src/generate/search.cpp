#include "generate/search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"

namespace glossa {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

Search::Search(std::unique_ptr<Decoder> decoder, const GenerationConfig& config, const SearchOptions& options)
    : config_(config), options_(options), rules_(config), decoder_(std::move(decoder)) {
  config_.validate(decoder_->vocabulary(), "generation", Code::bad_value, decoder_->reads_sources());
  check(options_.batch_size > 0 && options_.batch_tokens > 0, Code::bad_value,
        "a batch of {} sentences and {} tokens", options_.batch_size, options_.batch_tokens);
  if (config_.do_sample) {
    best_ = config_.top_k;  // 0: the sampler looks at whole rows
  } else if (config_.num_beams > 1) {
    const std::int32_t width = config_.num_beams / config_.num_beam_groups;
    best_ = BeamSearch(config_, {}, width).wanted();
    // Other groups can make as many tokens less likely as they have hypotheses.
    if (config_.diversity_penalty > 0) best_ += config_.num_beams - width;
  }
  best_ = std::min(best_, decoder_->vocabulary());
}

std::vector<std::int32_t> Search::beginning(const SearchRequest& request) const {
  std::vector<std::int32_t> tokens = request.prefix;
  if (decoder_->reads_sources()) tokens.insert(tokens.begin(), config_.decoder_start_token_id);
  return tokens;
}

void Search::submit(SearchRequest request) {
  const auto source = static_cast<std::int64_t>(request.source.size()),
             prompt = static_cast<std::int64_t>(beginning(request).size());
  check(decoder_->reads_sources() == (source > 0), Code::bad_value,
        "sentence {}: {}", request.index, source > 0 ? "this model reads no source" : "there is no source token to attend to");
  check(prompt > 0, Code::bad_value, "sentence {}: an empty prompt, and the model has no token to begin with", request.index);
  check(source <= decoder_->positions(), Code::size,
        "sentence {}: a source of {} tokens; the model's max_position_embeddings is {}", request.index,
        source, decoder_->positions());
  const LengthLimits limits = rules_.limits(source, prompt, decoder_->positions());
  check(prompt < limits.most, Code::size, "sentence {}: a beginning of {} tokens leaves nothing of {} to generate", request.index, prompt,
        limits.most);
  waiting_.push_back(std::move(request));
}

void Search::clear() {
  for (Sentence& s : active_) {
    for (Line& line : s.alive) bury(std::move(line));
    decoder_->forget(s.memory);
  }
  active_.clear();
  waiting_.clear();
}

// Encoding few sentences is slow, so a group is waited for, unless nobody else is waiting.
void Search::admit() {
  const auto free = options_.batch_size - static_cast<std::int64_t>(active_.size());
  const auto group = std::min(static_cast<std::int64_t>(waiting_.size()),
                              std::max<std::int64_t>(1, options_.batch_size / 4));
  if (group == 0 || free < group) return;
  const auto size_of = [](const SearchRequest& r) { return static_cast<std::int64_t>(r.source.size() + r.prefix.size()); };
  std::int64_t tokens = 0;
  for (const Sentence& s : active_) tokens += size_of(s.request);
  const std::size_t before = active_.size();
  while (!waiting_.empty() && static_cast<std::int64_t>(active_.size()) < options_.batch_size) {
    tokens += size_of(waiting_.front());
    if (tokens > options_.batch_tokens && !active_.empty()) break;
    Sentence& sentence = active_.emplace_back();
    sentence.request = std::move(waiting_.front());
    waiting_.pop_front();
    start(sentence);
  }
  if (active_.size() == before) return;
  std::vector<std::span<const std::int32_t>> sources;
  std::vector<std::vector<std::int32_t>*> rows;
  for (std::size_t i = before; i < active_.size(); ++i) {
    sources.emplace_back(active_[i].request.source);
    rows.push_back(&active_[i].memory);
  }
  decoder_->remember(sources, rows);
}

void Search::start(Sentence& sentence) {
  const std::vector<std::int32_t> prompt = beginning(sentence.request);
  sentence.limits = rules_.limits(static_cast<std::int64_t>(sentence.request.source.size()),
                                  static_cast<std::int64_t>(prompt.size()), decoder_->positions());
  std::int32_t lines = config_.num_beam_groups;
  if (config_.num_beams > 1)
    sentence.groups.assign(static_cast<std::size_t>(lines),
                           BeamSearch(config_, sentence.limits, config_.num_beams / lines));
  else
    lines = config_.num_return_sequences;
  for (std::int32_t i = 0; i < lines; ++i) {
    Line line = fresh();
    line.tokens = prompt;
    line.log_probability = 0;
    line.group = i;
    sentence.alive.push_back(std::move(line));
  }
  if (config_.num_beams == 1) sentence.finished.resize(static_cast<std::size_t>(lines));
}

Search::Line Search::fresh() {
  if (dead_.empty()) return {};
  Line line = std::move(dead_.back());
  dead_.pop_back();
  line.tokens.clear(), line.rows.clear();
  return line;
}

void Search::bury(Line line) {
  decoder_->release(line.rows);
  dead_.push_back(std::move(line));
}

void Search::step(std::vector<SearchResult>& results) {
  admit();
  if (active_.empty()) return;
  step_.clear();
  for (Sentence& s : active_)
    for (Line& line : s.alive)
      step_.push_back({.tokens = line.tokens,
                       .rows = &line.rows,
                       .memory = s.memory,
                       .new_sentence = &line == s.alive.data()});
  Tensor logits = decoder_->step(step_);
  look_ahead(logits, step_.size());

  std::size_t at = 0;
  std::vector<Sentence*> done;
  for (Sentence& s : active_) {
    const std::span<const Outlook> outlooks = std::span(outlooks_).subspan(at, s.alive.size());
    at += s.alive.size();
    config_.num_beams > 1 ? advance_beams(s, outlooks) : advance_sequences(s, outlooks);
    if (s.alive.empty()) done.push_back(&s);
  }
  if (done.empty()) return;
  if (options_.attention || config_.coverage_penalty > 0) attend(done);
  for (Sentence* s : done) results.push_back(result_of(*s));
  std::erase_if(active_, [](const Sentence& s) { return s.alive.empty(); });
}

// Applies the rules to the logits, and finds the best of each row.
void Search::look_ahead(Tensor& logits, std::size_t lines) {
  const auto rows = static_cast<std::int64_t>(lines), vocabulary = logits.cols();
  removed_.clear();
  outlooks_.assign(lines, {});
  std::size_t i = 0;
  for (const Sentence& s : active_)
    for (const Line& line : s.alive) {
      Outlook& o = outlooks_[i];
      float* row = logits.data<float>() + static_cast<std::int64_t>(i++) * vocabulary;
      o.row = {row, static_cast<std::size_t>(vocabulary)};
      o.forced = rules_.forced(line.tokens, s.limits);
      o.removed_begin = removed_.size();
      if (o.forced.empty())
        rules_.remove(line.tokens, s.limits, {row, static_cast<std::size_t>(vocabulary)}, removed_);
      o.removed_end = removed_.size();
    }
  const std::int64_t k = std::max<std::int64_t>(best_, 1);
  if (!values_ || values_.size(0) < rows) {
    values_ = logits.like({rows, k});
    indices_ = Tensor::empty({rows, k}, DType::i32, logits.device());
    log_sum_exp_ = logits.like({rows});
  }
  Tensor values = values_.slice(0, 0, rows), indices = indices_.slice(0, 0, rows),
         lse = log_sum_exp_.slice(0, 0, rows);
  Backend::of(logits.device()).top_k(logits, k, values, indices, lse);
  for (i = 0; i < lines; ++i) {
    Outlook& o = outlooks_[i];
    const auto r = static_cast<std::int64_t>(i);
    o.values = values.data<float>() + r * k;
    o.tokens = indices.data<std::int32_t>() + r * k;
    const float rest = o.values[0] == kNever ? kNever : lse.data<float>()[r];
    o.log_sum_exp = o.removed_begin == o.removed_end ? rest : whole_log_sum_exp(rest, removed_of(o));
    check(!std::isnan(o.log_sum_exp) && o.log_sum_exp < -kNever, Code::nonfinite,
          "the model's logits are not finite numbers: its weights are damaged, or were so in training");
  }
}

std::span<const Removed> Search::removed_of(const Outlook& o) const {
  return std::span(removed_).subspan(o.removed_begin, o.removed_end - o.removed_begin);
}

// Appends the best continuations of a line to candidates_.
void Search::collect(const Line& line, const Outlook& o, std::int32_t parent) {
  for (std::int32_t token : o.forced) candidates_.push_back({line.log_probability, parent, token});
  if (!o.forced.empty()) return;
  for (std::int64_t i = 0; i < best_ && o.values[i] > kNever; ++i)
    candidates_.push_back({line.log_probability + (o.values[i] - o.log_sum_exp), parent, o.tokens[i]});
  for (const Removed& r : removed_of(o))
    if (!r.forbidden)
      candidates_.push_back(
          {line.log_probability + rules_.repeated(r.logit - o.log_sum_exp), parent, r.token});
}

void Search::advance_beams(Sentence& sentence, std::span<const Outlook> outlooks) {
  chosen_.clear();
  next_.clear();
  for (std::size_t begin = 0, end = 0; begin < sentence.alive.size(); begin = end) {
    const std::int32_t group = sentence.alive[begin].group;
    BeamSearch& search = sentence.groups[static_cast<std::size_t>(group)];
    candidates_.clear();
    parents_.clear();
    for (end = begin; end < sentence.alive.size() && sentence.alive[end].group == group; ++end) {
      collect(sentence.alive[end], outlooks[end], static_cast<std::int32_t>(end - begin));
      parents_.push_back(&sentence.alive[end].tokens);
    }
    if (config_.diversity_penalty > 0)
      for (Candidate& c : candidates_)
        c.log_probability -= static_cast<float>(config_.diversity_penalty) *
                             static_cast<float>(std::count(chosen_.begin(), chosen_.end(), c.token));
    const std::size_t wanted = std::min(candidates_.size(), static_cast<std::size_t>(search.wanted()));
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(wanted),
                      candidates_.end());
    const std::span<const Candidate> alive = search.advance(parents_, std::span(candidates_).first(wanted));
    for (const Candidate& c : alive) chosen_.push_back(c.token);
    survive(sentence, begin, alive, group);
    for (std::size_t i = begin; i < end; ++i)
      if (!sentence.alive[i].rows.empty()) bury(std::move(sentence.alive[i]));
  }
  sentence.alive.swap(next_);
}

// Makes the lines of the next step: the last child of a line takes over what it holds, others share its rows.
// Lines with no child keep theirs.
void Search::survive(Sentence& sentence, std::size_t first, std::span<const Candidate> alive,
                     std::int32_t group) {
  uses_.assign(parents_.size(), 0);
  for (const Candidate& c : alive) ++uses_[static_cast<std::size_t>(c.parent)];
  for (const Candidate& c : alive) {
    Line& parent = sentence.alive[first + static_cast<std::size_t>(c.parent)];
    Line line;
    if (--uses_[static_cast<std::size_t>(c.parent)] == 0) {
      line = std::move(parent);
    } else {
      line = fresh();
      line.tokens = parent.tokens;
      line.rows = parent.rows;
      decoder_->share(line.rows);
    }
    line.tokens.push_back(c.token);
    line.log_probability = c.log_probability;
    line.group = group;
    next_.push_back(std::move(line));
  }
}

Candidate Search::greedy(const Line& line, const Outlook& o) const {
  Candidate best{line.log_probability + (o.values[0] - o.log_sum_exp), 0, o.tokens[0]};
  float highest = o.values[0];
  for (const Removed& r : removed_of(o)) {
    if (r.forbidden) continue;
    const float logit = rules_.repeated(r.logit);
    if (logit > highest || (logit == highest && r.token < best.token))
      highest = logit, best = {line.log_probability + (r.logit - o.log_sum_exp), 0, r.token};
  }
  check(highest > kNever, Code::bad_value, "the rules of generation forbid every token");
  return best;
}

Candidate Search::sampled(const Sentence& sentence, const Line& line, const Outlook& o) {
  choices_.clear();
  if (best_ > 0)
    for (std::int64_t i = 0; i < best_; ++i) choices_.push_back({o.tokens[i], o.values[i]});
  else
    for (std::size_t i = 0; i < o.row.size(); ++i)
      choices_.push_back({static_cast<std::int32_t>(i), o.row[i]});
  // `best_` is 0: the removed are in the row as minus infinity, and filtered out.
  for (const Removed& r : removed_of(o))
    if (!r.forbidden) choices_.push_back({r.token, rules_.repeated(r.logit)});
  filter(config_, choices_);
  check(!choices_.empty(), Code::bad_value, "the rules of generation forbid every token");
  const Philox random(config_.seed, Purpose::sample, sentence.request.index);
  const std::uint64_t counter = static_cast<std::uint64_t>(line.group) << 32 | line.tokens.size();
  const std::int32_t token = choices_[draw(choices_, random.uniform(counter))].token;
  float logit = o.row[static_cast<std::size_t>(token)];
  for (const Removed& r : removed_of(o))
    if (r.token == token) logit = r.logit;
  return {line.log_probability + (logit - o.log_sum_exp), 0, token};
}

// Greedy search and sampling: every line goes its own way.
void Search::advance_sequences(Sentence& sentence, std::span<const Outlook> outlooks) {
  next_.clear();
  for (std::size_t i = 0; i < sentence.alive.size(); ++i) {
    Line& line = sentence.alive[i];
    const Outlook& o = outlooks[i];
    const Candidate c = !o.forced.empty()   ? Candidate{line.log_probability, 0, o.forced[0]}
                        : config_.do_sample ? sampled(sentence, line, o)
                                            : greedy(line, o);
    line.tokens.push_back(c.token);
    line.log_probability = c.log_probability;
    if (!rules_.ends(c.token) && static_cast<std::int32_t>(line.tokens.size()) < sentence.limits.most) {
      next_.push_back(std::move(line));
      continue;
    }
    const auto generated = static_cast<std::int64_t>(line.tokens.size()) - sentence.limits.prompt;
    sentence.finished[static_cast<std::size_t>(line.group)] = {
        .tokens = line.tokens,
        .log_probability = c.log_probability,
        .score = normalised(c.log_probability, generated, config_)};
    bury(std::move(line));
  }
  sentence.alive.swap(next_);
}

// Attention of finished hypotheses to their sources. The fused kernels never spell it out, so it is computed
// in one pass more over what was found: a tenth of the search's own work, and only where it is asked for.
void Search::attend(std::span<Sentence* const> done) {
  std::vector<std::int32_t> sources, source_counts, targets, target_counts;
  std::vector<Hypothesis*> all;
  for (Sentence* s : done) {
    for (BeamSearch& group : s->groups)
      for (Hypothesis& h : group.finished()) s->finished.push_back(std::move(h));
    s->groups.clear();
    for (Hypothesis& h : s->finished) {
      sources.insert(sources.end(), s->request.source.begin(), s->request.source.end());
      source_counts.push_back(static_cast<std::int32_t>(s->request.source.size()));
      targets.insert(targets.end(), h.tokens.begin(), h.tokens.end() - 1);
      target_counts.push_back(static_cast<std::int32_t>(h.tokens.size()) - 1);
      all.push_back(&h);
    }
  }
  const Device device = decoder_->device();
  const Tensor attention =
      decoder_->alignments({{Tensor::of(sources, device), Sequences::of_lengths(source_counts, device)},
                           {Tensor::of(targets, device), Sequences::of_lengths(target_counts, device)},
                           {}});
  const float* row = attention.data<float>();
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::int32_t t = 0; t < target_counts[i]; ++t, row += attention.cols())
      all[i]->attention.insert(all[i]->attention.end(), row, row + source_counts[i]);
  }
  for (std::size_t i = 0; config_.coverage_penalty > 0 && i < all.size(); ++i)
    all[i]->score +=
        config_.coverage_penalty * coverage(all[i]->attention, static_cast<std::size_t>(source_counts[i]));
}

SearchResult Search::result_of(Sentence& sentence) {
  SearchResult result{.index = sentence.request.index, .hypotheses = std::move(sentence.finished)};
  for (BeamSearch& group : sentence.groups)
    for (Hypothesis& h : group.finished()) result.hypotheses.push_back(std::move(h));
  if (!config_.do_sample)
    std::stable_sort(result.hypotheses.begin(), result.hypotheses.end(),
                     [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
  if (result.hypotheses.size() > static_cast<std::size_t>(config_.num_return_sequences))
    result.hypotheses.resize(static_cast<std::size_t>(config_.num_return_sequences));
  check(!result.hypotheses.empty(), Code::bad_value,
        "sentence {}: the rules of generation forbid every token", result.index);
  decoder_->forget(sentence.memory);
  return result;
}

}  // namespace glossa
