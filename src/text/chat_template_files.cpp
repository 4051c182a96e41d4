#include "base/file.h"
#include "text/chat_template.h"

namespace glossa {
namespace {

namespace fs = std::filesystem;

// Tokens are texts or objects with a "content"; those that are null are none.
std::map<std::string, std::string> tokens_of(const Json& config, const std::string& origin) {
  std::map<std::string, std::string> tokens;
  for (const auto& [key, value] : config.items()) {
    if (!key.ends_with("_token")) continue;
    const Json* text = &value;
    if (value.is_object() && value.contains("content")) text = &value["content"];
    if (text->is_string())
      tokens[key] = text->get<std::string>();
    else
      check(text->is_null() || text->is_boolean(), Code::chat_template,
            "{}: {}: found a JSON {}, and a text or an object with a content is needed", origin, quoted(key),
            text->type_name());
  }
  return tokens;
}

std::string text_of(const Json& json, const std::string& origin, std::string_view key) {
  check(json.is_string(), Code::chat_template, "{}: {}: found a JSON {}, and a text is needed", origin, key,
        json.type_name());
  return json.get<std::string>();
}

// Of `chat_template`: nothing if it is null.
std::optional<std::string> chosen(const Json& json, const std::string& origin, bool with_tools) {
  if (json.is_null()) return std::nullopt;
  if (json.is_string()) return json.get<std::string>();
  check(json.is_array(), Code::chat_template,
        "{}: chat_template: found a JSON {}, and a text or a list of {{name, template}} is needed", origin,
        json.type_name());
  std::map<std::string, std::string> named;
  for (const Json& each : json) {
    check(each.is_object() && each.contains("name") && each.contains("template"), Code::chat_template,
          "{}: chat_template: each of the list needs a name and a template", origin);
    named[text_of(each["name"], origin, "chat_template.name")] =
        text_of(each["template"], origin, "chat_template.template");
  }
  if (with_tools && named.contains("tool_use")) return named["tool_use"];
  if (named.contains("default")) return named["default"];
  std::string names;
  for (const auto& [name, text] : named) names += (names.empty() ? "" : ", ") + quoted(name);
  fail(Code::chat_template, "{}: chat_template: there is no template named \"default\", only {}", origin,
       names);
}

}  // namespace

std::optional<ChatTemplate> load_chat_template(const fs::path& directory, bool with_tools,
                                               const TemplateLimits& limits) {
  const fs::path config_file = directory / "tokenizer_config.json";
  Json config;
  if (fs::exists(config_file)) config = read_json(config_file);
  check(config.is_null() || config.is_object(), Code::chat_template, "{}: is no JSON object",
        shown(config_file));
  auto tokens =
      config.is_object() ? tokens_of(config, shown(config_file)) : std::map<std::string, std::string>{};

  const fs::path with_tools_file = directory / "additional_chat_templates" / "tool_use.jinja";
  for (const fs::path& file : {with_tools_file, directory / "chat_template.jinja"}) {
    if (!fs::exists(file) || (file == with_tools_file && !with_tools)) continue;
    return ChatTemplate::parse(read_file(file, limits.template_bytes), shown(file), std::move(tokens),
                               limits);
  }
  if (!config.is_object() || !config.contains("chat_template")) return std::nullopt;
  const auto source = chosen(config["chat_template"], shown(config_file), with_tools);
  if (!source) return std::nullopt;
  return ChatTemplate::parse(*source, shown(config_file) + ": chat_template", std::move(tokens), limits);
}

}  // namespace glossa
