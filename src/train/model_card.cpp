#include "train/model_card.h"

#include <fmt/format.h>

#include "base/version.h"

namespace glossa {
namespace {

std::string making_section(const ModelCard& c) {
  std::string text = "\n## Making\n\n";
  if (!c.command.empty()) text += fmt::format("```sh\n{}\n```\n\n", c.command);
  return text +
         fmt::format("![Course of the training](curves.svg)\n\nThe recipe (sha256 `{}`):\n\n```yaml\n{}```\n",
                     c.recipe.hash(), c.recipe.to_yaml());
}

}  // namespace

std::string literal(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=+:@%,";
  if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return text;
  std::string quoted_text;
  for (const char c : text) quoted_text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + quoted_text + "'";
}

std::string model_name(const fs::path& run) {
  fs::path path = fs::absolute(run).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // written with a slash at its end
  return path.filename().string();
}

std::string file_names(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths)
    if (!path.empty())
      text += fmt::format("{}`{}`", text.empty() ? " (" : ", ", fs::path(path).filename().string());
  return text.empty() ? text : text + ")";
}

std::string model_card(const ModelCard& c) {
  std::string text = "---\nlibrary_name: transformers\ntags:\n- glossa\n" + c.parts.tags + "---\n";
  text += fmt::format(
      "\n# {}\n\n{} with {:.2f} million parameters, trained by glossa {} for {} steps ({:.1f} epochs, {:.1f} "
      "minutes, {}).\n",
      model_name(c.run), c.parts.what, static_cast<double>(c.parameters) / 1e6, kVersion, c.state.step,
      c.state.epoch, c.state.seconds / 60, c.state.instruction_set);
  return text + c.parts.scores + c.parts.data + c.parts.use + making_section(c);
}

}  // namespace glossa
