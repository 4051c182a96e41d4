// The methods of lists and dicts, and where to look for all. Those of Python that change what they belong to
// are refused, as they are in the sandbox that templates are written for.
#include <algorithm>

#include "text/jinja_methods.h"
#include "text/jinja_operators.h"

namespace glossa::jinja {
namespace {

class BoundMethod final : public Object {
 public:
  BoundMethod(Value self, Method method) : self_(std::move(self)), method_(method) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Value call(Budget& budget, const Arguments& arguments) override {
    return method_(budget, self_, arguments);
  }
  int depth() const override { return self_.depth() + 1; }

 private:
  const Value self_;
  const Method method_;
};

Value count_items(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("count", arguments, {"value"}, 1);
  std::int64_t n = 0;
  for (const Value& item : self.as_sequence().items) n += equal(budget, item, a[0]);
  return Value::integer(n);
}

Value index_of_item(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound a("index", arguments, {"value"}, 1);
  const auto& items = self.as_sequence().items;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (equal(budget, items[i], a[0])) return Value::integer(static_cast<std::int64_t>(i));
  refuse("index(): the value is not in the list");
}

Value copy(Budget&, const Value& self, const Arguments& arguments) {
  const Bound none("copy", arguments, {});
  return self;
}

template <Sequence::Kind What>
Value view(Budget& budget, const Value& self, const Arguments& arguments) {
  const Bound none("the view of a dict", arguments, {});
  const auto& members = self.as_dict().members();
  budget.make(members.size() * sizeof(Value));
  std::vector<Value> items;
  items.reserve(members.size());
  for (const auto& [key, value] : members) {
    budget.step();
    if (What == Sequence::Kind::items)
      items.push_back(Value::tuple(budget, {key, value}));
    else
      items.push_back(What == Sequence::Kind::keys ? key : value);
  }
  return Value::sequence(make_sequence(budget, What, std::move(items)));
}

Value get(Budget& budget, const Value& self, const Arguments& arguments) {
  if (!arguments.named.empty()) refuse("get() takes no named arguments");
  const Bound a("get", arguments, {"key", "default"}, 1);
  const Value* found = self.as_dict().find(budget, a[0]);
  return found ? *found : a.value(1, Value::none());
}

const Methods kListMethods = {{"count", count_items}, {"index", index_of_item}, {"copy", copy}};
const Methods kTupleMethods =  // and of a range
    {{"count", count_items}, {"index", index_of_item}};
const Methods kDictMethods = {
    {"get", get},
    {"items", view<Sequence::Kind::items>},
    {"keys", view<Sequence::Kind::keys>},
    {"values", view<Sequence::Kind::values>},
    {"copy", copy},
};

// Python's other methods: those that change a list or dict, and those of texts that are not here.
constexpr std::string_view kChanging[] = {"append", "clear",  "pop",     "reverse",    "insert", "sort",
                                          "extend", "remove", "popitem", "setdefault", "update"};
constexpr std::string_view kMissing[] = {"casefold",  "encode",       "expandtabs",  "format_map",
                                         "isascii",   "isidentifier", "isprintable", "istitle",
                                         "maketrans", "translate"};
template <class Names>
bool names(const Names& all, std::string_view name) {
  return std::find(std::begin(all), std::end(all), name) != std::end(all);
}

bool changes(const Value& of, std::string_view name) {
  constexpr std::string_view kOfDicts[] = {"clear", "pop", "popitem", "setdefault", "update"};
  constexpr std::string_view kOnlyDicts[] = {"popitem", "setdefault", "update"};
  if (of.is(Value::Kind::dict)) return names(kOfDicts, name);
  return of.is(Value::Kind::sequence) && of.as_sequence().kind == Sequence::Kind::list &&
         names(kChanging, name) && !names(kOnlyDicts, name);
}

}  // namespace

std::optional<Value> method_of(Budget& budget, const Value& of, std::string_view name) {
  const Methods* methods = nullptr;
  if (of.is_text()) methods = &methods_of_texts();
  if (of.is(Value::Kind::dict)) methods = &kDictMethods;
  if (of.is(Value::Kind::sequence)) {
    if (of.as_sequence().kind == Sequence::Kind::list)
      methods = &kListMethods;
    else if (of.as_sequence().has_items())
      methods = &kTupleMethods;
  }
  if (!methods) return std::nullopt;
  if (const auto found = methods->find(name); found != methods->end()) {
    auto method = std::make_shared<BoundMethod>(of, found->second);
    budget.check_depth(method->depth());
    return Value::object(std::move(method));
  }
  if (changes(of, name))
    return Value::undefined(fmt::format(
        "{}() would change a {}, and templates can change nothing but namespaces", name, of.type_name()));
  if (of.is_text() && names(kMissing, name)) refuse("the method {}() of texts is not supported", name);
  return std::nullopt;
}

}  // namespace glossa::jinja
