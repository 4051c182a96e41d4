#include "backend/reference/reference_backend.h"

#include <cstring>

#include "backend/reference/reference.h"

// Element by element, and by rows.
namespace glossa {

using namespace reference;

Backend& reference_backend() {
  static ReferenceBackend backend;
  return backend;
}

namespace {

template <class T>
void fill_with(Tensor& y, T value) {
  const Matrix<T> out(y);
  for_each(out.rows, out.cols, [&](auto r, auto c) { out(r, c) = value; });
}

// Copies rows of any type: row to(i) of y becomes row from(i) of x, for i < count.
template <class From, class To>
void copy_rows(const Tensor& x, const Tensor& y, std::int64_t count, From from, To to) {
  const std::int64_t x_stride = bytes_of(x.dtype(), x.row_stride()),
                     y_stride = bytes_of(x.dtype(), y.row_stride());
  const auto bytes = static_cast<std::size_t>(bytes_of(x.dtype(), x.cols()));
  const auto* source = static_cast<const char*>(x.raw());
  auto* target = static_cast<char*>(y.raw());
  for (std::int64_t i = 0; i < count; ++i)
    std::memcpy(target + to(i) * y_stride, source + from(i) * x_stride, bytes);
}

std::int64_t same(std::int64_t i) {
  return i;
}

}  // namespace

void ReferenceBackend::fill(Tensor& y, double value) {
  if (y.dtype() == DType::i32) return fill_with(y, static_cast<std::int32_t>(value));
  if (y.dtype() == DType::i64) return fill_with(y, static_cast<std::int64_t>(value));
  in_type_of(y, [&]<class T>(T) { fill_with(y, static_cast<T>(value)); });
}

void ReferenceBackend::copy(const Tensor& x, Tensor& y) {
  copy_rows(x, y, x.rows(), same, same);
}

void ReferenceBackend::add(const Tensor& a, const Tensor& b, Tensor& y) {
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> left(a), right(b);
    const Matrix<T> out(y);
    for_each(out.rows, out.cols, [&](auto r, auto c) { out(r, c) = left(r, c) + right(r, c); });
  });
}

void ReferenceBackend::scale(const Tensor& x, double factor, Tensor& y) {
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> in(x);
    const Matrix<T> out(y);
    for_each(out.rows, out.cols, [&](auto r, auto c) { out(r, c) = static_cast<T>(in(r, c) * factor); });
  });
}

double ReferenceBackend::sum_of_squares(const Tensor& x) {
  double sum = 0;
  in_type_of(x, [&]<class T>(T) {
    const Matrix<const T> in(x);
    for_each(in.rows, in.cols, [&](auto r, auto c) { sum += static_cast<double>(in(r, c)) * in(r, c); });
  });
  return sum;
}

bool ReferenceBackend::all_finite(const Tensor& x) {
  bool finite = true;
  in_type_of(x, [&]<class T>(T) {
    const Matrix<const T> in(x);
    for_each(in.rows, in.cols, [&](auto r, auto c) { finite = finite && std::isfinite(in(r, c)); });
  });
  return finite;
}

void ReferenceBackend::dropout(const Tensor& x, const Dropout& mask, Tensor& y) {
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> in(x);
    const Matrix<T> out(y);
    for_each(out.rows, out.cols,
             [&](auto r, auto c) { out(r, c) = static_cast<T>(dropped(mask, r * out.cols + c, in(r, c))); });
  });
}

void ReferenceBackend::gather_rows(const Tensor& x, const Tensor& rows, Tensor& y) {
  const auto row = rows.span<std::int32_t>();
  copy_rows(
      x, y, rows.elements(), [&](auto i) { return std::int64_t{row[i]}; }, same);
}

void ReferenceBackend::scatter_rows(const Tensor& x, const Tensor& rows, Tensor& y) {
  const auto row = rows.span<std::int32_t>();
  copy_rows(x, y, rows.elements(), same, [&](auto i) { return std::int64_t{row[i]}; });
}

void ReferenceBackend::scatter_add_rows(const Tensor& x, const Tensor& rows, Tensor& y) {
  const auto row = rows.span<std::int32_t>();
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> in(x);
    const Matrix<T> out(y);
    for_each(in.rows, in.cols, [&](auto r, auto c) { out(row[r], c) += in(r, c); });
  });
}

void ReferenceBackend::interpolate(Tensor& y, const Tensor& x, double share) {
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> in(x);
    const Matrix<T> out(y);
    for_each(out.rows, out.cols, [&](auto r, auto c) {
      const double before = out(r, c);
      out(r, c) = static_cast<T>(before + share * (in(r, c) - before));
    });
  });
}

}  // namespace glossa
