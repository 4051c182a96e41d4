// activation-inl.h -- the activation functions of backend.h on vectors of f32, to a few units in the last place; NaN
// stays NaN. Per-target header: include it after foreach_target.h.
#include "backend/backend.h"

#if defined(GLOSSA_BACKEND_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GLOSSA_BACKEND_CPU_ACTIVATION_INL_H_
#undef GLOSSA_BACKEND_CPU_ACTIVATION_INL_H_
#else
#define GLOSSA_BACKEND_CPU_ACTIVATION_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace glossa::cpu::HWY_NAMESPACE {

// The coefficients below are minimax fits of this project's own (Lawson's iteration on Chebyshev nodes).

// c[0] + c[1] x + c[2] x^2 + ...
template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>, std::size_t N>
HWY_INLINE V polynomial(D d, V x, const float (&c)[N]) {
  namespace hn = hwy::HWY_NAMESPACE;
  V y = hn::Set(d, c[N - 1]);
  for (std::size_t i = N - 1; i-- > 0;) y = hn::MulAdd(y, x, hn::Set(d, c[i]));
  return y;
}

// e^x; 0 below -87.33, where results would not be normal numbers; infinity above 88.72.
template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V exp(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  static constexpr float kSeries[] = {0.50000001f, 0.16666519f, 0.04166621f, 0.00836891f, 0.00139505f};
  const hn::RebindToSigned<D> di;
  const V one = hn::Set(d, 1.0f), least = hn::Set(d, -87.33654f), most = hn::Set(d, 88.72283f);
  const V inside = hn::IfThenElse(hn::Lt(x, least), least, hn::IfThenElse(hn::Gt(x, most), most, x));
  // x = n ln 2 + r, ln 2 in two parts; 2^n as two factors, since n = 128 alone is too large for an exponent.
  const V n = hn::Round(hn::Mul(inside, hn::Set(d, 1.44269504f)));
  const V r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), inside));
  const V e = hn::Add(hn::MulAdd(hn::Mul(r, r), polynomial(d, r, kSeries), r), one);
  const auto whole = hn::ConvertTo(di, n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto power = [&](auto k) HWY_ATTR {
    return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(k, hn::Set(di, 127))));
  };
  const V y = hn::Mul(hn::Mul(e, power(half)), power(hn::Sub(whole, half)));
  const V limited = hn::IfThenElse(hn::Gt(x, most), hn::Set(d, __builtin_inff()), hn::IfThenZeroElse(hn::Lt(x, least), y));
  return hn::IfThenElse(hn::IsNaN(x), x, limited);
}

template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V sigmoid(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, exp(d, hn::Neg(x))));
}

template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V tanh(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  static constexpr float kSeries[] = {-0.33333284f, 0.13331491f, -0.05374349f, 0.02065055f, -0.00571701f};
  const V one = hn::Set(d, 1.0f), u = hn::Abs(x), square = hn::Mul(x, x);
  const V near = hn::MulAdd(hn::Mul(x, square), polynomial(d, square, kSeries), x);
  const V far = hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(exp(d, hn::Add(u, u)), one)));
  return hn::IfThenElse(hn::Lt(u, hn::Set(d, 0.625f)), near, hn::CopySign(far, x));
}

// Phi(x), the standard normal distribution function: exp(-x^2 / 2) s P(s) with s = 1 / (1 + 0.3 |x|) is Phi(-|x|), with
// a small relative error even far out, where 1 + erf(x / sqrt(2)) would cancel.
template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V normal_cdf(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  static constexpr float kSeries[] = {0.1196292958f, 0.1207540073f,  0.0999131418f,  0.1285628797f,
                                      -0.0536861818f, 0.2063564231f, -0.1572048508f, 0.0356752118f};
  const V one = hn::Set(d, 1.0f);
  const V s = hn::Div(one, hn::MulAdd(hn::Set(d, 0.3f), hn::Abs(x), one));
  const V tail = hn::Mul(hn::Mul(exp(d, hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f))), s), polynomial(d, s, kSeries));
  return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), hn::Sub(one, tail), tail);
}

template <Unary U, class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V activate(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (U == Unary::relu) {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  } else if constexpr (U == Unary::gelu) {
    return hn::Mul(x, normal_cdf(d, x));
  } else if constexpr (U == Unary::gelu_tanh) {
    // (1 + tanh(z)) / 2 = sigmoid(2 z), which does not cancel for negative z.
    const V z = hn::Mul(x, hn::MulAdd(hn::Mul(x, x), hn::Set(d, 2 * 0.7978845608f * 0.044715f), hn::Set(d, 2 * 0.7978845608f)));
    return hn::Mul(x, sigmoid(d, z));
  } else if constexpr (U == Unary::silu) {
    return hn::Mul(x, sigmoid(d, x));
  } else if constexpr (U == Unary::tanh) {
    return tanh(d, x);
  } else if constexpr (U == Unary::sigmoid) {
    return sigmoid(d, x);
  } else {
    return x;
  }
}

// The derivative of an activation at z.
template <Unary U, class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V derivative(D d, V z) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V one = hn::Set(d, 1.0f);
  if constexpr (U == Unary::relu) {
    return hn::IfThenElseZero(hn::Gt(z, hn::Zero(d)), one);
  } else if constexpr (U == Unary::gelu) {
    const V density = hn::Mul(exp(d, hn::Mul(hn::Mul(z, z), hn::Set(d, -0.5f))), hn::Set(d, 0.3989422804f));
    return hn::MulAdd(z, density, normal_cdf(d, z));
  } else if constexpr (U == Unary::gelu_tanh) {
    const V square = hn::Mul(z, z), a = hn::Set(d, 0.7978845608f);
    const V t = tanh(d, hn::Mul(hn::Mul(a, z), hn::MulAdd(square, hn::Set(d, 0.044715f), one)));
    const V inner = hn::Mul(a, hn::MulAdd(square, hn::Set(d, 3 * 0.044715f), one));
    const V slope = hn::Mul(hn::Mul(z, hn::NegMulAdd(t, t, one)), inner);
    return hn::Mul(hn::Set(d, 0.5f), hn::Add(hn::Add(one, t), slope));
  } else if constexpr (U == Unary::silu) {
    const V s = sigmoid(d, z);
    return hn::Mul(s, hn::MulAdd(z, hn::Sub(one, s), one));
  } else if constexpr (U == Unary::tanh) {
    const V t = tanh(d, z);
    return hn::NegMulAdd(t, t, one);
  } else if constexpr (U == Unary::sigmoid) {
    const V s = sigmoid(d, z);
    return hn::Mul(s, hn::Sub(one, s));
  } else {
    return one;
  }
}

}  // namespace glossa::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
