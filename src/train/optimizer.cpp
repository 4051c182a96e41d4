#include "train/optimizer.h"

#include <cmath>

namespace glossa {

Optimizer::Optimizer(const ParameterList& parameters, const TrainRecipe& recipe) : recipe_(recipe) {
  for (const Parameter& p : parameters.all()) {
    if (!p.trainable()) continue;
    const Tensor& w = p.value();
    Item item{p, {}, {}};
    if (recipe_.optim == "adafactor") {
      const bool matrix = w.rank() == 2;
      item.first = Tensor::zeros({matrix ? w.rows() : w.elements()}, w.dtype(), w.device());
      if (matrix) item.second = Tensor::zeros({w.cols()}, w.dtype(), w.device());
    } else {
      item.first = Tensor::zeros(w.shape(), w.dtype(), w.device());
      if (recipe_.optim != "sgd") item.second = Tensor::zeros(w.shape(), w.dtype(), w.device());
    }
    items_.push_back(std::move(item));
  }
}

double Optimizer::gradient_norm() const {
  double sum = 0;
  for (const Item& item : items_)
    if (const Leaf& leaf = item.parameter.leaf(); leaf.gradient) sum += Backend::of(leaf.gradient.device()).sum_of_squares(leaf.gradient);
  return std::sqrt(sum);
}

void Optimizer::update(double learning_rate, double gradient_scale, std::int64_t step) {
  const auto f = [](double x) { return static_cast<float>(x); };
  for (Item& item : items_) {
    const Leaf& leaf = item.parameter.leaf();
    if (!leaf.gradient) continue;
    Tensor weight = item.parameter.value();
    Backend& backend = Backend::of(weight.device());
    // Vectors (biases and gains) are not decayed: they do not multiply one another, so they need no restraint.
    const float decay = weight.rank() == 2 ? f(recipe_.weight_decay) : 0;
    if (recipe_.optim == "sgd") {
      backend.sgd(weight, leaf.gradient, item.first,
                  {.learning_rate = f(learning_rate), .momentum = f(recipe_.momentum), .weight_decay = decay,
                   .gradient_scale = f(gradient_scale)});
    } else if (recipe_.optim == "adafactor") {
      backend.adafactor(weight, leaf.gradient, item.first, item.second,
                        {.learning_rate = f(learning_rate), .weight_decay = decay, .gradient_scale = f(gradient_scale), .step = step});
    } else {
      backend.adamw(weight, leaf.gradient, item.first, item.second,
                    {.learning_rate = f(learning_rate), .beta1 = f(recipe_.adam_beta1), .beta2 = f(recipe_.adam_beta2),
                     .epsilon = f(recipe_.adam_epsilon), .weight_decay = recipe_.optim == "adamw" ? decay : 0,
                     .gradient_scale = f(gradient_scale), .step = step});
    }
  }
}

std::vector<std::pair<std::string, Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, Tensor>> out;
  for (const Item& item : items_) {
    out.emplace_back(item.parameter.name() + ".first", item.first);
    if (item.second) out.emplace_back(item.parameter.name() + ".second", item.second);
  }
  return out;
}

}  // namespace glossa
