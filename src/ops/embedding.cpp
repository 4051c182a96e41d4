#include <algorithm>

#include "ops/ops.h"

namespace glossa {
namespace {

void check_indices(const Tensor& indices, std::int64_t rows, const char* what) {
  const auto all = indices.span<std::int32_t>();
  const auto bad = std::find_if(all.begin(), all.end(), [&](std::int32_t i) { return i < 0 || i >= rows; });
  check(bad == all.end(), Code::shape, "{} {} at {} is outside a table of {} rows", what, bad == all.end() ? 0 : *bad,
        bad - all.begin(), rows);
}

// Rows of a table of any type, in f32.
Tensor wide_rows(const Tensor& table, const Tensor& ids) {
  Tensor rows = Tensor::empty({ids.size(0), table.cols()}, DType::f32, table.device());
  for (std::int64_t t = 0; t < ids.size(0); ++t) {
    const std::int64_t id = ids.data<std::int32_t>()[t];
    Tensor row = rows.slice(0, t, t + 1);
    Backend::of(table.device()).copy(table.slice(0, id, id + 1).to(DType::f32), row);
  }
  return rows;
}

// 0, 1, 2, ...
Tensor counting(std::int64_t count, Device device) {
  Tensor numbers = Tensor::empty({count}, DType::i32, device);
  for (std::int64_t i = 0; i < count; ++i) numbers.data<std::int32_t>()[i] = static_cast<std::int32_t>(i);
  return numbers;
}

}  // namespace

Tensor embed(const Tensor& ids, const Tensor& table, const EmbedOptions& options) {
  check(ids.rank() == 1 && table.rank() == 2, Code::shape, "embed: ids {}, table {}", ids.shape(),
        table.shape());
  check(!options.positions == !options.position, Code::shape, "embed: a table of positions goes with positions");
  check(!options.positions || (options.positions.cols() == table.cols() && options.position.shape() == ids.shape()),
        Code::shape, "embed: positions {} do not fit table {}", options.positions.shape(),
        table.shape());
  check_indices(ids, table.size(0), "embed: id");
  if (options.positions) check_indices(options.position, options.positions.size(0), "embed: position");

  const auto plain = [](const Tensor& t) { return !t || (!is_quantised(t.dtype()) && !is_narrow(t.dtype())); };
  if (!plain(table) || !plain(options.positions)) {  // the few rows that are wanted, and then as ever
    refuse_gradient("embed of tables of fewer bits", {table, options.positions});
    EmbedOptions some = options;
    if (options.positions) some.positions = wide_rows(options.positions, options.position);
    const Tensor rows = wide_rows(table, ids), each = counting(ids.size(0), ids.device());
    if (options.positions) some.position = each;
    return embed(each, rows, some);
  }
  const Dropout mask = current_dropout(options.dropout);
  Tensor y = table.like({ids.size(0), table.cols()});
  Backend::of(table.device()).embed(ids, table, options.scale, options.positions, options.position, mask, y);
  return recorded("embed", y, {table, options.positions},
                  [ids, position = options.position, mask, scale = options.scale](const Tensor& dy, Grads& dx) {
    Tensor dtable, dpositions;
    if (dx[0]) dtable = dx[0].into_sum();
    if (dx[1]) dpositions = dx[1].into_sum();
    Backend::of(dy.device()).embed_backward(dy, ids, scale, position, mask, dtable ? &dtable : nullptr,
                                            dpositions ? &dpositions : nullptr);
  });
}

Tensor gather_rows(const Tensor& x, const Tensor& rows) {
  check(x.rank() == 2 && rows.rank() == 1, Code::shape, "gather_rows: {} of {}", rows.shape(),
        x.shape());
  check_indices(rows, x.size(0), "gather_rows: row");
  Tensor y = x.like({rows.size(0), x.cols()});
  Backend::of(x.device()).gather_rows(x, rows, y);
  return recorded("gather_rows", y, {x}, [rows](const Tensor& dy, Grads& dx) {
    Tensor out = dx[0].into_sum();
    Backend::of(dy.device()).scatter_add_rows(dy, rows, out);
  });
}

}  // namespace glossa
