#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "base/parallel.h"
#include "models.h"

namespace glossa::test {
namespace {

class Searching : public testing::TestWithParam<Device> {
 protected:
  std::unique_ptr<TinyModel> model(std::int64_t vocabulary, std::uint64_t seed = 3) const {
    return random_model(vocabulary, seed, GetParam());
  }
};

// Log-probabilities of each token given those before it, by one pass over the whole target.
double log_probability(const Transformer& model, const Ids& source, const Ids& tokens,
                       std::size_t prompt = 1) {
  const auto batch = [&](Ids ids) {
    return Tokens{Tensor::of(ids, model.device()),
                  Sequences::of_lengths({static_cast<std::int32_t>(ids.size())}, model.device())};
  };
  const Tokens s = batch(source), t = batch(Ids(tokens.begin(), tokens.end() - 1));
  const Tensor logits = model.logits(model.decode(t, model.encode(s), s.sequences));
  double sum = 0;
  for (std::size_t i = prompt; i < tokens.size(); ++i) {
    const float* row = logits.data<float>() + static_cast<std::int64_t>(i - 1) * logits.cols();
    double whole = 0;
    for (std::int64_t v = 0; v < logits.cols(); ++v) whole += std::exp(static_cast<double>(row[v]));
    sum += row[tokens[i]] - std::log(whole);
  }
  return sum;
}

bool same(const std::vector<SearchResult>& a, const std::vector<SearchResult>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].hypotheses.size() != b[i].hypotheses.size()) return false;
    for (std::size_t h = 0; h < a[i].hypotheses.size(); ++h) {
      const Hypothesis &x = a[i].hypotheses[h], &y = b[i].hypotheses[h];
      if (x.tokens != y.tokens || x.score != y.score || x.log_probability != y.log_probability) return false;
    }
  }
  return true;
}

TEST_P(Searching, WithAWidthOfAllHypothesesIsExhaustive) {
  constexpr std::int64_t kVocabulary = 5;
  const auto tiny = model(kVocabulary);
  GenerationConfig config = config_of(*tiny);
  config.num_beams = 4 * 4 * 4;  // no continuation of three tokens is ever dropped
  config.num_return_sequences = 20;
  config.early_stopping = EarlyStopping::never;
  config.max_length = 5;
  for (double penalty : {0.0, 1.0}) {
    config.length_penalty = penalty;
    for (const Ids& source : random_sources(4, kVocabulary)) {
      std::vector<Hypothesis> all;
      std::vector<Ids> open{{config.decoder_start_token_id}};
      while (!open.empty()) {
        const Ids tokens = open.back();
        open.pop_back();
        for (std::int32_t v = 0; v < kVocabulary; ++v) {
          Ids longer = tokens;
          longer.push_back(v);
          if (v != config.eos_token_id[0] && longer.size() < 5) {
            open.push_back(longer);
            continue;
          }
          const double p = log_probability(tiny->transformer, source, longer);
          all.push_back(
              {.tokens = longer, .score = p / std::pow(static_cast<double>(longer.size()) - 1, penalty)});
        }
      }
      std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
      const auto found = search({&tiny->transformer}, config, {source})[0].hypotheses;
      ASSERT_EQ(found.size(), 20u);
      for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].tokens, all[i].tokens) << i;
        EXPECT_NEAR(found[i].score, all[i].score, 1e-5);
      }
    }
  }
}

std::map<std::string, std::function<void(GenerationConfig&)>> ways() {
  return {
      {"greedy", [](GenerationConfig&) {}},
      {"beams", [](GenerationConfig& c) { c.num_beams = 4, c.num_return_sequences = 2; }},
      {"groups",
       [](GenerationConfig& c) {
         c.num_beams = 4, c.num_beam_groups = 2, c.diversity_penalty = 0.7, c.num_return_sequences = 4;
       }},
      {"rules",
       [](GenerationConfig& c) {
         c.num_beams = 3, c.no_repeat_ngram_size = 2, c.min_length = 6, c.repetition_penalty = 1.2;
       }},
      {"coverage",
       [](GenerationConfig& c) { c.num_beams = 4, c.coverage_penalty = 0.4, c.num_return_sequences = 3; }},
      {"sampling", [](GenerationConfig& c) { c.do_sample = true, c.top_k = 8, c.num_return_sequences = 3; }},
      {"sampling_all",
       [](GenerationConfig& c) { c.do_sample = true, c.top_k = 0, c.top_p = 0.9, c.temperature = 1.3; }}};
}

// Bit for bit, alone and together, in pools of all sizes, with one thread and with two.
TEST_P(Searching, NeighboursBatchAndThreadsDoNotChangeAnything) {
  constexpr std::int64_t kVocabulary = 37;
  const auto tiny = model(kVocabulary, 9);
  const auto sources = random_sources(11, kVocabulary);
  const int threads = thread_count();
  for (const auto& [name, set] : ways()) {
    SCOPED_TRACE(name);
    GenerationConfig config = config_of(*tiny);
    config.max_length = 20;
    set(config);
    const auto together = search({&tiny->transformer}, config, sources, {.batch_size = 64});
    for (const SearchOptions& options :
         {SearchOptions{.batch_size = 1}, SearchOptions{.batch_size = 3}, SearchOptions{.batch_tokens = 20}})
      EXPECT_TRUE(same(search({&tiny->transformer}, config, sources, options), together))
          << options.batch_size;
    set_thread_count(threads == 1 ? 2 : 1);
    EXPECT_TRUE(same(search({&tiny->transformer}, config, sources, {.batch_size = 5}), together));
    set_thread_count(threads);
  }
}

TEST_P(Searching, ScoresAreThoseOfTheModel) {
  const auto tiny = model(37);
  const auto sources = random_sources(5, 37);
  for (const auto& [name, set] : ways()) {
    SCOPED_TRACE(name);
    GenerationConfig config = config_of(*tiny);
    config.max_length = 15;
    set(config);
    if (config.repetition_penalty != 1 || config.diversity_penalty > 0)
      continue;  // they change what is summed up
    const auto found = search({&tiny->transformer}, config, sources);
    for (std::size_t s = 0; s < sources.size(); ++s)
      for (const Hypothesis& h : found[s].hypotheses)
        EXPECT_NEAR(h.log_probability, log_probability(tiny->transformer, sources[s], h.tokens), 1e-4);
  }
}

TEST_P(Searching, BeginsWithThePrefix) {
  const auto tiny = model(37);
  const auto sources = random_sources(4, 37);
  const std::vector<Ids> prefixes{{5, 6}, {}, {7}, {9, 9, 9, 9, 9}};
  for (std::int32_t beams : {1, 4}) {
    GenerationConfig config = config_of(*tiny);
    config.num_beams = beams;
    config.max_new_tokens = 6;
    const auto found = search({&tiny->transformer}, config, sources, {}, prefixes);
    for (std::size_t s = 0; s < sources.size(); ++s) {
      const Hypothesis& h = found[s].hypotheses[0];
      ASSERT_LE(h.tokens.size(), prefixes[s].size() + 7);
      EXPECT_TRUE(std::equal(prefixes[s].begin(), prefixes[s].end(), h.tokens.begin() + 1));
      EXPECT_NEAR(h.log_probability,
                  log_probability(tiny->transformer, sources[s], h.tokens, prefixes[s].size() + 1), 1e-4);
    }
  }
}

TEST_P(Searching, GroupsWithoutAPenaltyAreTheSameSearchTwice) {
  const auto tiny = model(37);
  const auto sources = random_sources(4, 37);
  GenerationConfig config = config_of(*tiny);
  config.max_length = 12;
  config.num_beams = config.num_return_sequences = 3;
  const auto plain = search({&tiny->transformer}, config, sources);
  config.num_beams = config.num_return_sequences = 6;
  config.num_beam_groups = 2;
  const auto twice = search({&tiny->transformer}, config, sources);
  config.diversity_penalty = 1.5;
  const auto diverse = search({&tiny->transformer}, config, sources);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    std::set<Ids> different;
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(twice[s].hypotheses[i].tokens, plain[s].hypotheses[i / 2].tokens);
      different.insert(diverse[s].hypotheses[i].tokens);
    }
    EXPECT_GE(different.size(), 4u);
    // The first group knows of no other.
    for (const Hypothesis& h : plain[s].hypotheses) EXPECT_TRUE(different.contains(h.tokens));
  }
}

// The second group's first tokens, by hand: each token of the first group costs the penalty once.
TEST_P(Searching, LaterGroupsPayForTheTokensOfEarlierOnes) {
  const auto tiny = model(37);
  const Ids source = random_sources(1, 37)[0];
  GenerationConfig config = config_of(*tiny);
  config.max_new_tokens = 1;
  config.num_beams = config.num_beam_groups = config.num_return_sequences = 3;
  config.length_penalty = 0;
  config.diversity_penalty = 1.25;
  std::vector<double> score;
  for (std::int32_t v = 0; v < 37; ++v)
    score.push_back(log_probability(tiny->transformer, source, {config.decoder_start_token_id, v}));
  // One new token is the last, so nothing lives on, and nothing is counted against later groups.
  auto found = search({&tiny->transformer}, config, {source})[0].hypotheses;
  const auto best = static_cast<std::int32_t>(std::max_element(score.begin(), score.end()) - score.begin());
  for (const Hypothesis& h : found) EXPECT_EQ(h.tokens.back(), best);
  config.max_new_tokens = 2;
  config.suppress_tokens = config.eos_token_id;
  score[static_cast<std::size_t>(config.eos_token_id[0])] = -INFINITY;
  std::multiset<std::int32_t> wanted, first;
  for (int group = 0; group < 3; ++group) {
    auto paid = score;
    for (std::int32_t token : wanted) paid[static_cast<std::size_t>(token)] -= 1.25;
    wanted.insert(static_cast<std::int32_t>(std::max_element(paid.begin(), paid.end()) - paid.begin()));
  }
  found = search({&tiny->transformer}, config, {source})[0].hypotheses;
  for (const Hypothesis& h : found) first.insert(h.tokens[1]);
  EXPECT_EQ(first, wanted);
}

TEST_P(Searching, CoverageRanksByAttentionReceived) {
  const auto tiny = model(37);
  const auto sources = random_sources(6, 37);
  GenerationConfig config = config_of(*tiny);
  config.max_length = 14;
  config.num_beams = config.num_return_sequences = 4;
  const auto plain = search({&tiny->transformer}, config, sources);
  config.coverage_penalty = 0.8;
  const auto covered = search({&tiny->transformer}, config, sources);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    std::map<Ids, double> before;
    for (const Hypothesis& h : plain[s].hypotheses) before[h.tokens] = h.score;
    double last = INFINITY;
    for (const Hypothesis& h : covered[s].hypotheses) {
      ASSERT_TRUE(before.contains(h.tokens));
      EXPECT_NEAR(h.score, before[h.tokens] + 0.8 * coverage(h.attention, sources[s].size()), 1e-6);
      EXPECT_LE(h.score, last);
      last = h.score;
    }
  }
}

TEST_P(Searching, AttentionIsADistributionForEachToken) {
  const auto a = model(37, 3), b = model(37, 4);
  const auto sources = random_sources(5, 37);
  GenerationConfig config = config_of(*a);
  config.max_length = 9;
  config.num_beams = 3;
  for (const SearchResult& r :
       search({&a->transformer, &b->transformer}, config, sources, {.attention = true})) {
    const Hypothesis& h = r.hypotheses[0];
    const std::size_t width = sources[r.index].size();
    ASSERT_EQ(h.attention.size(), (h.tokens.size() - 1) * width);
    for (std::size_t t = 0; t + 1 < h.tokens.size(); ++t) {
      double sum = 0;
      for (std::size_t j = 0; j < width; ++j) sum += h.attention[t * width + j];
      EXPECT_NEAR(sum, 1, 1e-5);
    }
  }
}

TEST_P(Searching, AnEnsembleAveragesProbabilities) {
  const auto a = model(37, 3), b = model(37, 4);
  const auto sources = random_sources(6, 37);
  GenerationConfig config = config_of(*a);
  config.max_length = 14;
  config.num_beams = 4;
  // The same model twice is that model, but for rounding.
  const auto one = search({&a->transformer}, config, sources),
             two = search({&a->transformer, &a->transformer}, config, sources),
             both = search({&a->transformer, &b->transformer}, config, sources),
             turned = search({&b->transformer, &a->transformer}, config, sources);
  for (std::size_t s = 0; s < sources.size(); ++s) {
    EXPECT_EQ(one[s].hypotheses[0].tokens, two[s].hypotheses[0].tokens);
    EXPECT_NEAR(one[s].hypotheses[0].score, two[s].hypotheses[0].score, 1e-5);
    EXPECT_EQ(both[s].hypotheses[0].tokens, turned[s].hypotheses[0].tokens);
  }
  // One token: the mean of both.
  config.max_new_tokens = 1;
  const Hypothesis h = search({&a->transformer, &b->transformer}, config, {sources[0]})[0].hypotheses[0];
  const double p = std::exp(log_probability(a->transformer, sources[0], h.tokens)),
               q = std::exp(log_probability(b->transformer, sources[0], h.tokens));
  EXPECT_NEAR(h.log_probability, std::log((p + q) / 2), 1e-5);
}

TEST_P(Searching, ModelsOfAnEnsembleNeedOneVocabulary) {
  const auto a = model(37), b = model(36);
  EXPECT_THROW(Search({&a->transformer, &b->transformer}, config_of(*a)), Error);
}

TEST_P(Searching, PatienceWaitsForMoreFinishedHypotheses) {
  const auto tiny = golden_model(GetParam());  // whose outputs end in many places
  const auto sources = random_sources(12, 31);
  GenerationConfig config = config_of(*tiny);
  config.num_beams = 3;
  config.early_stopping = EarlyStopping::yes;
  const auto usual = search({&tiny->transformer}, config, sources);
  config.patience = 3;
  const auto patient = search({&tiny->transformer}, config, sources);
  double better = 0;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    EXPECT_GE(patient[s].hypotheses[0].score, usual[s].hypotheses[0].score - 1e-6);
    better += patient[s].hypotheses[0].score - usual[s].hypotheses[0].score;
  }
  EXPECT_GT(better, 0);
}

TEST_P(Searching, SamplesDependOnSeedAndIndexAlone) {
  const auto tiny = model(37);
  const auto sources = random_sources(6, 37);
  GenerationConfig config = config_of(*tiny);
  config.do_sample = true;
  config.max_length = 16;
  config.num_return_sequences = 2;
  const auto first = search({&tiny->transformer}, config, sources);
  EXPECT_TRUE(same(search({&tiny->transformer}, config, sources), first));
  for (const SearchResult& r : first) EXPECT_NE(r.hypotheses[0].tokens, r.hypotheses[1].tokens);
  // The same sentence under another number is drawn anew.
  Search engine({&tiny->transformer}, config);
  engine.submit({.index = 77, .source = sources[0]});
  std::vector<SearchResult> other;
  while (!engine.idle()) engine.step(other);
  EXPECT_NE(other[0].hypotheses[0].tokens, first[0].hypotheses[0].tokens);
  config.seed = 43;
  EXPECT_FALSE(same(search({&tiny->transformer}, config, sources), first));
}

// First tokens drawn for many sentences, against their probabilities (Pearson's test).
TEST_P(Searching, SamplesFollowTheModel) {
  constexpr std::int64_t kVocabulary = 12;
  constexpr int kDraws = 4000;
  const auto tiny = model(kVocabulary);
  const Ids source = random_sources(1, kVocabulary)[0];
  GenerationConfig config = config_of(*tiny);
  config.do_sample = true;
  config.top_k = 0;
  config.temperature = 1.7;
  config.max_new_tokens = 1;
  config.num_return_sequences = 100;
  std::vector<double> expected(kVocabulary), counts(kVocabulary);
  double sum = 0;
  for (std::int32_t v = 0; v < kVocabulary; ++v)
    sum += expected[static_cast<std::size_t>(v)] =
        std::exp(log_probability(tiny->transformer, source, {0, v}) / 1.7);
  for (const SearchResult& r : search({&tiny->transformer}, config, std::vector<Ids>(kDraws / 100, source)))
    for (const Hypothesis& h : r.hypotheses) ++counts[static_cast<std::size_t>(h.tokens[1])];
  double chi_square = 0;
  for (std::size_t v = 0; v < expected.size(); ++v) {
    const double e = expected[v] / sum * kDraws;
    chi_square += (counts[v] - e) * (counts[v] - e) / e;
  }
  EXPECT_LT(chi_square, 31.26);  // 11 degrees of freedom, one in a thousand
}

TEST_P(Searching, LengthsAreBounded) {
  const auto tiny = model(37);
  const auto sources = random_sources(8, 37);
  for (std::int32_t beams : {1, 3}) {
    GenerationConfig config = config_of(*tiny);
    config.num_beams = beams;
    config.min_new_tokens = 5;
    config.max_new_tokens = 8;
    for (const auto& r : search({&tiny->transformer}, config, sources)) {
      const Ids& tokens = r.hypotheses[0].tokens;
      EXPECT_GE(tokens.size(), 1u + 5);
      EXPECT_LE(tokens.size(), 1u + 8);
    }
    // Without limits: as many as there are positions. With a ratio: by the source.
    config = config_of(*tiny);
    config.num_beams = beams;
    config.suppress_tokens = {1};
    for (const auto& r : search({&tiny->transformer}, config, sources))
      EXPECT_EQ(r.hypotheses[0].tokens.size(), 40u);
    config.max_length_ratio = 1.5;
    for (const auto& r : search({&tiny->transformer}, config, sources))
      EXPECT_EQ(r.hypotheses[0].tokens.size(),
                std::min<std::size_t>(40, 11 + 3 * sources[r.index].size() / 2));
  }
}

TEST_P(Searching, RefusesWhatCannotBe) {
  const auto tiny = model(37);
  GenerationConfig config = config_of(*tiny);
  Search engine({&tiny->transformer}, config);
  EXPECT_THROW(engine.submit({.source = {}}), Error);
  EXPECT_THROW(engine.submit({.source = Ids(41, 3)}), Error);
  EXPECT_THROW(engine.submit({.source = {3}, .prefix = Ids(39, 3)}), Error);
  EXPECT_TRUE(engine.idle());
  // Rules that leave no token at all.
  for (std::int32_t v = 0; v < 37; ++v) config.suppress_tokens.push_back(v);
  for (std::int32_t beams : {1, 2}) {
    config.num_beams = beams;
    EXPECT_THROW(search({&tiny->transformer}, config, {{3, 1}}), Error);
  }
  config.num_beams = 1, config.do_sample = true;
  EXPECT_THROW(search({&tiny->transformer}, config, {{3, 1}}), Error);
}

TEST_P(Searching, CanBeClearedHalfway) {
  const auto tiny = model(37);
  GenerationConfig config = config_of(*tiny);
  config.num_beams = 4;
  Search engine({&tiny->transformer}, config, {.batch_size = 2});
  for (const Ids& source : random_sources(5, 37)) engine.submit({.source = source});
  std::vector<SearchResult> results;
  engine.step(results), engine.step(results);
  EXPECT_GT(engine.rows_in_use(), 0);
  engine.clear();
  EXPECT_TRUE(engine.idle());
  EXPECT_EQ(engine.rows_in_use(), 0);
}

TEST_P(Searching, DamagedWeightsAreAnErrorNotATranslation) {
  TransformerConfig config = tiny_config(37);
  const auto tiny = random_model(37, 3, GetParam());
  for (const Parameter& p : tiny->parameters.all())
    if (p.name() == "model.shared.weight") p.value().data<float>()[5 * 16] = NAN;
  try {
    search({&tiny->transformer}, config_of(*tiny), {{3, 5, 1}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::nonfinite);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Searching, testing::Values(Device{Device::reference}, Device{Device::cpu}),
                         [](const auto& of) { return of.param.kind == Device::cpu ? "cpu" : "reference"; });

}  // namespace
}  // namespace glossa::test
