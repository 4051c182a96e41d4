// What a run tells: metrics.jsonl and TensorBoard's event files, through stops and full disks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <map>
#include <sstream>

#include "base/error.h"
#include "support/in_folder.h"
#include "train/event_file.h"
#include "train/pace.h"
#include "train/run_records.h"

namespace glossa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(Pace, FollowsTheLastSteps) {
  Pace pace;
  pace.add(4);
  EXPECT_EQ(pace.seconds(), 4);
  pace.add(2);
  EXPECT_EQ(pace.seconds(), 3);
  for (int i = 0; i < 1000; ++i) pace.add(1);
  EXPECT_NEAR(pace.seconds(), 1, 1e-6);
  for (int i = 0; i < 50; ++i) pace.add(3);
  EXPECT_NEAR(pace.seconds(), 3 - 2 * std::exp(-1), 0.01);
}

// A reader of its own, by the documents of the formats: TFRecord, protocol buffers, event.proto.
struct Field {
  std::uint64_t number = 0, value = 0;  // value: of varint and fixed fields
  std::string bytes = {};
};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::vector<Field> fields_of(std::string_view message) {
  std::vector<Field> fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const auto take = [&](std::size_t size) {
    const std::string_view taken = message.substr(at, size);
    EXPECT_EQ(taken.size(), size);
    at += size;
    return taken;
  };
  while (at < message.size()) {
    const std::uint64_t tag = varint();
    Field field{.number = tag >> 3};
    switch (tag & 7) {
      case 0: field.value = varint(); break;
      case 1: field.value = little_endian(take(8)); break;
      case 2: field.bytes = take(varint()); break;
      case 5: field.value = little_endian(take(4)); break;
      default: ADD_FAILURE() << "wire type " << (tag & 7); return fields;
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

struct Event {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string version = {};
  bool starts = false;
  std::map<std::string, float> scalars = {};
};

Event event_of(std::string_view message) {
  Event event;
  for (const Field& f : fields_of(message)) {
    if (f.number == 1) event.wall_time = std::bit_cast<double>(f.value);
    if (f.number == 2) event.step = static_cast<std::int64_t>(f.value);
    if (f.number == 3) event.version = f.bytes;
    if (f.number == 7) event.starts = fields_of(f.bytes).at(0).value == 1;
    if (f.number != 5) continue;
    for (const Field& value : fields_of(f.bytes)) {
      const std::vector<Field> parts = fields_of(value.bytes);
      event.scalars[parts.at(0).bytes] = std::bit_cast<float>(static_cast<std::uint32_t>(parts.at(1).value));
    }
  }
  return event;
}

std::vector<Event> events_in(const fs::path& path) {
  const std::string text = read_file(path);
  std::vector<Event> events;
  for (std::string_view rest = text; !rest.empty();) {
    const std::uint64_t size = little_endian(rest.substr(0, 8));
    EXPECT_EQ(little_endian(rest.substr(8, 4)), masked_crc32c(rest.substr(0, 8)));
    const std::string_view event = rest.substr(12, size);
    EXPECT_EQ(little_endian(rest.substr(12 + size, 4)), masked_crc32c(event));
    events.push_back(event_of(event));
    rest.remove_prefix(16 + size);
  }
  return events;
}

class RunOutputs : public InFolder {
 protected:

  std::vector<fs::path> event_files() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().filename().string().starts_with("events.out.tfevents.")) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  std::vector<OrderedJson> metrics() const {
    std::vector<OrderedJson> lines;
    std::istringstream text(read_file(folder / "metrics.jsonl"));
    for (std::string line; std::getline(text, line);) lines.push_back(OrderedJson::parse(line));
    return lines;
  }
  RunRecords records() {
    return {folder, [this](std::string_view note) { notes.emplace_back(note); }};
  }

  std::vector<std::string> notes;
};

OrderedJson line_of(std::int64_t step, double loss) { return {{"loss", loss}, {"step", step}}; }

TEST(Crc32c, IsThatOfTheStandard) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);             // the check value of CRC-32C
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);   // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST_F(RunOutputs, AnEventFileHoldsItsVersionAndThenScalars) {
  EventFile file(folder, 0);
  EXPECT_TRUE(file.path().filename().string().starts_with("events.out.tfevents."));
  file.add(300, {{"train/loss", 2.5}, {"train/learning_rate", 1e-4}});
  file.add(1'000'000'000'000, {{"eval/bleu", -0.0}});
  const std::vector<Event> events = events_in(file.path());
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_GT(events[0].wall_time, 1.7e9);
  EXPECT_FALSE(events[0].starts);
  EXPECT_EQ(events[1].step, 300);
  EXPECT_EQ(events[1].scalars, (std::map<std::string, float>{{"train/loss", 2.5F}, {"train/learning_rate", 1e-4F}}));
  EXPECT_EQ(events[2].step, 1'000'000'000'000);
  EXPECT_TRUE(std::signbit(events[2].scalars.at("eval/bleu")));
}

TEST_F(RunOutputs, AResumedEventFileVoidsWhatWasToldOfLaterSteps) {
  const EventFile first(folder, 0), second(folder, 41);
  EXPECT_NE(first.path(), second.path());
  const std::vector<Event> events = events_in(second.path());
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_TRUE(events[1].starts);
  EXPECT_EQ(events[1].step, 41);
}

TEST_F(RunOutputs, MetricsGoToTheFileAsTheyComeAndToTensorBoardInGroups) {
  RunRecords run = records();
  run.begin(0, OrderedJson::array());
  run.add(line_of(10, 4.5));
  EXPECT_EQ(metrics(), std::vector<OrderedJson>{line_of(10, 4.5)});
  run.add({{"eval_loss", 4.25}, {"eval_bleu", 1.5}, {"epoch", 0.5}, {"step", 10}});
  EXPECT_THAT(metrics(), SizeIs(2));
  const std::vector<Event> events = events_in(event_files().at(0));
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[1].scalars, (std::map<std::string, float>{{"train/loss", 4.5F}}));
  EXPECT_EQ(events[2].scalars,
            (std::map<std::string, float>{{"eval/loss", 4.25F}, {"eval/bleu", 1.5F}, {"train/epoch", 0.5F}}));
}

TEST_F(RunOutputs, AResumedRunHasEachStepOnce) {
  const OrderedJson history = {line_of(10, 4), line_of(20, 3)};
  {
    RunRecords lost = records();
    lost.begin(0, OrderedJson::array());
    for (const std::int64_t step : {10, 20, 30}) lost.add(line_of(step, 9));
  }
  FileHandle::append(folder / "metrics.jsonl").write(as_bytes("{\"loss\": 3.1, \"st"));  // killed while it wrote
  RunRecords resumed = records();
  resumed.begin(20, history);
  resumed.add(line_of(30, 2));
  EXPECT_THAT(metrics(), ElementsAre(line_of(10, 4), line_of(20, 3), line_of(30, 2)));
  EXPECT_THAT(event_files(), SizeIs(2));
  EXPECT_THAT(notes, SizeIs(0));
}

TEST_F(RunOutputs, ValuesThatAreNotFiniteKeepTheLinesJson) {
  RunRecords run = records();
  run.begin(0, OrderedJson::array());
  run.add(line_of(1, std::nan("")));
  EXPECT_TRUE(metrics().at(0)["loss"].is_null());
  EXPECT_TRUE(std::isnan(events_in(event_files().at(0)).at(1).scalars.at("train/loss")));
}

TEST_F(RunOutputs, G42_ARecordThatCannotBeWrittenIsNotedOnceAndTheRunGoesOn) {
  const fs::path gone = folder / "nowhere";
  RunRecords run(gone, [this](std::string_view note) { notes.emplace_back(note); });
  run.begin(0, OrderedJson::array());
  run.add(line_of(1, 2));
  run.draw({line_of(1, 2)});
  ASSERT_THAT(notes, SizeIs(1));
  EXPECT_THAT(notes[0], testing::AllOf(HasSubstr("metrics.jsonl"), HasSubstr("training goes on")));
}

TEST_F(RunOutputs, TheCurvesAreDrawnIntoTheRun) {
  RunRecords run = records();
  run.begin(0, OrderedJson::array());
  run.draw({line_of(1, 2), line_of(2, 1)});
  EXPECT_THAT(read_file(folder / "curves.svg"), testing::StartsWith("<svg "));
}

}  // namespace
}  // namespace glossa
