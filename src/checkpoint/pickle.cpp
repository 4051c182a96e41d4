#include "checkpoint/pickle.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/error.h"
#include "checkpoint/pickle_names.h"

namespace glossa {

double Pickle::real(Value v) const {
  return std::bit_cast<double>(nodes_[v].payload);
}

std::string_view Pickle::text(Value v) const {
  const Node& node = nodes_[v];
  if (node.kind < Kind::text || node.kind > Kind::global) return {};
  return {reinterpret_cast<const char*>(node.payload), node.size};
}

std::span<const Pickle::Value> Pickle::items(Value v) const {
  const Node& node = nodes_[v];
  if (node.kind < Kind::tuple) return {};
  return items_[node.payload];
}

std::string_view name_of(Pickle::Kind kind) {
  constexpr std::string_view kNames[] = {"None",    "a truth value", "a whole number", "a number",
                                         "a text",  "bytes",         "a whole number", "a global",
                                         "a tuple", "a list",        "a dict",         "a set",
                                         "a call",  "an instance",   "a persistent id"};
  return kNames[static_cast<int>(kind)];
}

class PickleReader {
  using Kind = Pickle::Kind;
  using Value = Pickle::Value;

 public:
  PickleReader(Bytes code, std::string_view origin, const Limits& limits)
      : code_(as_text(code)), origin_(origin), limits_(limits) {
    result_.items_.emplace_back();  // of everything that is empty
    for (const Kind kind : {Kind::none, Kind::tuple, Kind::boolean, Kind::boolean})
      result_.nodes_.push_back({kind});
    result_.nodes_[kTrue].payload = 1;
  }

  Pickle read() {
    if (code_.starts_with('\x80')) {
      opcode_at_ = 0, at_ = 1;
      const unsigned protocol = byte();
      if (protocol < 2 || protocol > 5) refuse("protocol {}: 2 to 5 are read", protocol);
    }
    while (step()) {
    }
    if (at_ != code_.size()) refuse("{} bytes after STOP", code_.size() - at_);
    if (stack_.size() != 1 || !marks_.empty())
      refuse("STOP with {} values and {} marks on the stack, and one value must be", stack_.size(),
             marks_.size());
    result_.root_ = stack_[0];
    check_nesting();
    return std::move(result_);
  }

 private:
  static constexpr Value kNone = 0, kEmptyTuple = 1, kFalse = 2, kTrue = 3, kAbsent = UINT32_MAX;

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::torch_file, "{}: byte {}: {}", origin_, opcode_at_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  // ---- the bytes ----

  std::string_view take(std::uint64_t size) {
    if (size > code_.size() - at_)
      refuse("{} bytes are needed here, and {} are left", size, code_.size() - at_);
    const std::string_view bytes = code_.substr(at_, static_cast<std::size_t>(size));
    at_ += bytes.size();
    return bytes;
  }
  unsigned byte() { return static_cast<unsigned char>(take(1)[0]); }
  std::uint64_t number(std::size_t size) {  // little-endian
    std::uint64_t value = 0;
    const std::string_view bytes = take(size);
    for (std::size_t i = 0; i < size; ++i)
      value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
    return value;
  }
  std::string_view line() {
    const std::size_t end = code_.substr(at_, limits_.name_bytes + 1).find('\n');
    if (end == std::string_view::npos) refuse("no end of line within {} bytes", limits_.name_bytes);
    const std::string_view text = take(end);
    take(1);
    return text;
  }

  // ---- the stack ----

  void count() {
    check(++count_ <= limits_.pickle_values, Code::count, "{}: byte {}: more than the {} values allowed",
          origin_, opcode_at_, limits_.pickle_values);
  }
  void push(Value value) {
    count();
    stack_.push_back(value);
  }
  void mark() {
    count();
    marks_.push_back(stack_.size());
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Value pop() {
    const Value value = top();
    stack_.pop_back();
    return value;
  }
  Value top() const {
    if (stack_.size() <= floor())
      refuse("no value on the stack{}", marks_.empty() ? "" : " above the last mark");
    return stack_.back();
  }
  // The values above the last mark, which is taken away with them.
  std::vector<Value> pop_to_mark() {
    if (marks_.empty()) refuse("no mark on the stack");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Value> values(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return values;
  }

  // ---- making values ----

  Value make(Pickle::Node node) {
    result_.nodes_.push_back(node);
    return static_cast<Value>(result_.nodes_.size() - 1);
  }
  Value make(Kind kind, std::vector<Value> items) {
    if (items.empty()) return make({kind});
    result_.items_.push_back(std::move(items));
    return make({kind, 0, result_.items_.size() - 1});
  }
  Value make_integer(std::int64_t value) {
    return make({Kind::integer, 0, static_cast<std::uint64_t>(value)});
  }
  Value make_text(Kind kind, std::uint64_t size) {
    const std::string_view text = take(size);
    if (text.size() > UINT32_MAX) refuse("{} of {} bytes", name_of(kind), text.size());
    return make_text(kind, text);
  }
  Value make_text(Kind kind, std::string_view text) {
    return make(
        {kind, static_cast<std::uint32_t>(text.size()), reinterpret_cast<std::uintptr_t>(text.data())});
  }
  Value make_long(std::uint64_t size) {
    if (size > 8) return make_text(Kind::huge, size);
    if (size == 0) return make_integer(0);
    const auto unused = static_cast<int>(64 - 8 * size);
    return make_integer(static_cast<std::int64_t>(number(static_cast<std::size_t>(size)) << unused) >>
                        unused);
  }
  Value make_real() {
    std::uint64_t bits = 0;  // big-endian, alone in this format
    for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
    return make({Kind::real, 0, bits});
  }
  Value make_global(std::string_view module, std::string_view name) {
    if (module.empty() || name.empty() || module.size() + name.size() > limits_.name_bytes)
      refuse("global {}.{}", quoted(module), quoted(name));
    return make_text(Kind::global, result_.names_.emplace_back(fmt::format("{}.{}", module, name)));
  }
  void append(Value container, const std::vector<Value>& values) {
    if (values.empty()) return;
    Pickle::Node& node = result_.nodes_[container];
    if (node.payload == 0) {
      result_.items_.emplace_back();
      node.payload = result_.items_.size() - 1;
    }
    auto& items = result_.items_[node.payload];
    items.insert(items.end(), values.begin(), values.end());
  }

  // ---- opcodes that do more than make a value ----

  // Adds to a container of `kind`, or to an instance, which keeps nothing.
  void add(Kind kind, std::string_view opcode, const std::vector<Value>& values) {
    const Value container = top();
    const Kind found = result_.kind(container);
    if (found == Kind::instance) return;
    if (found != kind) refuse("{} on {}; only {} is allowed", opcode, name_of(found), name_of(kind));
    append(container, values);
  }

  void add_pairs(std::string_view opcode, const std::vector<Value>& values) {
    if (values.size() % 2 != 0) refuse("{} with a key that has no value", opcode);
    add(Kind::dict, opcode, values);
  }

  std::string_view global_of(Value value, std::string_view opcode) const {
    if (result_.kind(value) != Kind::global)
      refuse("{} of {}; a global must be", opcode, name_of(result_.kind(value)));
    return result_.text(value);
  }

  void reduce() {
    const Value arguments = pop(), function = pop();
    const std::string_view name = global_of(function, "REDUCE");
    const PickleCallable* const callable = pickle_callable(name);
    if (!callable)
      refuse("global {} is not allowed to be called, and nothing that a file names is ever run",
             printable(name));
    if (result_.kind(arguments) != Kind::tuple)
      refuse("REDUCE of {} with {}", name, name_of(result_.kind(arguments)));
    const std::size_t count = result_.items(arguments).size();
    if (count < callable->least || count > callable->most)
      refuse("{} with {} arguments; it takes {}", name, count,
             callable->least == callable->most ? std::to_string(callable->least)
                                               : fmt::format("{} to {}", callable->least, callable->most));
    push(callable->result == PickleCallable::dict ? make(Kind::dict, {})
                                                  : make(Kind::call, {function, arguments}));
  }

  void new_instance(std::string_view opcode, Value arguments, Value cls) {
    global_of(cls, opcode);
    if (result_.kind(arguments) != Kind::tuple)
      refuse("{} with {}", opcode, name_of(result_.kind(arguments)));
    push(make(Kind::instance, {cls, arguments}));
  }

  // Attributes of an object. Those of a dict (the versions of modules, in state dicts) and of instances are
  // left out.
  void build() {
    const Value state = pop(), object = top();
    const Kind kind = result_.kind(object);
    if (kind == Kind::instance) return;
    if (kind == Kind::dict) {
      if (result_.kind(state) != Kind::dict) refuse("BUILD of a dict with {}", name_of(result_.kind(state)));
      return;
    }
    if (kind != Kind::call) refuse("BUILD on {}", name_of(kind));
    const std::string_view name = result_.text(result_.items(object)[0]);
    if (pickle_callable(name)->result == PickleCallable::tensor) refuse("BUILD on a tensor");
  }

  void put(std::uint64_t index) {
    if (index >= limits_.pickle_memo)
      refuse("memo {}: {} is the last that is allowed", index, limits_.pickle_memo - 1);
    const Value value = top();
    if (index >= memo_.size()) memo_.resize(static_cast<std::size_t>(index) + 1, kAbsent);
    memo_count_ += memo_[index] == kAbsent;
    memo_[index] = value;
  }
  Value get(std::uint64_t index) const {
    if (index >= memo_.size() || memo_[index] == kAbsent) refuse("memo {} was never set", index);
    return memo_[index];
  }

  void stack_global() {
    const Value name = pop(), module = pop();
    if (result_.kind(name) != Kind::text || result_.kind(module) != Kind::text)
      refuse("STACK_GLOBAL of {} and {}; texts must be", name_of(result_.kind(module)),
             name_of(result_.kind(name)));
    push(make_global(result_.text(module), result_.text(name)));
  }

  void tuple_of(int count) {
    std::vector<Value> items(static_cast<std::size_t>(count));
    for (auto it = items.rbegin(); it != items.rend(); ++it) *it = pop();
    push(make(Kind::tuple, std::move(items)));
  }

  static std::string printable(std::string_view name) {
    const std::string safe = quoted(name);
    return safe.size() == name.size() + 2 ? std::string(name) : safe;
  }

  // False after STOP.
  bool step() {
    opcode_at_ = at_;
    if (at_ == code_.size()) refuse("the pickle ends without STOP");
    const unsigned opcode = byte();
    // clang-format off
    switch (opcode) {
      case '.': return false;
      case '(': mark(); break;
      case 'N': push(kNone); break;
      case 0x88: push(kTrue); break;
      case 0x89: push(kFalse); break;
      case 'I': push(boolean()); break;
      case 'L': push(decimal()); break;
      case 'K': push(make_integer(byte())); break;
      case 'M': push(make_integer(static_cast<std::int64_t>(number(2)))); break;
      case 'J': push(make_long(4)); break;
      case 0x8A: push(make_long(byte())); break;
      case 0x8B: push(make_long(number(4))); break;
      case 'G': push(make_real()); break;
      case 'X': push(make_text(Kind::text, number(4))); break;
      case 0x8C: push(make_text(Kind::text, byte())); break;
      case 0x8D: push(make_text(Kind::text, number(8))); break;
      case 'B': push(make_text(Kind::bytes, number(4))); break;
      case 'C': push(make_text(Kind::bytes, byte())); break;
      case 0x8E:
      case 0x96: push(make_text(Kind::bytes, number(8))); break;
      case ')': push(kEmptyTuple); break;
      case 't': push(make(Kind::tuple, pop_to_mark())); break;
      case 0x85:
      case 0x86:
      case 0x87: tuple_of(static_cast<int>(opcode) - 0x84); break;
      case ']': push(make(Kind::list, {})); break;
      case 'a': append_one(); break;
      case 'e': add(Kind::list, "APPENDS", pop_to_mark()); break;
      case '}': push(make(Kind::dict, {})); break;
      case 's': set_one(); break;
      case 'u': add_pairs("SETITEMS", pop_to_mark()); break;
      case 0x8F: push(make(Kind::set, {})); break;
      case 0x90: add(Kind::set, "ADDITEMS", pop_to_mark()); break;
      case 0x91: push(make(Kind::set, pop_to_mark())); break;
      case 'c': global(); break;
      case 0x93: stack_global(); break;
      case 'R': reduce(); break;
      case 0x81: new_object(); break;
      case 0x92: new_object_with_names(); break;
      case 'b': build(); break;
      case 'Q': push(make(Kind::persistent, {pop()})); break;
      case 'q': put(byte()); break;
      case 'r': put(number(4)); break;
      case 0x94: put(memo_count_); break;
      case 'h': push(get(byte())); break;
      case 'j': push(get(number(4))); break;
      case 0x95: frame(); break;
      default: refuse_opcode(static_cast<unsigned char>(opcode));
    }
    // clang-format on
    return true;
  }

  Value boolean() {
    const std::string_view digits = line();
    if (digits != "00" && digits != "01")
      refuse("INT {}: only truth values are written so", quoted(digits, 40));
    return digits == "01" ? kTrue : kFalse;
  }
  // How protocol 1 writes numbers beyond 32 bits.
  Value decimal() {
    const std::string_view digits = line();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.size() < 2 || end != &digits.back() || *end != 'L') refuse("LONG {}", quoted(digits, 40));
    return error == std::errc() ? make_integer(value) : make_text(Kind::huge, digits);
  }
  void global() {
    const std::string_view module = line();
    push(make_global(module, line()));
  }
  void append_one() {
    const Value value = pop();
    add(Kind::list, "APPEND", {value});
  }
  void set_one() {
    const Value value = pop(), key = pop();
    add_pairs("SETITEM", {key, value});
  }
  void new_object() {
    const Value arguments = pop();
    new_instance("NEWOBJ", arguments, pop());
  }
  void new_object_with_names() {
    if (const Value names = pop(); result_.kind(names) != Kind::dict)
      refuse("NEWOBJ_EX with {} for named arguments", name_of(result_.kind(names)));
    const Value arguments = pop();
    new_instance("NEWOBJ_EX", arguments, pop());
  }
  void frame() {
    const std::uint64_t size = number(8);
    if (size > code_.size() - at_) refuse("a frame of {} bytes, and {} are left", size, code_.size() - at_);
  }
  [[noreturn]] void refuse_opcode(unsigned char opcode) const {
    const std::string_view name = refused_pickle_opcode(opcode);
    if (name.empty()) refuse("{:#04x} is no opcode", opcode);
    refuse("opcode {} ({:#04x}) is not allowed: plain values do not need it", name, opcode);
  }

  // Walks the graph from its root, and refuses cycles and what nests too deep. A value that many hold is
  // walked once: its height is kept.
  void check_nesting() const {
    constexpr std::uint8_t kOpen = UINT8_MAX;                    // on the way from the root to here
    std::vector<std::uint8_t> height(result_.nodes_.size(), 0);  // 1 for a leaf; 0: not yet seen
    struct Step {
      Value value;
      std::size_t next = 0;  // of its items
    };
    std::vector<Step> path{{result_.root_}};
    height[result_.root_] = kOpen;
    const auto most = static_cast<std::size_t>(std::clamp(limits_.pickle_depth, 1, kOpen - 1));
    while (!path.empty()) {
      Step& step = path.back();
      const auto items = result_.items(step.value);
      if (step.next == items.size()) {
        std::uint8_t tallest = 0;
        for (const Value item : items) tallest = std::max(tallest, height[item]);
        height[step.value] = static_cast<std::uint8_t>(tallest + 1);
        path.pop_back();
        continue;
      }
      const Value item = items[step.next++];
      check(height[item] != kOpen, Code::torch_file, "{}: a value contains itself", origin_);
      const std::size_t depth = path.size() + std::max<std::size_t>(height[item], 1);
      check(depth <= most, Code::torch_file, "{}: nesting > {}", origin_, most);
      if (height[item] != 0) continue;
      height[item] = kOpen;
      path.push_back({item});
    }
  }

  std::string_view code_, origin_;
  const Limits& limits_;
  std::size_t at_ = 0, opcode_at_ = 0;
  std::uint64_t count_ = 0, memo_count_ = 0;
  std::vector<Value> stack_;
  std::vector<std::size_t> marks_;  // sizes of the stack where marks were set
  std::vector<Value> memo_;
  Pickle result_;
};

Pickle parse_pickle(Bytes code, std::string_view origin, const Limits& limits) {
  return PickleReader(code, origin, limits).read();
}

}  // namespace glossa
