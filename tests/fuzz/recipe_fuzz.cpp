// recipe_fuzz.cpp -- any bytes as a recipe: refused by an Error, or read, and then what is written of it is read the same.
#include "base/error.h"
#include "fuzz.h"
#include "train/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace glossa;
  try {
    const Recipe recipe = Recipe::parse(std::string(fuzz_text(data, size)), "recipe.yaml", "");
    require(Recipe::parse(recipe.to_yaml(), "written", "").differences(recipe).empty());
    recipe.validate();
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 2 || static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
