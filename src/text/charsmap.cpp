#include "text/charsmap.h"

#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

// A unit of the array: the byte that leads to it, whether a value is among its children, and where these are;
// or, with the highest bit set, a value.
struct Unit {
  std::uint32_t bits;
  bool has_value() const { return bits >> 8 & 1; }
  std::uint32_t value() const { return bits & 0x7FFFFFFF; }
  std::uint32_t label() const { return bits & 0x800000FF; }
  std::uint32_t offset() const { return (bits >> 10) << ((bits & 0x200) >> 6); }
};

}  // namespace

struct Charsmap::Rules {
  std::string bytes;
  std::vector<Unit> units;
  std::string_view texts;  // what strings become, each with a zero byte behind it
  bool kept[128];          // of ASCII

  std::string_view text_at(std::uint32_t place) const {
    const std::string_view rest = texts.substr(place);
    return rest.substr(0, rest.find('\0'));
  }
};

Charsmap::Charsmap(std::string_view bytes, std::string_view where) {
  auto rules = std::make_shared<Rules>();
  rules->bytes = bytes;
  std::uint32_t size = 0;
  check(bytes.size() >= 4, Code::tokenizer, "{}: {} bytes, at least 4 are needed for the size of its trie",
        where, bytes.size());
  std::memcpy(&size, bytes.data(), 4);
  check(size % 4 == 0 && size > 0 && size <= bytes.size() - 4, Code::tokenizer,
        "{}: a trie of {} bytes; it has {} after its size, and units of 4", where, size, bytes.size() - 4);
  auto& units = rules->units;
  units.resize(size / 4);
  std::memcpy(units.data(), bytes.data() + 4, size);
  rules->texts = std::string_view(rules->bytes).substr(4 + size);
  if (const auto bad = utf8_error(rules->texts))
    fail(Code::tokenizer, "{}: byte {} is not UTF-8", where, 4 + size + *bad);

  // Everything that can be reached is within the array; every value is the place of a text.
  const std::size_t blocks = (units.size() + 255) / 256, last_zero = rules->texts.rfind('\0');
  std::vector<bool> seen(blocks * 256);
  std::vector<std::uint32_t> open;  // bases of children, which are of the same block
  const auto open_base = [&](std::uint32_t base, bool has_value) {
    if (has_value) {
      check(base < units.size(), Code::tokenizer, "{}: unit {} of the trie does not exist; there are {}",
            where, base, units.size());
      const std::uint32_t value = units[base].value();
      check(last_zero != std::string_view::npos && value <= last_zero &&
                (static_cast<unsigned char>(rules->texts[value]) & 0xC0) != 0x80,
            Code::tokenizer,
            "{}: the text of a rule begins at {}; there are {} bytes, and a zero must follow", where, value,
            rules->texts.size());
    }
    if (base / 256 >= blocks || seen[base]) return;
    seen[base] = true;
    open.push_back(base);
  };
  open_base(units[0].offset(), false);
  while (!open.empty()) {
    const std::uint32_t base = open.back();
    open.pop_back();
    for (std::uint32_t byte = 1; byte < 256; ++byte)
      if (const std::uint32_t child = base ^ byte; child < units.size() && units[child].label() == byte)
        open_base(child ^ units[child].offset(), units[child].has_value());
  }
  for (std::uint32_t c = 0; c < 128; ++c) {
    const std::uint32_t child = units[0].offset() ^ c;
    rules->kept[c] =
        c == 0 || child >= units.size() || units[child].label() != c || !units[child].has_value();
  }
  rules_ = std::move(rules);
}

bool Charsmap::keeps(unsigned char c) const {
  return rules_->kept[c];
}

const std::string& Charsmap::bytes() const {
  return rules_->bytes;
}

std::optional<std::string_view> Charsmap::shortest(std::string_view text) const {
  const auto& units = rules_->units;
  std::uint32_t base = units[0].offset();
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const std::uint32_t child = base ^ byte;
    if (byte == 0 || child >= units.size() || units[child].label() != byte) return std::nullopt;
    base = child ^ units[child].offset();
    if (units[child].has_value()) return rules_->text_at(units[base].value());
  }
  return std::nullopt;
}

}  // namespace glossa
