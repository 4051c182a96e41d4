#include "checkpoint/gguf_metadata.h"

#include <cmath>
#include <optional>

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::string_view kNames[] = {"UINT8", "INT8",   "UINT16", "INT16",  "UINT32", "INT32",  "FLOAT32",
                                       "BOOL",  "STRING", "ARRAY",  "UINT64", "INT64",  "FLOAT64"};
static_assert(std::size(kNames) == std::variant_size_v<GgufValue>);

template <class T>
constexpr bool is_whole = std::is_integral_v<T> && !std::is_same_v<T, bool>;

bool is_whole_type(GgufType type) {
  return with_type(type, []<class T>(const T&) { return is_whole<T>; });
}

// What is too large for the result becomes kTooLarge, which no range allows.
constexpr std::int64_t kTooLarge = INT64_MAX;

template <class T>
std::int64_t whole(T value) {
  if constexpr (std::is_same_v<T, std::uint64_t>)
    return static_cast<std::int64_t>(std::min<std::uint64_t>(value, kTooLarge));
  else
    return static_cast<std::int64_t>(value);
}

std::optional<std::int64_t> whole_of(const GgufValue& value) {
  return std::visit(
      []<class T>(const T& x) -> std::optional<std::int64_t> {
        if constexpr (is_whole<T>)
          return whole(x);
        else
          return std::nullopt;
      },
      value);
}

std::string described(const GgufValue& value) {
  const auto* const array = std::get_if<GgufArray>(&value);
  if (!array) return fmt::format("of type {}", name_of(type_of(value)));
  return fmt::format("an array of {} {}", array->size(), name_of(array->type()));
}

template <class T>
std::string range(Between<T> allowed) {
  if (allowed.most == Between<T>().most) return fmt::format("{} or more is", allowed.least);
  return fmt::format("{} to {} are", allowed.least, allowed.most);
}

bool holds(Between<std::int64_t> allowed, std::int64_t value) {
  return allowed.least <= value && value <= allowed.most && value != kTooLarge;
}

}  // namespace

std::string_view name_of(GgufType type) {
  return kNames[static_cast<int>(type)];
}

// ---- GgufArray ----

GgufArray::GgufArray(GgufType type, Bytes bytes) : type_(type), bytes_(as_text(bytes)) {
  check(type != GgufType::string && type != GgufType::array, Code::internal,
        "an array of {} was made of numbers", name_of(type));
}

GgufArray GgufArray::for_strings(std::uint64_t count, std::uint64_t bytes) {
  GgufArray array;
  array.type_ = GgufType::string;
  array.bytes_.reserve(bytes);
  array.ends_.reserve(count + 1);
  array.ends_.push_back(0);
  return array;
}

void GgufArray::add(std::string_view text) {
  bytes_ += text;
  ends_.push_back(bytes_.size());
}

std::uint64_t GgufArray::size() const {
  if (type_ == GgufType::string) return ends_.size() - 1;
  return bytes_.size() / with_type(type_, []<class T>(const T&) { return sizeof(T); });
}

std::int64_t GgufArray::integer(std::uint64_t i) const {
  return with_type(type_, [&]<class T>(const T&) -> std::int64_t {
    if constexpr (std::is_integral_v<T>) return whole(at<T>(i));
    fail(Code::internal, "an element of an array of {} was read as a whole number", name_of(type_));
  });
}

double GgufArray::number(std::uint64_t i) const {
  return with_type(type_, [&]<class T>(const T&) -> double {
    if constexpr (std::is_arithmetic_v<T>) return static_cast<double>(at<T>(i));
    fail(Code::internal, "an element of an array of {} was read as a number", name_of(type_));
  });
}

// ---- GgufMetadata ----

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto it = places_.find(key);
  return it == places_.end() ? nullptr : &entries_[it->second].second;
}

void GgufMetadata::set(std::string key, GgufValue value) {
  const auto [it, is_new] = places_.try_emplace(key, static_cast<std::uint32_t>(entries_.size()));
  if (is_new)
    entries_.emplace_back(std::move(key), std::move(value));
  else
    entries_[it->second].second = std::move(value);
}

void GgufMetadata::erase(std::string_view key) {
  const auto it = places_.find(key);
  if (it == places_.end()) return;
  const std::uint32_t place = it->second;
  places_.erase(it);
  entries_.erase(entries_.begin() + place);
  for (auto& [other, at] : places_) at -= at > place;
}

const GgufValue& GgufMetadata::at(std::string_view key) const {
  const GgufValue* const value = find(key);
  if (!value) fail(Code::gguf, "{}: the key {} is missing", origin_, quoted(key));
  return *value;
}

void GgufMetadata::refuse(std::string_view key, std::string_view wanted) const {
  fail(Code::gguf, "{}: the value of {} is {}, and {} is wanted", origin_, quoted(key), described(at(key)),
       wanted);
}

std::int64_t GgufMetadata::integer(std::string_view key, Between<std::int64_t> allowed) const {
  const auto value = whole_of(at(key));
  if (!value) refuse(key, "a whole number");
  if (!holds(allowed, *value))
    fail(Code::gguf, "{}: the value of {} is {}, and {} allowed", origin_, quoted(key),
         *value == kTooLarge ? "too large" : std::to_string(*value), range(allowed));
  return *value;
}

double GgufMetadata::number(std::string_view key, Between<double> allowed) const {
  const GgufValue& found = at(key);
  const auto value = std::visit(
      []<class T>(const T& x) -> std::optional<double> {
        if constexpr (std::is_floating_point_v<T> || is_whole<T>)
          return static_cast<double>(x);
        else
          return std::nullopt;
      },
      found);
  if (!value) refuse(key, "a number");
  check(std::isfinite(*value), Code::gguf, "{}: the value of {} is {}, which is no finite number", origin_,
        quoted(key), *value);
  if (*value < allowed.least || *value > allowed.most)
    fail(Code::gguf, "{}: the value of {} is {}, and {} allowed", origin_, quoted(key), *value,
         range(allowed));
  return *value;
}

bool GgufMetadata::boolean(std::string_view key) const {
  const bool* const value = std::get_if<bool>(&at(key));
  if (!value) refuse(key, "a truth value");
  return *value;
}

const std::string& GgufMetadata::text(std::string_view key) const {
  const auto* const value = std::get_if<std::string>(&at(key));
  if (!value) refuse(key, "a string");
  return *value;
}

const GgufArray& GgufMetadata::array(std::string_view key, std::string_view of) const {
  const auto* const value = std::get_if<GgufArray>(&at(key));
  if (!value) refuse(key, fmt::format("an array of {}", of));
  return *value;
}

const GgufArray& GgufMetadata::strings(std::string_view key) const {
  const GgufArray& found = array(key, "strings");
  if (found.type() != GgufType::string) refuse(key, "an array of strings");
  return found;
}

std::vector<std::int64_t> GgufMetadata::integers(std::string_view key, Between<std::int64_t> allowed) const {
  const GgufArray& found = array(key, "whole numbers");
  if (!is_whole_type(found.type())) refuse(key, "an array of whole numbers");
  std::vector<std::int64_t> values(found.size());
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    values[i] = found.integer(i);
    if (!holds(allowed, values[i]))
      fail(Code::gguf, "{}: element {} of {} is {}, and {} allowed", origin_, i, quoted(key), values[i],
           range(allowed));
  }
  return values;
}

std::vector<float> GgufMetadata::numbers(std::string_view key) const {
  const GgufArray& found = array(key, "numbers");
  if (found.type() == GgufType::string || found.type() == GgufType::boolean)
    refuse(key, "an array of numbers");
  std::vector<float> values(found.size());
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(found.number(i));
    check(std::isfinite(values[i]), Code::gguf, "{}: element {} of {} is {}, which is no finite number",
          origin_, i, quoted(key), values[i]);
  }
  return values;
}

std::vector<std::int64_t> GgufMetadata::for_each(std::string_view key, std::uint64_t count,
                                                 Between<std::int64_t> allowed) const {
  if (!std::holds_alternative<GgufArray>(at(key))) return std::vector(count, integer(key, allowed));
  std::vector<std::int64_t> values = integers(key, allowed);
  check(values.size() == count, Code::gguf, "{}: the array {} has {} elements, and {} are wanted", origin_,
        quoted(key), values.size(), count);
  return values;
}

}  // namespace glossa
