// convert.cpp -- `glossa convert`: a language model in another form: a Hugging Face directory, GGUF, PyTorch,
// llama2.c.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/causal.h"
#include "app/command.h"
#include "base/error.h"
#include "base/json.h"
#include "checkpoint/convert.h"
#include "checkpoint/gguf_file_type.h"
#include "hub/cache.h"

namespace glossa::app {
namespace {

struct Options {
  std::string in, out, type, format, tokenizer;
  bool force = false, json = false;
};

ModelFormat format_of(const Options& o) {
  const std::string extension = fs::path(o.out).extension().string();
  const bool file = extension == ".gguf" || extension == ".bin" || extension == ".pt" ||
                    extension == ".pth" || extension == ".safetensors";
  if (o.format == "gguf") return ModelFormat::gguf;
  if (o.format == "llama2c") return ModelFormat::llama2c;
  if (o.format.empty() && extension == ".gguf") return ModelFormat::gguf;
  if (o.format.empty() && extension == ".bin") return ModelFormat::llama2c;
  check(!file, Code::usage,
        "{}: a model for Hugging Face's libraries is a directory; give the name of one, without {}",
        shown(o.out), extension);
  return o.format == "pytorch" ? ModelFormat::pytorch : ModelFormat::directory;
}

// What is wrong with the place of the output is said before any work.
void check_output(const Options& o, ModelFormat format) {
  std::error_code ignored;
  for (const fs::path& path : outputs_of(o.out, format)) {
    check(!fs::equivalent(model_path(o.in), path, ignored), Code::open, "{}: the output is the input", shown(path));
    const fs::path parent = fs::absolute(path).parent_path();
    check(fs::is_directory(parent, ignored), Code::open, "{}: the directory {} does not exist", shown(path),
          shown(parent));
    check(o.force || !fs::exists(fs::symlink_status(path, ignored)), Code::output_exists,
          "{}: exists; --force replaces it", shown(path));
  }
}

std::string types_of(const Conversion& c) {
  std::string all;
  for (const auto& [type, count] : c.types)
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", count, type);
  return all;
}

void run(const Options& o) {
  if (!o.type.empty()) gguf_file_type(o.type);  // whether there is such a type
  const ModelFormat format = format_of(o);
  check_output(o, format);
  const ModelSource source = open_source({.model = o.in, .tokenizer = o.tokenizer});
  const Conversion c = convert_model(source, o.out, {.format = format, .type = o.type});
  for (const std::string& line : c.notes) note(line);
  StandardOutput out;
  if (o.json)
    out.write(to_line({{"output", o.out},
                       {"tensors", c.tensors},
                       {"bytes", c.bytes},
                       {"types", c.types},
                       {"notes", c.notes}}));
  else
    out.write(fmt::format("{}: {} tensors of {:.1f} MB ({})\n", shown(o.out), c.tensors,
                          static_cast<double>(c.bytes) / 1e6, types_of(c)));
  out.flush();
}

}  // namespace

void add_convert(CLI::App& program) {
  CLI::App* c =
      program.add_subcommand("convert", "Write a language model in another form or with other weights");
  auto o = std::make_shared<Options>();
  c->add_option("in", o->in, "A model: a directory, or a file of GGUF, torch.save or llama2.c")
      ->type_name("IN")
      ->required();
  c->add_option("out", o->out,
                "NAME.gguf, NAME.bin for llama2.c, or a directory for Hugging Face's libraries")
      ->type_name("OUT")
      ->required();
  c->add_option(
       "--type", o->type,
       "Of the weights; without it they stay as they are where OUT can have that: " + all_gguf_file_types())
      ->type_name("TYPE");
  c->add_option("--format", o->format,
                "What OUT becomes, whatever its name: directory, pytorch (a directory with "
                "pytorch_model.bin), gguf, llama2c")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"directory", "pytorch", "gguf", "llama2c"}));
  c->add_option("--tokenizer", o->tokenizer,
                "A tokenizer in the place of the model's own: a directory or a file; llama2.c's .bin too")
      ->type_name("PATH");
  c->add_flag("--force", o->force, "Replace OUT if it exists");
  c->add_flag("--json", o->json, "An object: output, tensors, bytes, types, notes");
  add_threads_option(*c);
  c->footer(
      "Examples:\n"
      "  glossa convert Qwen3-0.6B qwen3.gguf --type Q4_K_M\n"
      "  glossa convert model.gguf model-directory\n"
      "  glossa convert stories260K.bin stories.gguf --tokenizer tok512.bin");
  c->callback([o] { run(*o); });
}

}  // namespace glossa::app
