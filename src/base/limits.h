// limits.h -- how much a stranger's file may ask for. Every parser takes one of these.
#pragma once
#include <cstddef>
#include <cstdint>

namespace glossa {

struct Limits {
  std::uint64_t json_bytes = 512u << 20;       // one JSON document (large vocabularies are some 30 MB)
  std::uint64_t configuration_bytes = 4u << 20;  // one config.json or generation_config.json (they are of some KB)
  std::uint64_t json_token_bytes = 16u << 20;  // one string or number of it
  int json_depth = 64;                         // nesting of arrays and objects
  std::uint64_t json_values = 10'000'000;      // of a document held as a tree, which takes some 100 bytes for each
  std::uint64_t safetensors_header_bytes = 100'000'000;  // the format's own limit
  std::uint64_t tensors = 1'000'000;                     // tensors in one file
  std::uint64_t metadata_bytes = 1u << 20;               // all of a safetensors file's __metadata__
  std::uint64_t zip_entries = 2'000'000;                 // files within one zip archive
  std::uint64_t pickle_values = 10'000'000;              // objects that a pickle makes or mentions
  std::uint64_t pickle_memo = 1'000'000;                 // of them that it gives a number to mention them by
  int pickle_depth = 64;                                 // nesting of its lists, tuples and dicts
  std::uint64_t tensor_expansion =
      64;  // elements of a tensor for each one stored (strides of 0 repeat elements)
  std::uint64_t gguf_header_bytes = 256u << 20;  // metadata and list of tensors of a GGUF file
  std::uint64_t gguf_keys = 65'536;              // keys of its metadata
  int rank = 8;                           // dimensions of a tensor in a file, never more than 8
  std::size_t name_bytes = 1024;          // the name of a tensor
  std::uint64_t vocabulary = 16'000'000;  // tokens
  std::uint64_t line_bytes = 16u << 20;   // one line of text
  std::uint64_t yaml_bytes = 1u << 20;    // one recipe
  std::uint64_t hub_answer_bytes = 32u << 20;  // what a server of models says about one of them
  std::uint64_t hub_files = 100'000;           // of one model
  double inflate_ratio = 1032;            // deflate cannot honestly do better
};

}  // namespace glossa
