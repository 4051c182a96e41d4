#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "backend/cpu/attention.h"
#include "backend/cpu/elementwise.h"
#include "backend/cpu/embedding.h"
#include "backend/cpu/gate.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/logits.h"
#include "backend/cpu/norm.h"
#include "backend/cpu/optimizers.h"
#include "backend/cpu/quantised.h"
#include "backend/cpu/rotary.h"
#include "backend/cpu/rows.h"

namespace glossa {
namespace {

// The packed forms of one frozen weight: one for each view of it that products take, as a rule a single one.
class PackedWeights {
 public:
  const cpu::PackedB* find(const Tensor& b, bool transpose, bool bf16) const {
    for (const auto& form : forms_)
      if (form->is(b, transpose, bf16)) return &form->packed;
    return nullptr;
  }
  const cpu::PackedB& add(const Tensor& b, bool transpose, bool bf16) {
    const std::int64_t k = transpose ? b.cols() : b.rows(), n = transpose ? b.rows() : b.cols();
    const bool narrow = is_narrow(b.dtype());
    const cpu::NarrowB source{b.raw(), b.dtype(), b.row_stride(), transpose, k, n};
    const std::size_t bytes = narrow ? cpu::packed_narrow_bytes(source) : cpu::packed_b_bytes(k, n, bf16);
    auto form = std::make_unique<Form>(
        Form{b.offset(), b.rows(), b.cols(), transpose, bf16, cpu::instruction_set(), allocate(bytes, b.device()), {}});
    void* const memory = form->memory->data;
    if (!narrow)
      form->packed = cpu::pack_b(b.data<float>(), b.row_stride(), transpose, k, n, bf16, memory);
    else if (!transpose)
      form->packed = cpu::pack_narrow(source, 0, n, memory);
    else
      by_pieces(b, cpu::kPieceColumns, [&](std::int64_t row, std::int64_t rows) { form->packed = cpu::pack_narrow(source, row, rows, memory); });
    release_mapped(*b.storage(), b.raw(), static_cast<std::size_t>(b.rows() * bytes_of(b.dtype(), b.row_stride())));
    forms_.push_back(std::move(form));
    return forms_.back()->packed;
  }
  // Of a weight of a block type, whose packed form is the same for every instruction set.
  const cpu::PackedBlocks& blocks(const Tensor& b) {
    const std::int64_t n = b.rows(), k = b.cols();
    for (const auto& form : blocks_)
      if (form->offset == b.offset() && form->packed.n == n && form->packed.k == k) return form->packed;
    auto form = std::make_unique<Blocks>(Blocks{b.offset(), allocate(cpu::packed_blocks_bytes(b.dtype(), k, n), b.device()), {}});
    char* const memory = static_cast<char*>(form->memory->data);
    const std::int64_t row_bytes = bytes_of(b.dtype(), b.row_stride());
    by_pieces(b, cpu::kBandColumns, [&](std::int64_t row, std::int64_t rows) {
      cpu::pack_blocks(static_cast<const char*>(b.raw()) + row * row_bytes, row_bytes, b.dtype(), k, rows,
                       memory + cpu::packed_blocks_bytes(b.dtype(), k, row));
    });
    form->packed = {memory, b.dtype(), k, n};
    blocks_.push_back(std::move(form));
    return blocks_.back()->packed;
  }

 private:
  // Calls pack(row, rows) for pieces of b of some MiB, multiples of `unit` rows, so that of a mapped file only a piece lies in
  // memory beside its packed form.
  template <class F>
  static void by_pieces(const Tensor& b, std::int64_t unit, F&& pack) {
    constexpr std::int64_t kPieceBytes = 4 << 20;
    const std::int64_t row_bytes = bytes_of(b.dtype(), b.row_stride());
    const std::int64_t piece = std::max<std::int64_t>(kPieceBytes / row_bytes / unit, 1) * unit;
    for (std::int64_t row = 0; row < b.rows(); row += piece) {
      const std::int64_t rows = std::min(piece, b.rows() - row);
      pack(row, rows);
      release_mapped(*b.storage(), static_cast<const char*>(b.raw()) + row * row_bytes, static_cast<std::size_t>(rows * row_bytes));
    }
  }

  struct Blocks {
    std::int64_t offset;
    std::shared_ptr<Storage> memory;
    cpu::PackedBlocks packed;
  };

  struct Form {
    std::int64_t offset, rows, cols;
    bool transpose, bf16;
    cpu::InstructionSet instruction_set;
    std::shared_ptr<Storage> memory;
    cpu::PackedB packed;

    bool is(const Tensor& b, bool transposed, bool in_bf16) const {
      return offset == b.offset() && rows == b.rows() && cols == b.cols() && transpose == transposed && bf16 == in_bf16 &&
             instruction_set == cpu::instruction_set();
    }
  };
  std::vector<std::unique_ptr<Form>> forms_;
  std::vector<std::unique_ptr<Blocks>> blocks_;
};

// Made on first use; models may share weights between threads.
template <class F>
auto& with_packed_weights(const Tensor& b, F&& f) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::shared_ptr<void>& owner = b.storage()->packed;
  if (!owner) owner = std::make_shared<PackedWeights>();
  return f(*static_cast<PackedWeights*>(owner.get()));
}

const cpu::PackedB& packed_form(const Tensor& b, bool transpose, bool bf16) {
  return with_packed_weights(b, [&](PackedWeights& weights) -> const cpu::PackedB& {
    const cpu::PackedB* found = weights.find(b, transpose, bf16);
    return found ? *found : weights.add(b, transpose, bf16);
  });
}

const cpu::PackedBlocks& packed_blocks(const Tensor& b) {
  return with_packed_weights(b, [&](PackedWeights& weights) -> const cpu::PackedBlocks& { return weights.blocks(b); });
}

template <class T>
void fill_rows(Tensor& y, T value) {
  for (std::int64_t r = 0; r < y.rows(); ++r) std::fill_n(y.data<T>() + r * y.row_stride(), y.cols(), value);
}

// All but the weight.
cpu::MatrixProduct product_of(const Gemm& g) {
  const cpu::Rows a(g.a), y(g.y);
  cpu::MatrixProduct p{.m = y.count, .n = y.cols, .k = g.transpose_a ? a.count : a.cols};
  p.a = a.data, p.lda = a.stride, p.transpose_a = g.transpose_a;
  p.c = y.data, p.ldc = y.stride;
  p.add = g.add, p.alpha = g.alpha, p.bf16 = g.bf16;
  if (g.add) return p;
  p.bias = g.bias ? g.bias.data<float>() : nullptr;
  p.act = g.act, p.dropout = g.dropout;
  if (g.residual) p.residual = g.residual.data<float>(), p.ldr = g.residual.row_stride();
  if (g.before_act) {
    check(g.before_act->row_stride() == y.stride, Code::shape, "before_act has rows {} apart, the result {}",
          g.before_act->row_stride(), y.stride);
    p.before_act = g.before_act->data<float>();
  }
  return p;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend() { cpu::instruction_set(); }  // settles what kernels are dispatched to

  void fill(Tensor& y, double value) override {
    switch (y.dtype()) {
      case DType::f32: return fill_rows(y, static_cast<float>(value));
      case DType::f64: return fill_rows(y, value);
      case DType::i32: return fill_rows(y, static_cast<std::int32_t>(value));
      case DType::i64: return fill_rows(y, static_cast<std::int64_t>(value));
      default: fail(Code::shape, "fill() of a tensor of {}", name_of(y.dtype()));
    }
  }
  void copy(const Tensor& x, Tensor& y) override { cpu::copy_rows(x, y); }
  void add(const Tensor& a, const Tensor& b, Tensor& y) override { cpu::add(a, b, y); }
  void scale(const Tensor& x, double factor, Tensor& y) override { cpu::scale(x, factor, y); }
  double sum_of_squares(const Tensor& x) override { return cpu::sum_of_squares(x); }
  bool all_finite(const Tensor& x) override { return cpu::all_finite(x); }

  void gemm(const Gemm& g) override {
    cpu::MatrixProduct p = product_of(g);
    if (is_quantised(g.b.dtype())) {
      check(g.transpose_b, Code::shape, "a product with the columns of a weight of {}", name_of(g.b.dtype()));
      const cpu::PackedBlocks* const packed = &packed_blocks(g.b);
      return cpu::gemm_blocks(p, {&packed, 1});
    }
    if (g.b.storage()->frozen) {
      p.packed = &packed_form(g.b, g.transpose_b, g.bf16 && !is_narrow(g.b.dtype()));  // of 16 bits, the type decides
    } else {
      check(!is_narrow(g.b.dtype()), Code::shape, "a product with a matrix of {} that is no frozen weight", name_of(g.b.dtype()));
      const cpu::Rows b(g.b);
      p.b = b.data, p.ldb = b.stride, p.transpose_b = g.transpose_b;
    }
    cpu::gemm(p);
  }
  // Of block types, so that rows of a are rounded to 8 bits once for all.
  void gemm_stacked(const Gemm& g, std::span<const Tensor> weights) override {
    if (!std::all_of(weights.begin(), weights.end(), [](const Tensor& w) { return is_quantised(w.dtype()); }))
      return Backend::gemm_stacked(g, weights);
    std::vector<const cpu::PackedBlocks*> packed;
    for (const Tensor& w : weights) packed.push_back(&packed_blocks(w));
    cpu::gemm_blocks(product_of(g), packed);
  }
  void epilogue_backward(const Tensor& dy, const Tensor& z, Unary act, const Dropout& mask, Tensor& dz,
                         Tensor* dbias) override {
    cpu::epilogue_backward(dy, z, act, mask, dz, dbias);
  }

  void attention(const Attention& a, Tensor& out) override { cpu::attention(a, out); }
  void attention_backward(const Attention& a, const Tensor& out, const Tensor& dout, Tensor& dq, Tensor& dk, Tensor& dv,
                          bool add) override {
    cpu::attention_backward(a, out, dout, dq, dk, dv, add);
  }

  void norm(const Norm& kind, const Tensor& x, const Tensor& gain, const Tensor& bias, Tensor& y, Tensor* stats) override {
    cpu::norm(kind, x, gain, bias, y, stats);
  }
  void norm_backward(const Norm& kind, const Tensor& x, const Tensor& gain, const Tensor& stats, const Tensor& dy, Tensor& dx,
                     bool add, Tensor* dgain, Tensor* dbias) override {
    cpu::norm_backward({kind, x, gain, stats, dy, dx, add, dgain, dbias});
  }

  void rotate(const Tensor& x, const Tensor& angles, bool back, Tensor& y, bool add) override {
    cpu::rotate(x, angles, back, y, add);
  }
  void gate(const Tensor& x, Unary act, Tensor& y) override { cpu::gate(x, act, y); }
  void gate_backward(const Tensor& x, Unary act, const Tensor& dy, Tensor& dx, bool add) override {
    cpu::gate_backward(x, act, dy, dx, add);
  }

  void embed(const Tensor& ids, const Tensor& table, double scale, const Tensor& positions, const Tensor& position,
             const Dropout& mask, Tensor& y) override {
    cpu::embed({ids, table, scale, positions, position, mask, y});
  }
  void embed_backward(const Tensor& dy, const Tensor& ids, double scale, const Tensor& position, const Dropout& mask,
                      Tensor* dtable, Tensor* dpositions) override {
    cpu::embed_backward({dy, ids, scale, position, mask, dtable, dpositions});
  }
  void dropout(const Tensor& x, const Dropout& mask, Tensor& y) override { cpu::dropout(x, mask, y); }
  void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y) override { cpu::gather_rows(x, rows, y); }
  void scatter_rows(const Tensor& x, const Tensor& rows, Tensor& y) override { cpu::scatter_rows(x, rows, y); }
  void scatter_add_rows(const Tensor& x, const Tensor& rows, Tensor& y) override { cpu::scatter_add_rows(x, rows, y); }

  void cross_entropy(Tensor& logits, const Tensor& labels, double smoothing, bool gradient, double gradient_scale,
                     Tensor& loss) override {
    cpu::cross_entropy({logits, labels, smoothing, gradient, gradient_scale, loss});
  }
  void top_k(const Tensor& x, std::int64_t k, Tensor& values, Tensor& indices, Tensor& logsumexp) override {
    cpu::top_k(x, k, values, indices, logsumexp);
  }

  void adamw(Tensor& weight, const Tensor& gradient, Tensor& m, Tensor& v, const AdamW& o) override {
    cpu::adamw(weight, gradient, m, v, o);
  }
  void sgd(Tensor& weight, const Tensor& gradient, Tensor& momentum, const Sgd& o) override {
    cpu::sgd(weight, gradient, momentum, o);
  }
  void adafactor(Tensor& weight, const Tensor& gradient, Tensor& row, Tensor& column, const Adafactor& o) override {
    cpu::adafactor(weight, gradient, row, column, o);
  }
  void interpolate(Tensor& y, const Tensor& x, double share) override { cpu::interpolate(y, x, share); }
};

}  // namespace

Backend& cpu_backend() {
  static CpuBackend backend;
  return backend;
}

}  // namespace glossa
