#include "autograd/recompute.h"

namespace glossa {

Tensor recompute(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs) {
  Tape* tape = Tape::current();
  if (!tape) return f(inputs);
  const Tape::Options options = tape->options();
  const std::uint64_t position = tape->random_position();
  const bool bf16 = bf16_products();
  std::vector<Tensor> constants;
  bool known = false;
  for (const Tensor& x : inputs) {
    constants.push_back(x ? x.detach().contiguous() : x);
    known |= tape->knows(x);
  }

  Tensor y;
  {
    Tape inner(options);  // so that dropout is drawn as it will be again; forgotten at the end of this scope
    inner.set_random_position(position);
    const Tensor result = f(constants);
    known |= inner.knows(result);
    y = result.detach().contiguous();
    tape->set_random_position(inner.random_position());
  }
  if (!known) return y;

  return tape->record("recompute", std::move(y), inputs, [=](const Tensor& dy, Grads& dx) {
    const Bf16Products precision(bf16);
    Tape again(options);
    again.set_random_position(position);
    std::vector<Tensor> watched = constants;
    for (std::size_t i = 0; i < watched.size(); ++i)
      if (watched[i] && dx[static_cast<int>(i)]) again.watch(watched[i]);
    const Tensor result = f(watched);
    if (!again.knows(result)) return;  // it depends on no input that wants a gradient
    again.backward_from(result, dy);
    for (std::size_t i = 0; i < watched.size(); ++i)
      if (watched[i] && dx[static_cast<int>(i)])
        if (const Tensor g = again.gradient(watched[i])) dx[static_cast<int>(i)] += g;
  });
}

}  // namespace glossa
