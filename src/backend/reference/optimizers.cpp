#include <algorithm>
#include <vector>

#include "backend/reference/reference.h"

// Weight decay is decoupled in all of them: the weight shrinks by learning_rate * weight_decay of itself.
namespace glossa {

using namespace reference;

void ReferenceBackend::adamw(Tensor& weight, const Tensor& gradient, Tensor& m, Tensor& v, const AdamW& o) {
  const double rate = o.learning_rate, beta1 = o.beta1, beta2 = o.beta2, epsilon = o.epsilon;
  const double decay = o.weight_decay, gradient_scale = o.gradient_scale, step = static_cast<double>(o.step);
  in_type_of(weight, [&]<class T>(T) {
    const Matrix<const T> gradients(gradient);
    const Matrix<T> w(weight), first(m), second(v);
    for_each(w.rows, w.cols, [&](auto r, auto c) {
      const double g = gradient_scale * gradients(r, c);
      const double mean = beta1 * first(r, c) + (1 - beta1) * g;
      const double square = beta2 * second(r, c) + (1 - beta2) * g * g;
      const double unbiased_mean = mean / (1 - std::pow(beta1, step));
      const double unbiased_square = square / (1 - std::pow(beta2, step));
      first(r, c) = static_cast<T>(mean);
      second(r, c) = static_cast<T>(square);
      w(r, c) = static_cast<T>(
          w(r, c) - rate * (unbiased_mean / (std::sqrt(unbiased_square) + epsilon) + decay * w(r, c)));
    });
  });
}

// Momentum as in Sutskever et al., "On the importance of initialization and momentum in deep learning"
// (2013), with the learning rate outside the velocity; decay as in Loshchilov & Hutter (2019), algorithm 1.
// No momentum, no velocity.
void ReferenceBackend::sgd(Tensor& weight, const Tensor& gradient, Tensor& momentum, const Sgd& o) {
  const double rate = o.learning_rate, mu = o.momentum, decay = o.weight_decay,
               gradient_scale = o.gradient_scale;
  in_type_of(weight, [&]<class T>(T) {
    const Matrix<const T> gradients(gradient);
    const Matrix<T> w(weight);
    for_each(w.rows, w.cols, [&](auto r, auto c) {
      const double g = gradient_scale * gradients(r, c);
      double update = g;
      if (mu != 0) {
        T& velocity = Matrix<T>(momentum)(r, c);
        const double next = mu * velocity + g;
        velocity = static_cast<T>(next);
        update = o.nesterov ? g + mu * next : next;
      }
      w(r, c) = static_cast<T>(w(r, c) - rate * (update + decay * w(r, c)));
    });
  });
}

// The moments of rows and columns are kept as means of squares, not as sums: V[i, j] = row[i] column[j] /
// mean(row) is the same, and moments of matrices of any width are of one size. alpha = learning_rate *
// max(epsilon2, RMS(weight)).
void ReferenceBackend::adafactor(Tensor& weight, const Tensor& gradient, Tensor& row, Tensor& column,
                                 const Adafactor& o) {
  const double beta2 = 1 - std::pow(static_cast<double>(o.step), -static_cast<double>(o.decay));
  const double rate = o.learning_rate, decay = o.weight_decay, gradient_scale = o.gradient_scale;
  in_type_of(weight, [&]<class T>(T) {
    const Matrix<T> w(weight);
    const Matrix<const T> gradients(gradient);
    const std::int64_t rows = w.rows, cols = w.cols;
    const auto count = static_cast<double>(rows * cols);
    const auto g = [&](auto r, auto c) { return gradient_scale * gradients(r, c); };
    const auto square = [&](auto r, auto c) { return g(r, c) * g(r, c) + static_cast<double>(o.epsilon1); };
    const auto mix = [&](T& moment, double now) {
      moment = static_cast<T>(beta2 * moment + (1 - beta2) * now);
    };

    T* by_row = row.data<T>();
    T* by_column = column ? column.data<T>() : nullptr;
    double mean_row = 0;
    if (by_column) {
      std::vector<double> row_mean(static_cast<std::size_t>(rows)),
          column_mean(static_cast<std::size_t>(cols));
      for_each(rows, cols, [&](auto r, auto c) {
        row_mean[r] += square(r, c) / static_cast<double>(cols);
        column_mean[c] += square(r, c) / static_cast<double>(rows);
      });
      for (std::int64_t r = 0; r < rows; ++r)
        mix(by_row[r], row_mean[r]), mean_row += by_row[r] / static_cast<double>(rows);
      for (std::int64_t c = 0; c < cols; ++c) mix(by_column[c], column_mean[c]);
    } else {
      for_each(rows, cols, [&](auto r, auto c) { mix(by_row[r * cols + c], square(r, c)); });
    }
    const auto update = [&](auto r, auto c) {
      const double v =
          by_column ? static_cast<double>(by_row[r]) * by_column[c] / mean_row : by_row[r * cols + c];
      return g(r, c) / std::sqrt(v);
    };

    double update_squares = 0, weight_squares = 0;
    for_each(rows, cols, [&](auto r, auto c) {
      update_squares += update(r, c) * update(r, c);
      weight_squares += static_cast<double>(w(r, c)) * w(r, c);
    });
    const double clip = std::max(1.0, std::sqrt(update_squares / count) / static_cast<double>(o.clip));
    const double alpha = rate * std::max(static_cast<double>(o.epsilon2), std::sqrt(weight_squares / count));
    for_each(rows, cols, [&](auto r, auto c) {
      w(r, c) = static_cast<T>(w(r, c) - alpha * update(r, c) / clip - rate * decay * w(r, c));
    });
  });
}

}  // namespace glossa
