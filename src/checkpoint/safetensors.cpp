#include "checkpoint/safetensors.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/json.h"

namespace glossa {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMostElements = INT64_MAX;

std::string listed(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Receives the header's JSON. `level_` and `field_` say where in it we are: the format has three levels and
// no more.
class HeaderReader final : public JsonEvents {
 public:
  HeaderReader(std::string_view origin, const Limits& limits) : origin_(origin), limits_(limits) {
    limits_.rank = std::min(limits_.rank, static_cast<int>(std::tuple_size_v<decltype(TensorInfo::dims)>));
  }

  SafetensorsHeader take() {
    check_names();
    return std::move(header_);
  }

  void key(std::string& name, Place place) override {
    if (level_ == Level::header) return begin_entry(name, place);
    if (level_ == Level::metadata) {
      metadata_key_ = std::move(name);
      return;
    }
    const std::string_view allowed[] = {"dtype", "shape", "data_offsets"};
    for (int i = 0; i < 3; ++i) {
      if (name != allowed[i]) continue;
      field_ = static_cast<Field>(i);
      if (seen_[i]) refuse(place, "duplicate key {}", quoted(name));
      seen_[i] = true;
      return;
    }
    refuse(place, "unknown key {}; dtype, shape and data_offsets are allowed", quoted(name));
  }

  void string(std::string& value, Place place) override {
    if (level_ == Level::metadata) return add_metadata(value, place);
    if (level_ != Level::tensor || field_ != Field::dtype) misplaced("a string", place);
    const auto type = element_type_named(value);
    if (!type) refuse(place, "dtype {} is not one of {}", quoted(value, 40), all_element_types());
    tensor().type = *type;
  }

  void natural(std::uint64_t value, Place place) override {
    if (level_ == Level::shape) {
      if (tensor().rank == limits_.rank)
        fail(Code::size, "{}more than the {} dimensions allowed", at(place.begin), limits_.rank);
      if (value > kMostElements) refuse(place, "dimension {} exceeds 2^63", value);
      tensor().dims[tensor().rank++] = static_cast<std::int64_t>(value);
    } else if (level_ == Level::offsets) {
      if (offsets_ == 2) refuse(place, "data_offsets has more than two numbers");
      (offsets_++ == 0 ? tensor().begin : tensor().end) = value;
    } else {
      misplaced("a number", place);
    }
  }

  void begin_object(Place place) override {
    if (level_ == Level::outside) {
      level_ = Level::header;
    } else if (level_ == Level::header) {
      level_ = in_metadata_ ? Level::metadata : Level::tensor;
    } else {
      misplaced("an object", place);
    }
  }

  void end_object(Place place) override {
    if (level_ == Level::tensor) check_tensor(place);
    level_ = level_ == Level::header ? Level::outside : Level::header;
  }

  void begin_array(Place place) override {
    if (level_ == Level::tensor && field_ == Field::shape) {
      level_ = Level::shape;
    } else if (level_ == Level::tensor && field_ == Field::data_offsets) {
      level_ = Level::offsets;
    } else {
      misplaced("an array", place);
    }
  }

  void end_array(Place place) override {
    if (level_ == Level::offsets && offsets_ != 2)
      refuse(place, "data_offsets has {} numbers and needs two", offsets_);
    level_ = Level::tensor;
  }

  void null(Place place) override { misplaced("null", place); }
  void boolean(bool, Place place) override { misplaced("a truth value", place); }
  void negative(std::int64_t value, Place place) override {
    misplaced(fmt::format("the negative number {}", value), place);
  }
  void real(double, const std::string& text, Place place) override {
    misplaced(fmt::format("the number {}", quoted(text, 40)), place);
  }

 private:
  enum class Level : std::uint8_t { outside, header, metadata, tensor, shape, offsets };
  enum class Field : std::uint8_t { dtype, shape, data_offsets, none };

  TensorInfo& tensor() { return header_.tensors.back(); }

  std::string at(std::uint64_t byte) const {
    const bool in_tensor = level_ >= Level::tensor;
    return fmt::format("{}: header: byte {}: {}", origin_, byte,
                       in_tensor ? fmt::format("tensor {}: ", quoted(header_.tensors.back().name)) : "");
  }
  template <class... Args>
  [[noreturn]] void refuse(Place place, fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::safetensors, "{}{}", at(place.begin), fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void misplaced(std::string_view what, Place place) const {
    static constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets", "this"};
    switch (level_) {
      case Level::outside:
        refuse(place, "{} where the header's object must be", what);
      case Level::header:
        refuse(place, "{} where an object must be", what);
      case Level::metadata:
        refuse(place, "__metadata__ holds {} where a string must be", what);
      case Level::tensor:
        refuse(place, "{} is {}; {} must be", kFields[static_cast<int>(field_)], what,
               field_ == Field::dtype ? "a string" : "an array of whole numbers of at least 0");
      default:
        refuse(place, "{} holds {}; whole numbers of at least 0 must be", kFields[static_cast<int>(field_)],
               what);
    }
  }

  void begin_entry(std::string& name, Place place) {
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) {
      if (metadata_seen_) refuse(place, "duplicate key \"__metadata__\"");
      metadata_seen_ = true;
      return;
    }
    if (name.size() > limits_.name_bytes)
      refuse(place, "a name of {} bytes, and at most {} are allowed: {}", name.size(), limits_.name_bytes,
             quoted(name, 40));
    check(header_.tensors.size() < limits_.tensors, Code::count,
          "{}: header: byte {}: more than the {} tensors allowed", origin_, place.begin, limits_.tensors);
    header_.tensors.emplace_back().name = std::move(name);
    places_.push_back(static_cast<std::uint32_t>(place.begin));
    seen_ = {};
    offsets_ = 0;
    field_ = Field::none;
  }

  void add_metadata(std::string& value, Place place) {
    metadata_bytes_ += metadata_key_.size() + value.size();
    check(metadata_bytes_ <= limits_.metadata_bytes, Code::size,
          "{}more than the {} bytes of __metadata__ allowed", at(place.begin), limits_.metadata_bytes);
    const auto [entry, is_new] = header_.metadata.try_emplace(std::move(metadata_key_), std::move(value));
    if (!is_new) refuse(place, "duplicate key {} in __metadata__", quoted(entry->first));
  }

  // Dimensions, type and offsets must say the same.
  void check_tensor(Place place) {
    TensorInfo& t = tensor();
    for (int i = 0; i < 3; ++i)
      if (!seen_[i])
        refuse(place, "has no {}", std::string_view(i == 0 ? "dtype" : i == 1 ? "shape" : "data_offsets"));
    unsigned __int128 elements = 1;
    bool empty = false;
    for (std::int64_t dim : t.shape()) {
      if (dim == 0)
        empty = true;
      else
        elements *= static_cast<std::uint64_t>(dim);
      if (elements > kMostElements) refuse(place, "the product of shape {} exceeds 2^63", listed(t.shape()));
    }
    const unsigned __int128 needed = empty ? 0 : elements * size_of(t.type);
    if (t.begin > t.end) refuse(place, "data_offsets [{}, {}] end before they begin", t.begin, t.end);
    if (needed != t.end - t.begin)
      refuse(place, "data_offsets [{}, {}] hold {} bytes, and shape {} of {} needs {}", t.begin, t.end,
             t.end - t.begin, listed(t.shape()), name_of(t.type),
             needed > UINT64_MAX ? std::string("more than 2^64")
                                 : std::to_string(static_cast<std::uint64_t>(needed)));
  }

  void check_names() {
    if (const auto twin = header_.sort_names())
      fail(Code::safetensors, "{}: header: byte {}: duplicate key {}, which is also at byte {}", origin_,
           places_[twin->second], quoted(header_.tensors[twin->first].name), places_[twin->first]);
  }

  std::string_view origin_;
  Limits limits_;
  SafetensorsHeader header_;
  std::vector<std::uint32_t> places_;  // of each tensor's name in the header
  Level level_ = Level::outside;
  Field field_ = Field::none;
  bool in_metadata_ = false, metadata_seen_ = false;
  std::string metadata_key_;
  std::uint64_t metadata_bytes_ = 0;
  std::array<bool, 3> seen_{};
  int offsets_ = 0;
};

std::uint64_t little_endian(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::string_view header_text(Bytes file, std::string_view origin, const Limits& limits) {
  check(!file.empty(), Code::empty, "{}: file is empty", origin);
  check(file.size() >= kLengthBytes, Code::safetensors,
        "{}: {} bytes are shorter than the 8-byte length of the header", origin, file.size());
  const std::uint64_t length = little_endian(file.data()), rest = file.size() - kLengthBytes;
  if (length > rest) {
    const std::uint64_t swapped = __builtin_bswap64(length);
    check(swapped < 2 || swapped > rest, Code::safetensors,
          "{}: header length {:#x} looks byte-swapped: the format is little-endian", origin, length);
    fail(Code::safetensors,
         "{}: header length {} reaches past the file, which has {} bytes after the length{}", origin, length,
         rest, resemblance(as_text(file)));
  }
  check(length <= limits.safetensors_header_bytes, Code::size,
        "{}: header length {} exceeds the {} bytes allowed", origin, length, limits.safetensors_header_bytes);
  check(length >= 2, Code::safetensors, "{}: header length {} is too short for \"{{}}\"", origin, length);
  const std::string_view text = as_text(file.subspan(kLengthBytes, length));
  check(text.front() == '{', Code::safetensors, "{}: header: byte 0: must start with {{ and starts with {}",
        origin, quoted(text.substr(0, 1)));
  const auto last = text.find_last_not_of(' ');
  check(text[last] == '}', Code::safetensors,
        "{}: header: byte {}: must end with }} and spaces only, and holds {} there", origin, last,
        quoted(text.substr(last, 1)));
  return text.substr(0, last + 1);
}

// The tensors must cover the data from its first byte to its last.
void check_coverage(SafetensorsHeader& header, std::uint64_t data_bytes, std::string_view origin) {
  auto& tensors = header.tensors;
  std::vector<std::uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(tensors[a].begin, tensors[a].end) < std::pair(tensors[b].begin, tensors[b].end);
  };
  if (!std::is_sorted(order.begin(), order.end(), before))
    std::stable_sort(order.begin(), order.end(), before);
  std::uint64_t covered = 0;
  for (std::uint32_t i : order) {
    const TensorInfo& t = tensors[i];
    if (t.begin < covered)
      fail(Code::safetensors,
           "{}: tensor {}: data_offsets [{}, {}] overlap another tensor's, which reach to {}", origin,
           quoted(t.name), t.begin, t.end, covered);
    if (t.begin > covered)
      fail(Code::safetensors,
           "{}: tensor {}: data_offsets [{}, {}] leave a hole: bytes {} to {} belong to no tensor", origin,
           quoted(t.name), t.begin, t.end, covered, t.begin);
    covered = t.end;
  }
  check(covered <= data_bytes, Code::safetensors,
        "{}: cut short: {} bytes of data are missing (it has {} of {})", origin,
        covered - std::min(covered, data_bytes), data_bytes, covered);
  check(covered == data_bytes, Code::safetensors, "{}: {} bytes after the last tensor", origin,
        data_bytes - covered);
  if (std::is_sorted(order.begin(), order.end())) return;
  std::vector<TensorInfo> sorted(tensors.size());
  std::vector<std::uint32_t> rank(tensors.size());
  for (std::uint32_t to = 0; to < order.size(); ++to) {
    sorted[to] = std::move(tensors[order[to]]);
    rank[order[to]] = to;
  }
  tensors = std::move(sorted);
  for (std::uint32_t& i : header.by_name) i = rank[i];
}

}  // namespace

SafetensorsHeader parse_safetensors(Bytes file, std::string_view origin, const Limits& limits) {
  const std::string_view text = header_text(file, origin, limits);
  HeaderReader reader(origin, limits);
  scan_json(text, fmt::format("{}: header", origin), limits, reader);
  SafetensorsHeader header = reader.take();
  header.data_begin = kLengthBytes + little_endian(file.data());
  check_coverage(header, file.size() - header.data_begin, origin);
  return header;
}

}  // namespace glossa
