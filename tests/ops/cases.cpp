#include "cases.h"

#include <cmath>
#include <cstring>

#include "base/random.h"

namespace glossa::test {
namespace {

Tensor i32(const std::vector<std::int32_t>& values, Device device) {
  return Tensor::of(values, device);
}

// ---- linear ----

struct LinearOptions {
  bool bias = true, residual = false, strided = false;  // strided: x is the middle third of a wider matrix
  Unary act = Unary::none;
  float dropout = 0;
  bool onto_input = false;  // the residual is x itself
  WeightLayout layout = WeightLayout::out_in;
};

Case linear_case(const char* what, std::int64_t rows, std::int64_t in, std::int64_t out,
                 LinearOptions o = {}) {
  const bool out_in = o.layout == WeightLayout::out_in;
  std::vector<Shape> shapes{{rows, o.strided ? 3 * in : in}, {out_in ? out : in, out_in ? in : out}};
  if (o.bias) shapes.push_back({out});
  if (o.residual) shapes.push_back({rows, out});
  const auto run = [=](const std::vector<Tensor>& inputs, Device) {
    std::size_t next = 2;
    const Tensor x = o.strided ? split<3>(inputs[0])[1] : inputs[0];
    const Tensor bias = o.bias ? inputs[next++] : Tensor();
    const Tensor residual = o.residual ? inputs[next++] : o.onto_input ? x : Tensor();
    return linear(x, inputs[1], bias, {.act = o.act, .dropout = o.dropout, .residual = residual}, o.layout);
  };
  return {"linear", what, shapes, run, o.act != Unary::relu};
}

// ---- attention ----

struct AttentionCase {
  std::vector<std::int32_t> queries, keys = {};  // lengths; no keys: those of the queries
  std::int64_t heads = 2, kv_heads = 2, dim = 4;
  Mask mask = {};
  float dropout = 0, scale = 0, softcap = 0;
  enum {
    separate,
    qkv,
    q_kv,
    one
  } layout = separate;  // which matrices q, k and v are parts of; one: all are the same
};

std::int64_t sum(const std::vector<std::int32_t>& lengths) {
  std::int64_t n = 0;
  for (std::int32_t l : lengths) n += l;
  return n;
}

Case attention_case(const char* what, AttentionCase a) {
  if (a.keys.empty()) a.keys = a.queries;
  const std::int64_t rows = sum(a.queries), key_rows = sum(a.keys), width = a.heads * a.dim,
                     kv_width = a.kv_heads * a.dim;
  std::vector<Shape> shapes;
  switch (a.layout) {
    case AttentionCase::separate:
      shapes = {{rows, width}, {key_rows, kv_width}, {key_rows, kv_width}};
      break;
    case AttentionCase::qkv:
      shapes = {{rows, width + 2 * kv_width}};
      break;
    case AttentionCase::q_kv:
      shapes = {{rows, width}, {key_rows, 2 * kv_width}};
      break;
    case AttentionCase::one:
      shapes = {{rows, width}};
      break;
  }
  const auto run = [=](const std::vector<Tensor>& in, Device device) {
    Tensor q = in[0], k = in[0], v = in[0];
    if (a.layout == AttentionCase::separate) k = in[1], v = in[2];
    if (a.layout == AttentionCase::q_kv)
      k = in[1].slice(1, 0, kv_width), v = in[1].slice(1, kv_width, 2 * kv_width);
    if (a.layout == AttentionCase::qkv) {
      q = in[0].slice(1, 0, width);
      k = in[0].slice(1, width, width + kv_width);
      v = in[0].slice(1, width + kv_width, width + 2 * kv_width);
    }
    return attention(heads(q, a.heads), heads(k, a.kv_heads), heads(v, a.kv_heads),
                     Sequences::of_lengths(a.queries, device), Sequences::of_lengths(a.keys, device),
                     {.mask = a.mask, .scale = a.scale, .softcap = a.softcap, .dropout = a.dropout});
  };
  return {"attention", what, shapes, run};
}

// ---- the others ----

Case heads_case(const char* what, std::int64_t rows, std::int64_t count, std::int64_t dim, bool strided) {
  const auto run = [=](const std::vector<Tensor>& in, Device) {
    const Tensor x = strided ? in[0].slice(1, 1, 1 + count * dim) : in[0];
    return dropout(heads(strided ? layer_norm(x, in[1], in[2], 1e-5) : x, count), 0.5f);
  };
  const std::int64_t width = count * dim;
  std::vector<Shape> shapes{{rows, width}};
  if (strided) shapes = {{rows, width + 3}, {width}, {width}};
  return {"heads", what, shapes, run};
}

Case split_case(const char* what, std::int64_t rows, std::int64_t width) {
  return {"split", what, {{rows, 3 * width}, {width}, {width}}, [](const std::vector<Tensor>& in, Device) {
            const auto [a, b, c] = split<3>(in[0]);
            return layer_norm(c, in[1], in[2],
                              1e-5);  // only one part is used: the others' gradients are zero
          }};
}

Case norm_case(const char* what, std::int64_t rows, std::int64_t width, bool strided = false) {
  return {"layer_norm",
          what,
          {{rows, strided ? 2 * width : width}, {width}, {width}},
          [=](const std::vector<Tensor>& in, Device) {
            return layer_norm(strided ? in[0].slice(1, width, 2 * width) : in[0], in[1], in[2], 1e-5);
          }};
}

Case rms_case(const char* what, std::int64_t rows, std::int64_t width, float offset = 0) {
  return {"rms_norm", what, {{rows, width}, {width}}, [=](const std::vector<Tensor>& in, Device) {
            return rms_norm(in[0], in[1], 1e-6, offset);
          }};
}

// Heads 1 .. count - 1 of a product, as keys are.
Case rms_heads_case(const char* what, std::int64_t rows, std::int64_t count, std::int64_t dim) {
  return {"rms_norm", what, {{rows, count * dim}, {dim}}, [=](const std::vector<Tensor>& in, Device) {
            return rms_norm(heads(in[0], count).slice(1, 1, count), in[1], 1e-6, 1).view({rows, (count - 1) * dim});
          }};
}

Case rotary_case(const char* what, std::int64_t rows, std::int64_t count, std::int64_t dim, std::int64_t turned,
                 bool twice = false) {
  return {"rotary", what, {{rows, count * dim}}, [=](const std::vector<Tensor>& in, Device device) {
            Tensor angles = random({rows, turned}, in[0].dtype(), device, 77);
            const Tensor x = heads(in[0], count), y = rotary(x.slice(1, 0, count - 1), angles);
            return (twice ? rotary(y, angles) : y).view({rows, (count - 1) * dim});
          }};
}

Case gated_case(const char* what, std::int64_t rows, std::int64_t width, Unary act) {
  return {"gated", what, {{rows, 2 * width}}, [=](const std::vector<Tensor>& in, Device) {
            return gated(in[0], act);
          }, act != Unary::relu};
}

Case embed_case(const char* what, std::vector<std::int32_t> ids, std::int64_t rows, std::int64_t width,
                bool positions, float scale = 1, float p = 0) {
  std::vector<Shape> shapes{{rows, width}};
  if (positions) shapes.push_back({7, width});
  return {"embed", what, shapes, [=](const std::vector<Tensor>& in, Device device) {
            EmbedOptions options{.scale = scale, .dropout = p};
            if (positions) {
              std::vector<std::int32_t> at(ids.size());
              for (std::size_t i = 0; i < at.size(); ++i) at[i] = static_cast<std::int32_t>(i * i % 7);
              options.positions = in[1];
              options.position = i32(at, device);
            }
            return embed(i32(ids, device), in[0], options);
          }};
}

Case dropout_case(const char* what, std::int64_t rows, std::int64_t width, float p) {
  return {"dropout", what, {{rows, width}}, [=](const std::vector<Tensor>& in, Device) {
            return dropout(in[0], p);
          }};
}

Case add_case(const char* what, std::int64_t rows, std::int64_t width, bool twice) {
  std::vector<Shape> shapes{{rows, width}};
  if (!twice) shapes.push_back({rows, width});
  return {"add", what, shapes, [=](const std::vector<Tensor>& in, Device) {
            return add(in[0], twice ? in[0] : in[1]);
          }};
}

Case gather_case(const char* what, std::int64_t from, std::int64_t width, std::vector<std::int32_t> rows) {
  return {"gather_rows", what, {{from, width}}, [=](const std::vector<Tensor>& in, Device device) {
            return gather_rows(in[0], i32(rows, device));
          }};
}

struct LossCase {
  bool bias = false;
  float smoothing = 0, softcap = 0;
  double denominator = 0;
  std::int32_t ignored_every = 0;  // 0: none; 1: all labels are -100
};

Case loss_case(const char* what, std::int64_t rows, std::int64_t width, std::int64_t vocabulary,
               LossCase o = {}) {
  std::vector<Shape> shapes{{rows, width}, {vocabulary, width}};
  if (o.bias) shapes.push_back({vocabulary});
  return {"cross_entropy", what, shapes, [=](const std::vector<Tensor>& in, Device device) {
            std::vector<std::int32_t> labels(static_cast<std::size_t>(rows));
            for (std::size_t i = 0; i < labels.size(); ++i) {
              labels[i] = static_cast<std::int32_t>(i * 7 % static_cast<std::size_t>(vocabulary));
              if (o.ignored_every && i % static_cast<std::size_t>(o.ignored_every) == 0) labels[i] = -100;
            }
            return cross_entropy(in[0], in[1], o.bias ? in[2] : Tensor(), i32(labels, device),
                                 {.smoothing = o.smoothing, .softcap = o.softcap, .denominator = o.denominator});
          }};
}

std::vector<Case> make_cases() {
  using A = AttentionCase;
  const std::vector<std::int32_t> ragged{3, 1, 0, 5, 2}, other{2, 4, 3, 1, 0};
  // clang-format off: a line each
  return {
      linear_case("plain", 4, 8, 6, {.bias = false}),
      linear_case("one element", 1, 1, 1),
      linear_case("no rows", 0, 5, 3),
      linear_case("odd sizes", 7, 13, 5),
      linear_case("one row", 1, 37, 19, {.residual = true, .act = Unary::gelu}),
      linear_case("wide", 67, 129, 259),
      linear_case("a third of a matrix", 9, 11, 7, {.strided = true}),
      linear_case("relu", 9, 11, 17, {.act = Unary::relu}),
      linear_case("gelu", 9, 11, 17, {.act = Unary::gelu}),
      linear_case("gelu_tanh", 9, 11, 17, {.act = Unary::gelu_tanh}),
      linear_case("silu", 9, 11, 17, {.act = Unary::silu}),
      linear_case("tanh", 9, 11, 17, {.act = Unary::tanh}),
      linear_case("sigmoid", 9, 11, 17, {.act = Unary::sigmoid}),
      linear_case("activation without bias", 5, 6, 7, {.bias = false, .act = Unary::silu}),
      linear_case("dropout", 11, 9, 21, {.dropout = 0.3f}),
      linear_case("residual", 5, 9, 8, {.residual = true}),
      linear_case("everything", 13, 21, 35, {.residual = true, .act = Unary::gelu, .dropout = 0.2f}),
      linear_case("everything of a part", 13, 21, 35,
                  {.residual = true, .strided = true, .act = Unary::silu, .dropout = 0.2f}),
      linear_case("onto its own input", 6, 10, 10, {.dropout = 0.1f, .onto_input = true}),
      linear_case("onto its own input, a part", 6, 10, 10, {.strided = true, .onto_input = true}),
      linear_case("large enough for several tasks", 300, 200, 260,
                  {.residual = true, .act = Unary::relu, .dropout = 0.1f}),
      linear_case("weight [in, out]", 9, 11, 17, {.act = Unary::gelu_tanh, .layout = WeightLayout::in_out}),

      attention_case("one token", {.queries = {1}}),
      attention_case("ragged", {.queries = ragged}),
      attention_case("ragged queries and keys", {.queries = ragged, .keys = other}),
      attention_case("parts of one product", {.queries = ragged, .layout = A::qkv}),
      attention_case("keys and values of one product", {.queries = ragged, .keys = other, .layout = A::q_kv}),
      attention_case("queries that are the keys and values", {.queries = ragged, .layout = A::one}),
      attention_case("causal", {.queries = ragged, .mask = {.causal = true}, .layout = A::qkv}),
      attention_case("causal, more keys",
                     {.queries = {2, 1, 3}, .keys = {5, 1, 4}, .mask = {.causal = true}}),
      attention_case("causal, fewer keys", {.queries = {4, 3}, .keys = {2, 3}, .mask = {.causal = true}}),
      attention_case("window", {.queries = {9, 2, 5}, .mask = {.window = 3}}),
      attention_case("causal window",
                     {.queries = {9, 0, 5}, .mask = {.causal = true, .window = 2}, .layout = A::qkv}),
      attention_case("causal window, more keys",
                     {.queries = {3, 1}, .keys = {8, 6}, .mask = {.causal = true, .window = 4}}),
      attention_case("shared key heads", {.queries = ragged, .heads = 6, .kv_heads = 2, .dim = 3}),
      attention_case("one key head, parts",
                     {.queries = ragged, .heads = 4, .kv_heads = 1, .dim = 3, .layout = A::qkv}),
      attention_case("head of one", {.queries = ragged, .heads = 3, .kv_heads = 3, .dim = 1}),
      attention_case("odd head", {.queries = ragged, .keys = other, .heads = 3, .kv_heads = 3, .dim = 13}),
      attention_case("given scale", {.queries = ragged, .scale = 0.7f}),
      attention_case("dropout", {.queries = ragged, .keys = other, .dropout = 0.4f}),
      attention_case("causal with dropout, parts",
                     {.queries = {6, 1, 4}, .mask = {.causal = true}, .dropout = 0.2f, .layout = A::qkv}),
      attention_case("wide heads",
                     {.queries = {7, 20}, .heads = 2, .kv_heads = 2, .dim = 64, .layout = A::qkv}),
      attention_case("long",
                     {.queries = {130, 33, 65}, .heads = 3, .kv_heads = 3, .dim = 32, .layout = A::qkv}),
      attention_case(
          "long and causal",
          {.queries = {1, 200, 31}, .heads = 4, .kv_heads = 2, .dim = 24, .mask = {.causal = true}}),
      attention_case(
          "long with dropout",
          {.queries = {70, 90}, .keys = {150, 40}, .heads = 2, .kv_heads = 2, .dim = 40, .dropout = 0.1f}),
      attention_case("long window",
                     {.queries = {150}, .heads = 2, .kv_heads = 2, .dim = 16, .mask = {.window = 20}}),
      attention_case("one query each, of many keys",
                     {.queries = {1, 1, 2, 1}, .keys = {700, 3, 5, 257}, .heads = 6, .kv_heads = 2, .dim = 24, .mask = {.causal = true}}),
      attention_case("one query each, windows, capped, with dropout",
                     {.queries = {1, 1}, .keys = {600, 513}, .heads = 5, .kv_heads = 1, .dim = 20,
                      .mask = {.causal = true, .window = 300}, .dropout = 0.1f, .softcap = 3}),
      attention_case("capped", {.queries = ragged, .keys = other, .softcap = 0.9f}),
      attention_case("long, causal, capped, with dropout",
                     {.queries = {70, 33}, .heads = 4, .kv_heads = 2, .dim = 24, .mask = {.causal = true, .window = 25},
                      .dropout = 0.2f, .softcap = 2, .layout = A::qkv}),

      heads_case("dense", 5, 3, 4, false),
      heads_case("of a part", 4, 2, 5, true),
      split_case("one part used", 5, 7),

      norm_case("plain", 5, 12),
      norm_case("odd width", 3, 17),
      norm_case("no rows", 0, 8),
      norm_case("wide", 70, 301),
      norm_case("a part", 6, 19, true),

      rms_case("plain", 5, 12),
      rms_case("odd width", 3, 17),
      rms_case("gains from one", 70, 301, 1),
      rms_heads_case("heads of a product", 9, 4, 13),
      rms_heads_case("no rows", 0, 3, 8),

      rotary_case("whole heads", 6, 3, 8, 8),
      rotary_case("part of each head", 5, 4, 10, 6),
      rotary_case("wide, twice", 70, 3, 64, 64, true),
      rotary_case("odd halves", 4, 2, 38, 38),

      gated_case("silu", 9, 17, Unary::silu),
      gated_case("gelu_tanh", 7, 33, Unary::gelu_tanh),
      gated_case("gelu", 300, 40, Unary::gelu),
      gated_case("relu", 3, 5, Unary::relu),
      gated_case("sigmoid", 3, 5, Unary::sigmoid),
      gated_case("no activation", 3, 5, Unary::none),

      embed_case("repeated ids", {3, 0, 3, 3, 5}, 6, 9, false),
      embed_case("no ids", {}, 6, 9, true),
      embed_case("scaled, with positions", {1, 4, 4, 2, 0, 9}, 10, 13, true, 3.5f),
      embed_case("dropout", {1, 4, 4, 2, 0, 9, 9, 9}, 10, 21, true, 2.0f, 0.3f),

      add_case("two", 7, 9, false),
      add_case("one to itself", 70, 300, true),

      dropout_case("half", 7, 9, 0.5f),
      dropout_case("little", 31, 65, 0.01f),
      dropout_case("much", 5, 33, 0.9f),

      gather_case("repeated rows", 5, 7, {4, 0, 0, 2, 4, 4}),
      gather_case("no rows", 5, 7, {}),

      loss_case("plain", 5, 6, 9),
      loss_case("bias and smoothing", 6, 5, 11, {.bias = true, .smoothing = 0.1f}),
      loss_case("labels not counted", 7, 5, 11, {.bias = true, .smoothing = 0.1f, .ignored_every = 3}),
      loss_case("no label counted", 4, 5, 6, {.smoothing = 0.1f, .ignored_every = 1}),
      loss_case("capped", 7, 5, 11, {.softcap = 0.8f}),
      loss_case("capped, several blocks", 1100, 9, 33, {.smoothing = 0.1f, .softcap = 2, .ignored_every = 10}),
      loss_case("no rows", 0, 5, 6, {.bias = true}),
      loss_case("given denominator", 5, 6, 9, {.smoothing = 0.2f, .denominator = 12.5}),
      loss_case("several blocks", 1100, 9, 33, {.bias = true, .smoothing = 0.1f, .ignored_every = 10}),
      loss_case("large vocabulary", 20, 16, 1003, {.smoothing = 0.1f}),
  };
  // clang-format on
}

std::uint64_t seed_of(const Case& c) {
  std::uint64_t h = 1;
  for (char x : c.op + c.what) h = h * 131 + static_cast<unsigned char>(x);
  return h;
}

double element(const Tensor& x, std::int64_t i) {
  if (x.dtype() == DType::i32) return x.data<std::int32_t>()[i];
  return x.dtype() == DType::f64 ? x.data<double>()[i] : x.data<float>()[i];
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all = make_cases();
  return all;
}

Tensor random(const Shape& shape, DType dtype, Device device, std::uint64_t seed) {
  Tensor x = Tensor::empty(shape, DType::f32, device);
  const Philox numbers(seed, Purpose::init);
  for (std::int64_t i = 0; i < x.elements(); ++i)
    x.data<float>()[i] = static_cast<float>(numbers.normal(static_cast<std::uint64_t>(i)));
  return x.to(dtype);
}

std::vector<Tensor> random_inputs(const Case& c, DType dtype, Device device) {
  std::vector<Tensor> inputs;
  for (const Shape& shape : c.inputs)
    inputs.push_back(random(shape, dtype, device, seed_of(c) + inputs.size()));
  return inputs;
}

Outcome outcome(const Case& c, DType dtype, Device device) {
  std::vector<Tensor> inputs = random_inputs(c, dtype, device);
  Tape tape({.seed = 5, .step = 3});
  for (Tensor& x : inputs) tape.watch(x);
  const Tensor y = c.run(inputs, device);
  tape.backward_from(y, random(y.shape(), dtype, device, seed_of(c) + 100));
  Outcome result{y.detach(), {}};
  for (const Tensor& x : inputs) result.gradients.push_back(tape.gradient(x));
  return result;
}

double relative_error(const Tensor& found, const Tensor& wanted) {
  if (found.shape() != wanted.shape()) return INFINITY;
  const Tensor f = found.contiguous(), w = wanted.contiguous();
  double error = 0, largest = 0;
  for (std::int64_t i = 0; i < w.elements(); ++i) {
    if (std::isinf(element(w, i)) && element(f, i) == element(w, i)) continue;
    const double difference = std::fabs(element(f, i) - element(w, i));
    if (!std::isfinite(difference)) return INFINITY;
    error = std::max(error, difference);
    largest = std::max(largest, std::fabs(element(w, i)));
  }
  return error == 0 ? 0 : largest == 0 ? INFINITY : error / largest;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a || !b) return !a && !b;
  const Tensor x = a.contiguous(), y = b.contiguous();
  return x.shape() == y.shape() && x.dtype() == y.dtype() &&
         std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
}

}  // namespace glossa::test
