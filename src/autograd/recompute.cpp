#include "autograd/recompute.h"

namespace glossa {

Tensor recompute(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs) {
  Tape* tape = Tape::current();
  if (!tape) return f(inputs);
  const Tape::Options options = tape->options();
  const std::uint64_t position = tape->random_position();
  std::vector<Tensor> constants;
  for (const Tensor& x : inputs) constants.push_back(x ? x.detach() : x);

  Tensor y;
  std::uint64_t after;
  {
    Tape inner(options);  // so that dropout is drawn as it will be again; forgotten at the end of this scope
    inner.set_random_position(position);
    y = f(constants).detach();
    after = inner.random_position();
  }
  tape->set_random_position(after);

  return tape->record("recompute", std::move(y), inputs, [=](const Tensor& dy, Grads& dx) {
    Tape again(options);
    again.set_random_position(position);
    std::vector<Tensor> watched = constants;
    for (std::size_t i = 0; i < watched.size(); ++i)
      if (watched[i] && dx[static_cast<int>(i)]) again.watch(watched[i]);
    const Tensor result = f(watched);
    again.backward_from(result, dy);
    for (std::size_t i = 0; i < watched.size(); ++i)
      if (watched[i] && dx[static_cast<int>(i)])
        if (const Tensor g = again.gradient(watched[i])) dx[static_cast<int>(i)] += g;
  });
}

}  // namespace glossa
