// embedding.h -- rows of tables by number, on the CPU: embeddings, gathering and scattering. Contracts are those of
// backend.h.
#pragma once
#include "backend/backend.h"

namespace glossa::cpu {

struct Embed {
  const Tensor &ids, &table;
  double scale;
  const Tensor &positions, &position;
  const Dropout& dropout;
  Tensor& y;
};
struct EmbedBackward {
  const Tensor &dy, &ids;
  double scale;
  const Tensor& position;
  const Dropout& dropout;
  Tensor *dtable, *dpositions;
};

void embed(const Embed&);
void embed_backward(const EmbedBackward&);
void copy_rows(const Tensor& x, const Tensor& y);
void gather_rows(const Tensor& x, const Tensor& rows, Tensor& y);
void scatter_rows(const Tensor& x, const Tensor& rows, Tensor& y);
void scatter_add_rows(const Tensor& x, const Tensor& rows, Tensor& y);

}  // namespace glossa::cpu
