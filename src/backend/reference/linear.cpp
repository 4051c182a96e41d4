#include <numbers>
#include <vector>

#include "backend/reference/reference.h"

// The matrix product and what is folded into its end.
namespace glossa {

using namespace reference;

namespace {

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x * std::numbers::sqrt2 / 2);
}
double normal_density(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
}
double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

const double kTanhScale = std::sqrt(2 / std::numbers::pi);  // of gelu_tanh
constexpr double kTanhCube = 0.044715;

double activated(Unary act, double x) {
  switch (act) {
    case Unary::none:
      return x;
    case Unary::relu:
      return x < 0 ? 0 : x;
    case Unary::gelu:
      return x * normal_cdf(x);
    case Unary::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(kTanhScale * (x + kTanhCube * x * x * x)));
    case Unary::silu:
      return x * sigmoid(x);
    case Unary::tanh:
      return std::tanh(x);
    case Unary::sigmoid:
      return sigmoid(x);
  }
  return x;
}

double derivative(Unary act, double x) {
  switch (act) {
    case Unary::none:
      return 1;
    case Unary::relu:
      return x > 0 ? 1 : 0;
    case Unary::gelu:
      return normal_cdf(x) + x * normal_density(x);
    case Unary::gelu_tanh: {
      const double t = std::tanh(kTanhScale * (x + kTanhCube * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kTanhScale * (1 + 3 * kTanhCube * x * x);
    }
    case Unary::silu:
      return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case Unary::tanh:
      return 1 - std::tanh(x) * std::tanh(x);
    case Unary::sigmoid:
      return sigmoid(x) * (1 - sigmoid(x));
  }
  return 1;
}

// Operands as the product sees them: rounded to bfloat16 where products are in bf16.
double operand(float x, bool bf16) {
  return bf16 ? bfloat16::from(x) : x;
}
double operand(double x, bool) {
  return x;
}

}  // namespace

// Shazeer, "GLU Variants Improve Transformer" (2020), equation 5 without the products.
void ReferenceBackend::gate(const Tensor& x, Unary act, Tensor& y) {
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> in(x);
    const Matrix<T> out(y);
    for_each(out.rows, out.cols, [&](auto r, auto c) {
      out(r, c) = static_cast<T>(activated(act, in(r, c)) * in(r, c + out.cols));
    });
  });
}

void ReferenceBackend::gate_backward(const Tensor& x, Unary act, const Tensor& dy, Tensor& dx, bool add) {
  in_type_of(dx, [&]<class T>(T) {
    const Matrix<const T> in(x), upper(dy);
    const Matrix<T> lower(dx);
    const auto store = [&](std::int64_t r, std::int64_t c, double value) {
      lower(r, c) = static_cast<T>(value + (add ? lower(r, c) : 0));
    };
    for_each(upper.rows, upper.cols, [&](auto r, auto c) {
      const double gate = in(r, c), value = in(r, c + upper.cols);
      store(r, c, upper(r, c) * value * derivative(act, gate));
      store(r, c + upper.cols, upper(r, c) * activated(act, gate));
    });
  });
}

void ReferenceBackend::gemm(const Gemm& g) {
  in_type_of(g.y, [&]<class T>(T) {
    const Tensor weight = is_quantised(g.b.dtype()) || is_narrow(g.b.dtype()) ? g.b.to(g.y.dtype()) : g.b;
    const Matrix<const T> a(g.a), b(weight);
    const Matrix<T> y(g.y);
    const std::int64_t inner = g.transpose_a ? a.rows : a.cols;
    for_each(y.rows, y.cols, [&](auto r, auto c) {
      double sum = 0;
      for (std::int64_t i = 0; i < inner; ++i)
        sum += operand(g.transpose_a ? a(i, r) : a(r, i), g.bf16) *
               operand(g.transpose_b ? b(c, i) : b(i, c), g.bf16);
      sum *= static_cast<double>(g.alpha);
      if (g.add) {
        y(r, c) = static_cast<T>(y(r, c) + sum);
        return;
      }
      if (g.bias) sum += g.bias.data<T>()[c];
      if (g.before_act) Matrix<T> (*g.before_act)(r, c) = static_cast<T>(sum);
      sum = dropped(g.dropout, r * y.cols + c, activated(g.act, sum));
      if (g.residual) sum += Matrix<const T>(g.residual)(r, c);
      y(r, c) = static_cast<T>(sum);
    });
  });
}

void ReferenceBackend::epilogue_backward(const Tensor& dy, const Tensor& z, Unary act, const Dropout& mask,
                                         Tensor& dz, Tensor* dbias) {
  in_type_of(dz, [&]<class T>(T) {
    const Matrix<const T> upper(dy);
    const Matrix<T> lower(dz);
    std::vector<double> sums(static_cast<std::size_t>(lower.cols));
    for_each(lower.rows, lower.cols, [&](auto r, auto c) {
      double d = dropped(mask, r * lower.cols + c, upper(r, c));
      if (act != Unary::none) d *= derivative(act, Matrix<const T>(z)(r, c));
      lower(r, c) = static_cast<T>(d);
      sums[c] += d;
    });
    if (!dbias) return;
    for (std::int64_t c = 0; c < lower.cols; ++c)
      dbias->data<T>()[c] = static_cast<T>(dbias->data<T>()[c] + sums[c]);
  });
}

}  // namespace glossa
