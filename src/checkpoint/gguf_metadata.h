// gguf_metadata.h -- the typed keys and values at the head of a GGUF file: what a model is, and its
// vocabulary.
#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"

namespace glossa {

// In the order of the format's numbers, which is that of GgufValue's alternatives.
enum class GgufType : std::uint8_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
std::string_view name_of(GgufType type);  // as the format's specification spells it: "UINT32"

// Values of one type, but no arrays: numbers (truth values are bytes of 0 and 1) as they lie in the file,
// strings end to end, so that a vocabulary takes little more than its text.
class GgufArray {
 public:
  GgufArray() = default;
  // Numbers, little-endian; `bytes` holds whole ones.
  GgufArray(GgufType type, Bytes bytes);
  template <class T>
  static GgufArray of(const std::vector<T>& values);

  GgufType type() const { return type_; }
  std::uint64_t size() const;
  // Element i of an array of strings; of one of numbers, where T is their type; of one of whole numbers or
  // truth values (a UINT64 above 2^63 - 1 becomes that); of one of any numbers.
  std::string_view text(std::uint64_t i) const {
    return std::string_view(bytes_).substr(ends_[i], ends_[i + 1] - ends_[i]);
  }
  template <class T>
  T at(std::uint64_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + i * sizeof value, sizeof value);
    return value;
  }
  std::int64_t integer(std::uint64_t i) const;
  double number(std::uint64_t i) const;
  Bytes bytes() const { return as_bytes(bytes_); }  // of all numbers, or of all strings without their lengths

  // Strings are added one by one, to an array that was made for them.
  static GgufArray for_strings(std::uint64_t count, std::uint64_t bytes);
  void add(std::string_view text);
  bool operator==(const GgufArray&) const = default;

 private:
  GgufType type_ = GgufType::u8;
  std::string bytes_;
  std::vector<std::uint64_t> ends_;  // strings: [size + 1] where the one before ends
};

using GgufValue =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, float,
                 bool, std::string, GgufArray, std::uint64_t, std::int64_t, double>;
inline GgufType type_of(const GgufValue& value) {
  return static_cast<GgufType>(value.index());
}

// What a number may be.
template <class T>
struct Between {
  T least = std::numeric_limits<T>::lowest(), most = std::numeric_limits<T>::max();
};

class GgufMetadata {
 public:
  GgufMetadata() = default;
  explicit GgufMetadata(std::string origin) : origin_(std::move(origin)) {}  // the file's name in messages

  // In the order of the file.
  const std::vector<std::pair<std::string, GgufValue>>& entries() const { return entries_; }
  const GgufValue* find(std::string_view key) const;  // null if there is none
  bool has(std::string_view key) const { return find(key) != nullptr; }
  void set(std::string key, GgufValue value);  // in the place of a value of that key, or behind all others
  void erase(std::string_view key);            // nothing happens if there is none

  // The value of a key; Error(gguf) names file and key if it is missing, of another kind, or outside of what
  // is allowed. Whole numbers may have any of the format's types for them, others must be finite.
  std::int64_t integer(std::string_view key, Between<std::int64_t> allowed = {}) const;
  double number(std::string_view key, Between<double> allowed = {}) const;
  bool boolean(std::string_view key) const;
  const std::string& text(std::string_view key) const;
  const GgufArray& strings(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key, Between<std::int64_t> allowed = {}) const;
  std::vector<float> numbers(std::string_view key) const;
  // One for each of `count` layers: an array of so many, or a number that holds for all.
  std::vector<std::int64_t> for_each(std::string_view key, std::uint64_t count,
                                     Between<std::int64_t> allowed = {}) const;

  // The same where the key may be missing.
  std::int64_t integer_or(std::string_view key, std::int64_t otherwise,
                          Between<std::int64_t> allowed = {}) const {
    return has(key) ? integer(key, allowed) : otherwise;
  }
  double number_or(std::string_view key, double otherwise, Between<double> allowed = {}) const {
    return has(key) ? number(key, allowed) : otherwise;
  }
  bool boolean_or(std::string_view key, bool otherwise) const { return has(key) ? boolean(key) : otherwise; }
  std::string text_or(std::string_view key, std::string otherwise) const {
    return has(key) ? text(key) : std::move(otherwise);
  }

  const std::string& origin() const { return origin_; }

 private:
  const GgufValue& at(std::string_view key) const;
  const GgufArray& array(std::string_view key, std::string_view of) const;
  [[noreturn]] void refuse(std::string_view key, std::string_view wanted) const;

  std::string origin_ = "metadata";
  std::vector<std::pair<std::string, GgufValue>> entries_;
  std::map<std::string, std::uint32_t, std::less<>> places_;  // in `entries_`
};

// Calls f with a value of the type. An array's is an empty one.
template <class F>
auto with_type(GgufType type, F&& f) {
  switch (type) {
    case GgufType::u8:
      return f(std::uint8_t{});
    case GgufType::i8:
      return f(std::int8_t{});
    case GgufType::u16:
      return f(std::uint16_t{});
    case GgufType::i16:
      return f(std::int16_t{});
    case GgufType::u32:
      return f(std::uint32_t{});
    case GgufType::i32:
      return f(std::int32_t{});
    case GgufType::f32:
      return f(float{});
    case GgufType::boolean:
      return f(bool{});
    case GgufType::string:
      return f(std::string{});
    case GgufType::array:
      return f(GgufArray{});
    case GgufType::u64:
      return f(std::uint64_t{});
    case GgufType::i64:
      return f(std::int64_t{});
    case GgufType::f64:
      return f(double{});
  }
  __builtin_unreachable();
}

template <class T>
GgufArray GgufArray::of(const std::vector<T>& values) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    GgufArray array = for_strings(values.size(), 0);
    for (const T& value : values) array.add(value);
    return array;
  } else {
    const auto type = static_cast<GgufType>(GgufValue(std::in_place_type<T>).index());
    return {type, std::as_bytes(std::span(values))};
  }
}

}  // namespace glossa
