#include "train/event_file.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>

#include "base/error.h"

namespace glossa {
namespace {

// Protocol buffers' wire format, as far as events need it.
class Message {
 public:
  Message& varint(int field, std::uint64_t value) {
    tag(field, 0);
    raw_varint(value);
    return *this;
  }
  Message& fixed64(int field, double value) {
    tag(field, 1);
    little_endian(std::bit_cast<std::uint64_t>(value), 8);
    return *this;
  }
  Message& fixed32(int field, float value) {
    tag(field, 5);
    little_endian(std::bit_cast<std::uint32_t>(value), 4);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    tag(field, 2);
    raw_varint(value.size());
    text_ += value;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  void tag(int field, unsigned type) { raw_varint(static_cast<std::uint64_t>(field) << 3 | type); }
  void raw_varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) text_ += static_cast<char>(value | 128);
    text_ += static_cast<char>(value);
  }
  void little_endian(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i, value >>= 8) text_ += static_cast<char>(value);
  }
  std::string text_;
};

// Numbers of the fields in event.proto and summary.proto.
namespace event { constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7; }
namespace summary { constexpr int kValue = 1, kTag = 1, kSimpleValue = 2; }
namespace session_log { constexpr int kStatus = 1, kStart = 1; }

Message event_at(std::int64_t step) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return Message().fixed64(event::kWallTime, now).varint(event::kStep, static_cast<std::uint64_t>(step));
}

// The names that TensorBoard looks for begin so; time, host and process keep runs apart.
fs::path new_name(const fs::path& directory) {
  std::array<char, 256> host = {};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = 0;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string name = fmt::format("events.out.tfevents.{:010}.{}.{}", now, host.data(), getpid());
  fs::path path = directory / name;
  for (int i = 1; fs::exists(path); ++i) path = directory / fmt::format("{}.{}", name, i);
  return path;
}

std::string little_endian(std::uint64_t value, int count) {
  std::string text;
  for (int i = 0; i < count; ++i, value >>= 8) text += static_cast<char>(value);
  return text;
}

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table = {};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    table[i] = crc;
  }
  return table;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 255];
  return ~crc;
}

std::uint32_t masked_crc32c(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u; }

EventFile::EventFile(const fs::path& directory, std::int64_t first_step) : file_(FileHandle::append(new_name(directory))) {
  write(event_at(0).bytes(event::kFileVersion, "brain.Event:2").text());
  if (first_step > 0) {
    const Message start = Message().varint(session_log::kStatus, session_log::kStart);
    write(event_at(first_step).bytes(event::kSessionLog, start.text()).text());
  }
}

void EventFile::add(std::int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  Message all;
  for (const auto& [tag, value] : scalars)
    all.bytes(summary::kValue, Message().bytes(summary::kTag, tag).fixed32(summary::kSimpleValue, static_cast<float>(value)).text());
  write(event_at(step).bytes(event::kSummary, all.text()).text());
}

void EventFile::write(std::string_view event) {
  const std::string length = little_endian(event.size(), 8);
  std::string record = length + little_endian(masked_crc32c(length), 4);
  record += event;
  record += little_endian(masked_crc32c(event), 4);
  file_.write(as_bytes(record));
}

}  // namespace glossa
