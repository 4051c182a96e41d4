#include <sstream>

#include "base/random.h"
#include "data/batch_loader.h"
#include "data/prepare.h"
#include "data/preview.h"
#include "files.h"

namespace glossa {
namespace {

using testing::Each;
using testing::ElementsAre;

// Sentences of 1 to `longest` tokens with ids that tell pair, side and place: none of them 0 or 1.
PairDataset numbered(std::uint64_t pairs, std::uint64_t longest = 30, bool keep_text = false) {
  auto bytes = std::make_shared<std::string>();
  PairWriter writer([&](std::string_view part) { bytes->append(part); }, UINT32_MAX, keep_text);
  const Philox numbers(1, Purpose::sample);
  for (std::uint64_t i = 0; i < pairs; ++i) {
    std::vector<std::int32_t> source(1 + numbers.below(2 * i, longest)),
        target(1 + numbers.below(2 * i + 1, longest));
    for (std::size_t t = 0; t < source.size(); ++t) source[t] = static_cast<std::int32_t>(2 + i * 100 + t);
    for (std::size_t t = 0; t < target.size(); ++t)
      target[t] = static_cast<std::int32_t>(2 + i * 100 + 50 + t);
    writer.add({source, target, std::to_string(i), std::to_string(i), i + 1});
  }
  writer.finish("{}");
  return PairDataset::of_memory(bytes);
}

constexpr SentenceEnds kSpecial{.start = 1, .end = 0};

std::vector<std::int32_t> ids(const Tensor& x) {
  return {x.span<std::int32_t>().begin(), x.span<std::int32_t>().end()};
}

using Batches = std::vector<std::vector<std::uint64_t>>;

Batches epoch_of(const BatchPlan& plan, std::uint64_t epoch) {
  Batches all;
  for (std::uint64_t w = 0; w < plan.windows(); ++w) {
    const BatchWindow window = plan.window(epoch, w);
    for (std::uint64_t b = 0; b < window.size(); ++b) all.emplace_back(window[b].begin(), window[b].end());
  }
  return all;
}

std::vector<std::uint64_t> sorted_pairs(const Batches& batches) {
  std::vector<std::uint64_t> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<std::uint64_t> counting(std::uint64_t n) {
  std::vector<std::uint64_t> all(n);
  for (std::uint64_t i = 0; i < n; ++i) all[i] = i;
  return all;
}

TEST(Plan, EveryPairOnceInAnEpochWhateverTheOptions) {
  const PairDataset data = numbered(1000);
  for (const bool shuffle : {true, false}) {
    for (const bool sort : {true, false}) {
      for (const std::uint64_t window : {1, 7, 300, 1000, 4000}) {
        const BatchPlan plan(
            data, {.max_tokens = 200, .shuffle = shuffle, .sort_by_length = sort, .window = window});
        for (const std::uint64_t epoch : {0, 1, 5})
          EXPECT_EQ(sorted_pairs(epoch_of(plan, epoch)), counting(1000));
      }
    }
  }
}

TEST(Plan, NoBatchExceedsTheBudgetButByASinglePair) {
  const PairDataset data = numbered(500, 40);
  for (const std::int64_t budget : {5, 41, 100, 1000, 1'000'000}) {
    const BatchPlan plan(data, {.max_tokens = budget});
    for (const auto& batch : epoch_of(plan, 0)) {
      std::int64_t sum = 0;
      for (const std::uint64_t pair : batch) sum += plan.cost(pair);
      EXPECT_TRUE(sum <= budget || batch.size() == 1) << sum;
    }
  }
}

TEST(Plan, BatchesAreEvenWithoutARemnant) {
  const PairDataset data = numbered(1000);
  const BatchPlan plan(data, {.max_tokens = 4096});
  std::vector<std::int64_t> sums;
  for (const auto& batch : epoch_of(plan, 0)) {
    sums.push_back(0);
    for (const std::uint64_t pair : batch) sums.back() += plan.cost(pair);
  }
  ASSERT_EQ(sums.size(), 6u);
  const auto [least, most] = std::minmax_element(sums.begin(), sums.end());
  EXPECT_LT(*most - *least, 100);
  const FillStatistics fill = fill_statistics(plan);
  EXPECT_EQ(fill.batches, 6u);
  EXPECT_EQ(fill.pairs, 1000u);
  EXPECT_GT(fill.padded_share, 0.6);
  EXPECT_NEAR(fill.budget_share, static_cast<double>(*most) / 4096, 0.02);
}

TEST(Plan, SortsByLengthAndThenVisitsInAnotherOrder) {
  const PairDataset data = numbered(2000);
  const auto spread = [&](const BatchPlan& plan) {  // of lengths within batches
    double sum = 0;
    for (const auto& batch : epoch_of(plan, 0)) {
      std::int64_t least = INT64_MAX, most = 0;
      for (const std::uint64_t pair : batch)
        least = std::min(least, plan.cost(pair)), most = std::max(most, plan.cost(pair));
      sum += static_cast<double>(most - least);
    }
    return sum;
  };
  const BatchPlan sorted(data, {.max_tokens = 500}),
      mixed(data, {.max_tokens = 500, .sort_by_length = false});
  EXPECT_LT(spread(sorted), spread(mixed) / 5);
  std::vector<std::int64_t> first;
  for (const auto& batch : epoch_of(sorted, 0)) first.push_back(sorted.cost(batch[0]));
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  EXPECT_NE(epoch_of(sorted, 0), epoch_of(sorted, 1));
  EXPECT_NE(epoch_of(sorted, 0), epoch_of(BatchPlan(data, {.max_tokens = 500, .seed = 43}), 0));
  const BatchPlan plain(data, {.max_tokens = 500, .shuffle = false, .sort_by_length = false});
  EXPECT_EQ(epoch_of(plain, 0), epoch_of(plain, 7));
  EXPECT_EQ(epoch_of(plain, 0)[0][1], 1u);
}

TEST(Plan, ACursorGoesOnFromAnyPosition) {
  for (const std::uint64_t window : {100, 333, 1000}) {
    const BatchPlan plan(numbered(333), {.max_tokens = 150, .window = window});
    std::vector<std::pair<BatchPosition, std::vector<std::uint64_t>>> all;
    BatchCursor cursor(plan, {});
    while (cursor.position().epoch < 3) {
      const BatchPosition position = cursor.position();
      const auto batch = cursor.next();
      all.emplace_back(position, std::vector(batch.begin(), batch.end()));
    }
    EXPECT_EQ(all.size() % 3, 0u);
    for (std::size_t i = 0; i < all.size(); i += 5) {
      BatchCursor other(plan, all[i].first);
      for (std::size_t j = i; j < std::min(all.size(), i + 60); ++j) {
        ASSERT_EQ(other.position(), all[j].first);
        const auto batch = other.next();
        ASSERT_EQ(std::vector(batch.begin(), batch.end()), all[j].second);
      }
    }
  }
}

TEST(Plan, APositionOfOtherDataIsRefused) {
  const BatchPlan plan(numbered(100), {.max_tokens = 150});
  std::string message;
  EXPECT_EQ(code_of([&] { BatchCursor(plan, {2, 1000}); }, &message), Code::run_state);
  EXPECT_THAT(message, testing::HasSubstr("batch 1000"));
  EXPECT_EQ(code_of([] { BatchPlan(numbered(0), {}); }), Code::empty);
  EXPECT_EQ(code_of([] { BatchPlan(numbered(1), {.max_tokens = 0}); }), Code::bad_value);
}

TEST(Loader, BatchesAreRaggedWithStartAndEnd) {
  const PairDataset data = numbered(3, 3);
  const std::vector<std::uint64_t> pairs{2, 0};
  const Seq2SeqBatch batch = make_batch(data, pairs, kSpecial);
  std::vector<std::int32_t> source, inputs, labels, source_starts{0}, target_starts{0};
  for (const std::uint64_t pair : pairs) {
    const PairLengths lengths = data.lengths(pair);
    inputs.push_back(1);
    for (std::uint32_t t = 0; t < lengths.source; ++t)
      source.push_back(static_cast<std::int32_t>(2 + pair * 100 + t));
    for (std::uint32_t t = 0; t < lengths.target; ++t) {
      labels.push_back(static_cast<std::int32_t>(2 + pair * 100 + 50 + t));
      inputs.push_back(labels.back());
    }
    source.push_back(0), labels.push_back(0);
    source_starts.push_back(static_cast<std::int32_t>(source.size()));
    target_starts.push_back(static_cast<std::int32_t>(labels.size()));
  }
  EXPECT_EQ(ids(batch.source.ids), source);
  EXPECT_EQ(ids(batch.target.ids), inputs);
  EXPECT_EQ(ids(batch.labels), labels);
  EXPECT_EQ(ids(batch.source.sequences.starts), source_starts);
  EXPECT_EQ(ids(batch.target.sequences.starts), target_starts);
  EXPECT_EQ(batch.source.sequences.count, 2);
}

TEST(Loader, APreviewShowsWhatTheModelSees) {
  auto bytes = std::make_shared<std::string>();
  PairWriter writer([&](std::string_view part) { bytes->append(part); }, 1000, false);
  writer.add({std::vector<std::int32_t>{7, 800}, std::vector<std::int32_t>{9}, "", "", 41});
  writer.add({std::vector<std::int32_t>{7}, std::vector<std::int32_t>{9, 9}, "", "", 42});
  writer.finish("{}");
  const PairDataset data = PairDataset::of_memory(bytes);
  const std::vector<std::uint64_t> pairs{1, 0};
  const auto piece = [](std::int32_t id) {
    return id < 2 ? (id ? "<s>" : "</s>") : id == 7 ? "\u2581f\u00FC" : "x";
  };
  EXPECT_EQ(preview(make_batch(data, pairs, kSpecial), pairs, data, piece, 1),
            "2 pairs; 5 source tokens, at most 3 in a sentence; 5 target tokens, at most 3; no padding "
            "(padded, source and target "
            "would be 83.3 % and 83.3 % full)\n"
            "\n"
            "pair 1, line 42\n"
            "  source   \u2581f\u00FC </s>\n"
            "           7   0\n"
            "  input    <s> x x\n"
            "           1   9 9\n"
            "  label    x x </s>\n"
            "           9 9 0\n");
}

LoaderOptions small_batches(std::int64_t accumulation = 1) {
  return {.batches = {.max_tokens = 100, .window = 64},
          .ends = kSpecial,
          .gradient_accumulation_steps = accumulation};
}

TEST(Loader, G23_EverySampleOnceInAnEpochWhateverTheInterruptions) {
  const PairDataset data = numbered(500);
  Batches uninterrupted, interrupted;
  {
    BatchLoader loader(data, small_batches());
    while (loader.position().epoch < 2) uninterrupted.push_back(loader.next().pairs[0]);
  }
  BatchPosition position;
  for (std::uint64_t run = 0; position.epoch < 2; ++run) {
    BatchLoader loader(data, small_batches(), position);
    for (std::uint64_t n = Philox(1, Purpose::sample).below(run, 9); n > 0 && loader.position().epoch < 2;
         --n)
      interrupted.push_back(loader.next().pairs[0]);
    position = loader.position();
  }
  EXPECT_EQ(interrupted, uninterrupted);
  std::vector<std::uint64_t> twice = counting(500);
  twice.insert(twice.end(), twice.begin(), twice.end());
  std::sort(twice.begin(), twice.end());
  EXPECT_EQ(sorted_pairs(uninterrupted), twice);
}

TEST(Loader, StepsHoldTheirBatchesAcrossEpochs) {
  const PairDataset data = numbered(100);
  Batches single, accumulated;
  BatchLoader one(data, small_batches());
  for (int i = 0; i < 90; ++i) single.push_back(one.next().pairs[0]);
  BatchLoader three(data, small_batches(3));
  for (int i = 0; i < 30; ++i) {
    TranslationStep step = three.next();
    ASSERT_EQ(step.batches.size(), 3u);
    std::int64_t tokens = 0, sentences = 0;
    for (std::size_t b = 0; b < 3; ++b) {
      tokens += step.batches[b].labels.elements();
      sentences += static_cast<std::int64_t>(step.pairs[b].size());
      accumulated.push_back(step.pairs[b]);
    }
    EXPECT_EQ(step.target_tokens, tokens);
    EXPECT_EQ(step.sentences, sentences);
  }
  EXPECT_EQ(accumulated, single);
  EXPECT_EQ(three.position(), one.position());
}

TEST(Loader, F07_DataSmallerThanABatchComeAgainAndAgain) {
  BatchLoader loader(numbered(1), small_batches(3));
  const TranslationStep step = loader.next();
  EXPECT_THAT(step.pairs, Each(ElementsAre(0)));
  EXPECT_EQ(step.sentences, 3);
  EXPECT_EQ(loader.position(), (BatchPosition{3, 0}));
}

TEST(Loader, EncodesAnotherWayInEachEpoch) {
  const PairDataset data = numbered(50, 5, true);
  LoaderOptions options = small_batches();
  options.max_length = 5;
  // Stands for BPE-dropout: the number in the text, and the stream's low bits; too long for some, which then
  // stay as they are.
  options.reencode = [](std::string_view text, std::uint64_t stream, std::vector<std::int32_t>& out) {
    const std::int32_t number = std::stoi(std::string(text));
    out.assign(number % 10 == 3 ? 6 : 2, number);
    out.back() = static_cast<std::int32_t>(stream);
  };
  BatchLoader loader(data, options);
  while (loader.position().epoch < 2) {
    const auto epoch = loader.position().epoch;
    const TranslationStep step = loader.next();
    const auto source = ids(step.batches[0].source.ids),
               starts = ids(step.batches[0].source.sequences.starts);
    for (std::size_t i = 0; i < step.pairs[0].size(); ++i) {
      const std::uint64_t pair = step.pairs[0][i];
      if (pair % 10 == 3) {
        EXPECT_EQ(source[starts[i]], static_cast<std::int32_t>(2 + pair * 100));
      } else {
        EXPECT_EQ(source[starts[i]], static_cast<std::int32_t>(pair));
        EXPECT_EQ(source[starts[i] + 1], static_cast<std::int32_t>((epoch * 50 + pair) * 2));
      }
    }
  }
  EXPECT_EQ(code_of([&] { BatchLoader(numbered(50), options); }), Code::internal);
}

TEST(Loader, ErrorsOfTheThreadReachTheConsumer) {
  const PairDataset data = numbered(400, 5, true);
  LoaderOptions options = small_batches();
  int calls = 0;
  options.reencode = [&](std::string_view, std::uint64_t, std::vector<std::int32_t>&) {
    if (++calls > 500) fail(Code::tokenizer, "no more");
  };
  BatchLoader loader(data, options);
  std::string message;
  EXPECT_EQ(code_of(
                [&] {
                  for (;;) loader.next();
                },
                &message),
            Code::tokenizer);
  EXPECT_EQ(message, "no more");
  EXPECT_EQ(code_of([&] { loader.next(); }), Code::tokenizer);
}

TEST(Loader, StopsAtOnceWhateverItIsDoing) {
  const PairDataset data = numbered(2000);
  for (int i = 0; i < 30; ++i) {
    BatchLoader loader(data, small_batches());
    for (int n = i % 3; n > 0; --n) loader.next();
  }
}

class LoaderFiles : public InFolder {};

TEST_F(LoaderFiles, F15_ACacheThatChangesDuringTheEpochStopsIt) {
  const fs::path path = folder / "cache";
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "a b c\tx y z\n";
  Preparation how{
      .encode = [](std::string_view words, std::vector<std::int32_t>& out) { out.assign(words.size(), 2); },
      .vocabulary = 10};
  how.cache = path;
  const PreparedPairs p = prepare_pairs(CorpusFiles{.file = put("t.tsv", text)}, {}, "", how);
  BatchLoader loader(p.data, small_batches());
  loader.next();
  std::ofstream(path, std::ios::app) << "x";
  EXPECT_EQ(code_of([&] {
              for (int i = 0; i < 100; ++i) loader.next();
            }),
            Code::changed);
}

}  // namespace
}  // namespace glossa
