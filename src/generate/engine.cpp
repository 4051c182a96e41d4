#include "generate/engine.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "generate/causal_step.h"

namespace glossa {

Engine::Engine(const CausalModel& model, const std::function<bool(std::int32_t)>& breaks, const EngineOptions& options)
    : model_(model), breaks_(&breaks), options_(options), cache_(model.make_cache(options.cache)) {
  if (options_.context <= 0) options_.context = model.longest();
  check(options_.context <= model.longest(), Code::bad_value, "a context of {} tokens; the model has positions for {}", options_.context,
        model.longest());
  check(!options_.shift || options_.keep < options_.context / 2, Code::bad_value,
        "{} tokens to keep of a context of {}; fewer than half of it may be kept", options_.keep, options_.context);
}

void Engine::submit(GenerateRequest request) {
  check(!request.prompt.empty(), Code::bad_value, "an empty prompt, and the model has no token to begin with");
  for (const std::int32_t token : request.prompt)
    check(token >= 0 && token < model_.vocabulary(), Code::bad_value, "token {} of a prompt is outside of the model's vocabulary of {}", token,
          model_.vocabulary());
  check(static_cast<std::int64_t>(request.prompt.size()) < options_.context, Code::size,
        "the prompt has {} tokens, and the context holds {}; shorten it, or give a larger --ctx-size", request.prompt.size(),
        options_.context);
  waiting_.push_back(std::move(request));
}

void Engine::cancel(std::uint64_t index) {
  std::erase_if(waiting_, [index](const GenerateRequest& r) { return r.index == index; });
  for (Sequence& s : active_)
    if (s.request.index == index) keep(s);
  std::erase_if(active_, [index](const Sequence& s) { return s.request.index == index; });
}

void Engine::release(std::vector<std::int32_t>& rows) {
  for (const std::int32_t row : rows) cache_.release(row);
  rows.clear();
}

// The keys and values of an ended sequence stay while there is room.
void Engine::keep(Sequence& s) {
  s.tokens.resize(s.rows.size());
  kept_.push_back({std::move(s.tokens), std::move(s.rows)});
  s.tokens.clear(), s.rows.clear();
  while (static_cast<std::int64_t>(kept_.size()) > options_.kept) {
    release(kept_.front().rows);
    kept_.pop_front();
  }
}

void Engine::share_beginning(Sequence& s) {
  const std::vector<std::int32_t>* best = nullptr;
  std::size_t length = 0;
  const auto consider = [&](const std::vector<std::int32_t>& tokens, const std::vector<std::int32_t>& rows) {
    // The last token of the prompt is always computed: its logits are wanted.
    const std::size_t same = std::min({same_beginning(tokens, s.tokens), rows.size(), s.tokens.size() - 1});
    if (same > length) length = same, best = &rows;
  };
  for (const Sequence& other : active_) consider(other.tokens, other.rows);
  for (const Kept& other : kept_) consider(other.tokens, other.rows);
  if (!best) return;
  s.rows.assign(best->begin(), best->begin() + static_cast<std::ptrdiff_t>(length));
  for (const std::int32_t row : s.rows) cache_.share(row);
  counts_.shared += length;
}

void Engine::admit() {
  while (!waiting_.empty() && static_cast<std::int64_t>(active_.size()) < options_.sequences) {
    GenerateRequest request = std::move(waiting_.front());
    waiting_.pop_front();
    Sequence s{.request = {}, .sampling = Sampling(request.sampling, request.index, *breaks_), .tokens = request.prompt, .rows = {}};
    for (const std::int32_t token : request.prompt) s.sampling.accept(token);
    s.request = std::move(request);
    share_beginning(s);
    active_.push_back(std::move(s));
  }
}

// What is left of the text is computed anew: its tokens stand at other places now.
void Engine::shift(Sequence& s) {
  const std::int64_t size = static_cast<std::int64_t>(s.tokens.size()), dropped = (size - options_.keep) / 2;
  s.tokens.erase(s.tokens.begin() + options_.keep, s.tokens.begin() + options_.keep + dropped);
  std::vector<std::int32_t> gone(s.rows.begin() + options_.keep, s.rows.end());
  s.rows.resize(static_cast<std::size_t>(options_.keep));
  release(gone);
}

// Drafts of the sequences that wait for one token only, as far as steps have room.
void Engine::guess() {
  if (!options_.drafter) return;
  std::vector<Drafter::Text> texts;
  std::vector<Sequence*> whose;
  std::int64_t room = options_.batch_tokens - static_cast<std::int64_t>(active_.size());
  for (Sequence& s : active_) {
    const auto size = static_cast<std::int64_t>(s.tokens.size());
    std::int64_t most = std::min({s.reach, room, options_.context - size - 1});
    if (s.request.max_new_tokens > 0) most = std::min<std::int64_t>(most, s.request.max_new_tokens - s.generated - 1);
    if (s.tokens.size() - s.rows.size() != 1 || most <= 0) continue;
    room -= most;
    texts.push_back({s.tokens, most});
    whose.push_back(&s);
  }
  if (texts.empty()) return;
  options_.drafter->guess(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::vector<std::int32_t>& guess = texts[i].guess;
    // A draft model may have more tokens than the model.
    const auto unknown = [this](std::int32_t token) { return token < 0 || token >= model_.vocabulary(); };
    guess.erase(std::find_if(guess.begin(), guess.end(), unknown), guess.end());
    whose[i]->guess = std::move(guess);
  }
}

// Logits after the last token of those sequences that have no more tokens to read, and after the tokens guessed for them;
// they take their turns.
Tensor Engine::logits_of(std::vector<Turn>& turns) {
  CausalStep step(cache_);
  // Single tokens first: prompts fill what is left of the step.
  std::int64_t room = options_.batch_tokens;
  std::vector<Sequence*> order;
  for (Sequence& s : active_)
    if (s.tokens.size() - s.rows.size() == 1) order.push_back(&s);
  for (Sequence& s : active_)
    if (s.tokens.size() - s.rows.size() > 1) order.push_back(&s);
  for (Sequence* s : order) {
    const auto known = static_cast<std::int64_t>(s->rows.size()), wanted = static_cast<std::int64_t>(s->tokens.size()) - known;
    // Prompts are cut at the same places whatever else there is to do, so that results are the same.
    const std::int64_t count = std::min(wanted, options_.batch_tokens - known % options_.batch_tokens);
    if (count > room && step.tokens() > 0) {
      s->guess.clear();
      continue;
    }
    room -= count + static_cast<std::int64_t>(s->guess.size());
    step.read(std::span(s->tokens).subspan(s->rows.size(), static_cast<std::size_t>(count)), s->rows);
    if (s->generated == 0) counts_.prompt += static_cast<std::uint64_t>(count);
    if (count < wanted) continue;
    turns.push_back({s, step.want()});
    // Each of the guessed tokens is a sequence of its own here, so that its logits are, to the last bit, those that it would
    // have if it were read alone.
    for (const std::int32_t token : s->guess) {
      step.read({&token, 1}, s->rows);
      step.want();
    }
  }
  return step.logits(model_);
}

GenerateEvent Engine::choose(Sequence& s, std::span<float> logits, const Sampling::Summary& summary) const {
  check(std::isfinite(summary.log_sum), Code::nonfinite,
        "text {}: the logits after {} tokens are not finite numbers: the weights are damaged", s.request.index, s.tokens.size());
  GenerateEvent event{.index = s.request.index, .chosen = s.sampling.choose(logits, summary, s.request.best)};
  const std::vector<std::int32_t>& stops = s.request.stop_tokens;
  s.tokens.push_back(event.chosen.token);
  ++s.generated;
  if (std::find(stops.begin(), stops.end(), event.chosen.token) != stops.end())
    event.finish = Finish::stop;
  else if (s.generated == s.request.max_new_tokens || (full(s) && !options_.shift))
    event.finish = Finish::length;
  return event;
}

// After its turn: gives up the rows of wrong guesses, and makes room or leaves.
void Engine::settle(Turn& turn) {
  Sequence& s = *turn.sequence;
  counts_.generated += turn.events.size();
  if (const auto guessed = static_cast<std::int64_t>(s.guess.size()); guessed > 0) {
    const auto right = static_cast<std::int64_t>(turn.events.size()) - 1;
    counts_.guessed += static_cast<std::uint64_t>(guessed), counts_.right += static_cast<std::uint64_t>(right);
    s.reach = right == guessed ? std::min(2 * s.reach, options_.draft_max) : right + 1;
    std::vector<std::int32_t> wrong(s.rows.begin() + static_cast<std::ptrdiff_t>(s.tokens.size()) - 1, s.rows.end());
    s.rows.resize(s.tokens.size() - 1);
    release(wrong);
    s.guess.clear();
  }
  if (turn.events.back().finish != Finish::no)
    keep(s);
  else if (full(s))
    shift(s);
}

void Engine::step(std::vector<GenerateEvent>& events) {
  admit();
  if (active_.empty()) return;
  ++counts_.steps;
  guess();
  std::vector<Turn> turns;
  const Tensor logits = logits_of(turns);
  if (turns.empty()) return;
  const std::int64_t rows = logits.rows();
  Tensor largest = logits.like({rows, 1}), most_likely = Tensor::empty({rows, 1}, DType::i32, logits.device()), log_sums = logits.like({rows});
  Backend::of(logits.device()).top_k(logits, 1, largest, most_likely, log_sums);
  parallel_for(static_cast<std::int64_t>(turns.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Turn& turn = turns[static_cast<std::size_t>(i)];
      const std::vector<std::int32_t>& guess = turn.sequence->guess;
      // As long as what was guessed is what is chosen.
      for (std::size_t g = 0;; ++g) {
        const std::int64_t r = turn.first + static_cast<std::int64_t>(g);
        const std::span<float> row(logits.data<float>() + r * logits.cols(), static_cast<std::size_t>(logits.cols()));
        turn.events.push_back(choose(*turn.sequence, row, {most_likely.data<std::int32_t>()[r], log_sums.data<float>()[r]}));
        const GenerateEvent& event = turn.events.back();
        if (g == guess.size() || event.finish != Finish::no || event.chosen.token != guess[g]) break;
      }
    }
  });
  for (Turn& turn : turns) {
    settle(turn);
    std::move(turn.events.begin(), turn.events.end(), std::back_inserter(events));
  }
  std::erase_if(active_, [](const Sequence& s) { return s.tokens.empty(); });
}

}  // namespace glossa
