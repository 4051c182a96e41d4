#include "train/task.h"

#include "train/language_model.h"
#include "train/translation.h"

namespace glossa {

std::unique_ptr<Task> make_task(const Recipe& recipe, const TaskOptions& options) {
  if (recipe.language()) return std::make_unique<LanguageModelTask>(recipe, options);
  return std::make_unique<TranslationTask>(recipe, options);
}

}  // namespace glossa
