// gguf_files.h -- GGUF files for the tests, written byte by byte and not by the program's own writer.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/file.h"
#include "checkpoint/gguf.h"
#include "support/error_of.h"

namespace glossa {

template <class T>
std::string raw(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}
inline std::string u32(std::uint32_t n) {
  return raw(n);
}
inline std::string u64(std::uint64_t n) {
  return raw(n);
}
inline std::string counted(std::string_view text) {
  return u64(text.size()) + std::string(text);
}

// The numbers of the format's types.
enum GgufNumber : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};
enum GgmlNumber : std::uint32_t {
  kTensorF32 = 0,
  kTensorF16 = 1,
  kTensorQ4_0 = 2,
  kTensorQ8_0 = 8,
  kTensorQ4_K = 12
};

struct GgufBytes {
  std::uint32_t version = 3;
  std::optional<std::uint64_t> claimed_tensors, claimed_keys;  // other counts than there are
  std::uint64_t alignment = 32;
  std::string keys, tensors, data;
  std::uint64_t key_count = 0, tensor_count = 0;

  GgufBytes& key(std::string_view name, std::uint32_t type, std::string_view value) {
    keys += counted(name) + u32(type) + std::string(value);
    ++key_count;
    return *this;
  }
  GgufBytes& text(std::string_view name, std::string_view value) {
    return key(name, kString, counted(value));
  }
  GgufBytes& array(std::string_view name, std::uint32_t type, std::uint64_t count, std::string_view values) {
    return key(name, kArray, u32(type) + u64(count) + std::string(values));
  }
  GgufBytes& strings(std::string_view name, const std::vector<std::string>& values) {
    std::string all;
    for (const std::string& value : values) all += counted(value);
    return array(name, kString, values.size(), all);
  }
  // The line of a tensor alone; dimensions in the file's order.
  GgufBytes& line(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                  std::uint64_t offset) {
    tensors += counted(name) + u32(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) tensors += u64(dim);
    tensors += u32(type) + u64(offset);
    ++tensor_count;
    return *this;
  }
  // A tensor with its data, behind those there are.
  GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                    std::string_view bytes) {
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    line(name, dims, type, data.size());
    data += bytes;
    return *this;
  }
  std::string header() const {
    return "GGUF" + u32(version) + u64(claimed_tensors.value_or(tensor_count)) +
           u64(claimed_keys.value_or(key_count)) + keys + tensors;
  }
  std::string file() const {
    std::string all = header();
    all.resize((all.size() + alignment - 1) / alignment * alignment);
    return all + data;
  }
};

inline std::string gguf_refusal(const std::string& file, const Limits& limits = {}) {
  return error_of([&] { parse_gguf(as_bytes(file), "m.gguf", limits); });
}

template <class T>
std::string all_of(const std::vector<T>& values) {
  std::string bytes;
  for (const T& value : values) bytes += raw(value);
  return bytes;
}

}  // namespace glossa
