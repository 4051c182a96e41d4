// search.h -- the decoding engine: a pool of sentences that advance together, one token a step. Those that
// are done leave, and waiting ones take their places, so that products of matrices stay large. What a
// sentence becomes depends neither on the others nor on the size of the pool, to the last bit.
//
// Not thread-safe; kernels use the pool of threads.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "generate/beam_search.h"
#include "generate/cached_decoder.h"
#include "generate/decoder.h"
#include "generate/rules.h"
#include "generate/sampler.h"

namespace glossa {

struct SearchRequest {
  std::uint64_t index = 0;  // names the sentence; what is sampled for it depends on this and the seed
  std::vector<std::int32_t> source;       // at least one token; none for a model without sources
  std::vector<std::int32_t> prefix = {};  // tokens that the output begins with; without sources, the prompt
};

struct SearchResult {
  std::uint64_t index = 0;
  // num_return_sequences of them, or fewer if the search found fewer: best first; sampled ones in the order
  // drawn.
  std::vector<Hypothesis> hypotheses;
};

struct SearchOptions {
  std::int64_t batch_tokens =
      4096;                      // source and prefix tokens of all sentences in the pool (one may have more)
  std::int64_t batch_size = 64;  // sentences in the pool
  bool attention = false;        // fill Hypothesis::attention
};

class Search {
 public:
  // Error(bad_value) for a configuration that contradicts itself or the model.
  Search(std::unique_ptr<Decoder> decoder, const GenerationConfig& config, const SearchOptions& options = {});
  Search(std::vector<const Transformer*> models, const GenerationConfig& config, const SearchOptions& options = {})
      : Search(std::make_unique<CachedDecoder>(std::move(models)), config, options) {}

  // Error(size) if source or prefix are longer than the model has positions for.
  void submit(SearchRequest request);
  // Takes waiting sentences in if there is room, extends all hypotheses by a token, and appends the results
  // of sentences that are done, in no particular order.
  void step(std::vector<SearchResult>& results);
  void clear();  // drops all sentences
  bool idle() const { return active_.empty() && waiting_.empty(); }
  std::size_t sentences() const { return active_.size() + waiting_.size(); }  // submitted and not done
  const SearchOptions& options() const { return options_; }
  // Rows that hypotheses and sentences hold in the caches: none when idle.
  std::int64_t rows_in_use() const { return decoder_->rows_in_use(); }

 private:
  struct Line {                              // a hypothesis alive
    std::vector<std::int32_t> tokens, rows;  // the tokens, and the cache rows of all but the last
    float log_probability = 0;
    std::int32_t group = 0;  // of beams; or which of the sequences drawn
  };
  struct Sentence {
    SearchRequest request;
    LengthLimits limits;
    std::vector<std::int32_t> memory;  // rows
    std::vector<Line> alive;           // by groups
    std::vector<BeamSearch> groups;    // none for greedy search and sampling
    std::vector<Hypothesis> finished;
  };
  // The outcome of a step for one line: what the model and the rules say of its next token.
  struct Outlook {
    std::span<const std::int32_t> forced;
    std::size_t removed_begin = 0, removed_end = 0;  // in removed_
    const float* values = nullptr;                   // the best of what rules left, [best_]
    const std::int32_t* tokens = nullptr;
    std::span<const float> row;  // all that rules left
    float log_sum_exp = 0;       // of the row as the model gave it
  };

  // Of the output: the start token, if there is one, and the prefix.
  std::vector<std::int32_t> beginning(const SearchRequest& request) const;
  void admit();
  void start(Sentence& sentence);
  Line fresh();  // an empty line with the memory of a dead one
  void bury(Line line);
  void look_ahead(Tensor& logits, std::size_t lines);
  std::span<const Removed> removed_of(const Outlook& o) const;
  void collect(const Line& line, const Outlook& outlook, std::int32_t parent);
  void advance_beams(Sentence& sentence, std::span<const Outlook> outlooks);
  void advance_sequences(Sentence& sentence, std::span<const Outlook> outlooks);
  Candidate greedy(const Line& line, const Outlook& outlook) const;
  Candidate sampled(const Sentence& sentence, const Line& line, const Outlook& outlook);
  void survive(Sentence& sentence, std::size_t first, std::span<const Candidate> alive, std::int32_t group);
  void attend(std::span<Sentence* const> done);
  SearchResult result_of(Sentence& sentence);

  GenerationConfig config_;
  SearchOptions options_;
  Rules rules_;
  std::unique_ptr<Decoder> decoder_;
  std::int64_t best_ = 1;  // how many of each row's logits are looked at
  std::deque<SearchRequest> waiting_;
  std::deque<Sentence> active_;

  // Kept for their memory.
  std::vector<Line> dead_, next_;
  std::vector<StepLine> step_;
  std::vector<Outlook> outlooks_;
  std::vector<Removed> removed_;
  std::vector<Candidate> candidates_;
  std::vector<std::int32_t> uses_, chosen_;
  std::vector<const std::vector<std::int32_t>*> parents_;
  std::vector<Choice> choices_;
  Tensor values_, indices_, log_sum_exp_;
};

}  // namespace glossa
