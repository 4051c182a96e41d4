// glossa bench on the smallest preset: every object has its keys, and numbers that can be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>
#include <sstream>

#include "app/command.h"
#include "app/presets.h"
#include "backend/cpu/cpu_features.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"

namespace glossa {
namespace {

std::string output(std::vector<std::string> words) {
  CLI::App program("test", "glossa");
  program.require_subcommand(1);
  app::add_bench(program);
  words.insert(words.begin(), "bench");
  std::reverse(words.begin(), words.end());
  testing::internal::CaptureStdout();
  try {
    program.parse(words);
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  return testing::internal::GetCapturedStdout();
}

std::vector<Json> objects(const std::vector<std::string>& words) {
  std::istringstream in(output(words));
  std::vector<Json> all;
  for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
  return all;
}

void expect_sane(const Json& object) {
  SCOPED_TRACE(object.dump());
  EXPECT_GT(object.at("tokens_per_second").get<double>(), 0);
  EXPECT_GT(object.at("gflops").get<double>(), 0);
  EXPECT_GT(object.at("share_of_peak").get<double>(), 0);
  EXPECT_LT(object.at("share_of_peak").get<double>(), 1.2);  // both are measured, on a machine that others may use
  EXPECT_EQ(object.at("instruction_set").get<std::string>(), cpu::name_of(cpu::instruction_set()));
  EXPECT_EQ(object.at("threads").get<int>(), thread_count());
  EXPECT_GT(object.at("peak_memory_mib").get<double>(), 1);
}

TEST(Bench, TrainingIsOneObject) {
  const auto all = objects({"train", "--preset", "encdec-tiny", "--steps", "2", "--dropout", "0", "--json"});
  ASSERT_EQ(all.size(), 1u);
  expect_sane(all[0]);
  EXPECT_EQ(all[0].at("name"), "train encdec-tiny f32");
}

TEST(Bench, TranslationIsOneObject) {
  for (const std::string beams : {"1", "3"}) {
    const auto all = objects({"translate", "--preset", "encdec-tiny", "--batch", "3", "--beam-size", beams, "--length", "5", "--runs",
                              "2", "--json"});
    ASSERT_EQ(all.size(), 1u);
    expect_sane(all[0]);
    EXPECT_EQ(all[0].at("name"), "translate encdec-tiny batch 3 beam " + beams + " f32");
  }
}

TEST(Bench, EveryKernelIsAnObject) {
  const auto all = objects({"ops", "--preset", "encdec-tiny", "--runs", "1", "--json"});
  std::set<std::string> names;
  for (const Json& object : all) {
    expect_sane(object);
    EXPECT_GT(object.at("gigabytes_per_second").get<double>(), 0);
    names.insert(object.at("name").get<std::string>());
  }
  EXPECT_EQ(names.size(), all.size());
  EXPECT_THAT(names, testing::IsSupersetOf({"head: dW", "causal attention: gradient", "layer norm", "AdamW on the embedding"}));
}

TEST(Bench, WithoutJsonItIsATable) {
  EXPECT_THAT(output({"train", "--preset", "encdec-tiny", "--steps", "1"}),
              testing::AllOf(testing::HasSubstr("tokens/s"), testing::HasSubstr("\ntrain encdec-tiny f32 ")));
}

TEST(Bench, RefusesWhatItCannotMeasure) {
  EXPECT_THROW(output({"train", "--preset", "encdec-huge"}), CLI::ValidationError);
  EXPECT_THROW(output({"translate", "--preset", "encdec-tiny", "--length", "512"}), Error);
  const auto before = cpu::instruction_set();
  cpu::set_instruction_set(cpu::InstructionSet::portable);
  EXPECT_THROW(output({"train", "--preset", "encdec-tiny", "--bf16"}), Error);
  cpu::set_instruction_set(before);
}

TEST(Bench, CountsTheOperationsOfATranslation) {
  app::Preset p = app::preset("encdec-tiny");
  p.sentences = 1, p.length = 1;
  // One encoder layer and one decoder layer of width d and inner width 4d on one token: 12 + 2 for the memory's keys and
  // values + 14 d^2 multiplications, attention to one token three times (2 d each), and the head.
  p.config.encoder_layers = p.config.decoder_layers = 1;
  const double d = 64, v = 1000;
  EXPECT_DOUBLE_EQ(app::translate_flops(p, 4), 2 * (28 * d * d + 6 * d + v * d));
}

}  // namespace
}  // namespace glossa
