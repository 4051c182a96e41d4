#include "hub/selection.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "hub/names.h"

namespace glossa {
namespace {

constexpr std::size_t kListed = 40;  // choices in a message

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view base_name(std::string_view name) {
  return name.substr(name.rfind('/') + 1);  // npos + 1 is 0
}

// NAME-00001-of-00003: what comes before, the part and the number of parts.
struct Part {
  std::string_view stem;
  int number, count;
};

std::optional<Part> part_of(std::string_view stem) {
  constexpr std::size_t kDigits = 5, kTail = 1 + kDigits + 4 + kDigits;  // "-00001-of-00003"
  if (stem.size() <= kTail) return std::nullopt;
  const std::string_view tail = stem.substr(stem.size() - kTail);
  const std::string_view number = tail.substr(1, kDigits), count = tail.substr(1 + kDigits + 4);
  const bool digits = std::all_of(number.begin(), number.end(), is_digit) &&
                      std::all_of(count.begin(), count.end(), is_digit);
  if (tail[0] != '-' || tail.substr(1 + kDigits, 4) != "-of-" || !digits) return std::nullopt;
  return Part{stem.substr(0, stem.size() - kTail), std::stoi(std::string(number)),
              std::stoi(std::string(count))};
}

// Q4_K_M, IQ3_XXS, Q4_0_4_4, TQ1_0, F16, BF16, FP32, MXFP4, MXFP4_MOE.
bool is_quant(std::string_view word) {
  for (const char* plain : {"F16", "F32", "BF16", "FP16", "FP32", "F64", "MXFP4", "MXFP4_MOE"})
    if (word == plain) return true;
  if (word.starts_with("IQ") || word.starts_with("TQ")) word.remove_prefix(1);
  if (word.size() < 3 || word[0] != 'Q' || !is_digit(word[1]) || word[2] != '_') return false;
  return std::all_of(word.begin(), word.end(),
                     [](char c) { return is_digit(c) || c == '_' || (c >= 'A' && c <= 'Z'); });
}

struct Gguf {
  std::string_view stem;  // without the ending and the number of a part
  std::optional<Part> part;
};

std::optional<Gguf> gguf_of(std::string_view name) {
  const std::string ending = upper(name.substr(name.size() - std::min<std::size_t>(name.size(), 5)));
  if (ending != ".GGUF") return std::nullopt;
  Gguf gguf{name.substr(0, name.size() - 5), std::nullopt};
  gguf.part = part_of(gguf.stem);
  if (gguf.part) gguf.stem = gguf.part->stem;
  return gguf;
}

bool is_beside_the_model(std::string_view name) {
  const std::string base = upper(base_name(name));
  return base.find("MMPROJ") != base.npos || base.find("IMATRIX") != base.npos;
}

// "Q4_K_M, Q8_0"
std::string list_of(const std::vector<GgufChoice>& choices) {
  std::string list;
  for (std::size_t i = 0; i < choices.size() && i < kListed; ++i)
    list += (i ? ", " : "") + (choices[i].quant.empty() ? quoted(choices[i].files[0]) : choices[i].quant);
  if (choices.size() > kListed) list += fmt::format(" and {} more", choices.size() - kListed);
  return list;
}

}  // namespace

std::string quant_of(std::string_view file_name) {
  const auto gguf = gguf_of(file_name);
  if (!gguf) return "";
  const std::string stem = upper(base_name(gguf->stem));
  const std::size_t at = stem.find_last_of("-.");
  const std::string word = stem.substr(at == stem.npos ? 0 : at + 1);
  if (!is_quant(word)) return "";
  // A quantisation of its maker's own mixture of types is another one.
  const bool own = at != stem.npos && at >= 2 && stem.compare(at - 2, 2, "UD") == 0 &&
                   (at == 2 || stem[at - 3] == '-' || stem[at - 3] == '.');
  return own ? "UD-" + word : word;
}

std::vector<GgufChoice> gguf_choices(std::span<const std::string> names) {
  std::map<std::string, GgufChoice> by_stem;
  std::map<std::string, std::pair<int, std::set<int>>> parts;  // how many of them, and those that are there
  std::vector<std::string> sorted(names.begin(), names.end());
  std::sort(sorted.begin(), sorted.end());
  for (const std::string& name : sorted) {
    const auto gguf = gguf_of(name);
    if (!gguf || is_beside_the_model(name)) continue;
    const std::string key =
        std::string(gguf->stem) + (gguf->part ? fmt::format("/{}", gguf->part->count) : "");
    GgufChoice& choice = by_stem[key];
    choice.quant = quant_of(name);
    choice.files.push_back(name);
    if (!gguf->part) continue;
    auto& [count, seen] = parts[key];
    count = gguf->part->count;
    if (gguf->part->number >= 1 && gguf->part->number <= count) seen.insert(gguf->part->number);
  }
  std::vector<GgufChoice> choices;
  for (auto& [key, choice] : by_stem) {
    if (const auto it = parts.find(key); it != parts.end())
      choice.whole = static_cast<int>(it->second.second.size()) == it->second.first &&
                     static_cast<int>(choice.files.size()) == it->second.first;
    choices.push_back(std::move(choice));
  }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const GgufChoice& a, const GgufChoice& b) { return a.quant < b.quant; });
  return choices;
}

GgufChoice choose_gguf(std::vector<GgufChoice> choices, std::string_view quant, std::string_view model) {
  check(!choices.empty(), Code::bad_value, "{}: has no GGUF files", model);
  const std::string all = list_of(choices);
  const std::string wanted = quant.empty() ? kDefaultQuant : std::string(quant);
  std::vector<GgufChoice> fitting;
  for (const GgufChoice& c : choices)
    if (c.quant == wanted) fitting.push_back(c);
  if (fitting.empty() && quant.empty() && choices.size() == 1) fitting = std::move(choices);
  check(!fitting.empty(), Code::bad_value, "{}: has no {}{}; there are {}", model, wanted,
        quant.empty() ? ", which is taken where none is named (ORG/NAME:QUANT)" : "", all);
  check(fitting.size() == 1, Code::bad_value,
        "{}: {} files are of {}: {} and {}; --include PATTERN says which", model, fitting.size(), wanted,
        quoted(fitting[0].files[0]), quoted(fitting.back().files[0]));
  check(fitting[0].whole, Code::bad_value, "{}: of {} parts are missing", model, quoted(fitting[0].files[0]));
  return fitting[0];
}

namespace {

bool matches(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

// Configuration and tokenizer of a directory of Hugging Face.
constexpr std::array kPlainFiles = {"config.json",
                                    "generation_config.json",
                                    "adapter_config.json",
                                    "tokenizer.json",
                                    "tokenizer.model",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "vocab.json",
                                    "merges.txt",
                                    "vocab.txt",
                                    "spiece.model",
                                    "source.spm",
                                    "target.spm",
                                    "sentencepiece.bpe.model",
                                    "chat_template.jinja",
                                    "chat_template.json",
                                    "additional_chat_templates/tool_use.jinja",
                                    "preprocessor_config.json",
                                    "processor_config.json"};

// The weights STEM + ENDING, or the shards of its index; nothing if they are not there.
std::vector<std::string> weights_of(const std::set<std::string>& names, const std::string& stem,
                                    const std::string& ending, std::string_view model) {
  const std::string index = stem + ending + ".index.json";
  if (!names.contains(index)) {
    if (names.contains(stem + ending)) return {stem + ending};
    return {};
  }
  std::vector<std::string> files = {index};
  std::map<int, std::set<int>> numbers;  // of the shards there are, by how many there should be
  for (const std::string& name : names) {
    if (!name.ends_with(ending) || name.find('/') != name.npos) continue;
    const auto part = part_of(std::string_view(name).substr(0, name.size() - ending.size()));
    if (!part || part->stem != stem) continue;
    files.push_back(name);
    numbers[part->count].insert(part->number);
  }
  const bool whole =
      numbers.size() == 1 && static_cast<int>(numbers.begin()->second.size()) == numbers.begin()->first;
  check(whole, Code::bad_value, "{}: {} is there, and not all of its shards", model, quoted(index));
  return files;
}

std::vector<std::string> directory_files(const std::vector<std::string>& all, std::string_view model) {
  const std::set<std::string> names(all.begin(), all.end());
  std::vector<std::string> chosen;
  for (const char* plain : kPlainFiles)
    if (names.contains(plain)) chosen.push_back(plain);
  std::vector<std::string> weights;
  for (const char* stem : {"model", "adapter_model"})
    for (std::string& name : weights_of(names, stem, ".safetensors", model))
      weights.push_back(std::move(name));
  if (weights.empty())
    for (const std::string& name : all)
      if (name.ends_with(".safetensors") && name.find('/') == name.npos) weights.push_back(name);
  for (const char* stem : {"pytorch_model", "adapter_model"})
    if (weights.empty()) weights = weights_of(names, stem, ".bin", model);
  chosen.insert(chosen.end(), weights.begin(), weights.end());
  return chosen;
}

}  // namespace

bool holds_directory(std::span<const std::string> names) {
  return std::find(names.begin(), names.end(), "config.json") != names.end() &&
         std::any_of(names.begin(), names.end(), [](const std::string& n) {
           return n.find('/') == n.npos && (n.ends_with(".safetensors") || n.ends_with(".bin"));
         });
}

std::vector<std::string> selected_files(const std::vector<std::string>& names, const Selection& s,
                                        std::string_view model) {
  std::vector<std::string> chosen;
  if (!s.include.empty()) {
    std::copy_if(names.begin(), names.end(), std::back_inserter(chosen),
                 [&](const std::string& n) { return matches(s.include, n); });
  } else if (s.all) {
    chosen = names;
  } else if (!s.quant.empty() || (!holds_directory(names) && !gguf_choices(names).empty())) {
    chosen = choose_gguf(gguf_choices(names), s.quant, model).files;
  } else {
    chosen = directory_files(names, model);
  }
  std::erase_if(chosen, [&](const std::string& n) { return matches(s.exclude, n); });
  check(!chosen.empty(), Code::bad_value, "{}: none of its {} files {}", model, names.size(),
        s.include.empty() && s.exclude.empty() ? "is of a model that is known here; --all takes every one"
                                               : "is left by --include and --exclude");
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace glossa
