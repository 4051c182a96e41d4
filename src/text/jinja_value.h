// jinja_value.h -- the values of templates, which behave as Python's do.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "text/jinja_budget.h"

namespace glossa::jinja {

// Refuses what the template did; the renderer adds where.
template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  fail(Code::chat_template, format, std::forward<Args>(args)...);
}

class Value;
struct Sequence;
class Dict;
class Object;
struct Arguments;

struct Text {
  std::string bytes;
  bool safe = false;  // marked by the filter `safe`: what is added to it gets escaped
};

// What is not there. It prints as nothing and is false; all else that is done with it is refused for `why`.
struct Undefined {
  std::shared_ptr<const std::string> why;
};

class Value {
 public:
  struct None {};
  enum class Kind : std::uint8_t { undefined, none, boolean, integer, real, text, sequence, dict, object };

  Value() = default;  // undefined
  static Value undefined(std::string why);
  static Value none() { return Value(Payload(None{})); }
  static Value boolean(bool b) { return Value(Payload(b)); }
  static Value integer(std::int64_t i) { return Value(Payload(i)); }
  static Value real(double x) { return Value(Payload(x)); }
  static Value text(Budget& budget, std::string bytes, bool safe = false);
  static Value constant(std::string bytes);  // a text that the budget does not count: it was there before
  static Value object(std::shared_ptr<Object> object);
  static Value sequence(std::shared_ptr<const Sequence> sequence);
  static Value dict(std::shared_ptr<const Dict> dict);
  static Value list(Budget& budget, std::vector<Value> items);
  static Value tuple(Budget& budget, std::vector<Value> items);
  static Value iterator(Budget& budget, std::vector<Value> items);

  Kind kind() const { return static_cast<Kind>(payload_.index()); }
  bool is(Kind k) const { return kind() == k; }
  bool is_undefined() const { return is(Kind::undefined); }
  bool is_none() const { return is(Kind::none); }
  bool is_text() const { return is(Kind::text); }
  bool is_number() const { return is(Kind::boolean) || is(Kind::integer) || is(Kind::real); }
  bool is_whole() const { return is(Kind::boolean) || is(Kind::integer); }

  bool as_boolean() const { return std::get<bool>(payload_); }
  std::int64_t as_integer() const;  // of a boolean too
  double as_real() const;           // of any number
  const Text& as_text() const { return *std::get<std::shared_ptr<const Text>>(payload_); }
  const std::string& bytes() const { return as_text().bytes; }
  const Sequence& as_sequence() const { return *std::get<std::shared_ptr<const Sequence>>(payload_); }
  const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(payload_); }
  Object& as_object() const { return *std::get<std::shared_ptr<Object>>(payload_); }
  template <class T>
  T* as() const {  // null unless it is such an object
    const auto* object = std::get_if<std::shared_ptr<Object>>(&payload_);
    return object ? dynamic_cast<T*>(object->get()) : nullptr;
  }
  const void* identity() const;  // equal for the same list, dict or object; null for what has none

  std::string_view type_name() const;  // Python's name of its type
  int depth() const;                   // how many containers are within each other in it
  [[noreturn]] void refuse_undefined() const;

 private:
  using Payload =
      std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const Text>,
                   std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>, std::shared_ptr<Object>>;
  explicit Value(Payload payload) : payload_(std::move(payload)) {}
  Payload payload_;
};

// Lists and their like. Nothing in a template can change one, so that there are no cycles.
struct Sequence {
  enum class Kind : std::uint8_t { list, tuple, range, keys, values, items, iterator };
  Kind kind = Kind::list;
  std::vector<Value> items;
  std::vector<std::string> names;  // of a tuple's items where they have some
  int depth = 1;
  mutable std::size_t taken = 0;  // of an iterator, which gives each item once

  bool has_length() const { return kind != Kind::iterator; }
  bool has_items() const { return kind == Kind::list || kind == Kind::tuple || kind == Kind::range; }
};
std::shared_ptr<Sequence> make_sequence(Budget& budget, Sequence::Kind kind, std::vector<Value> items);

// In the order of insertion.
class Dict {
 public:
  struct Member {
    Value key, value;
  };
  const std::vector<Member>& members() const { return members_; }
  std::size_t size() const { return members_.size(); }
  // Null if there is none. Refuses what cannot be a key: lists and dicts, as Python does, and tuples.
  const Value* find(Budget& budget, const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(Budget& budget, const Value& key, Value value);
  void set(Budget& budget, std::string_view key, Value value);
  int depth() const { return depth_; }
  void clear() { members_.clear(), places_.clear(); }

 private:
  void put(Budget& budget, std::string place, const Value& key, Value value);
  std::vector<Member> members_;
  std::unordered_map<std::string, std::uint32_t> places_;
  int depth_ = 1;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What has behaviour of its own: functions, macros, methods with what they belong to, namespaces, loops.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  virtual std::string printed(Budget&) const { refuse("a value of type {} cannot be printed", type_name()); }
  virtual Value attribute(Budget&, std::string_view) {
    return {};
  }  // undefined without a reason if there is none
  virtual bool callable() const { return false; }
  virtual Value call(Budget&, const Arguments&) {
    refuse("a value of type {} cannot be called", type_name());
  }
  virtual int depth() const { return 0; }
};

// A name for the arguments of a call, in the order of the parameters.
class Bound {
 public:
  // Refuses, by `function`, arguments beyond `parameters`, unknown and repeated names, and fewer than
  // `needed`.
  Bound(std::string_view function, const Arguments& arguments,
        std::initializer_list<std::string_view> parameters, std::size_t needed = 0);
  bool has(std::size_t i) const { return values_[i] != nullptr; }
  const Value& operator[](std::size_t i) const { return *values_[i]; }
  const Value& value(std::size_t i, const Value& otherwise) const { return has(i) ? *values_[i] : otherwise; }
  std::int64_t integer(std::size_t i, std::int64_t otherwise) const;  // None counts as missing
  const std::string& text(std::size_t i) const;
  bool truth(std::size_t i, bool otherwise) const;

 private:
  [[noreturn]] void wrong(std::size_t i, std::string_view wanted) const;
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

// ---- what every kind of value can do ----

bool truth(const Value& value);
bool equal(Budget& budget, const Value& a, const Value& b);
bool less(Budget& budget, const Value& a, const Value& b,
          std::string_view sign);  // refuses what has no order
bool contains(Budget& budget, const Value& container, const Value& item);
std::int64_t length(Budget& budget, const Value& value);
bool is_iterable(const Value& value);
// The elements of a list, the keys of a dict, the characters of a text. What an iterator gives is gone from
// it.
std::vector<Value> elements(Budget& budget, const Value& value);

// Refuses text that is not UTF-8 and whole numbers beyond 64 bits; `name` says whose it is.
Value from_json(const OrderedJson& json, std::string_view name, const TemplateLimits& limits);

}  // namespace glossa::jinja
