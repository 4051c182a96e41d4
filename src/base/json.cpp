#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace glossa {
namespace {

// Walks the text and tells how far it has come: the parser reports no positions but those of its own errors.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// The parser's receiver: counts depth, finds where tokens begin and end, and passes everything on.
class Scan {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  Scan(std::string_view text, std::string_view origin, const Limits& limits, JsonEvents& events)
      : text_(text), origin_(origin), limits_(limits), events_(events) {}

  const char** furthest() { return &furthest_; }

  bool null() { return events_.null(place()), true; }
  bool boolean(bool value) { return events_.boolean(value, place()), true; }
  bool number_integer(number_integer_t value) { return events_.negative(value, number_place()), true; }
  bool number_unsigned(number_unsigned_t value) { return events_.natural(value, number_place()), true; }
  bool number_float(number_float_t value, const string_t& text) {
    return events_.real(value, text, number_place()), true;
  }
  bool string(string_t& value) { return events_.string(value, place()), true; }
  bool key(string_t& value) { return events_.key(value, place()), true; }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return events_.begin_object(deeper()), true; }
  bool end_object() { return --depth_, events_.end_object(place()), true; }
  bool start_array(std::size_t) { return events_.begin_array(deeper()), true; }
  bool end_array() { return --depth_, events_.end_array(place()), true; }

  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: WHAT; last read: TEXT": the place is
    // ours to say, in bytes, and the text ours to make safe.
    std::string_view what = error.what();
    what.remove_prefix(std::min(what.find("] ") + 2, what.size()));
    if (what.starts_with("parse error at")) what.remove_prefix(std::min(what.find(": ") + 2, what.size()));
    what = what.substr(0, std::min<std::size_t>(what.find("; last read: "), 160));
    fail(Code::json, "{}: byte {}: not JSON: {} near {}", origin_, position > 0 ? position - 1 : 0, what,
         quoted(token, 40));
  }

 private:
  JsonEvents::Place place() { return token_until(static_cast<std::uint64_t>(furthest_ - text_.data())); }
  // The end of a number shows only at the byte after it, which the parser has read too.
  JsonEvents::Place number_place() {
    auto end = static_cast<std::uint64_t>(furthest_ - text_.data());
    const auto in_number = [](char c) {
      return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '-' || c == '+';
    };
    if (!in_number(text_[end - 1])) --end;
    return token_until(end);
  }
  JsonEvents::Place token_until(std::uint64_t end) {
    std::uint64_t begin = last_end_;
    const auto between = [](char c) {
      return c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
    };
    while (begin < end && between(text_[begin])) ++begin;
    last_end_ = end;
    return {begin, end};
  }
  JsonEvents::Place deeper() {
    const auto here = place();
    check(++depth_ <= limits_.json_depth, Code::depth,
          "{}: byte {}: nested deeper than the {} levels allowed", origin_, here.begin, limits_.json_depth);
    return here;
  }

  std::string_view text_, origin_;
  const Limits& limits_;
  JsonEvents& events_;
  const char* furthest_ = text_.data();
  std::uint64_t last_end_ = 0;
  int depth_ = 0;
};

// Builds the tree, whose objects are sorted or keep the order given.
template <class J>
class Builder final : public JsonEvents {
 public:
  Builder(std::string_view origin, std::uint64_t most) : origin_(origin), most_(most) {}
  J take() { return std::move(root_); }

  void null(Place) override { put(nullptr); }
  void boolean(bool value, Place) override { put(value); }
  void negative(std::int64_t value, Place) override { put(value); }
  void natural(std::uint64_t value, Place) override { put(value); }
  void real(double value, const std::string&, Place) override { put(value); }
  void string(std::string& value, Place) override { put(std::move(value)); }
  void key(std::string& name, Place place) override {
    auto& object = open_.back()->template get_ref<typename J::object_t&>();
    if constexpr (std::is_same_v<J, Json>) {
      const auto [at, is_new] = object.try_emplace(std::move(name));
      check(is_new, Code::json, "{}: byte {}: duplicate key {}", origin_, place.begin, quoted(at->first));
      member_ = &at->second;
    } else {
      // Its own emplace looks through all keys each time.
      check(keys_.back().insert(name).second, Code::json, "{}: byte {}: duplicate key {}", origin_, place.begin,
            quoted(name));
      member_ = &static_cast<typename J::object_t::Container&>(object).emplace_back(std::move(name), nullptr).second;
    }
  }
  void begin_object(Place) override {
    open_.push_back(put(J::object()));
    keys_.emplace_back();
  }
  void end_object(Place) override { open_.pop_back(), keys_.pop_back(); }
  void begin_array(Place) override { open_.push_back(put(J::array())); }
  void end_array(Place) override { open_.pop_back(); }

 private:
  template <class Value>
  J* put(Value&& value) {
    check(++values_ <= most_, Code::count, "{}: JSON of more than the {} values allowed", origin_, most_);
    J* place = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      place = &open_.back()->template get_ref<typename J::array_t&>().emplace_back();
    } else if (!open_.empty()) {
      place = member_;
    }
    *place = std::forward<Value>(value);
    return place;
  }

  std::string_view origin_;
  const std::uint64_t most_;
  std::uint64_t values_ = 0;
  J root_;
  std::vector<J*> open_;  // only the last of them changes, so the addresses of the others stay
  std::vector<std::unordered_set<std::string>> keys_;  // of the open objects, if they keep their order
  J* member_ = nullptr;  // where the value of the key just read goes
};

// The parser holds a token twice before anybody can look at it, so a huge one is found beforehand.
void check_tokens(std::string_view text, std::string_view origin, std::uint64_t most) {
  if (text.size() <= most) return;
  const auto check_length = [&](std::size_t begin, std::size_t end) {
    check(end - begin <= most, Code::size, "{}: byte {}: a token of {} bytes, and at most {} are allowed",
          origin, begin, end - begin, most);
  };
  std::size_t begin =
      0;  // of what stands between two quotation marks, or outside of them between two separators
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      check_length(begin, i);
      in_string = !in_string;
      begin = i + 1;
    } else if (in_string) {
      if (c == '\\') ++i;
    } else if (c == ',' || c == ':' || c == '[' || c == ']' || c == '{' || c == '}' ||
               static_cast<unsigned char>(c) <= ' ') {
      check_length(begin, i);
      begin = i + 1;
    }
  }
  check_length(begin, text.size());
}

}  // namespace

void scan_json(std::string_view text, std::string_view origin, const Limits& limits, JsonEvents& events) {
  check(text.size() <= limits.json_bytes, Code::size, "{}: JSON of {} bytes, and at most {} are read", origin,
        text.size(), limits.json_bytes);
  check(!text.starts_with("\xEF\xBB\xBF"), Code::json,
        "{}: byte 0: begins with a byte order mark, which JSON forbids", origin);
  // The parser takes a NUL for the end of the document.
  const auto nul = text.find('\0');
  check(nul == std::string_view::npos, Code::json, "{}: byte {}: not JSON: a NUL byte", origin, nul);
  check_tokens(text, origin, limits.json_token_bytes);
  Scan scan(text, origin, limits, events);
  const Cursor first(text.data(), scan.furthest()), last(text.data() + text.size(), scan.furthest());
  check(Json::sax_parse(first, last, &scan), Code::json, "{}: not JSON", origin);
}

Json parse_json(std::string_view text, std::string_view origin, const Limits& limits) {
  Builder<Json> builder(origin, limits.json_values);
  scan_json(text, origin, limits, builder);
  return builder.take();
}

OrderedJson parse_ordered_json(std::string_view text, std::string_view origin, const Limits& limits) {
  Builder<OrderedJson> builder(origin, limits.json_values);
  scan_json(text, origin, limits, builder);
  return builder.take();
}

Json read_json(const std::filesystem::path& path, const Limits& limits) {
  return parse_json(read_file(path, limits.json_bytes), shown(path), limits);
}

Json read_configuration(const std::filesystem::path& path, const Limits& limits) {
  return parse_json(read_file(path, limits.configuration_bytes), shown(path), limits);
}

std::string to_text(const OrderedJson& json) {
  try {
    return json.dump(2) + "\n";
  } catch (const OrderedJson::type_error& error) {
    fail(Code::utf8, "text that is not UTF-8 cannot be written as JSON: {}", error.what());
  }
}

std::string to_line(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

// ---- JsonView ----

namespace {

std::string found(const Json& value) {
  return quoted(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

}  // namespace

JsonView::JsonView(const Json& object, std::string origin) : object_(&object), origin_(std::move(origin)) {
  check(object.is_object(), Code::config, "{}: is a JSON {}, and an object is needed", origin_,
        object.type_name());
}

const Json* JsonView::find(std::string_view key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

bool JsonView::has(std::string_view key) const {
  return find(key) != nullptr;
}

std::int64_t JsonView::integer(std::string_view key, std::int64_t otherwise, std::int64_t low,
                               std::int64_t high) const {
  const Json* const value = find(key);
  if (!value) return otherwise;
  const bool fits =
      value->is_number_integer() &&
      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
  const std::int64_t n = fits ? value->get<std::int64_t>() : 0;
  check(fits && n >= low && n <= high, Code::config,
        "{}: {} is {}, and a whole number from {} to {} is needed", origin_, quoted(key), found(*value), low,
        high);
  return n;
}

double JsonView::number(std::string_view key, double otherwise, double low, double high) const {
  const Json* const value = find(key);
  if (!value) return otherwise;
  const double x = value->is_number() ? value->get<double>() : std::nan("");
  check(x >= low && x <= high, Code::config, "{}: {} is {}, and a number from {} to {} is needed", origin_,
        quoted(key), found(*value), low, high);
  return x;
}

bool JsonView::boolean(std::string_view key, bool otherwise) const {
  const Json* const value = find(key);
  if (!value) return otherwise;
  check(value->is_boolean(), Code::config, "{}: {} is {}, and true or false is needed", origin_, quoted(key),
        found(*value));
  return value->get<bool>();
}

std::string JsonView::string(std::string_view key, std::string_view otherwise) const {
  const Json* const value = find(key);
  if (!value) return std::string(otherwise);
  check(value->is_string(), Code::config, "{}: {} is {}, and a string is needed", origin_, quoted(key),
        found(*value));
  return value->get<std::string>();
}

}  // namespace glossa
