// selection.h -- which files of a repository make the model that is asked for.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

inline constexpr const char* kDefaultQuant = "Q4_K_M";  // as llama.cpp's -hf has it

// The quantisation that the name of a .gguf file says, in capitals: "Q8_0", "BF16", "UD-Q4_K_XL"; "" for
// none.
std::string quant_of(std::string_view file_name);

// One model in GGUF: a file, or all of its parts.
struct GgufChoice {
  std::string quant;
  std::vector<std::string> files;  // in the order of the parts
  bool whole = true;               // no part is missing
};
// Those among `names`, by quantisation; projections of images (mmproj) and importance matrices are none.
std::vector<GgufChoice> gguf_choices(std::span<const std::string> names);
// Of these the one wanted: `quant`, or kDefaultQuant or the only one for "". Error(bad_value) in one line
// with what there is. `model` is for messages.
GgufChoice choose_gguf(std::vector<GgufChoice> choices, std::string_view quant, std::string_view model);

// Whether the files are those of a directory of Hugging Face: a configuration and weights.
bool holds_directory(std::span<const std::string> names);

struct Selection {
  std::string quant = {};  // "" for what is right for the repository
  bool all = false;        // every file
  std::vector<std::string> include =
      {};  // patterns of a shell, where * takes '/' too; instead of the choice below
  std::vector<std::string> exclude = {};  // what of all that is left out
};

// With a quantisation, or where there is nothing but GGUF files: those of one. Else a directory of Hugging
// Face: configuration, tokenizer and weights, which are safetensors where there are any and pytorch_model.bin
// where not. Error(bad_value) if nothing is left, or a shard is missing. By name.
std::vector<std::string> selected_files(const std::vector<std::string>& names, const Selection& selection,
                                        std::string_view model);

}  // namespace glossa
