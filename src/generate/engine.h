// engine.h -- the decoding engine of language models: a ragged batch of independent sequences over one cache of keys and
// values. At each step waiting sequences enter, those that are done leave, prompts are read in pieces beside the others'
// single tokens, and a beginning that another sequence has in the cache is shared instead of computed again. What a
// sequence becomes does not depend on what runs beside it.
//
// Not thread-safe; kernels use the pool of threads.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "generate/drafter.h"
#include "generate/sampling.h"
#include "nn/causal.h"

namespace glossa {

enum class Finish : std::uint8_t { no, stop, length };

struct GenerateRequest {
  std::uint64_t index = 0;                // names the sequence, and keys what is drawn for it
  std::vector<std::int32_t> prompt = {};  // at least one token
  SamplingConfig sampling = {};
  std::int32_t max_new_tokens = -1;       // -1: as many as the context holds
  std::vector<std::int32_t> stop_tokens = {};  // that end the sequence, and are not part of it
  std::int32_t best = 0;                  // likely tokens to report with each
};

struct GenerateEvent {
  std::uint64_t index = 0;
  Chosen chosen;                // of Finish::stop: the token that ended it
  Finish finish = Finish::no;
};

struct EngineOptions {
  std::int64_t context = 0;         // tokens a sequence may have; 0: as many as the model has positions for
  std::int64_t batch_tokens = 512;  // tokens of a step
  std::int64_t sequences = 32;      // that advance together
  std::int64_t kept = 8;            // ended sequences whose keys and values wait for others that begin alike
  CacheTypes cache = {};
  // When a sequence fills its context: the first `keep` tokens and the later half of the others are read again and it goes
  // on, instead of ending with Finish::length.
  bool shift = false;
  std::int64_t keep = 0;
  // Guesses tokens ahead, of a text as many as guesses were right lately, and `draft_max` at most. Must outlive the engine.
  Drafter* drafter = nullptr;
  std::int64_t draft_max = 16;
};

class Engine {
 public:
  // `breaks` as for Sampling. Both must outlive this.
  Engine(const CausalModel& model, const std::function<bool(std::int32_t)>& breaks, const EngineOptions& options = {});

  // Error(size) for a prompt that does not fit into the context with at least one token more.
  void submit(GenerateRequest request);
  void cancel(std::uint64_t index);
  // Advances all sequences by a token, or by a piece of their prompts; an event for each token.
  void step(std::vector<GenerateEvent>& events);
  bool idle() const { return active_.empty() && waiting_.empty(); }
  std::int64_t context() const { return options_.context; }

  struct Counts {
    std::uint64_t prompt = 0, shared = 0, generated = 0, steps = 0;  // tokens computed, taken from the cache, generated
    std::uint64_t guessed = 0, right = 0;                            // tokens of drafts, and those that were kept
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Sequence {
    GenerateRequest request;
    Sampling sampling;
    std::vector<std::int32_t> tokens, rows;  // rows: of the tokens that are in the cache
    std::vector<std::int32_t> guess = {};    // of this step: read after `tokens`
    std::int64_t reach = 1;                  // tokens to guess
    std::int32_t generated = 0;
  };
  // A sequence whose next tokens a step gives: after its last token and after each one guessed.
  struct Turn {
    Sequence* sequence;
    std::int64_t first;  // row of the logits
    std::vector<GenerateEvent> events = {};
  };
  struct Kept {
    std::vector<std::int32_t> tokens, rows;
  };

  void admit();
  void share_beginning(Sequence& sequence);
  void release(std::vector<std::int32_t>& rows);
  void keep(Sequence& sequence);
  void shift(Sequence& sequence);
  bool full(const Sequence& sequence) const { return static_cast<std::int64_t>(sequence.tokens.size()) >= options_.context; }
  void guess();
  Tensor logits_of(std::vector<Turn>& turns);
  GenerateEvent choose(Sequence& sequence, std::span<float> logits, const Sampling::Summary& summary) const;
  void settle(Turn& turn);

  const CausalModel& model_;
  const std::function<bool(std::int32_t)>* breaks_;
  EngineOptions options_;
  KvCache cache_;
  std::deque<GenerateRequest> waiting_;
  std::deque<Sequence> active_;
  std::deque<Kept> kept_;  // the newest last
  Counts counts_;
};

}  // namespace glossa
