// tape.h -- reverse-mode differentiation as a list of what happened.
#pragma once
#include <functional>
#include <initializer_list>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backend/backend.h"

namespace glossa {

// The gradient of a parameter. It outlives tapes and adds up until it is cleared. It has no memory before it is written:
// in training it takes what activations leave behind as the walk frees them.
struct Leaf {
  Shape shape;  // of the whole parameter
  DType dtype = DType::f32;
  Device device = {};
  bool trainable = true;
  Tensor gradient = {};  // dense, of that shape
};

class Tape;

// The gradients one op owes its inputs.
class Grads {
 public:
  struct Into {
    Tensor out;  // where to write, in the shape of the input
    bool add;    // whether something is there already
  };
  class Slot {
   public:
    explicit operator bool() const { return slot_ >= 0; }  // wanted?
    // Adopts `g` if it is the first, adds it otherwise. `g` may be the incoming gradient itself, if it is handed on last.
    void operator+=(const Tensor& g);
    Into into();       // for kernels that can either write or add
    Tensor into_sum();  // for kernels that only add: cleared if nothing is there yet

   private:
    friend class Grads;
    Slot(Tape& tape, int slot, const Tensor* place) : tape_(tape), slot_(slot), place_(place) {}
    Tape& tape_;
    int slot_;
    const Tensor* place_;
  };
  Slot operator[](int input);
  // The same for inputs that are disjoint parts of tensors, as queries, keys and values are of one product: what they
  // cover together need not be cleared first. Absent where nobody wants the gradient.
  std::vector<Into> into_parts(std::initializer_list<int> inputs);

 private:
  friend class Tape;
  Grads(Tape& tape, const std::vector<Tensor>& places) : tape_(tape), places_(places) {}
  Tape& tape_;
  const std::vector<Tensor>& places_;
};

using Backward = std::function<void(const Tensor& dy, Grads& dx)>;

// While a Tape lives, it is current on its thread and records every op whose inputs it knows. No tape, no gradients:
// inference is the same code run without one. Not thread-safe; tapes nest, the innermost is current.
class Tape {
 public:
  enum class Mode { train, evaluate };  // evaluate: gradients, but no dropout
  struct Options {
    Mode mode = Mode::train;
    std::uint64_t seed = 0;  // of dropout
    std::uint64_t step = 0;  // numbers the tape: no two tapes of a run share masks
  };
  Tape() : Tape(Options{}) {}
  explicit Tape(const Options& options);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;
  static Tape* current();

  // Keeps the gradient of `x`, so that it can be asked for after the walk: of a constant, which becomes known (in `x` and
  // later copies of it), or of the whole result of an op.
  void watch(Tensor& x);
  // Walks the list backwards from `loss` (one element) with d(loss) = `seed`, freeing each entry as soon as it is used:
  // nothing that was recorded before can be walked, or used in what is recorded later, a second time.
  void backward(const Tensor& loss, double seed = 1);
  // The same from any tensor and its gradient.
  void backward_from(const Tensor& y, const Tensor& dy);
  Tensor gradient(const Tensor& watched) const;  // after `backward`; absent if nothing depended on it
  bool knows(const Tensor& x) const;              // recorded or watched here, or a parameter in training

  // Dropout with probability p for the next op that wants one; nothing if evaluating.
  Dropout next_dropout(float p);
  std::uint64_t random_position() const { return dropouts_; }
  void set_random_position(std::uint64_t position) { dropouts_ = position; }
  const Options& options() const { return options_; }

  // Enters y = op(inputs) in the list, whether or not an input is known already (a parameter may be used inside).
  Tensor record(std::string_view op, Tensor y, std::span<const Tensor> inputs, Backward backward);

 private:
  friend class Grads;
  struct Entry {
    std::string_view op;
    int output;
    // Inputs by place only: shape, strides, offset, and index into slots_, without their memory.
    std::vector<Tensor> places;
    Backward backward;
  };
  struct Slot {
    Tensor gradient = {};
    Shape shape;  // of the tensor that made the slot; views of it share the slot
    std::int64_t offset = 0, elements = 0;
    DType dtype = DType::f32;
    Device device = {};
    Leaf* leaf = nullptr;
    bool kept = false;    // watched: not freed by the walk
    bool walked = false;  // the entry that made it is gone
  };
  int index_of(const Tensor& x) const;  // of the slot that the tensor names, if it is one of this tape's; else -1
  int slot_of(const Tensor& x);         // the same, and slots for parameters
  int new_slot(Slot slot);
  int new_slot(const Tensor& x);
  static Tensor& gradient_of(Slot& slot) { return slot.leaf ? slot.leaf->gradient : slot.gradient; }
  Tensor base_gradient(Slot& slot, bool& empty);

  Options options_;
  Tape* outer_;
  std::int64_t serial_;  // the upper half of slots' names: what other tapes recorded is constant to this one
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
  std::unordered_map<Leaf*, int> leaves_;
  std::uint64_t dropouts_ = 0;
};

// How every op ends. What `backward` captures is exactly what training keeps in memory. Without a tape, or if no input
// is known to it, `backward` is dropped.
Tensor recorded(std::string_view op, Tensor y, std::initializer_list<Tensor> inputs, Backward backward);

// Whether a result of these inputs would be recorded, so that an op can skip keeping what only a gradient needs.
bool recording(std::initializer_list<Tensor> inputs);

// For ops that have no gradient: throws if one would be wanted, rather than dropping it silently.
void refuse_gradient(std::string_view op, std::initializer_list<Tensor> inputs);

// Dropout of the current training tape; nothing without one.
Dropout current_dropout(float p);

}  // namespace glossa
