#include "text/jinja_value.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/unicode.h"
#include "text/jinja_print.h"

namespace glossa::jinja {
namespace {

constexpr double kTwo63 = 9223372036854775808.0;

// Whole numbers and real ones of the same value are the same key. Refuses what Python cannot hash.
std::string place_of(const Value& key) {
  using Kind = Value::Kind;
  switch (key.kind()) {
    case Kind::text:
      return "t" + key.bytes();
    case Kind::boolean:
    case Kind::integer:
      return fmt::format("i{}", key.as_integer());
    case Kind::real: {
      const double x = key.as_real();
      if (x == std::floor(x) && std::fabs(x) < kTwo63)
        return fmt::format("i{}", static_cast<std::int64_t>(x));
      return fmt::format("f{}", x);
    }
    case Kind::none:
      return "n";
    case Kind::undefined:
      return "u";
    case Kind::object:
      return fmt::format("o{}", key.identity());
    case Kind::sequence:
    case Kind::dict:
      break;
  }
  refuse("a {} cannot be the key of a dict", key.type_name());
}

int depth_of(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

}  // namespace

Value Value::undefined(std::string why) {
  return Value(Payload(Undefined{std::make_shared<const std::string>(std::move(why))}));
}

Value Value::text(Budget& budget, std::string bytes, bool safe) {
  budget.make(bytes.size());
  return Value(Payload(std::make_shared<const Text>(Text{std::move(bytes), safe})));
}

Value Value::constant(std::string bytes) {
  return Value(Payload(std::make_shared<const Text>(Text{std::move(bytes)})));
}

Value Value::object(std::shared_ptr<Object> object) {
  return Value(Payload(std::move(object)));
}
Value Value::sequence(std::shared_ptr<const Sequence> all) {
  return Value(Payload(std::move(all)));
}
Value Value::dict(std::shared_ptr<const Dict> dict) {
  return Value(Payload(std::move(dict)));
}

Value Value::list(Budget& budget, std::vector<Value> items) {
  return sequence(make_sequence(budget, Sequence::Kind::list, std::move(items)));
}
Value Value::tuple(Budget& budget, std::vector<Value> items) {
  return sequence(make_sequence(budget, Sequence::Kind::tuple, std::move(items)));
}
Value Value::iterator(Budget& budget, std::vector<Value> items) {
  return sequence(make_sequence(budget, Sequence::Kind::iterator, std::move(items)));
}

std::int64_t Value::as_integer() const {
  return is(Kind::boolean) ? as_boolean() : std::get<std::int64_t>(payload_);
}
double Value::as_real() const {
  return is(Kind::real) ? std::get<double>(payload_) : static_cast<double>(as_integer());
}

const void* Value::identity() const {
  switch (kind()) {
    case Kind::sequence:
      return &as_sequence();
    case Kind::dict:
      return &as_dict();
    case Kind::object:
      return &as_object();
    default:
      return nullptr;
  }
}

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"Undefined", "NoneType", "bool", "int", "float", "str"};
  static constexpr std::string_view kSequences[] = {"list",        "tuple",      "range",    "dict_keys",
                                                    "dict_values", "dict_items", "generator"};
  if (is(Kind::object)) return as_object().type_name();
  if (is(Kind::dict)) return "dict";
  if (is(Kind::sequence)) return kSequences[static_cast<int>(as_sequence().kind)];
  return kNames[static_cast<int>(kind())];
}

int Value::depth() const {
  if (is(Kind::sequence)) return as_sequence().depth;
  if (is(Kind::dict)) return as_dict().depth();
  return is(Kind::object) ? as_object().depth() : 0;
}

void Value::refuse_undefined() const {
  const auto& why = std::get<Undefined>(payload_).why;
  refuse("{}", why ? *why : "the value is undefined");
}

std::shared_ptr<Sequence> make_sequence(Budget& budget, Sequence::Kind kind, std::vector<Value> items) {
  budget.make(items.size() * sizeof(Value));
  auto made = std::make_shared<Sequence>();
  made->kind = kind;
  made->depth = depth_of(items);
  budget.check_depth(made->depth);
  made->items = std::move(items);
  return made;
}

// ---- Dict ----

const Value* Dict::find(Budget& budget, const Value& key) const {
  if (key.is_text()) budget.scan(key.bytes().size());
  const auto at = places_.find(place_of(key));
  return at == places_.end() ? nullptr : &members_[at->second].value;
}

const Value* Dict::find(std::string_view key) const {
  const auto at = places_.find("t" + std::string(key));
  return at == places_.end() ? nullptr : &members_[at->second].value;
}

void Dict::set(Budget& budget, const Value& key, Value value) {
  put(budget, place_of(key), key, std::move(value));
}
void Dict::set(Budget& budget, std::string_view key, Value value) {
  put(budget, "t" + std::string(key), Value::constant(std::string(key)), std::move(value));
}

void Dict::put(Budget& budget, std::string place, const Value& key, Value value) {
  budget.make(sizeof(Member) + place.size());
  depth_ = std::max({depth_, key.depth() + 1, value.depth() + 1});
  budget.check_depth(depth_);
  const auto [at, is_new] =
      places_.try_emplace(std::move(place), static_cast<std::uint32_t>(members_.size()));
  if (is_new) {
    members_.push_back({key, std::move(value)});
  } else {
    members_[at->second].value = std::move(value);
  }
}

// ---- what every kind of value can do ----

bool truth(const Value& value) {
  using Kind = Value::Kind;
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.as_integer() != 0;
    case Kind::real:
      return value.as_real() != 0;
    case Kind::text:
      return !value.bytes().empty();
    case Kind::sequence:
      return !value.as_sequence().has_length() || !value.as_sequence().items.empty();
    case Kind::dict:
      return value.as_dict().size() != 0;
    case Kind::object:
      return true;
  }
  __builtin_unreachable();
}

namespace {

int compared(std::int64_t whole, double real) {  // exactly, as Python does; `real` is not NaN
  if (real >= kTwo63) return -1;
  if (real < -kTwo63) return 1;
  const auto floor = static_cast<std::int64_t>(std::floor(real));
  if (whole != floor) return whole < floor ? -1 : 1;
  return real > std::floor(real) ? -1 : 0;
}

// Below, at and above zero; 2 if one of them is not a number.
int compared_numbers(const Value& a, const Value& b) {
  const bool a_whole = a.is_whole(), b_whole = b.is_whole();
  if (a_whole && b_whole) return a.as_integer() < b.as_integer() ? -1 : a.as_integer() > b.as_integer();
  if (std::isnan(a.as_real()) || std::isnan(b.as_real())) return 2;
  if (a_whole) return compared(a.as_integer(), b.as_real());
  if (b_whole) return -compared(b.as_integer(), a.as_real());
  return a.as_real() < b.as_real() ? -1 : a.as_real() > b.as_real();
}

bool same_kind_of_sequence(Sequence::Kind a, Sequence::Kind b) {
  using Kind = Sequence::Kind;
  const auto is_set = [](Kind k) { return k == Kind::keys || k == Kind::items; };
  return (is_set(a) && is_set(b)) || (a == b && (a == Kind::list || a == Kind::tuple || a == Kind::range));
}

bool equal_sequences(Budget& budget, const Sequence& a, const Sequence& b) {
  if (&a == &b) return true;
  if (!same_kind_of_sequence(a.kind, b.kind) || a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!equal(budget, a.items[i], b.items[i])) return false;
  return true;
}

bool equal_dicts(Budget& budget, const Dict& a, const Dict& b) {
  if (&a == &b) return true;
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.members()) {
    const Value* other = b.find(budget, key);
    if (!other || !equal(budget, value, *other)) return false;
  }
  return true;
}

}  // namespace

bool equal(Budget& budget, const Value& a, const Value& b) {
  using Kind = Value::Kind;
  budget.step();
  if (a.is_number() && b.is_number()) return compared_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::text:
      budget.scan(a.bytes().size());
      return a.bytes() == b.bytes();
    case Kind::sequence:
      return equal_sequences(budget, a.as_sequence(), b.as_sequence());
    case Kind::dict:
      return equal_dicts(budget, a.as_dict(), b.as_dict());
    default:
      return a.identity() == b.identity();
  }
}

bool less(Budget& budget, const Value& a, const Value& b, std::string_view sign) {
  budget.step();
  if (a.is_undefined()) a.refuse_undefined();
  if (b.is_undefined()) b.refuse_undefined();
  if (a.is_number() && b.is_number()) return compared_numbers(a, b) == -1;
  if (a.is_text() && b.is_text()) {
    budget.scan(std::min(a.bytes().size(), b.bytes().size()));
    return a.bytes() < b.bytes();  // the order of UTF-8 is that of the characters
  }
  if (a.is(Value::Kind::sequence) && b.is(Value::Kind::sequence)) {
    const Sequence &x = a.as_sequence(), &y = b.as_sequence();
    if (x.kind == y.kind && (x.kind == Sequence::Kind::list || x.kind == Sequence::Kind::tuple)) {
      for (std::size_t i = 0; i < std::min(x.items.size(), y.items.size()); ++i)
        if (!equal(budget, x.items[i], y.items[i])) return less(budget, x.items[i], y.items[i], sign);
      return x.items.size() < y.items.size();
    }
  }
  refuse("'{}' is not possible between a {} and a {}", sign, a.type_name(), b.type_name());
}

bool contains(Budget& budget, const Value& container, const Value& item) {
  using Kind = Value::Kind;
  if (container.is(Kind::text)) {
    if (item.is_undefined()) item.refuse_undefined();
    if (!item.is_text()) refuse("'in' a text needs a text, not a {}", item.type_name());
    const std::string &text = container.bytes(), &part = item.bytes();
    budget.scan(text.size());
    // Linear in both, unlike std::string::find.
    return memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
  }
  if (container.is(Kind::dict)) return container.as_dict().find(budget, item) != nullptr;
  if (container.is(Kind::undefined)) return false;
  if (container.is(Kind::sequence)) {
    const Sequence& all = container.as_sequence();
    std::size_t from = all.kind == Sequence::Kind::iterator ? all.taken : 0;
    for (; from < all.items.size(); ++from) {
      const bool found = equal(budget, all.items[from], item);
      if (all.kind == Sequence::Kind::iterator) all.taken = from + 1;
      if (found) return true;
    }
    return false;
  }
  refuse("'in' needs a text, list or dict on its right, not a {}", container.type_name());
}

std::int64_t length(Budget& budget, const Value& value) {
  using Kind = Value::Kind;
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::text: {
      budget.scan(value.bytes().size());
      const auto starts = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
      return std::count_if(value.bytes().begin(), value.bytes().end(), starts);
    }
    case Kind::sequence:
      if (!value.as_sequence().has_length()) break;
      return static_cast<std::int64_t>(value.as_sequence().items.size());
    case Kind::dict:
      return static_cast<std::int64_t>(value.as_dict().size());
    default:
      break;
  }
  refuse("a {} has no length", value.type_name());
}

bool is_iterable(const Value& value) {
  using Kind = Value::Kind;
  return value.is(Kind::undefined) || value.is(Kind::text) || value.is(Kind::sequence) ||
         value.is(Kind::dict);
}

std::vector<Value> elements(Budget& budget, const Value& value) {
  using Kind = Value::Kind;
  std::vector<Value> all;
  if (value.is(Kind::sequence)) {
    const Sequence& sequence = value.as_sequence();
    const bool once = sequence.kind == Sequence::Kind::iterator;
    const std::size_t from = once ? sequence.taken : 0;
    budget.make((sequence.items.size() - from) * sizeof(Value));
    all.assign(sequence.items.begin() + static_cast<std::ptrdiff_t>(from), sequence.items.end());
    if (once) sequence.taken = sequence.items.size();
  } else if (value.is(Kind::dict)) {
    budget.make(value.as_dict().size() * sizeof(Value));
    for (const auto& member : value.as_dict().members()) all.push_back(member.key);
  } else if (value.is(Kind::text)) {
    const std::string& text = value.bytes();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = utf8_length_at(text, at);
      budget.make(sizeof(Value) + sizeof(Text));
      all.push_back(Value::text(budget, text.substr(at, n)));
      at += n;
    }
  } else if (!value.is(Kind::undefined)) {
    refuse("a {} cannot be iterated over", value.type_name());
  }
  return all;
}

}  // namespace glossa::jinja
