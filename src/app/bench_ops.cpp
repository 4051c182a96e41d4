#include "app/bench_ops.h"

#include <cmath>
#include <functional>

#include "app/measure.h"
#include "app/presets.h"
#include "base/random.h"

namespace glossa::app {
namespace {

class OpsBenchmark {
 public:
  explicit OpsBenchmark(const OpsBench& options)
      : options_(options), preset_(preset(options.preset)), batch_(random_batch(preset_, 1)), backend_(Backend::of({})) {}

  void run() {
    print_heading(options_.json);
    const std::int64_t d = width(), inner = preset_.config.encoder_ffn_dim;
    linear("q, k, v", d, 3 * d);
    linear("attention output", d, d);
    linear("feed-forward 1", d, inner);
    linear("feed-forward 2", inner, d);
    linear("head", d, preset_.config.target_vocab_size());
    attention("attention", false);
    attention("causal attention", true);
    epilogue();
    norm();
    embedding();
    cross_entropy();
    optimizer();
  }

 private:
  std::int64_t width() const { return preset_.config.d_model; }
  std::int64_t tokens() const { return batch_.labels.elements(); }

  Tensor random(const Shape& shape) {
    Tensor x = Tensor::empty(shape, DType::f32);
    const Philox numbers(++seed_, Purpose::sample);
    for (std::int64_t i = 0; i < x.elements(); ++i)
      x.data<float>()[i] = static_cast<float>(numbers.below(static_cast<std::uint64_t>(i), 1 << 20)) * 0x1p-19f - 1;
    return x;
  }

  struct Cost {
    double operations, elements;  // elements: f32 read or written
  };
  void time(const std::string& name, const Cost& cost, const std::function<void()>& run) {
    Measured m = measure(run, {.runs = options_.runs, .warm_up = 2, .bf16 = options_.bf16});
    m.name = name;
    m.tokens = static_cast<double>(tokens());
    m.operations = cost.operations;
    m.bytes = 4 * cost.elements;
    print(m, options_.json);
  }

  // y = x W^T + b and both of its gradients.
  void linear(const std::string& name, std::int64_t in, std::int64_t out) {
    const Tensor x = random({tokens(), in}), weight = random({out, in}), bias = random({out}), dy = random({tokens(), out});
    Tensor y = dy.like(dy.shape()), dx = x.like(x.shape()), dweight = weight.like(weight.shape());
    const double m = static_cast<double>(tokens()), k = static_cast<double>(in), n = static_cast<double>(out);
    const Cost cost{2 * m * n * k, m * k + m * n + n * k};
    const bool bf16 = options_.bf16;
    time(name, cost, [&] { backend_.gemm({.a = x, .b = weight, .y = y, .transpose_b = true, .bias = bias, .bf16 = bf16}); });
    time(name + ": dx", cost, [&] { backend_.gemm({.a = dy, .b = weight, .y = dx, .bf16 = bf16}); });
    time(name + ": dW", cost, [&] { backend_.gemm({.a = dy, .b = x, .y = dweight, .transpose_a = true, .bf16 = bf16}); });
  }

  void attention(const std::string& name, bool causal) {
    const std::int64_t heads = preset_.config.encoder_attention_heads;
    const Shape shape{tokens(), heads, width() / heads};
    const Tensor q = random(shape), k = random(shape), v = random(shape), dout = random(shape);
    Tensor out = q.like(shape), dq = q.like(shape), dk = q.like(shape), dv = q.like(shape), sums = q.like({tokens(), heads});
    const Sequences& sequences = batch_.target.sequences;
    const Mask mask{.causal = causal};
    const Attention call{.q = q, .k = k, .v = v, .queries = sequences, .keys = sequences, .mask = mask,
                         .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(width() / heads))), .logsumexp = &sums};
    const double all = static_cast<double>(tokens()) * static_cast<double>(width());
    // q k^T and p v: two products over the keys that a query sees; the backward pass has five.
    const double product = 2 * all * preset_.length * (causal ? 0.5 : 1);
    time(name, {2 * product, 4 * all}, [&] { backend_.attention(call, out); });
    time(name + ": gradient", {5 * product, 8 * all},
         [&] { backend_.attention_backward(call, out, dout, dq, dk, dv, false); });
  }

  void epilogue() {
    const Shape shape{tokens(), preset_.config.encoder_ffn_dim};
    const Tensor dy = random(shape), z = random(shape);
    Tensor dz = dy.like(shape), dbias = Tensor::zeros({shape[1]}, DType::f32);
    const double all = static_cast<double>(dy.elements());
    time("relu and bias: gradient", {2 * all, 3 * all},
         [&] { backend_.epilogue_backward(dy, z, Unary::relu, {}, dz, &dbias); });
    const Tensor narrow = random({tokens(), width()});
    Tensor dnarrow = narrow.like(narrow.shape()), bias = Tensor::zeros({width()}, DType::f32);
    const double few = static_cast<double>(narrow.elements());
    time("dropout and bias: gradient", {2 * few, 2 * few}, [&] {
      backend_.epilogue_backward(narrow, {}, Unary::none, {.p = 0.1f, .seed = 1, .stream = 1}, dnarrow, &bias);
    });
  }

  void norm() {
    const Shape shape{tokens(), width()};
    const Tensor x = random(shape), gain = random({width()}), bias = random({width()}), dy = random(shape);
    Tensor y = x.like(shape), dx = x.like(shape), stats = x.like({tokens(), 2});
    Tensor dgain = Tensor::zeros({width()}, DType::f32), dbias = Tensor::zeros({width()}, DType::f32);
    const double all = static_cast<double>(x.elements());
    time("layer norm", {8 * all, 2 * all}, [&] { backend_.norm({.eps = 1e-5}, x, gain, bias, y, &stats); });
    time("layer norm: gradient", {14 * all, 3 * all},
         [&] { backend_.norm_backward({.eps = 1e-5}, x, gain, stats, dy, dx, false, &dgain, &dbias); });
  }

  void embedding() {
    const Tensor table = random({preset_.config.vocab_size, width()}), dy = random({tokens(), width()});
    Tensor y = dy.like(dy.shape()), dtable = Tensor::zeros(table.shape(), DType::f32);
    const Dropout mask{.p = 0.1f, .seed = 1, .stream = 1};
    const double all = static_cast<double>(dy.elements());
    time("embedding", {2 * all, 2 * all}, [&] { backend_.embed(batch_.target.ids, table, 2, {}, {}, mask, y); });
    time("embedding: gradient", {2 * all, 3 * all},
         [&] { backend_.embed_backward(dy, batch_.target.ids, 2, {}, mask, &dtable, nullptr); });
  }

  void cross_entropy() {
    Tensor logits = random({tokens(), preset_.config.target_vocab_size()}), loss = logits.like({tokens()});
    const double all = static_cast<double>(logits.elements());
    time("cross entropy and gradient", {6 * all, 3 * all},
         [&] { backend_.cross_entropy(logits, batch_.labels, 0.1, true, 1.0 / static_cast<double>(tokens()), loss); });
  }

  void optimizer() {
    const Shape shape{preset_.config.vocab_size, width()};
    Tensor weight = random(shape), m = Tensor::zeros(shape, DType::f32), v = Tensor::zeros(shape, DType::f32);
    const Tensor gradient = random(shape);
    const double all = static_cast<double>(weight.elements());
    std::int64_t step = 0;
    time("AdamW on the embedding", {16 * all, 7 * all},
         [&] { backend_.adamw(weight, gradient, m, v, {.learning_rate = 1e-4f, .step = ++step}); });
    time("norm of the gradient", {2 * all, all}, [&] { backend_.sum_of_squares(gradient); });
  }

  OpsBench options_;
  Preset preset_;
  Seq2SeqBatch batch_;
  Backend& backend_;
  std::uint64_t seed_ = 0;
};

}  // namespace

void bench_ops(const OpsBench& options) { OpsBenchmark(options).run(); }

}  // namespace glossa::app
