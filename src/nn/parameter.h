// parameter.h -- parameters: tensors with names, a place in a list, and a gradient that outlives every tape.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/tape.h"

namespace glossa {

struct Init {
  enum Kind { zeros, ones, normal, xavier_uniform } kind = xavier_uniform;
  float scale = 1;  // standard deviation of `normal`; gain of `xavier_uniform` (Glorot & Bengio 2010, eq. 16)
};

// A tensor of the checkpoint, as rows of a parameter that may stack several.
struct Part {
  std::string name;
  std::int64_t begin = 0, end = 0;  // rows
};

struct ParameterData {
  std::vector<Part> parts;
  Shape shape;  // of all parts together
  Tensor value;
  std::vector<Tensor> pieces = {};  // in the place of `value`: parts of a model for inference that lie in fewer bits, each for itself
  std::shared_ptr<Leaf> leaf;  // absent in a model made for inference
};

// Shared: tied weights are one parameter used twice.
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(std::shared_ptr<ParameterData> data) : data_(std::move(data)) {}
  explicit operator bool() const { return data_ != nullptr; }
  operator const Tensor&() const { return data_ ? data_->value : Gemm::kNone; }  // so ops take parameters as they are
  const Tensor& value() const { return *this; }
  const std::vector<Tensor>& pieces() const { return data_->pieces; }
  const std::vector<Part>& parts() const { return data_->parts; }
  const std::string& name() const { return data_->parts.front().name; }
  const Shape& shape() const { return data_->shape; }
  bool trainable() const { return data_->leaf && data_->leaf->trainable; }
  Leaf& leaf() const { return *data_->leaf; }

 private:
  std::shared_ptr<ParameterData> data_;
};

// Where weights come from: the tensor of that name, or no tensor.
using WeightSource = std::function<Tensor(const std::string& name)>;

class Scope;

// The list of a model's parameters, in the order in which the model asked for them.
class ParameterList {
 public:
  struct Options {
    WeightSource source = {};         // absent: everything is initialised
    std::vector<std::string> offered = {};  // all names that the source has: one of a layer that nobody asks for is a fault
    std::string origin = "weights";   // for messages
    std::uint64_t seed = 42;          // of initial values; a parameter's depend on the seed and its name alone
    bool plan = false;                // names and shapes alone: sources are looked at, nothing is kept, and nothing can be computed
    bool training = true;             // false: no gradients, and weights are frozen so that backends may pack them
    Device device = {};
    DType dtype = DType::f32;  // what weights are converted to, but for matrices of block types in a model for inference
    bool keep_narrow = false;  // matrices of 16 bits stay as they are too
  };
  explicit ParameterList(Options options) : options_(std::move(options)) {}
  ParameterList(const ParameterList&) = delete;
  ParameterList& operator=(const ParameterList&) = delete;

  Scope scope();
  Device device() const { return options_.device; }
  DType dtype() const { return options_.dtype; }
  const std::vector<Parameter>& all() const { return all_; }
  std::int64_t elements() const;
  void clear_gradients();
  // Every tensor of the checkpoint with its part of the value (or gradient).
  std::vector<std::pair<std::string, Tensor>> values() const;
  std::vector<std::pair<std::string, Tensor>> gradients() const;
  std::vector<std::pair<std::string, Shape>> shapes() const;  // of what those are
  // Fails with one message that lists what the source lacked, had in another shape or had too much (at most 20 of them).
  void check_complete() const;

 private:
  friend class Scope;
  Parameter add(std::vector<Part> parts, const Shape& shape, const Init& init, bool trainable,
                const std::vector<std::string>& aliases);
  // The tensor of each part, or none: then there is a fault, unless what is not trained may be absent.
  std::vector<Tensor> find(const std::vector<Part>& parts, const Shape& shape, bool trainable, const std::vector<std::string>& aliases);
  Options options_;
  std::vector<Parameter> all_;
  std::vector<std::string> faults_;
};

// A place in the tree of names. Asking it for a parameter names it, checks its shape, reads it from the source if there
// is one (and initialises it if not), and enters it in the list: a module is a plain struct, with nothing to register.
class Scope {
 public:
  Scope operator/(std::string_view child) const;  // scope / "layers" / i / "self_attn"
  Scope operator/(int index) const { return *this / std::to_string(index); }
  // `aliases`: full names under which the source may have it instead.
  Parameter parameter(std::string_view name, const Shape& shape, const Init& init = {},
                      const std::vector<std::string>& aliases = {}) const;
  Parameter constant(std::string_view name, const Shape& shape) const;  // not trained; zeros unless the source has it
  // Several tensors of the checkpoint laid one under another, so that one product serves all: `rows[i]` of the i-th, of
  // `cols` each; no columns: vectors end to end.
  Parameter stacked(const std::vector<std::string>& names, const std::vector<std::int64_t>& rows, std::int64_t cols,
                    const Init& init = {}) const;

 private:
  friend class ParameterList;
  Scope(ParameterList* list, std::string prefix) : list_(list), prefix_(std::move(prefix)) {}
  std::string full(std::string_view name) const { return prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name); }
  ParameterList* list_;
  std::string prefix_;
};

}  // namespace glossa
