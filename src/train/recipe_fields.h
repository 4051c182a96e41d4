// recipe_fields.h -- the one list of a recipe's keys: section, name, default, meaning, range, and the tasks
// they are of.
#pragma once
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "train/recipe.h"

namespace glossa {

using StringList = std::vector<std::string>;

// The tasks that a key has a meaning for.
enum class KeyOf : std::uint8_t { all, translation, language };

struct RecipeField {
  KeyOf of;
  const char* section;
  const char* key;
  std::variant<std::string*, std::int64_t*, double*, bool*, StringList*> place;
  std::variant<std::string, std::int64_t, double, bool, StringList> otherwise;  // of the recipe's task
  const char* meaning;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};
  bool path = false;  // a file, relative to the recipe

  std::string name() const { return std::string(section) + "." + key; }
  std::string text() const;     // the value
  std::string allowed() const;  // in words
  std::string default_text() const;
  void set_default();
  // `where` begins the message: "recipe.yaml:12" or "--set". Error(recipe).
  void assign(const std::string& text, const std::string& where);
};

// The keys of `recipe` with their places in it.
std::vector<RecipeField> fields_of(Recipe& recipe);

}  // namespace glossa
