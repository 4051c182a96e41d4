// weights_listing.h -- what `inspect` says of files of weights, whatever their format.
#pragma once
#include <compare>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/gguf_file.h"
#include "checkpoint/tensor_directory.h"

namespace glossa::app {

struct ListedFile {
  fs::path path;
  std::uint64_t bytes;
  std::string digest;
};

struct ListedType {
  int place;  // among the types of the format
  std::string_view name;
  bool is_whole;  // whole numbers: no parameters

  auto operator<=>(const ListedType& other) const { return place <=> other.place; }
};

struct ListedTensor {
  std::string name;
  ListedType type;
  std::vector<std::int64_t> shape;
  std::uint64_t elements, bytes;
  std::optional<TensorStatistics> statistics;  // if asked for
};

struct Listing {
  std::vector<ListedFile> files;
  std::vector<ListedTensor> tensors;
  std::vector<std::string> notes;
  std::function<void()> check_sums;    // Error if the files hold checksums and one is wrong
  std::function<void()> check_finite;  // Error(nonfinite) that names a tensor with a value that is not finite
  std::shared_ptr<const GgufFile> gguf;  // if it is one
};

// A file by its first bytes, a directory as one of Hugging Face.
Listing list_weights(const fs::path& path, bool statistics);

// The metadata of a GGUF file; long arrays and strings are cut, with their lengths.
std::string gguf_text(const GgufFile& file);
OrderedJson gguf_json(const GgufFile& file);

// Names and paths may hold any bytes, and JSON only UTF-8: what is not goes out escaped.
std::string printable(const std::string& text);

}  // namespace glossa::app
