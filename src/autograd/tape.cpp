#include "autograd/tape.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace glossa {
namespace {
thread_local Tape* current_tape = nullptr;
std::atomic<std::int64_t> tapes{0};

constexpr int kSerialShift = 32;

bool in_training(const Tensor& x) {
  const Leaf* leaf = x.storage()->leaf.get();
  return leaf && leaf->trainable;
}

// As a matrix of evenly spaced rows, which is what kernels want: heads of a part of a product are not.
Tensor by_rows(const Tensor& x) {
  if (x.dense() || x.elements() == 0) return x;
  return x.view({x.size(0), x.elements() / x.size(0)});
}

}  // namespace

Tape::Tape(const Options& options)
    : options_(options), outer_(current_tape), serial_(tapes++ & 0x7FFFFFFF) {
  current_tape = this;
}

Tape::~Tape() {
  current_tape = outer_;
  while (!entries_.empty()) entries_.pop_back();  // latest first, as memory was taken
}

Tape* Tape::current() { return current_tape; }

int Tape::new_slot(Slot slot) {
  slot.elements = slot.shape.elements();
  slots_.push_back(std::move(slot));
  return static_cast<int>(slots_.size()) - 1;
}

int Tape::new_slot(const Tensor& x) {
  return new_slot({.shape = x.shape(), .offset = x.offset(), .dtype = x.dtype(), .device = x.device()});
}

int Tape::index_of(const Tensor& x) const {
  return x.slot() >> kSerialShift == serial_ ? static_cast<int>(x.slot() & 0x7FFFFFFF) : -1;
}

bool Tape::knows(const Tensor& x) const { return x && (index_of(x) >= 0 || in_training(x)); }

int Tape::slot_of(const Tensor& x) {
  if (!x) return -1;
  if (const int index = index_of(x); index >= 0) {
    check(!slots_[index].walked, Code::internal, "a tensor of shape {} is used after backward() passed its record",
          to_string(x.shape()));
    return index;
  }
  if (!in_training(x)) return -1;
  Leaf* leaf = x.storage()->leaf.get();
  const auto [it, made] = leaves_.try_emplace(leaf, 0);
  if (made) {
    // The whole parameter, of which x may be a part: parameters fill their storage from its beginning.
    it->second = new_slot({.shape = leaf->shape, .dtype = leaf->dtype, .device = leaf->device, .leaf = leaf});
  }
  return it->second;
}

void Tape::watch(Tensor& x) {
  int index = index_of(x);
  check(x.dense() && (index < 0 || x.elements() == slots_[index].elements), Code::shape,
        "only whole and dense tensors can be watched, not a part of shape {}", to_string(x.shape()));
  if (index < 0) {
    index = new_slot(x);
    x.set_slot(serial_ << kSerialShift | index);
  }
  slots_[index].kept = true;
}

Tensor Tape::gradient(const Tensor& watched) const {
  const int index = index_of(watched);
  check(index >= 0 && slots_[index].kept, Code::shape, "the gradient of a tensor that was not watched");
  return slots_[index].gradient;
}

// The memory of the slot's gradient; `empty` tells that nothing was written there yet.
Tensor Tape::base_gradient(Slot& slot, bool& empty) {
  Tensor& gradient = gradient_of(slot);
  empty = !gradient;
  if (empty) {
    gradient = Tensor::empty(slot.shape, slot.dtype, slot.device);
  } else if (gradient.storage().use_count() > 1) {  // adopted from a neighbour that still reads it
    Tensor own = Tensor::empty(slot.shape, slot.dtype, slot.device);
    Backend::of(slot.device).copy(gradient, own);
    gradient = own;
  }
  return gradient;
}

Grads::Slot Grads::operator[](int input) {
  return {tape_, static_cast<int>(places_[input].slot()), &places_[input]};
}

Grads::Into Grads::Slot::into() {
  Tape::Slot& slot = tape_.slots_[slot_];
  bool empty = false;
  Tensor base = tape_.base_gradient(slot, empty);
  if (empty && place_->elements() != slot.elements) {  // a part only: the rest must read as zero
    Backend::of(slot.device).fill(base, 0);
    empty = false;
  }
  return {place_->placed_in(base, slot.offset), !empty};
}

Tensor Grads::Slot::into_sum() {
  Tape::Slot& slot = tape_.slots_[slot_];
  bool empty = false;
  Tensor base = tape_.base_gradient(slot, empty);
  if (empty) Backend::of(slot.device).fill(base, 0);
  return place_->placed_in(base, slot.offset);
}

std::vector<Grads::Into> Grads::into_parts(std::initializer_list<int> inputs) {
  std::unordered_map<std::int64_t, std::int64_t> covered;
  for (int i : inputs) covered[places_[i].slot()] += places_[i].elements();
  // Inputs that are one tensor, as keys and values may be, are no parts: they are cleared and added to.
  for (int i : inputs)
    for (int j : inputs)
      if (i < j && places_[i].slot() == places_[j].slot() && places_[i].offset() == places_[j].offset())
        covered[places_[i].slot()] = -1;
  std::unordered_map<std::int64_t, Into> bases;
  std::vector<Into> parts;
  for (int i : inputs) {
    const Tensor& place = places_[i];
    if (place.slot() < 0) {
      parts.push_back({});
      continue;
    }
    Tape::Slot& slot = tape_.slots_[place.slot()];
    auto it = bases.find(place.slot());
    if (it == bases.end()) {
      bool empty = false;
      Tensor base = tape_.base_gradient(slot, empty);
      if (empty && covered[place.slot()] != slot.elements) {
        Backend::of(slot.device).fill(base, 0);
        empty = false;
      }
      it = bases.emplace(place.slot(), Into{base, !empty}).first;
    }
    parts.push_back({place.placed_in(it->second.out, slot.offset), it->second.add});
  }
  return parts;
}

void Grads::Slot::operator+=(const Tensor& g) {
  Tape::Slot& slot = tape_.slots_[slot_];
  check(g.elements() == place_->elements(), Code::internal, "a gradient of shape {} for a tensor of shape {}",
        to_string(g.shape()), to_string(place_->shape()));
  if (Tensor& gradient = Tape::gradient_of(slot); !gradient && g.elements() == slot.elements && g.dense()) {
    gradient = g.view(slot.shape).detach();
    return;
  }
  const Into target = into();
  Tensor out = by_rows(target.out);
  Backend& backend = Backend::of(slot.device);
  const Tensor same = g.shape() == out.shape() ? g : g.view(out.shape());
  if (target.add)
    backend.add(out, same, out);
  else
    backend.copy(same, out);
}

void Tape::backward(const Tensor& loss, double seed) {
  check(loss.elements() == 1, Code::shape, "backward() of a tensor of shape {}; only one number has a gradient",
        to_string(loss.shape()));
  Tensor dy = Tensor::empty(loss.shape(), loss.dtype(), loss.device());
  Backend::of(loss.device()).fill(dy, seed);
  backward_from(loss, dy);
}

void Tape::backward_from(const Tensor& y, const Tensor& dy) {
  check(index_of(y) >= 0, Code::shape, "backward() of a tensor that this tape did not record");
  check(dy.shape() == y.shape(), Code::shape, "backward() of shape {} with a gradient of shape {}", to_string(y.shape()),
        to_string(dy.shape()));
  std::vector<Tensor> place{y.place()};
  place[0].set_slot(slot_of(y));
  Grads(*this, place)[0] += dy;
  // The walk itself is not recorded.
  struct Pause {
    Tape* before = std::exchange(current_tape, nullptr);
    ~Pause() { current_tape = before; }
  } pause;
  while (!entries_.empty()) {
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    Slot& slot = slots_[entry.output];
    slot.walked = true;
    const Tensor incoming = slot.kept ? slot.gradient : std::exchange(slot.gradient, Tensor());
    if (!incoming) continue;  // nothing downstream depends on it
    Grads grads(*this, entry.places);
    entry.backward(incoming, grads);
  }
}

Dropout Tape::next_dropout(float p) {
  if (p <= 0 || options_.mode == Mode::evaluate) return {};
  return {p, options_.seed, options_.step << 20 | dropouts_++};
}

Dropout current_dropout(float p) {
  check(p >= 0 && p < 1, Code::bad_value, "a dropout probability must lie in [0, 1), not {}", p);
  return current_tape ? current_tape->next_dropout(p) : Dropout{};
}

bool recording(std::initializer_list<Tensor> inputs) {
  return current_tape && std::any_of(inputs.begin(), inputs.end(), [](const Tensor& x) { return current_tape->knows(x); });
}

void refuse_gradient(std::string_view op, std::initializer_list<Tensor> inputs) {
  check(!recording(inputs), Code::internal, "{} has no gradient, and one would be needed here", op);
}

Tensor Tape::record(std::string_view op, Tensor y, std::span<const Tensor> inputs, Backward backward) {
  check(y.dense(), Code::internal, "{} gave a strided view of shape {} as its result", op, to_string(y.shape()));
  Entry entry{op, -1, {}, std::move(backward)};
  entry.places.reserve(inputs.size());
  for (const Tensor& x : inputs) {
    Tensor place = x ? x.place() : Tensor();
    place.set_slot(slot_of(x));
    entry.places.push_back(std::move(place));
  }
  entry.output = new_slot(y);
  y.set_slot(serial_ << kSerialShift | entry.output);
  entries_.push_back(std::move(entry));
  return y;
}

Tensor recorded(std::string_view op, Tensor y, std::initializer_list<Tensor> inputs, Backward backward) {
  if (!recording(inputs)) return y;
  return current_tape->record(op, std::move(y), inputs, std::move(backward));
}

}  // namespace glossa
