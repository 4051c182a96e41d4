#include <algorithm>
#include <functional>

#include "text/jinja_filters.h"
#include "text/jinja_operators.h"
#include "text/jinja_print.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

using Kind = Value::Kind;

Value without_case(Budget& budget, const Value& value) {
  return value.is_text() ? Value::text(budget, python_lower_cased(value.bytes())) : value;
}

// The attribute's value of an item, or the item itself if no attribute is wanted.
Value key_of(Budget& budget, const Value& item, const Value& attribute, bool case_sensitive) {
  budget.step();
  Value key = attribute.is_none() ? item : item_at_path(budget, item, attribute);
  return case_sensitive ? key : without_case(budget, key);
}

struct Keyed {
  Value key, item;
};

void sort_by_key(Budget& budget, std::vector<Keyed>& all, bool reverse) {
  std::stable_sort(all.begin(), all.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(budget, b.key, a.key, "<") : less(budget, a.key, b.key, "<");
  });
}

Value default_value(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("default", arguments, {"default_value", "boolean"});
  if (value.is_undefined() || (a.truth(1, false) && !truth(value)))
    return a.value(0, Value::text(budget, ""));
  return value;
}

Value count(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("length", arguments, {});
  return Value::integer(length(budget, value));
}

Value list(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("list", arguments, {});
  return Value::list(budget, elements(budget, value));
}

Value first(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("first", arguments, {});
  if (value.is(Kind::sequence)) {
    const Sequence& all = value.as_sequence();
    const bool once = all.kind == Sequence::Kind::iterator;
    const std::size_t at = once ? all.taken : 0;
    if (at < all.items.size()) {
      if (once) ++all.taken;
      return all.items[at];
    }
  } else if (auto all = elements(budget, value); !all.empty()) {
    return all.front();
  }
  return Value::undefined("No first item, sequence was empty.");
}

Value last(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("last", arguments, {});
  if (value.is(Kind::sequence) && value.as_sequence().kind == Sequence::Kind::iterator)
    refuse("last needs a list, not an iterator: add | list");
  const auto all = elements(budget, value);
  return all.empty() ? Value::undefined("No last item, sequence was empty.") : all.back();
}

Value join(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("join", arguments, {"d", "attribute"});
  const std::string between = a.has(0) ? printed(budget, a[0]) : "";
  const Value attribute = a.value(1, Value::none());
  std::string out;
  bool is_first = true;
  for (const Value& item : elements(budget, value)) {
    if (!std::exchange(is_first, false)) {
      budget.make(between.size());
      out += between;
    }
    print(budget, key_of(budget, item, attribute, true), out);
  }
  return Value::text(budget, std::move(out));
}

Value sort(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = a.truth(1, false);
  std::vector<Value> attributes;
  if (a.has(2) && a[2].is_text()) {
    for (const auto part : split(a[2].bytes(), ",", -1, false))
      attributes.push_back(Value::constant(std::string(part)));
  } else {
    attributes.push_back(a.value(2, Value::none()));
  }
  std::vector<Keyed> all;
  for (Value& item : elements(budget, value)) {
    std::vector<Value> keys;
    for (const Value& attribute : attributes) keys.push_back(key_of(budget, item, attribute, case_sensitive));
    all.push_back({Value::list(budget, std::move(keys)), std::move(item)});
  }
  sort_by_key(budget, all, a.truth(0, false));
  std::vector<Value> items;
  for (Keyed& k : all) items.push_back(std::move(k.item));
  return Value::list(budget, std::move(items));
}

Value dict_sort(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (value.is_undefined()) value.refuse_undefined();
  if (!value.is(Kind::dict)) refuse("dictsort needs a dict, not a {}", value.type_name());
  const std::string by = a.has(1) ? a.text(1) : "key";
  if (by != "key" && by != "value") refuse("dictsort: by must be key or value, not {}", quoted(by));
  std::vector<Keyed> all;
  for (const auto& [key, member] : value.as_dict().members())
    all.push_back({key_of(budget, by == "key" ? key : member, Value::none(), a.truth(0, false)),
                   Value::tuple(budget, {key, member})});
  sort_by_key(budget, all, a.truth(2, false));
  std::vector<Value> items;
  for (Keyed& k : all) items.push_back(std::move(k.item));
  return Value::list(budget, std::move(items));
}

Value items_of(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("items", arguments, {});
  if (value.is_undefined()) return Value::iterator(budget, {});
  if (!value.is(Kind::dict)) refuse("items needs a dict, not a {}", value.type_name());
  std::vector<Value> items;
  for (const auto& [key, member] : value.as_dict().members())
    items.push_back(Value::tuple(budget, {key, member}));
  return Value::iterator(budget, std::move(items));
}

Value unique(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("unique", arguments, {"case_sensitive", "attribute"});
  Dict seen;
  std::vector<Value> items;
  for (Value& item : elements(budget, value)) {
    const Value key = key_of(budget, item, a.value(1, Value::none()), a.truth(0, false));
    if (seen.find(budget, key)) continue;
    seen.set(budget, key, Value::none());
    items.push_back(std::move(item));
  }
  return Value::iterator(budget, std::move(items));
}

template <bool Greatest>
Value extreme(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a(Greatest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  Keyed best;
  bool any = false;
  for (Value& item : elements(budget, value)) {
    Value key = key_of(budget, item, a.value(1, Value::none()), a.truth(0, false));
    const bool better =
        !any || (Greatest ? less(budget, best.key, key, ">") : less(budget, key, best.key, "<"));
    if (better) best = {std::move(key), std::move(item)};
    any = true;
  }
  return any ? best.item : Value::undefined("No aggregated item, sequence was empty.");
}

Value sum(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("sum", arguments, {"attribute", "start"});
  Value total = a.value(1, Value::integer(0));
  if (total.is_text()) refuse("sum cannot add texts: use join");
  for (const Value& item : elements(budget, value))
    total = apply(budget, Operator::add, total, key_of(budget, item, a.value(0, Value::none()), true));
  return total;
}

Value reverse(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound none("reverse", arguments, {});
  if (value.is_text()) return sliced(budget, value, {.start = {}, .stop = {}, .step = -1});
  const bool once = value.is(Kind::sequence) && value.as_sequence().kind == Sequence::Kind::iterator;
  auto items = elements(budget, value);
  std::reverse(items.begin(), items.end());
  return once ? Value::list(budget, std::move(items)) : Value::iterator(budget, std::move(items));
}

Value batch(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("batch", arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t size = a.integer(0, 0);
  std::vector<Value> rows, row;
  for (Value& item : elements(budget, value)) {
    budget.step();
    if (static_cast<std::int64_t>(row.size()) == size) {
      rows.push_back(Value::list(budget, std::move(row)));
      row = {};
    }
    row.push_back(std::move(item));
  }
  if (!row.empty()) {
    const auto missing =
        static_cast<std::uint64_t>(std::max<std::int64_t>(size - static_cast<std::int64_t>(row.size()), 0));
    if (a.has(1) && !a[1].is_none()) {
      budget.step(missing);
      row.insert(row.end(), missing, a[1]);
    }
    rows.push_back(Value::list(budget, std::move(row)));
  }
  return Value::iterator(budget, std::move(rows));
}

Value slice(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("slice", arguments, {"slices", "fill_with"}, 1);
  const std::int64_t slices = a.integer(0, 0);
  if (slices == 0) refuse("slice: into zero parts");
  const auto items = elements(budget, value);
  const auto n = static_cast<std::int64_t>(items.size());
  std::vector<Value> columns;
  auto from = items.begin();
  for (std::int64_t i = 0; i < slices; ++i) {
    budget.step();
    const bool longer = i < n % slices;
    const auto to = from + n / slices + (longer ? 1 : 0);
    std::vector<Value> column(from, to);
    if (!longer && a.has(1) && !a[1].is_none()) column.push_back(a[1]);
    columns.push_back(Value::list(budget, std::move(column)));
    from = to;
  }
  return Value::iterator(budget, std::move(columns));
}

Value group(Budget& budget, const Value& key, std::vector<Value> items) {
  auto pair = make_sequence(budget, Sequence::Kind::tuple, {key, Value::list(budget, std::move(items))});
  pair->names = {"grouper", "list"};
  return Value::sequence(std::move(pair));
}

Value group_by(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const bool case_sensitive = a.truth(2, false);
  const auto key = [&](const Value& item, bool exact) {
    Value found = key_of(budget, item, a[0], true);
    if (found.is_undefined()) found = a.value(1, found);
    return exact ? found : without_case(budget, found);
  };
  std::vector<Keyed> all;
  for (Value& item : elements(budget, value)) {
    Value k = key(item, case_sensitive);
    all.push_back({std::move(k), std::move(item)});
  }
  sort_by_key(budget, all, false);
  std::vector<Value> groups;
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    std::vector<Value> items;
    for (; end < all.size() && equal(budget, all[begin].key, all[end].key); ++end)
      items.push_back(all[end].item);
    if (end == begin) items.push_back(all[end++].item);  // a key that is not equal to itself
    const Value shown = key(items.front(), true);
    groups.push_back(group(budget, shown, std::move(items)));
  }
  return Value::list(budget, std::move(groups));
}

// What comes after the first `n` arguments by place.
Arguments behind(const Arguments& arguments, std::size_t n) {
  return {{arguments.positional.begin() + static_cast<std::ptrdiff_t>(n), arguments.positional.end()},
          arguments.named};
}

const std::string& name_in(std::string_view filter, const Value& value, std::string_view what) {
  if (!value.is_text()) refuse("{} needs the name of a {}, not a {}", filter, what, value.type_name());
  return value.bytes();
}

Value map(Budget& budget, const Value& value, const Arguments& arguments) {
  std::vector<Value> items;
  if (!truth(value)) return Value::iterator(budget, {});
  if (arguments.positional.empty()) {
    const Bound a("map", arguments, {"attribute", "default"}, 1);
    for (const Value& item : elements(budget, value)) {
      Value found = key_of(budget, item, a[0], true);
      if (found.is_undefined() && a.has(1) && !a[1].is_none()) found = a[1];
      items.push_back(std::move(found));
    }
  } else {
    const Filter filter = filter_of(name_in("map", arguments.positional[0], "filter"));
    const Arguments rest = behind(arguments, 1);
    for (const Value& item : elements(budget, value)) {
      const Level level(budget);
      budget.step();
      items.push_back(filter(budget, item, rest));
    }
  }
  return Value::iterator(budget, std::move(items));
}

template <bool Wanted, bool OfAttribute>
Value select(Budget& budget, const Value& value, const Arguments& arguments) {
  constexpr std::size_t kName = OfAttribute ? 1 : 0;
  if (!truth(value)) return Value::iterator(budget, {});
  if (OfAttribute && arguments.positional.empty())
    refuse("selectattr and rejectattr need the name of an attribute");
  const bool tested = arguments.positional.size() > kName;
  const Test test = tested ? test_of(name_in("select", arguments.positional[kName], "test")) : nullptr;
  const Arguments rest = tested ? behind(arguments, kName + 1) : Arguments{};
  std::vector<Value> items;
  for (Value& item : elements(budget, value)) {
    const Value looked_at = OfAttribute ? key_of(budget, item, arguments.positional[0], true) : item;
    budget.step();
    const bool holds = test ? test(budget, looked_at, rest) : truth(looked_at);
    if (holds == Wanted) items.push_back(std::move(item));
  }
  return Value::iterator(budget, std::move(items));
}

}  // namespace

const std::map<std::string_view, Filter>& filters_of_lists() {
  static const std::map<std::string_view, Filter> kFilters = {
      {"default", default_value},
      {"d", default_value},
      {"length", count},
      {"count", count},
      {"list", list},
      {"first", first},
      {"last", last},
      {"join", join},
      {"sort", sort},
      {"dictsort", dict_sort},
      {"items", items_of},
      {"unique", unique},
      {"min", extreme<false>},
      {"max", extreme<true>},
      {"sum", sum},
      {"reverse", reverse},
      {"batch", batch},
      {"slice", slice},
      {"groupby", group_by},
      {"map", map},
      {"select", select<true, false>},
      {"reject", select<false, false>},
      {"selectattr", select<true, true>},
      {"rejectattr", select<false, true>},
  };
  return kFilters;
}

}  // namespace glossa::jinja
