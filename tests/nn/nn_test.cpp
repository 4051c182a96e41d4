#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "nn/kv_cache.h"
#include "nn/layers.h"

namespace glossa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Device kReference{Device::reference};

std::vector<std::string> names(const ParameterList& list) {
  std::vector<std::string> all;
  for (const auto& [name, value] : list.values()) all.push_back(name);
  return all;
}
std::vector<float> values(const Tensor& x) {
  const auto all = x.span<float>();
  return {all.begin(), all.end()};
}
// A source of tensors filled with one number each.
WeightSource source(std::map<std::string, std::pair<Shape, float>> all) {
  return [all = std::move(all)](const std::string& name) {
    const auto it = all.find(name);
    if (it == all.end()) return Tensor();
    Tensor x = Tensor::empty(it->second.first);
    for (float& v : x.span<float>()) v = it->second.second;
    return x;
  };
}
std::string message(const ParameterList& list) {
  try {
    list.check_complete();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::weights);
    return e.what();
  }
  return "no error";
}

TEST(Parameters, CarryThePathThatScopesGiveThem) {
  ParameterList list({.device = kReference});
  const Linear linear(list.scope() / "model" / "layers" / 3 / "fc1", 4, 2);
  const LayerNorm norm(list.scope() / "norm", 4);
  EXPECT_THAT(names(list), ElementsAre("model.layers.3.fc1.weight", "model.layers.3.fc1.bias", "norm.weight",
                                       "norm.bias"));
  EXPECT_EQ(list.elements(), 8 + 2 + 4 + 4);
  EXPECT_EQ(linear.weight.value().shape(), (Shape{2, 4}));
  EXPECT_THAT(values(norm.weight), testing::Each(1));
  EXPECT_THAT(values(linear.bias), testing::Each(0));
}

TEST(Parameters, StackedLayersAreOneProductAndSeveralNames) {
  ParameterList list({.source = source({{"a.q.weight", {{2, 3}, 1}},
                                        {"a.q.bias", {{2}, 2}},
                                        {"a.k.weight", {{2, 3}, 3}},
                                        {"a.k.bias", {{2}, 4}}}),
                      .device = kReference});
  const Linear qk = Linear::stacked(list.scope() / "a", {"q", "k"}, 3, {2, 2});
  list.check_complete();
  EXPECT_THAT(values(qk.weight), ElementsAre(1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3));
  EXPECT_THAT(values(qk.bias), ElementsAre(2, 2, 4, 4));
  EXPECT_THAT(names(list), ElementsAre("a.q.weight", "a.k.weight", "a.q.bias", "a.k.bias"));
  // A stacked layer begins as its parts would alone.
  ParameterList together({.seed = 5}), apart({.seed = 5});
  Linear::stacked(together.scope(), {"q", "k"}, 3, {2, 2});
  Linear(apart.scope() / "q", 3, 2);
  EXPECT_EQ(values(together.values()[0].second), values(apart.values()[0].second));
}

TEST(Parameters, InitialValuesFollowTheirDistribution) {
  ParameterList list({.device = kReference});
  const auto moments = [](const Tensor& x) {
    double sum = 0, squares = 0, most = 0;
    for (float v : x.span<float>()) sum += v, squares += v * v, most = std::max<double>(most, std::fabs(v));
    const auto n = static_cast<double>(x.elements());
    return std::tuple{sum / n, std::sqrt(squares / n), most};
  };
  const auto [mean, deviation, most] =
      moments(list.scope().parameter("normal", {100, 200}, {Init::normal, 0.5f}));
  EXPECT_NEAR(mean, 0, 0.015);
  EXPECT_NEAR(deviation, 0.5, 0.01);
  EXPECT_GT(most, 1.5);
  const double bound = std::sqrt(6.0 / 300);
  const auto [mean2, deviation2, most2] = moments(list.scope().parameter("xavier", {100, 200}));
  EXPECT_NEAR(mean2, 0, 0.003);
  EXPECT_NEAR(deviation2, bound / std::sqrt(3), 0.002);
  EXPECT_LE(most2, bound);
  EXPECT_GT(most2, 0.99 * bound);
}

TEST(Parameters, ConstantsAreNotTrained) {
  ParameterList list({.device = kReference});
  const Parameter bias = list.scope().constant("bias", {1, 3});
  EXPECT_FALSE(bias.trainable());
  EXPECT_EQ(list.elements(), 0);
  EXPECT_TRUE(list.gradients().empty());
  ParameterList loaded({.source = source({{"bias", {{1, 3}, 9}}}), .device = kReference});
  EXPECT_THAT(values(loaded.scope().constant("bias", {1, 3})), testing::Each(9));
  loaded.scope().constant("other", {1, 3});  // may be missing
  loaded.check_complete();
}

TEST(Parameters, AliasesAreTriedInTurn) {
  ParameterList list(
      {.source = source({{"second", {{2, 2}, 7}}, {"third", {{2, 2}, 8}}}), .device = kReference});
  EXPECT_THAT(values(list.scope().parameter("w", {2, 2}, {}, {"first", "second", "third"})),
              testing::Each(7));
  list.check_complete();
  EXPECT_THAT(names(list), ElementsAre("w"));
}

TEST(Parameters, EveryFaultIsListedOnce) {
  ParameterList list(
      {.source = source({{"a.weight", {{2, 3}, 1}}}), .origin = "x.safetensors", .device = kReference});
  Linear(list.scope() / "a", 4, 2);
  EXPECT_EQ(
      message(list),
      "x.safetensors: 2 tensors do not fit the configuration: \"a.weight\" has shape [2, 3], wanted [2, 4]; "
      "\"a.bias\" is missing (wanted [2])");
  for (int i = 0; i < 30; ++i) LayerNorm(list.scope() / "layers" / i, 2);
  EXPECT_THAT(message(list), HasSubstr("62 tensors do not fit"));
  EXPECT_THAT(message(list), HasSubstr("; and 42 more"));
}

TEST(Parameters, WeightsForInferenceAreThoseOfTheFile) {
  Tensor file = Tensor::empty({2, 2});
  for (float& v : file.span<float>()) v = 3;
  const auto from = [&](const std::string&) { return file; };
  ParameterList inference({.source = from, .training = false}), training({.source = from});
  const Parameter frozen = inference.scope().parameter("w", {2, 2}),
                  copy = training.scope().parameter("w", {2, 2});
  EXPECT_EQ(frozen.value().storage(), file.storage());
  EXPECT_TRUE(frozen.value().storage()->frozen);
  EXPECT_FALSE(frozen.trainable());
  EXPECT_NE(copy.value().storage(), file.storage());
  EXPECT_TRUE(copy.trainable());
  ParameterList wide({.source = from, .training = false, .dtype = DType::f64});
  EXPECT_EQ(wide.scope().parameter("w", {2, 2}).value().data<double>()[3], 3);
}

// ---- batches and caches ----

TEST(Batches, SequencesAndPositions) {
  const Sequences s = Sequences::of_lengths({3, 0, 2});
  EXPECT_EQ(s.count, 3);
  EXPECT_EQ(s.longest, 3);
  EXPECT_EQ(s.tokens(), 5);
  EXPECT_THAT(s.starts.span<std::int32_t>(), ElementsAre(0, 3, 3, 5));
  EXPECT_THAT(positions_of(s, 2).span<std::int32_t>(), ElementsAre(2, 3, 4, 2, 3));
  EXPECT_EQ(Sequences::of_lengths({}).tokens(), 0);
  EXPECT_THROW(Sequences::of_lengths({-1}), Error);
  EXPECT_THROW(Sequences::of_lengths({INT32_MAX, 1}), Error);
}

TEST(KvCache, RowsHaveOwners) {
  KvCache cache(1, 1, 4, kReference, DType::f32);
  const std::int32_t a = cache.take(), b = cache.take();
  EXPECT_NE(a, b);
  cache.share(a);
  cache.release(a);
  EXPECT_EQ(cache.rows_in_use(), 2);
  cache.release(a);
  EXPECT_EQ(cache.rows_in_use(), 1);
  EXPECT_EQ(cache.take(), a);
}

TEST(KvCache, GrowingKeepsRows) {
  KvCache cache(2, 1, 4, kReference, DType::f32);
  for (int i = 0; i < 3; ++i) cache.take();
  cache.reserve();
  for (int layer : {0, 1}) {
    EXPECT_EQ(cache.layer(layer).keys.cols(), 4);
    for (std::int64_t i = 0; i < 12; ++i) {
      cache.layer(layer).keys.data<float>()[i] = static_cast<float>(layer * 100 + i);
      cache.layer(layer).values.data<float>()[i] = static_cast<float>(layer * 100 + 50 + i);
    }
  }
  for (int i = 0; i < 1000; ++i) cache.take();
  cache.reserve();
  EXPECT_GE(cache.layer(1).values.size(0), 1003);
  for (int layer : {0, 1}) {
    for (std::int64_t i = 0; i < 12; ++i) {
      EXPECT_EQ(cache.layer(layer).keys.data<float>()[i], static_cast<float>(layer * 100 + i));
      EXPECT_EQ(cache.layer(layer).values.data<float>()[i], static_cast<float>(layer * 100 + 50 + i));
    }
  }
}

TEST(KvCache, IsThereEvenIfEmpty) {
  KvCache cache(1, 2, 2, kReference, DType::f64);
  cache.reserve();
  EXPECT_EQ(cache.layer(0).keys.dtype(), DType::f64);
  EXPECT_EQ(cache.layer(0).values.cols(), 4);
}

TEST(KvCache, KeysAndValuesHaveTypesOfTheirOwn) {
  KvCache cache(1, 2, 32, {}, DType::f32, {.keys = DType::q8_0, .values = DType::bf16});
  Tensor rows = Tensor::empty({3}, DType::i32);
  for (int i = 0; i < 3; ++i) rows.data<std::int32_t>()[i] = cache.take();
  cache.reserve();
  Tensor k = Tensor::empty({3, 64}), v = Tensor::empty({3, 64});
  for (std::int64_t i = 0; i < 3 * 64; ++i) k.data<float>()[i] = std::sin(static_cast<float>(i)), v.data<float>()[i] = std::cos(static_cast<float>(i));
  cache.write(0, k, v, rows);
  const Tensor keys = cache.layer(0).keys.slice(0, 0, 3).to(DType::f32), values = cache.layer(0).values.slice(0, 0, 3).to(DType::f32);
  for (std::int64_t i = 0; i < 3 * 64; ++i) {
    EXPECT_NEAR(keys.data<float>()[i], k.data<float>()[i], 0.5 / 127 + 1e-3);
    EXPECT_NEAR(values.data<float>()[i], v.data<float>()[i], 1.0 / 256);
  }
  EXPECT_THROW(KvCache(1, 2, 24, {}, DType::f32, {.keys = DType::q8_0}), Error);
}

}  // namespace
}  // namespace glossa
