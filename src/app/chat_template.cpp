// chat_template.cpp -- `glossa template`: conversations as the text that a model reads.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "app/command.h"
#include "base/error.h"
#include "checkpoint/gguf_chat_template.h"
#include "data/line_reader.h"
#include "hub/cache.h"
#include "text/chat_request.h"

namespace glossa::app {
namespace {

struct TemplateOptions {
  std::string model, input = "-";
  bool add_generation_prompt = false, json = false;
};

std::optional<ChatTemplate> load_template(const fs::path& path, bool with_tools) {
  if (path.extension() == ".gguf") return gguf_chat_template(GgufFile(path).metadata(), with_tools);
  if (fs::is_directory(path)) return load_chat_template(path, with_tools);
  return ChatTemplate::parse(read_file(path, TemplateLimits{}.template_bytes), shown(path));
}

// The model's template is read once for conversations with tools and once for those without.
class Templates {
 public:
  explicit Templates(std::string model) : model_(std::move(model)) {}
  RenderedChat render(const ChatRequest& request) {
    if (request.chat_template)
      return ChatTemplate::parse(*request.chat_template, "chat_template")
          .render(request.messages, request.options);
    const bool with_tools = !request.options.tools.is_null();
    auto& loaded = loaded_[with_tools ? 1 : 0];
    if (!loaded) {
      check(!model_.empty(), Code::usage,
            "--model is missing, and the conversation has no chat_template of its own");
      loaded = load_template(model_path(model_), with_tools);
      check(loaded.has_value(), Code::chat_template, "{}: the model has no chat template", shown(model_));
    }
    return loaded->render(request.messages, request.options);
  }

 private:
  const std::string model_;
  std::optional<ChatTemplate> loaded_[2];
};

// What cannot be rendered is told in its line's place, and the others go on.
OrderedJson as_json(const std::function<RenderedChat()>& render) {
  try {
    const RenderedChat chat = render();
    return {{"text", chat.text}, {"generated", chat.generated}};
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

void render_all(const TemplateOptions& o) {
  Templates templates(o.model);
  LineReader reader = LineReader::open(o.input, {});
  StandardOutput out;
  for (LineReader::Line line; reader.next(line);) {
    const std::string place =
        fmt::format("{}: line {}", o.input == "-" ? "standard input" : shown(o.input), reader.line_number());
    const auto render = [&] {
      ChatRequest request = parse_chat_request(line.text, place);
      request.options.add_generation_prompt |=
          o.add_generation_prompt && !request.options.continue_final_message;
      request.options.mark_generated = o.json;
      return templates.render(request);
    };
    out.write(to_line(o.json ? as_json(render) : OrderedJson(render().text)));
  }
  out.flush();
}

}  // namespace

void add_template(CLI::App& program) {
  CLI::App* command = program.add_subcommand("template", "Conversations as the text that a model reads");
  const auto o = std::make_shared<TemplateOptions>();
  command->add_option(
      "-m,--model", o->model,
      "A model's directory (chat_template.jinja or tokenizer_config.json), a .gguf, a template's file, or\nORG/NAME[:QUANT] that was pulled");
  command
      ->add_option(
          "-i,--input", o->input,
          "A conversation a line, as JSON: a list of messages, or an object of messages, tools, documents, "
          "add_generation_prompt, continue_final_message, bos_token, eos_token, chat_template, "
          "chat_template_kwargs, now; - is standard input")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_flag("--add-generation-prompt", o->add_generation_prompt,
                    "With the beginning of an answer at the end");
  command->add_flag("--json", o->json,
                    "An object for each line: text, and generated, the bytes that the template marks as the "
                    "assistant's; or error");
  command->footer(
      "Each line of output is a JSON string, as `glossa tokenizer encode --json-lines` takes it.\n"
      "Examples:\n"
      "  echo '[{\"role\": \"user\", \"content\": \"Hi!\"}]' | glossa template --model model.gguf "
      "--add-generation-prompt\n"
      "  glossa template --model qwen3 --input conversations.jsonl --json");
  command->callback([o] { render_all(*o); });
}

}  // namespace glossa::app
