#include "text/jinja_functions.h"

#include <array>
#include <ctime>
#include <functional>

#include "text/jinja_print.h"

namespace glossa::jinja {
namespace {

using Function = Value (*)(Budget&, const Arguments&);

class PlainFunction final : public Object {
 public:
  explicit PlainFunction(Function function) : function_(function) {}
  std::string_view type_name() const override { return "function"; }
  bool callable() const override { return true; }
  Value call(Budget& budget, const Arguments& arguments) override { return function_(budget, arguments); }

 private:
  const Function function_;
};

// range(stop), range(start, stop), range(start, stop, step).
Value range(Budget& budget, const Arguments& arguments) {
  const auto& given = arguments.positional;
  if (!arguments.named.empty() || given.empty() || given.size() > 3)
    refuse("range() takes one to three numbers");
  std::array<std::int64_t, 3> n{0, 0, 1};
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i].is_undefined()) given[i].refuse_undefined();
    if (!given[i].is_whole()) refuse("range() needs whole numbers, not a {}", given[i].type_name());
    n[given.size() == 1 ? 1 : i] = given[i].as_integer();
  }
  const auto [start, stop, step] = n;
  if (step == 0) refuse("range() with a step of zero");
  const __int128 distance = step > 0 ? __int128(stop) - start : __int128(start) - stop;
  const __int128 width = step > 0 ? __int128(step) : -__int128(step);
  const __int128 count = distance <= 0 ? 0 : (distance + width - 1) / width;
  check(count <= static_cast<__int128>(budget.limits().range), Code::count,
        "template exceeded {} numbers of one range()", budget.limits().range);
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(count); ++i)
    items.push_back(Value::integer(start + i * step));
  return Value::sequence(make_sequence(budget, Sequence::Kind::range, std::move(items)));
}

// dict(mapping or pairs, name=value ...).
void fill(Budget& budget, std::string_view function, const Arguments& arguments,
          const std::function<void(const Value&, const Value&)>& put) {
  if (arguments.positional.size() > 1) refuse("{}() takes at most one value besides names", function);
  for (const Value& from : arguments.positional) {
    if (from.is(Value::Kind::dict)) {
      for (const auto& [key, value] : from.as_dict().members()) put(key, value);
      continue;
    }
    for (const Value& pair : elements(budget, from)) {
      const auto both = elements(budget, pair);
      if (both.size() != 2) refuse("{}() needs pairs of key and value", function);
      put(both[0], both[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) put(Value::constant(name), value);
}

Value dict(Budget& budget, const Arguments& arguments) {
  auto made = std::make_shared<Dict>();
  fill(budget, "dict", arguments,
       [&](const Value& key, const Value& value) { made->set(budget, key, value); });
  return Value::dict(std::move(made));
}

Value raise_exception(Budget& budget, const Arguments& arguments) {
  const Bound a("raise_exception", arguments, {"message"}, 1);
  // On one line, as every error.
  std::string message;
  for (const char c : printed(budget, a[0])) message += c == '\n' || c == '\r' ? ' ' : c;
  constexpr std::size_t kLongest = 2000;
  if (message.size() > kLongest) message.resize(kLongest);
  fail(Code::chat_template, "the template refuses the conversation: {}", message);
}

class Clock final : public Object {
 public:
  explicit Clock(std::optional<LocalTime> now) : now_(now) {}
  std::string_view type_name() const override { return "function"; }
  bool callable() const override { return true; }
  Value call(Budget& budget, const Arguments& arguments) override {
    const Bound a("strftime_now", arguments, {"format"}, 1);
    const std::string& format = a.text(0);
    if (format.empty()) return Value::text(budget, "");
    const std::tm time = broken_down();
    std::array<char, 1024> buffer;
    const std::size_t size = std::strftime(buffer.data(), buffer.size(), format.c_str(), &time);
    if (size == 0)
      refuse("strftime_now: nothing, or more than {} bytes, comes of {}", buffer.size(), quoted(format));
    return Value::text(budget, std::string(buffer.data(), size));
  }

 private:
  std::tm broken_down() const {
    std::tm time{};
    if (!now_) {
      const std::time_t seconds = std::time(nullptr);
      localtime_r(&seconds, &time);
      return time;
    }
    // As if the place were at Greenwich: the fields of the given local time.
    const std::time_t seconds = now_->time_since_epoch().count();
    gmtime_r(&seconds, &time);
    return time;
  }
  const std::optional<LocalTime> now_;
};

// joiner(sep): nothing at the first call, the separator at the others.
class Joiner final : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "joiner"; }
  bool callable() const override { return true; }
  int depth() const override { return separator_.depth() + 1; }
  Value call(Budget& budget, const Arguments& arguments) override {
    const Bound none("joiner", arguments, {});
    return std::exchange(used_, true) ? separator_ : Value::text(budget, "");
  }

 private:
  const Value separator_;
  bool used_ = false;
};

// cycler(a, b ...): .next(), .current and .reset().
class Cycler final : public Object {
 public:
  explicit Cycler(Value items) : turn_(std::make_shared<Turn>(Turn{std::move(items)})) {}
  std::string_view type_name() const override { return "cycler"; }
  int depth() const override { return turn_->items.depth() + 1; }
  Value attribute(Budget&, std::string_view name) override {
    if (name == "current") return turn_->items.as_sequence().items[turn_->at];
    if (name == "next") return Value::object(std::make_shared<Method>(turn_, false));
    if (name == "reset") return Value::object(std::make_shared<Method>(turn_, true));
    return {};
  }

 private:
  struct Turn {
    Value items;
    std::size_t at = 0;
  };
  class Method final : public Object {
   public:
    Method(std::shared_ptr<Turn> turn, bool resets) : turn_(std::move(turn)), resets_(resets) {}
    std::string_view type_name() const override { return "method"; }
    bool callable() const override { return true; }
    int depth() const override { return turn_->items.depth() + 1; }
    Value call(Budget&, const Arguments& arguments) override {
      const Bound none("the method of a cycler", arguments, {});
      const auto& items = turn_->items.as_sequence().items;
      if (resets_) return turn_->at = 0, Value::none();
      const Value& now = items[turn_->at];
      turn_->at = (turn_->at + 1) % items.size();
      return now;
    }

   private:
    const std::shared_ptr<Turn> turn_;
    const bool resets_;
  };
  const std::shared_ptr<Turn> turn_;
};

template <class T>
Value object(Budget& budget, std::shared_ptr<T> made) {
  budget.make(sizeof(T));
  budget.check_depth(made->depth());
  return Value::object(std::move(made));
}

Value make_joiner(Budget& budget, const Arguments& arguments) {
  const Bound a("joiner", arguments, {"sep"});
  return object(budget, std::make_shared<Joiner>(a.value(0, Value::constant(", "))));
}

Value make_cycler(Budget& budget, const Arguments& arguments) {
  if (arguments.positional.empty() || !arguments.named.empty())
    refuse("cycler() needs the values to go through");
  return object(budget, std::make_shared<Cycler>(Value::tuple(budget, arguments.positional)));
}

}  // namespace

std::string Namespace::printed(Budget& budget) const {
  const Level level(budget);
  std::string out = "<Namespace {";
  for (std::size_t i = 0; i < attributes_.size(); ++i) {
    const auto& [key, value] = attributes_.members()[i];
    out += fmt::format("{}{}: ", i ? ", " : "", represented(budget, key));
    out += represented(budget, value);
  }
  return out + "}>";
}

Value Namespace::attribute(Budget&, std::string_view name) {
  const Value* found = attributes_.find(name);
  return found ? *found : Value();
}

void Namespace::set(Budget& budget, std::string_view name, Value value) {
  if (name.starts_with('_'))
    refuse("a namespace takes no attribute that begins with an underscore, as {}", quoted(name));
  attributes_.set(budget, name, std::move(value));
}

Value Namespaces::call(Budget& budget, const Arguments& arguments) {
  auto made = std::make_shared<Namespace>();
  budget.make(sizeof(Namespace));
  made_.push_back(made);
  fill(budget, "namespace", arguments, [&](const Value& key, const Value& value) {
    if (!key.is_text()) refuse("namespace() needs texts for names");
    made->set(budget, key.bytes(), value);
  });
  return Value::object(std::move(made));
}

void Namespaces::clear() {
  for (const auto& each : made_) each->clear();
  made_.clear();
}

std::vector<std::pair<std::string, Value>> functions(std::optional<LocalTime> now) {
  const auto plain = [](Function f) { return Value::object(std::make_shared<PlainFunction>(f)); };
  return {{"range", plain(range)},
          {"dict", plain(dict)},
          {"raise_exception", plain(raise_exception)},
          {"strftime_now", Value::object(std::make_shared<Clock>(now))},
          {"joiner", plain(make_joiner)},
          {"cycler", plain(make_cycler)}};
}

}  // namespace glossa::jinja
