#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/reference/reference.h"

// What reads whole rows: norms, embeddings, cross entropy and the search for the largest.
namespace glossa {

using namespace reference;

// Ba et al., "Layer Normalization" (2016); Zhang & Sennrich, "Root Mean Square Layer Normalization" (2019).
void ReferenceBackend::norm(const Norm& n, const Tensor& x, const Tensor& gain, const Tensor& bias, Tensor& y,
                            Tensor* stats) {
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> in(x);
    const Matrix<T> out(y);
    for (std::int64_t r = 0; r < in.rows; ++r) {
      double mean = 0, variance = 0;
      if (n.centre)
        for (std::int64_t c = 0; c < in.cols; ++c) mean += in(r, c) / static_cast<double>(in.cols);
      for (std::int64_t c = 0; c < in.cols; ++c)
        variance += (in(r, c) - mean) * (in(r, c) - mean) / static_cast<double>(in.cols);
      const double reciprocal = 1 / std::sqrt(variance + n.eps);
      for (std::int64_t c = 0; c < in.cols; ++c)
        out(r, c) = static_cast<T>((in(r, c) - mean) * reciprocal * (static_cast<double>(gain.data<T>()[c]) + n.offset) +
                                   (bias ? bias.data<T>()[c] : T{0}));
      if (!stats) continue;
      const Matrix<T> kept(*stats);
      kept(r, 0) = static_cast<T>(mean);
      kept(r, 1) = static_cast<T>(reciprocal);
    }
  });
}

// With n = (x - mean) / deviation and g = dy * (gain + offset):  dx = (g - mean(g) - n mean(g n)) / deviation; without
// `centre` the mean of g stays.
void ReferenceBackend::norm_backward(const Norm& kind, const Tensor& x, const Tensor& gain, const Tensor& stats,
                                     const Tensor& dy, Tensor& dx, bool add, Tensor* dgain, Tensor* dbias) {
  in_type_of(dx, [&]<class T>(T) {
    const Matrix<const T> in(x), upper(dy), kept(stats);
    const Matrix<T> lower(dx);
    const auto width = static_cast<double>(in.cols);
    std::vector<double> gain_sum(static_cast<std::size_t>(in.cols)), bias_sum(gain_sum.size());
    for (std::int64_t r = 0; r < in.rows; ++r) {
      const double reciprocal = kept(r, 1);
      const auto n = [&](std::int64_t c) {
        return (static_cast<double>(in(r, c)) - kept(r, 0)) * reciprocal;
      };
      const auto g = [&](std::int64_t c) {
        return upper(r, c) * (static_cast<double>(gain.data<T>()[c]) + kind.offset);
      };
      double mean_g = 0, mean_gn = 0;
      for (std::int64_t c = 0; c < in.cols; ++c) {
        if (kind.centre) mean_g += g(c) / width;
        mean_gn += g(c) * n(c) / width;
        gain_sum[c] += upper(r, c) * n(c);
        bias_sum[c] += upper(r, c);
      }
      for (std::int64_t c = 0; c < in.cols; ++c) {
        const double d = (g(c) - mean_g - n(c) * mean_gn) * reciprocal;
        lower(r, c) = static_cast<T>(d + (add ? lower(r, c) : 0));
      }
    }
    for (std::int64_t c = 0; c < in.cols; ++c) {
      if (dgain) dgain->data<T>()[c] = static_cast<T>(dgain->data<T>()[c] + gain_sum[c]);
      if (dbias) dbias->data<T>()[c] = static_cast<T>(dbias->data<T>()[c] + bias_sum[c]);
    }
  });
}

// Su et al., "RoFormer" (2021), equation 34, in the pairing of Hugging Face's LLaMA: halves, not neighbours.
void ReferenceBackend::rotate(const Tensor& x, const Tensor& angles, bool back, Tensor& y, bool add) {
  in_type_of(y, [&]<class T>(T) {
    const Heads<const T> in(x);
    const Matrix<const T> turn(angles);
    const Heads<T> out(y);
    const std::int64_t n = turn.cols / 2;
    for (std::int64_t t = 0; t < in.tokens; ++t)
      for_each(in.heads, in.dim, [&](auto h, auto c) {
        double value = in(t, h, c);
        if (c < 2 * n) {
          const std::int64_t pair = c < n ? c : c - n;
          const double cosine = turn(t, pair), sine = back ? -turn(t, pair + n) : turn(t, pair + n);
          value = c < n ? value * cosine - in(t, h, c + n) * sine : value * cosine + in(t, h, pair) * sine;
        }
        out(t, h, c) = static_cast<T>(value + (add ? out(t, h, c) : 0));
      });
  });
}

void ReferenceBackend::embed(const Tensor& ids, const Tensor& table, double scale, const Tensor& positions,
                             const Tensor& position, const Dropout& mask, Tensor& y) {
  const auto id = ids.span<std::int32_t>();
  in_type_of(y, [&]<class T>(T) {
    const Matrix<const T> words(table);
    const Matrix<T> out(y);
    for_each(out.rows, out.cols, [&](auto t, auto c) {
      double sum = scale * words(id[t], c);
      if (positions) sum += Matrix<const T>(positions)(position.data<std::int32_t>()[t], c);
      out(t, c) = static_cast<T>(dropped(mask, t * out.cols + c, sum));
    });
  });
}

void ReferenceBackend::embed_backward(const Tensor& dy, const Tensor& ids, double scale,
                                      const Tensor& position, const Dropout& mask, Tensor* dtable,
                                      Tensor* dpositions) {
  const auto id = ids.span<std::int32_t>();
  in_type_of(dy, [&]<class T>(T) {
    const Matrix<const T> upper(dy);
    // Adds factor * dropout'(dy[t]) to row row_of(t) of `table`, summing in double.
    const auto scatter = [&](Tensor& table, double factor, auto row_of) {
      const Matrix<T> out(table);
      std::vector<double> sums(static_cast<std::size_t>(out.rows * out.cols));
      for_each(upper.rows, upper.cols, [&](auto t, auto c) {
        sums[row_of(t) * out.cols + c] += factor * dropped(mask, t * upper.cols + c, upper(t, c));
      });
      for_each(out.rows, out.cols,
               [&](auto r, auto c) { out(r, c) = static_cast<T>(out(r, c) + sums[r * out.cols + c]); });
    };
    if (dtable) scatter(*dtable, scale, [&](auto t) { return id[t]; });
    if (dpositions) scatter(*dpositions, 1, [&](auto t) { return position.data<std::int32_t>()[t]; });
  });
}

namespace {

template <class T>
double log_sum_exp(const Matrix<T>& x, std::int64_t r) {
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::int64_t c = 0; c < x.cols; ++c) most = std::max<double>(most, x(r, c));
  if (std::isinf(most)) most = 0;
  for (std::int64_t c = 0; c < x.cols; ++c) sum += std::exp(x(r, c) - most);
  return most + std::log(sum);
}

}  // namespace

// loss = log sum exp(logits) - sum over c of target[c] * logits[c]; its gradient is softmax(logits) - target.
void ReferenceBackend::cross_entropy(Tensor& logits, const Tensor& labels, double smoothing, bool gradient,
                                     double gradient_scale, Tensor& loss) {
  const auto label = labels.span<std::int32_t>();
  in_type_of(logits, [&]<class T>(T) {
    const Matrix<T> x(logits);
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const bool counts = label[r] != -100;
      const auto target = [&](std::int64_t c) {
        return (c == label[r] ? 1 - smoothing : 0) + smoothing / static_cast<double>(x.cols);
      };
      const double log_sum = log_sum_exp(x, r);
      double sum = counts ? log_sum : 0;
      for (std::int64_t c = 0; c < x.cols; ++c) {
        if (counts && target(c) != 0) sum -= target(c) * x(r, c);
        if (gradient)
          x(r, c) = static_cast<T>(counts ? gradient_scale * (std::exp(x(r, c) - log_sum) - target(c)) : 0);
      }
      loss.data<T>()[r] = static_cast<T>(sum);
    }
  });
}

// Not-a-numbers rank last; they show in the log-sum-exp.
void ReferenceBackend::top_k(const Tensor& x, std::int64_t k, Tensor& values, Tensor& indices,
                             Tensor& logsumexp) {
  in_type_of(x, [&]<class T>(T) {
    const Matrix<const T> in(x);
    const Matrix<T> best(values);
    const Matrix<std::int32_t> where(indices);
    std::vector<std::int32_t> order(static_cast<std::size_t>(in.cols));
    for (std::int64_t r = 0; r < in.rows; ++r) {
      const auto larger = [&](std::int32_t a, std::int32_t b) {
        if (std::isnan(in(r, a)) || std::isnan(in(r, b))) return !std::isnan(in(r, a));
        return in(r, a) > in(r, b);
      };
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), larger);
      for (std::int64_t i = 0; i < k; ++i) where(r, i) = order[i], best(r, i) = in(r, order[i]);
      logsumexp.data<T>()[r] = static_cast<T>(log_sum_exp(in, r));
    }
  });
}

}  // namespace glossa
