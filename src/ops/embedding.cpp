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

}  // namespace

Tensor embed(const Tensor& ids, const Tensor& table, const EmbedOptions& options) {
  check(ids.rank() == 1 && table.rank() == 2, Code::shape, "embed: ids {}, table {}", to_string(ids.shape()),
        to_string(table.shape()));
  check(!options.positions == !options.position, Code::shape, "embed: a table of positions goes with positions");
  check(!options.positions || (options.positions.cols() == table.cols() && options.position.shape() == ids.shape()),
        Code::shape, "embed: positions {} do not fit table {}", to_string(options.positions.shape()),
        to_string(table.shape()));
  check_indices(ids, table.size(0), "embed: id");
  if (options.positions) check_indices(options.position, options.positions.size(0), "embed: position");

  if (is_quantised(table.dtype())) {  // the few rows that are wanted, and then as ever
    refuse_gradient("embed of a table of a block type", {table, options.positions});
    Tensor rows = Tensor::empty({ids.size(0), table.cols()}, DType::f32, table.device());
    std::vector<std::int32_t> each(static_cast<std::size_t>(ids.size(0)));
    for (std::int64_t t = 0; t < ids.size(0); ++t) {
      const std::int64_t id = ids.data<std::int32_t>()[t];
      Tensor row = rows.slice(0, t, t + 1);
      Backend::of(table.device()).copy(table.slice(0, id, id + 1).to(DType::f32), row);
      each[static_cast<std::size_t>(t)] = static_cast<std::int32_t>(t);
    }
    return embed(Tensor::of(each, table.device()), rows, options);
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
  check(x.rank() == 2 && rows.rank() == 1, Code::shape, "gather_rows: {} of {}", to_string(rows.shape()),
        to_string(x.shape()));
  check_indices(rows, x.size(0), "gather_rows: row");
  Tensor y = x.like({rows.size(0), x.cols()});
  Backend::of(x.device()).gather_rows(x, rows, y);
  return recorded("gather_rows", y, {x}, [rows](const Tensor& dy, Grads& dx) {
    Tensor out = dx[0].into_sum();
    Backend::of(dy.device()).scatter_add_rows(dy, rows, out);
  });
}

}  // namespace glossa
