// elementwise.h -- kernels of the CPU that treat every element alike. Contracts are those of backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

void add(const Tensor& a, const Tensor& b, Tensor& y);
void scale(const Tensor& x, double factor, Tensor& y);
void interpolate(Tensor& y, const Tensor& x, double share);
double sum_of_squares(const Tensor& x);
bool all_finite(const Tensor& x);
void dropout(const Tensor& x, const Dropout& mask, Tensor& y);
void epilogue_backward(const Tensor& dy, const Tensor& z, Unary act, const Dropout& mask, Tensor& dz, Tensor* dbias);

}  // namespace glossa::cpu
