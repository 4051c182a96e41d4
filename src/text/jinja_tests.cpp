#include <algorithm>
#include <vector>

#include "text/jinja_filters.h"
#include "text/jinja_operators.h"
#include "text/jinja_print.h"
#include "text/jinja_strings.h"

namespace glossa::jinja {
namespace {

using Kind = Value::Kind;

void no_arguments(const Arguments& arguments) {
  const Bound none("the test", arguments, {});
}

template <bool (*Is)(const Value&)>
bool plain(Budget&, const Value& value, const Arguments& arguments) {
  no_arguments(arguments);
  return Is(value);
}

template <Operator Op>
bool compared(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("the test", arguments, {"other"}, 1);
  return compare(budget, Op, value, a[0]);
}

Value rest(Budget& budget, const Value& value, const Value& divisor) {
  return apply(budget, Operator::modulo, value, divisor);
}

template <bool Odd>
bool parity(Budget& budget, const Value& value, const Arguments& arguments) {
  no_arguments(arguments);
  return equal(budget, rest(budget, value, Value::integer(2)), Value::integer(Odd ? 1 : 0));
}

bool divisible_by(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("divisibleby", arguments, {"num"}, 1);
  return equal(budget, rest(budget, value, a[0]), Value::integer(0));
}

template <bool (*Is)(std::string_view)>
bool cased(Budget& budget, const Value& value, const Arguments& arguments) {
  no_arguments(arguments);
  return Is(printed(budget, value));
}

// Lists, dicts and objects are the same if they are one; of what has no place, equal values of one type are.
bool same_as(Budget& budget, const Value& value, const Arguments& arguments) {
  const Bound a("sameas", arguments, {"other"}, 1);
  if (value.kind() != a[0].kind()) return false;
  return value.identity() ? value.identity() == a[0].identity() : equal(budget, value, a[0]);
}

bool is_defined(const Value& v) {
  return !v.is_undefined();
}
bool is_undefined(const Value& v) {
  return v.is_undefined();
}
bool is_none(const Value& v) {
  return v.is_none();
}
bool is_boolean(const Value& v) {
  return v.is(Kind::boolean);
}
bool is_true(const Value& v) {
  return v.is(Kind::boolean) && v.as_boolean();
}
bool is_false(const Value& v) {
  return v.is(Kind::boolean) && !v.as_boolean();
}
bool is_integer(const Value& v) {
  return v.is(Kind::integer);
}
bool is_real(const Value& v) {
  return v.is(Kind::real);
}
bool is_number_value(const Value& v) {
  return v.is_number();
}
bool is_string(const Value& v) {
  return v.is_text();
}
bool is_mapping(const Value& v) {
  return v.is(Kind::dict);
}
bool is_callable(const Value& v) {
  return v.is_undefined() || (v.is(Kind::object) && v.as_object().callable());
}
bool is_escaped(const Value& v) {
  return v.is_text() && v.as_text().safe;
}
bool is_sequence(const Value& v) {
  return v.is_undefined() || v.is_text() || v.is(Kind::dict) ||
         (v.is(Kind::sequence) && v.as_sequence().has_items());
}

template <class Table>
bool has(const Table& table, const Value& name) {
  if (name.is(Kind::dict) || (name.is(Kind::sequence) && name.as_sequence().kind == Sequence::Kind::list))
    refuse("a {} is no name", name.type_name());
  return name.is_text() && table.contains(name.bytes());
}

const std::map<std::string_view, Test>& tests() {
  static const std::map<std::string_view, Test> kTests = {
      {"defined", plain<is_defined>},
      {"undefined", plain<is_undefined>},
      {"none", plain<is_none>},
      {"boolean", plain<is_boolean>},
      {"true", plain<is_true>},
      {"false", plain<is_false>},
      {"integer", plain<is_integer>},
      {"float", plain<is_real>},
      {"number", plain<is_number_value>},
      {"string", plain<is_string>},
      {"mapping", plain<is_mapping>},
      {"iterable", plain<is_iterable>},
      {"sequence", plain<is_sequence>},
      {"callable", plain<is_callable>},
      {"escaped", plain<is_escaped>},
      {"lower", cased<is_lower_cased>},
      {"upper", cased<is_upper_cased>},
      {"odd", parity<true>},
      {"even", parity<false>},
      {"divisibleby", divisible_by},
      {"sameas", same_as},
      {"in", compared<Operator::in>},
      {"==", compared<Operator::equal>},
      {"eq", compared<Operator::equal>},
      {"equalto", compared<Operator::equal>},
      {"!=", compared<Operator::not_equal>},
      {"ne", compared<Operator::not_equal>},
      {">", compared<Operator::greater>},
      {"gt", compared<Operator::greater>},
      {"greaterthan", compared<Operator::greater>},
      {">=", compared<Operator::greater_equal>},
      {"ge", compared<Operator::greater_equal>},
      {"<", compared<Operator::less>},
      {"lt", compared<Operator::less>},
      {"lessthan", compared<Operator::less>},
      {"<=", compared<Operator::less_equal>},
      {"le", compared<Operator::less_equal>},
      {"filter",
       [](Budget&, const Value& v, const Arguments& arguments) {
         no_arguments(arguments);
         return has(filters_of_texts(), v) || has(filters_of_lists(), v) || has(filters_of_numbers(), v);
       }},
      {"test",
       [](Budget&, const Value& v, const Arguments& arguments) {
         no_arguments(arguments);
         return has(tests(), v);
       }},
  };
  return kTests;
}

template <class Table>
[[noreturn]] void refuse_name(std::string_view what, std::string_view name,
                              std::initializer_list<const Table*> tables) {
  std::vector<std::string_view> known;
  for (const Table* table : tables)
    for (const auto& entry : *table) known.push_back(entry.first);
  const std::string near = closest(name, known);
  refuse("there is no {} {}{}; there are {}", what, quoted(name),
         near.empty() ? "" : fmt::format(" (did you mean {}?)", near), fmt::join(known, ", "));
}

}  // namespace

Test test_of(std::string_view name) {
  const auto found = tests().find(name);
  if (found == tests().end()) refuse_name("test", name, {&tests()});
  return found->second;
}

Filter filter_of(std::string_view name) {
  const auto tables = {&filters_of_texts(), &filters_of_lists(), &filters_of_numbers()};
  for (const auto* table : tables)
    if (const auto found = table->find(name); found != table->end()) return found->second;
  refuse_name("filter", name, tables);
}

}  // namespace glossa::jinja
