#include <gtest/gtest.h>

#include "base/parallel.h"
#include "batches.h"

// Decoding with caches is the full pass, and a sentence does not know its neighbours.
namespace glossa::test {
namespace {

struct On {
  const char* type;
  Device device;
  DType dtype;
};

class Decoding : public testing::TestWithParam<On> {
 protected:
  Decoding()
      : model_(small_config(GetParam().type),
               {.seed = 3, .training = false, .device = GetParam().device, .dtype = GetParam().dtype}) {}
  const Transformer& model() const { return model_.transformer; }
  Device device() const { return GetParam().device; }
  double tolerance() const { return GetParam().dtype == DType::f64 ? 1e-13 : 5e-6; }
  Ids ids(std::size_t length, std::uint64_t seed) const {
    return sentence(length, seed, model().config().vocab_size);
  }
  Tensor i32(const Ids& values) const { return Tensor::of(values, device()); }

  Tensor full(const Ids& source, const Ids& target) const {
    const Tokens s = tokens({source}, device());
    return model().decode(tokens({target}, device()), model().encode(s), s.sequences);
  }

  Model model_;
};

// One hypothesis: the sentence it belongs to, its tokens so far, and their rows.
struct Hypothesis {
  std::size_t sentence;
  Ids tokens, rows = {};
};

class Decoder {
 public:
  Decoder(const Transformer& model, const std::vector<Ids>& sources, Device device)
      : model_(model), device_(device), self_(model.make_cache()), memory_(model.make_cache()) {
    Ids all;
    for (const Ids& s : sources) {
      memory_rows_.emplace_back();
      for (std::size_t i = 0; i < s.size(); ++i) memory_rows_.back().push_back(memory_.take());
      all.insert(all.end(), memory_rows_.back().begin(), memory_rows_.back().end());
    }
    model.remember(tokens(sources, device), Tensor::of(all, device), memory_);
  }

  // Extends each hypothesis by its next `count` tokens; hypotheses of a sentence stand next to each other.
  // Hidden states of the new tokens.
  Tensor step(std::vector<Hypothesis>& all, std::size_t count) {
    Ids ids, positions, new_rows, past, memory;
    std::vector<std::int32_t> news, pasts, groups, memories;
    for (std::size_t h = 0; h < all.size(); ++h) {
      Hypothesis& hypothesis = all[h];
      for (std::size_t i = 0; i < count; ++i) {
        positions.push_back(static_cast<std::int32_t>(hypothesis.rows.size()));
        ids.push_back(hypothesis.tokens[hypothesis.rows.size()]);
        hypothesis.rows.push_back(self_.take());
        new_rows.push_back(hypothesis.rows.back());
      }
      news.push_back(static_cast<std::int32_t>(count));
      past.insert(past.end(), hypothesis.rows.begin(), hypothesis.rows.end());
      pasts.push_back(static_cast<std::int32_t>(hypothesis.rows.size()));
      if (h == 0 || all[h - 1].sentence != hypothesis.sentence) {
        const Ids& rows = memory_rows_[hypothesis.sentence];
        memory.insert(memory.end(), rows.begin(), rows.end());
        memories.push_back(static_cast<std::int32_t>(rows.size()));
        groups.push_back(0);
      }
      groups.back() += static_cast<std::int32_t>(count);
    }
    const DecodeStep step{.tokens = {Tensor::of(ids, device_), Sequences::of_lengths(news, device_)},
                          .positions = Tensor::of(positions, device_),
                          .new_rows = Tensor::of(new_rows, device_),
                          .past = {Sequences::of_lengths(pasts, device_), Tensor::of(past, device_)},
                          .groups = Sequences::of_lengths(groups, device_),
                          .memory = {Sequences::of_lengths(memories, device_), Tensor::of(memory, device_)}};
    return model_.step(step, self_, memory_);
  }
  // A copy that shares all rows.
  Hypothesis fork(const Hypothesis& h) {
    for (std::int32_t row : h.rows) self_.share(row);
    return h;
  }
  void drop(const Hypothesis& h) {
    for (std::int32_t row : h.rows) self_.release(row);
  }
  KvCache& self() { return self_; }

 private:
  const Transformer& model_;
  Device device_;
  KvCache self_, memory_;
  std::vector<Ids> memory_rows_;
};

TEST_P(Decoding, StepsAreTheFullPass) {
  const std::vector<Ids> sources{ids(5, 1), ids(1, 2), ids(9, 3)};
  // Sentence 0 has two hypotheses, sentence 2 three.
  std::vector<Hypothesis> all{{0, ids(8, 10)}, {0, ids(8, 11)}, {1, ids(8, 12)},
                              {2, ids(8, 13)}, {2, ids(8, 14)}, {2, ids(8, 15)}};
  std::vector<Tensor> wanted;
  for (const Hypothesis& h : all) wanted.push_back(full(sources[h.sentence], h.tokens));
  Decoder decoder(model(), sources, device());
  std::int64_t done = 0;
  for (std::size_t count : {3, 1, 1, 2, 1}) {
    const Tensor hidden = decoder.step(all, count);
    const auto n = static_cast<std::int64_t>(count);
    for (std::size_t h = 0; h < all.size(); ++h)
      EXPECT_LE(relative_error(
                    hidden.slice(0, static_cast<std::int64_t>(h) * n, static_cast<std::int64_t>(h + 1) * n),
                    wanted[h].slice(0, done, done + n)),
                tolerance())
          << "hypothesis " << h << " after " << done;
    done += n;
  }
}

TEST_P(Decoding, ForkedHypothesesShareTheirPast) {
  const Ids source = ids(6, 1), beginning = ids(4, 2);
  Decoder decoder(model(), {source}, device());
  std::vector<Hypothesis> beam{{0, beginning}};
  decoder.step(beam, 4);
  // Fork into three, drop one after a step, and let its row be used again.
  beam = {decoder.fork(beam[0]), decoder.fork(beam[0]), beam[0]};
  for (std::size_t h = 0; h < 3; ++h) beam[h].tokens.push_back(static_cast<std::int32_t>(5 + h));
  decoder.step(beam, 1);
  decoder.drop(beam[1]);
  EXPECT_EQ(decoder.self().rows_in_use(), 4 + 2);
  beam.erase(beam.begin() + 1);
  for (Hypothesis& h : beam) h.tokens.push_back(9);
  const Tensor hidden = decoder.step(beam, 1);
  for (std::size_t h = 0; h < 2; ++h)
    EXPECT_LE(relative_error(hidden.slice(0, static_cast<std::int64_t>(h), static_cast<std::int64_t>(h) + 1),
                             full(source, beam[h].tokens).slice(0, 5, 6)),
              tolerance());
  for (const Hypothesis& h : beam) decoder.drop(h);
  EXPECT_EQ(decoder.self().rows_in_use(), 0);
}

TEST_P(Decoding, CachesGrowWithoutLoss) {
  const Ids source = ids(4, 1), target = ids(30, 2);
  std::vector<Hypothesis> all;
  for (int h = 0; h < 20; ++h) all.push_back({0, target});  // 600 rows, in steps
  Decoder decoder(model(), {source}, device());
  Tensor hidden;
  for (int i = 0; i < 30; ++i) hidden = decoder.step(all, 1);
  EXPECT_LE(relative_error(hidden.slice(0, 19, 20), full(source, target).slice(0, 29, 30)), tolerance());
}

TEST_P(Decoding, NeighboursDoNotChangeBits) {
  const std::vector<Ids> sources{ids(5, 1), ids(17, 2), ids(1, 3), ids(30, 4)},
      targets{ids(7, 5), ids(1, 6), ids(21, 7), ids(12, 8)};
  const Tokens s = tokens(sources, device());
  const Tensor together =
      model().logits(model().decode(tokens(targets, device()), model().encode(s), s.sequences));
  std::int64_t row = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto n = static_cast<std::int64_t>(targets[i].size());
    EXPECT_TRUE(same_bits(model().logits(full(sources[i], targets[i])), together.slice(0, row, row + n)))
        << "sentence " << i;
    row += n;
  }
}

TEST_P(Decoding, NeighboursDoNotChangeBitsOfSteps) {
  const std::vector<Ids> sources{ids(5, 1), ids(17, 2), ids(1, 3)}, targets{ids(9, 5), ids(9, 6), ids(9, 7)};
  Decoder together(model(), sources, device());
  std::vector<Hypothesis> all{{0, targets[0]}, {1, targets[1]}, {2, targets[2]}};
  std::vector<Decoder> alone;
  std::vector<std::vector<Hypothesis>> one;
  for (std::size_t i = 0; i < 3; ++i) {
    alone.emplace_back(model(), std::vector<Ids>{sources[i]}, device());
    one.push_back({{0, targets[i]}});
  }
  for (std::int64_t count : {2, 1, 1, 3}) {
    const Tensor hidden = together.step(all, static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(same_bits(
          alone[i].step(one[i], static_cast<std::size_t>(count)),
          hidden.slice(0, static_cast<std::int64_t>(i) * count, static_cast<std::int64_t>(i + 1) * count)));
  }
}

TEST_P(Decoding, FrozenWeightsGiveTheBitsOfTraining) {
  const Model training(small_config(GetParam().type),
                       {.seed = 3, .device = device(), .dtype = GetParam().dtype});
  const Tokens source = tokens({ids(5, 1), ids(3, 2)}, device()),
               target = tokens({ids(7, 3), ids(2, 4)}, device());
  const auto logits = [&](const Transformer& m) {
    return m.logits(m.decode(target, m.encode(source), source.sequences));
  };
  EXPECT_TRUE(same_bits(logits(model()), logits(training.transformer)));
}

TEST_P(Decoding, AlignmentsAreProbabilities) {
  const std::vector<Ids> sources{ids(5, 1), ids(2, 2)}, targets{ids(3, 3), ids(4, 4)};
  const Seq2SeqBatch batch{tokens(sources, device()), tokens(targets, device()), {}};
  const Tensor all = model().alignments(batch);
  ASSERT_EQ(all.shape(), (Shape{7, 5}));
  for (std::int64_t t = 0; t < 7; ++t) {
    double sum = 0;
    for (std::int64_t j = 0; j < 5; ++j) {
      const double p = all.data<float>()[t * 5 + j];
      EXPECT_TRUE(t < 3 || j < 2 ? p > 0 : p == 0);
      sum += p;
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST_P(Decoding, RefusesWhatIsTooLong) {
  EXPECT_THROW(model().encode(tokens({ids(33, 1)}, device())), Error);
  const Tokens source = tokens({ids(2, 1)}, device());
  EXPECT_THROW(model().decode(tokens({ids(33, 1)}, device()), model().encode(source), source.sequences),
               Error);
  EXPECT_THROW(model().encode(tokens({{1, 37}}, device())), Error);
}

INSTANTIATE_TEST_SUITE_P(Families, Decoding,
                         testing::Values(On{"marian", kReference, DType::f64},
                                         On{"mbart", kReference, DType::f64}, On{"marian", kCpu, DType::f32},
                                         On{"bart", kCpu, DType::f32}, On{"m2m_100", kCpu, DType::f32},
                                         On{"mbart", kCpu, DType::f32}),
                         [](const auto& of) {
                           return std::string(of.param.type) +
                                  (of.param.device == kCpu ? "_cpu" : "_reference");
                         });

}  // namespace
}  // namespace glossa::test
