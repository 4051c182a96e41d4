#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/unicode.h"
#include "checkpoint/gguf.h"

namespace glossa {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kMostKeyBytes = 65'535, kMostNameBytes = 63;
// The least that a key with its value, and a tensor's line, can take.
constexpr std::uint64_t kLeastKey = 8 + 1 + 4 + 1, kLeastTensor = 8 + 1 + 4 + 8 + 4 + 8;
static_assert(std::endian::native == std::endian::little);  // numbers are read as they lie

std::string exact(unsigned __int128 n) {
  return n > UINT64_MAX ? "2^64 or more" : std::to_string(static_cast<std::uint64_t>(n));
}

class HeaderReader {
 public:
  HeaderReader(Bytes file, std::string_view origin, const Limits& limits)
      : file_(file), origin_(origin), limits_(limits) {
    header_.metadata = GgufMetadata(std::string(origin));
  }

  // `data_bytes` are in another place; without it they follow the header, and are found to be what is left.
  GgufHeader read(std::optional<std::uint64_t> data_bytes = {}) {
    read_version();
    const auto tensors = number<std::uint64_t>("the number of tensors");
    const auto keys = number<std::uint64_t>("the number of keys");
    check_counts(tensors, keys);
    for (std::uint64_t i = 0; i < keys; ++i) read_key();
    header_.alignment = alignment_of(header_.metadata);
    header_.tensors.reserve(tensors);
    for (std::uint64_t i = 0; i < tensors; ++i) read_tensor();
    sorted_by_name(header_.tensors, origin_);
    header_.data_begin = aligned(at_);
    check_data(data_bytes.value_or(file_.size() - std::min<std::uint64_t>(header_.data_begin, file_.size())));
    check_token_tables(header_.metadata, limits_);
    return std::move(header_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(std::uint64_t place, fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::gguf, "{}: byte {}: {}", origin_, place, fmt::format(format, std::forward<Args>(args)...));
  }
  std::uint64_t left() const { return file_.size() - at_; }
  std::uint64_t aligned(std::uint64_t n) const {  // n is at most the size of a file, so nothing wraps
    return (n + header_.alignment - 1) / header_.alignment * header_.alignment;
  }

  // ---- bytes ----

  // `count` things of `size` bytes must be there; what they are for is said in messages.
  Bytes take(std::uint64_t count, std::uint64_t size, std::string_view what) {
    if (count > left() / size)
      refuse(at_, "{} needs {} bytes, and the file has {} left", what,
             exact(static_cast<unsigned __int128>(count) * size), left());
    const std::uint64_t bytes = count * size;
    check(bytes <= limits_.gguf_header_bytes - at_, Code::size,
          "{}: byte {}: metadata and tensor list exceed the {} bytes allowed", origin_, at_,
          limits_.gguf_header_bytes);
    at_ += bytes;
    return file_.subspan(at_ - bytes, bytes);
  }
  template <class T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(1, sizeof value, what).data(), sizeof value);
    return value;
  }
  std::string_view text(std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    return as_text(take(length, 1, what));
  }

  // ---- the beginning ----

  void read_version() {
    check(!file_.empty(), Code::empty, "{}: file is empty", origin_);
    if (!is_gguf(file_))
      refuse(0, "a GGUF file begins with \"GGUF\", not with {}", quoted(as_text(file_).substr(0, 4)));
    at_ = kMagic.size();
    header_.version = number<std::uint32_t>("the version");
    if (const std::uint32_t swapped = __builtin_bswap32(header_.version); swapped == 2 || swapped == 3)
      refuse(4, "version {:#x} is byte-swapped: big-endian files are not read", header_.version);
    if (header_.version != 2 && header_.version != 3)
      refuse(4, "version {}, and 2 and 3 are read{}", header_.version,
             header_.version == 1 ? " (version 1 has other counts)" : "");
  }

  // Both counts must be possible in what is left before anything is made for them.
  void check_counts(std::uint64_t tensors, std::uint64_t keys) {
    const unsigned __int128 least = static_cast<unsigned __int128>(tensors) * kLeastTensor +
                                    static_cast<unsigned __int128>(keys) * kLeastKey;
    if (least > left())
      refuse(8, "{} tensors and {} keys need at least {} bytes, and the file has {} left", tensors, keys,
             exact(least), left());
    check(tensors <= limits_.tensors, Code::count, "{}: byte 8: {} tensors, and at most {} are allowed",
          origin_, tensors, limits_.tensors);
    check(keys <= limits_.gguf_keys, Code::count, "{}: byte 16: {} keys, and at most {} are allowed", origin_,
          keys, limits_.gguf_keys);
  }

  // ---- metadata ----

  void read_key() {
    const std::uint64_t place = at_;
    const std::string_view key = text("a key");
    if (key.empty()) refuse(place, "an empty key");
    if (key.size() > kMostKeyBytes)
      refuse(place, "a key of {} bytes, and at most {} are allowed: {}", key.size(), kMostKeyBytes,
             quoted(key, 40));
    if (utf8_error(key)) refuse(place, "the key {} is not UTF-8", quoted(key));
    if (header_.metadata.has(key)) refuse(place, "duplicate key {}", quoted(key));
    header_.metadata.set(std::string(key), read_value(key));
  }

  GgufType read_type(std::string_view key, std::string_view what) {
    const std::uint64_t place = at_;
    const auto type = number<std::uint32_t>(what);
    if (type >= std::variant_size_v<GgufValue>)
      refuse(place, "{} of {} is {}, and the format's go from 0 to {}", what, quoted(key), type,
             std::variant_size_v<GgufValue> - 1);
    return static_cast<GgufType>(type);
  }

  GgufValue read_value(std::string_view key) {
    const GgufType type = read_type(key, "the type");
    const std::string what = fmt::format("the value of {}", quoted(key));
    return with_type(type, [&]<class T>(const T&) -> GgufValue {
      if constexpr (std::is_same_v<T, GgufArray>)
        return read_array(key, what);
      else if constexpr (std::is_same_v<T, std::string>)
        return std::string(text(what));
      else if constexpr (std::is_same_v<T, bool>)
        return truth(take(1, 1, what), what);
      else
        return number<T>(what);
    });
  }

  bool truth(Bytes bytes, std::string_view what) {
    for (const std::byte& byte : bytes)
      if (byte > std::byte{1})
        refuse(at_ - static_cast<std::uint64_t>(bytes.data() + bytes.size() - &byte),
               "{} is a truth value of {}", what, std::to_integer<int>(byte));
    return bytes.size() == 1 && bytes[0] == std::byte{1};
  }

  GgufArray read_array(std::string_view key, std::string_view what) {
    const std::uint64_t place = at_;
    const GgufType type = read_type(key, "the type of the elements");
    if (type == GgufType::array) refuse(place, "{} is an array of arrays, which is not read", quoted(key));
    const auto count = number<std::uint64_t>(what);
    if (type == GgufType::string) return read_strings(count, what);
    const std::uint64_t size = with_type(type, []<class T>(const T&) { return sizeof(T); });
    const Bytes bytes = take(count, size, what);
    if (type == GgufType::boolean) truth(bytes, what);
    return {type, bytes};
  }

  // Twice: first to see that they are there, then to keep them.
  GgufArray read_strings(std::uint64_t count, std::string_view what) {
    if (count > left() / 8)
      refuse(at_, "{} needs at least {} bytes, and the file has {} left", what,
             exact(static_cast<unsigned __int128>(count) * 8), left());
    const std::uint64_t begin = at_;
    for (std::uint64_t i = 0; i < count; ++i) text(what);
    GgufArray strings = GgufArray::for_strings(count, at_ - begin - 8 * count);
    at_ = begin;
    for (std::uint64_t i = 0; i < count; ++i) strings.add(text(what));
    return strings;
  }

  // ---- tensors ----

  void read_tensor() {
    const std::uint64_t place = at_;
    const std::string_view name = text("a tensor's name");
    if (name.empty()) refuse(place, "a tensor without a name");
    if (name.size() > kMostNameBytes)
      refuse(place, "a tensor's name of {} bytes, and at most {} are allowed: {}", name.size(),
             kMostNameBytes, quoted(name, 40));
    const std::string what = fmt::format("tensor {}", quoted(name));
    if (utf8_error(name)) refuse(place, "the name of {} is not UTF-8", what);
    if (name.find('\0') != std::string_view::npos) refuse(place, "the name of {} holds a zero byte", what);
    GgufTensorInfo info;
    info.name = name;
    read_shape(info, what);
    const std::uint64_t type_place = at_;
    info.type =
        ggml_type(number<std::uint32_t>(what), fmt::format("{}: byte {}: {}", origin_, type_place, what));
    set_bytes(info, place, what);
    info.begin = number<std::uint64_t>(what);
    header_.tensors.push_back(std::move(info));
  }

  void read_shape(GgufTensorInfo& info, std::string_view what) {
    const std::uint64_t place = at_;
    const auto rank = number<std::uint32_t>(what);
    if (rank < 1 || rank > info.dims.size())
      refuse(place, "{} has {} dimensions, and 1 to {} are allowed", what, rank, info.dims.size());
    info.rank = static_cast<std::uint8_t>(rank);
    for (std::uint32_t i = rank; i-- > 0;) {
      const auto dim = number<std::uint64_t>(what);
      if (dim < 1 || dim > INT64_MAX) refuse(at_ - 8, "{} has a dimension of {}", what, dim);
      info.dims[i] = static_cast<std::int64_t>(dim);
    }
  }

  void set_bytes(GgufTensorInfo& info, std::uint64_t place, std::string_view what) const {
    unsigned __int128 elements = 1;
    for (const std::int64_t dim : info.shape()) {
      elements *= static_cast<std::uint64_t>(dim);
      if (elements > INT64_MAX)
        refuse(place, "{}: the product of shape [{}] exceeds 2^63", what, fmt::join(info.shape(), ", "));
    }
    const BlockSize block = block_of(info.type);
    if (info.dims[info.rank - 1] % block.elements != 0)
      refuse(place, "{}: rows of {} elements do not fill the blocks of {} of {}", what,
             info.dims[info.rank - 1], block.elements, name_of(info.type));
    const unsigned __int128 bytes =
        elements / static_cast<std::uint64_t>(block.elements) * static_cast<std::uint64_t>(block.bytes);
    if (bytes > INT64_MAX) refuse(place, "{} needs {} bytes", what, exact(bytes));
    info.bytes = static_cast<std::uint64_t>(bytes);
  }

  // Each tensor must begin where the padding of the one before ends, and lie in the file.
  void check_data(std::uint64_t data) const {
    std::uint64_t expected = 0;
    for (const GgufTensorInfo& t : header_.tensors) {
      if (t.begin % header_.alignment != 0)
        fail(Code::gguf, "{}: tensor {}: offset {} is not a multiple of the alignment {}", origin_,
             quoted(t.name), t.begin, header_.alignment);
      if (t.begin != expected)
        fail(Code::gguf, "{}: tensor {}: offset {} {}; it must be {}", origin_, quoted(t.name), t.begin,
             t.begin < expected ? "lies within or before another tensor" : "leaves a hole", expected);
      if (t.begin > data || t.bytes > data - t.begin)
        fail(Code::gguf,
             "{}: cut short: tensor {} needs {} bytes from byte {} of the data on, and there are {}", origin_,
             quoted(t.name), t.bytes, t.begin, data - std::min(t.begin, data));
      expected = aligned(t.begin + t.bytes);
    }
    check(data <= expected, Code::gguf, "{}: {} bytes after the last tensor", origin_,
          data - std::min(data, expected));
  }

  Bytes file_;
  std::string_view origin_;
  Limits limits_;
  GgufHeader header_;
  std::uint64_t at_ = 0;
};

}  // namespace

bool is_gguf(Bytes file) {
  return as_text(file).starts_with(kMagic);
}

std::uint64_t GgufTensorInfo::elements() const {
  std::uint64_t n = 1;
  for (const std::int64_t dim : shape()) n *= static_cast<std::uint64_t>(dim);
  return n;
}

std::uint64_t alignment_of(const GgufMetadata& metadata) {
  constexpr const char* kKey = "general.alignment";
  const GgufValue* const value = metadata.find(kKey);
  if (!value) return 32;
  const auto* const alignment = std::get_if<std::uint32_t>(value);
  check(alignment != nullptr, Code::gguf, "{}: the value of \"{}\" is of type {}, and must be of UINT32",
        metadata.origin(), kKey, name_of(type_of(*value)));
  check(std::has_single_bit(*alignment) && *alignment >= 8 && *alignment <= 65'536, Code::gguf,
        "{}: the value of \"{}\" is {}, and must be a power of two from 8 to 65536", metadata.origin(), kKey,
        *alignment);
  return *alignment;
}

std::vector<std::uint32_t> sorted_by_name(std::span<const GgufTensorInfo> tensors, std::string_view origin) {
  std::vector<std::uint32_t> order(tensors.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return tensors[a].name < tensors[b].name; });
  const auto twin = std::adjacent_find(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return tensors[a].name == tensors[b].name;
  });
  if (twin != order.end())
    fail(Code::gguf, "{}: tensors {} and {} have the same name {}", origin, std::min(twin[0], twin[1]),
         std::max(twin[0], twin[1]), quoted(tensors[*twin].name));
  return order;
}

GgufHeader parse_gguf(Bytes file, std::string_view origin, const Limits& limits) {
  return HeaderReader(file, origin, limits).read();
}

GgufHeader parse_gguf_header(Bytes header, std::uint64_t data_bytes, std::string_view origin,
                             const Limits& limits) {
  return HeaderReader(header, origin, limits).read(data_bytes);
}

}  // namespace glossa
