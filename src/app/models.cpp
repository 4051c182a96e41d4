// models.cpp -- `glossa models`: what is in the cache of the Hugging Face hub, and how to make room in it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <map>
#include <memory>
#include <set>

#include "app/command.h"
#include "app/progress_bar.h"
#include "base/error.h"
#include "base/json.h"
#include "base/unicode.h"
#include "checkpoint/gguf.h"
#include "hub/cache.h"
#include "hub/selection.h"
#include "hub/settings.h"

namespace glossa::app {
namespace {

// What a snapshot says of itself.
struct Entry {
  CachedSnapshot snapshot;
  std::string format, architecture;
  std::uint64_t bytes = 0;  // of different contents
  std::time_t used = 0;
};

std::string architecture_of_gguf(const fs::path& path) {
  const MappedFile file(path);
  return parse_gguf(file.bytes(), shown(path)).metadata.text_or("general.architecture", "");
}

std::string architecture_of_config(const fs::path& path) {
  const Json config = read_configuration(path);
  const auto list = config.find("architectures");
  if (list != config.end() && list->is_array() && !list->empty() && (*list)[0].is_string()) return (*list)[0];
  return JsonView(config, shown(path)).string("model_type", "");
}

// "" where nothing says it; a file that cannot be read is named so, and stops nobody from seeing the others.
std::string architecture_of(const CachedSnapshot& snapshot, const std::vector<GgufChoice>& choices) {
  try {
    const bool configured = std::any_of(snapshot.files.begin(), snapshot.files.end(),
                                        [](const CachedFile& f) { return f.name == "config.json"; });
    if (configured) return architecture_of_config(snapshot.path / "config.json");
    return choices.empty() ? "" : architecture_of_gguf(snapshot.path / choices[0].files[0]);
  } catch (const Error&) {
    return "unreadable";
  }
}

Entry entry_of(CachedSnapshot snapshot) {
  Entry entry;
  std::vector<std::string> names;
  std::set<fs::path> blobs;
  for (const CachedFile& file : snapshot.files) {
    names.push_back(file.name);
    entry.used = std::max(entry.used, file.used);
    if (blobs.insert(file.blob).second) entry.bytes += file.size;
  }
  const std::vector<GgufChoice> choices = gguf_choices(names);
  for (const GgufChoice& choice : choices)
    entry.format += (entry.format.empty() ? "GGUF " : ", ") +
                    (choice.quant.empty() ? std::string("?") : choice.quant) +
                    (choice.whole ? "" : " (parts missing)");
  if (choices.empty()) {
    const auto has = [&](std::string_view ending) {
      return std::any_of(names.begin(), names.end(),
                         [&](const std::string& n) { return n.ends_with(ending); });
    };
    entry.format = has(".safetensors") ? "safetensors" : has(".bin") ? "PyTorch" : "no weights";
  }
  entry.architecture = architecture_of(snapshot, choices);
  entry.snapshot = std::move(snapshot);
  return entry;
}

std::string day_of(std::time_t time) {
  std::tm utc{};
  gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
}

// The refs, or the beginning of the commit.
std::string revision_of(const CachedSnapshot& snapshot) {
  std::string text;
  for (const std::string& ref : snapshot.refs) text += (text.empty() ? "" : ", ") + ref;
  return text.empty() ? snapshot.commit.substr(0, 12) : text;
}

std::string printable(const std::string& text) {
  const std::string safe = quoted(text, 100);
  return safe.size() == text.size() + 2 ? text : safe;
}

std::string as_text(const std::vector<Entry>& entries, const fs::path& root) {
  if (entries.empty()) return fmt::format("no models in {}; glossa pull ORG/NAME gets one\n", shown(root));
  std::vector<std::vector<std::string>> rows = {
      {"model", "revision", "size", "format", "architecture", "last used"}};
  for (const Entry& e : entries)
    rows.push_back({e.snapshot.repository, printable(revision_of(e.snapshot)), readable_size(e.bytes),
                    e.format, printable(e.architecture), day_of(e.used)});
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  return text;
}

std::string as_json(const std::vector<Entry>& entries) {
  OrderedJson list = OrderedJson::array();
  for (const Entry& e : entries) {
    OrderedJson files = OrderedJson::array();
    for (const CachedFile& f : e.snapshot.files) files.push_back({{"name", f.name}, {"bytes", f.size}});
    list.push_back({{"name", e.snapshot.repository},
                    {"commit", e.snapshot.commit},
                    {"refs", e.snapshot.refs},
                    {"path", e.snapshot.path.native()},
                    {"bytes", e.bytes},
                    {"format", e.format},
                    {"architecture", e.architecture},
                    {"last_used", e.used},
                    {"files", std::move(files)}});
  }
  return list.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

void print(const std::string& text) {
  StandardOutput out;
  out.write(text);
  out.flush();
}

void list(bool json) {
  const HubCache cache(hub_cache_folder());
  std::vector<Entry> entries;
  for (CachedSnapshot& snapshot : cache.list()) entries.push_back(entry_of(std::move(snapshot)));
  print(json ? as_json(entries) : as_text(entries, cache.root()));
}

void remove(const std::vector<std::string>& names) {
  const HubCache cache(hub_cache_folder());
  std::vector<ModelName> parsed;
  for (const std::string& name : names) parsed.push_back(ModelName::parse(name));
  for (const ModelName& name : parsed)
    note(fmt::format("{}: removed, {} freed", name.text(), readable_size(cache.remove(name))));
}

}  // namespace

void add_models(CLI::App& program) {
  CLI::App* c =
      program.add_subcommand("models", "The models that are here: in the cache of the Hugging Face hub");
  const auto json = std::make_shared<bool>(false);
  c->add_flag("--json", *json,
              "A list of objects: name, commit, refs, path, bytes, format, architecture, last_used, files");
  c->require_subcommand(0, 1);
  CLI::App* rm =
      c->add_subcommand("rm", "Remove models, or one quantisation of them, and what no other revision needs");
  const auto names = std::make_shared<std::vector<std::string>>();
  rm->add_option("name", *names, "A model of the list")->type_name("ORG/NAME[:QUANT]")->required();
  rm->footer("Example:\n  glossa models rm ORG/NAME:Q8_0");
  rm->callback([names] { remove(*names); });
  c->footer(
      "The folder is HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub, and shared with other "
      "programs.\n\n"
      "Examples:\n"
      "  glossa models\n"
      "  glossa models --json");
  c->callback([c, json] {
    if (c->get_subcommands().empty()) list(*json);
  });
}

}  // namespace glossa::app
