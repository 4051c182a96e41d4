#include <algorithm>
#include <limits>
#include <vector>

#include "backend/reference/reference.h"

// Vaswani et al., "Attention Is All You Need" (2017), equation 1, one query and head at a time.
namespace glossa {

using namespace reference;

namespace {

// One query of a sequence: its token, and the keys of that sequence [begin, end) among all key tokens.
struct Query {
  std::int64_t token, begin, end;
  std::int64_t position;  // of the query in the keys' sequence, the ends of both aligned

  bool sees(const Mask& mask, std::int64_t key) const {
    if (mask.causal && key > position) return false;
    return mask.window <= 0 || std::abs(position - key) < mask.window;
  }
};

template <class F>
void for_each_query(const Attention& a, F&& f) {
  const auto queries = a.queries.starts.span<std::int32_t>(), keys = a.keys.starts.span<std::int32_t>();
  for (std::int32_t i = 0; i < a.queries.count; ++i) {
    const std::int64_t shift = (keys[i + 1] - keys[i]) - (queries[i + 1] - queries[i]);
    for (std::int64_t token = queries[i]; token < queries[i + 1]; ++token)
      f(Query{token, keys[i], keys[i + 1], token - queries[i] + shift});
  }
}

// The row of k and v that holds key token j.
std::int64_t key_row(const Attention& a, std::int64_t j) {
  return a.key_rows ? a.key_rows.data<std::int32_t>()[j] : j;
}

// The element of the dropout mask for one probability; `key` counts from the beginning of its sequence.
std::int64_t element(const Query& query, std::int64_t heads, std::int64_t head, std::int64_t key) {
  return ((query.token * heads + head) << 20) + key;
}

struct Probabilities {
  std::vector<double> of_key;  // softmax(scale * q . k) over the keys of the sequence, 0 for keys not seen
  std::vector<double> slope;   // of the scores by q . k
  double logsumexp;            // -infinity when no key is seen
};

template <class T>
Probabilities probabilities(const Attention& a, const Query& query, std::int64_t head) {
  const Heads<const T> q(a.q), k(a.k);
  const std::int64_t keys = query.end - query.begin, kv_head = head / (q.heads / k.heads);
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  std::vector<double> scores(static_cast<std::size_t>(keys), kNever), slopes(scores.size());
  const double scale = a.scale, cap = a.softcap;
  for (std::int64_t j = 0; j < keys; ++j) {
    if (!query.sees(a.mask, j)) continue;
    double dot = 0;
    for (std::int64_t d = 0; d < q.dim; ++d)
      dot += static_cast<double>(q(query.token, head, d)) * k(key_row(a, query.begin + j), kv_head, d);
    const double bent = cap > 0 ? std::tanh(scale * dot / cap) : 0;
    scores[j] = cap > 0 ? cap * bent : scale * dot;
    slopes[j] = scale * (1 - bent * bent);
  }
  const double most = scores.empty() ? kNever : *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = score == kNever ? 0 : std::exp(score - most);
  for (double& score : scores) score = sum == 0 ? 0 : score / sum;
  return {std::move(scores), std::move(slopes), most + std::log(sum)};
}

// Sums of gradients [tokens, heads, dim] in double until they are complete.
class Sums {
 public:
  explicit Sums(const Tensor& x)
      : heads_(x.size(1)), dim_(x.size(2)), sums_(static_cast<std::size_t>(x.elements())) {}
  double& operator()(std::int64_t t, std::int64_t h, std::int64_t d) {
    return sums_[(t * heads_ + h) * dim_ + d];
  }
  template <class T>
  void store(Tensor& x, bool add) {
    const Heads<T> out(x);
    for (std::int64_t t = 0; t < out.tokens; ++t)
      for_each(heads_, dim_, [&](auto h, auto d) {
        out(t, h, d) = static_cast<T>((*this)(t, h, d) + (add ? out(t, h, d) : 0));
      });
  }

 private:
  std::int64_t heads_, dim_;
  std::vector<double> sums_;
};

}  // namespace

// A query that sees no key gets zeros.
void ReferenceBackend::attention(const Attention& a, Tensor& out) {
  const Tensor keys = a.k.to(out.dtype()), values = a.v.to(out.dtype());  // caches may be narrower
  const Attention wide{.q = a.q, .k = keys, .v = values, .queries = a.queries, .keys = a.keys, .mask = a.mask, .scale = a.scale,
                       .softcap = a.softcap, .key_rows = a.key_rows};
  in_type_of(out, [&]<class T>(T) {
    const Heads<const T> v(values);
    const Heads<T> y(out);
    for_each_query(a, [&](const Query& query) {
      for (std::int64_t head = 0; head < y.heads; ++head) {
        const Probabilities p = probabilities<T>(wide, query, head);
        if (a.logsumexp) Matrix<T> (*a.logsumexp)(query.token, head) = static_cast<T>(p.logsumexp);
        for (std::int64_t d = 0; d < y.dim; ++d) {
          double sum = 0;
          for (std::int64_t j = 0; j < query.end - query.begin; ++j)
            if (query.sees(a.mask, j))
              sum += dropped(a.dropout, element(query, y.heads, head, j), p.of_key[j]) *
                     v(key_row(a, query.begin + j), head / (y.heads / v.heads), d);
          y(query.token, head, d) = static_cast<T>(sum);
        }
      }
    });
  });
}

// With p = softmax(s), s = scale * q . k, o = dropout(p) v and g = dropout'(do . v), the gradient of p:
//   dv = dropout(p) do,  ds = p (g - sum p g),  dq = slope ds k,  dk = slope ds q, slope = scale but for the cap.
// The probabilities are computed again, not taken from what the forward pass kept.
void ReferenceBackend::attention_backward(const Attention& a, const Tensor&, const Tensor& dout, Tensor& dq,
                                          Tensor& dk, Tensor& dv, bool add) {
  in_type_of(dout, [&]<class T>(T) {
    const Heads<const T> q(a.q), k(a.k), v(a.v), dy(dout);
    Sums dq_sum(dq), dk_sum(dk), dv_sum(dv);
    for_each_query(a, [&](const Query& query) {
      const std::int64_t keys = query.end - query.begin;
      for (std::int64_t head = 0; head < q.heads; ++head) {
        const std::int64_t kv_head = head / (q.heads / k.heads);
        const auto [p, slope, logsumexp] = probabilities<T>(a, query, head);
        std::vector<double> g(static_cast<std::size_t>(keys));
        double mean = 0;  // sum p g
        for (std::int64_t j = 0; j < keys; ++j) {
          if (!query.sees(a.mask, j)) continue;
          const std::int64_t row = key_row(a, query.begin + j), e = element(query, q.heads, head, j);
          double dot = 0;
          for (std::int64_t d = 0; d < q.dim; ++d) {
            dv_sum(row, kv_head, d) += dropped(a.dropout, e, p[j]) * dy(query.token, head, d);
            dot += static_cast<double>(dy(query.token, head, d)) * v(row, kv_head, d);
          }
          g[j] = dropped(a.dropout, e, dot);
          mean += p[j] * g[j];
        }
        for (std::int64_t j = 0; j < keys; ++j) {
          if (!query.sees(a.mask, j)) continue;
          const std::int64_t row = key_row(a, query.begin + j);
          const double ds = slope[j] * p[j] * (g[j] - mean);
          for (std::int64_t d = 0; d < q.dim; ++d) {
            dq_sum(query.token, head, d) += ds * k(row, kv_head, d);
            dk_sum(row, kv_head, d) += ds * q(query.token, head, d);
          }
        }
      }
    });
    dq_sum.store<T>(dq, add);
    dk_sum.store<T>(dk, add);
    dv_sum.store<T>(dv, add);
  });
}

}  // namespace glossa
