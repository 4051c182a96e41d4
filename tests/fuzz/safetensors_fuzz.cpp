// safetensors_fuzz.cpp -- any bytes as a safetensors file: refused by an Error of exit status 3 or 5, or
// read, and then its tensors cover the file, and what our writer writes of them reads back the same.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_directory.h"
#include "fuzz.h"

namespace {

using namespace glossa;

void check_header(Bytes file, const SafetensorsHeader& header) {
  std::uint64_t covered = 0;
  for (const TensorInfo& t : header.tensors) {
    require(t.begin == covered && t.end >= t.begin);
    covered = t.end;
    std::uint64_t elements = 1;
    for (const std::int64_t dim : t.shape()) elements *= static_cast<std::uint64_t>(dim);
    require(elements == t.elements() && elements * size_of(t.type) == t.bytes());
    require(header.find(t.name) == &t);
    require(statistics(file.subspan(header.data_begin + t.begin, t.bytes()), t.type).elements == elements);
  }
  require(header.data_begin + covered == file.size());
}

std::string rewritten(Bytes file, const SafetensorsHeader& header) {
  NamedTensors tensors;
  for (const TensorInfo& t : header.tensors) {
    Tensor bytes = Tensor::empty({static_cast<std::int64_t>(t.bytes())}, DType::u8);
    const Bytes data = file.subspan(header.data_begin + t.begin, t.bytes());
    std::copy(data.begin(), data.end(), static_cast<std::byte*>(bytes.raw()));
    tensors.emplace_back(t.name, bytes);
  }
  std::string out;
  write_safetensors([&](Bytes bytes) { out += as_text(bytes); }, std::move(tensors), header.metadata);
  return out;
}

void check_rewritten(const SafetensorsHeader& header, const std::string& text) {
  const SafetensorsHeader again = parse_safetensors(as_bytes(text), "rewritten");
  require(again.metadata == header.metadata && again.tensors.size() == header.tensors.size() &&
          again.data_begin % 8 == 0);
  for (const TensorInfo& t : header.tensors)
    require(again.find(t.name) && again.find(t.name)->bytes() == t.bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes file = as_bytes(fuzz_text(data, size));
  try {
    const SafetensorsHeader header = parse_safetensors(file, "input");
    check_header(file, header);
    check_rewritten(header, rewritten(file, header));
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}

#ifdef GLOSSA_FUZZ
constexpr std::size_t kLengthBytes = 8;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

// Changed blindly, almost every input would die at its length. So most changes go to the header alone, and
// the length is set to what it is then.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  std::uint64_t length = 0;
  if (size >= kLengthBytes) std::memcpy(&length, data, kLengthBytes);
  if (seed % 4 == 0 || size < kLengthBytes || length > size - kLengthBytes || most <= size)
    return LLVMFuzzerMutate(data, size, most);
  const std::string rest(reinterpret_cast<const char*>(data) + kLengthBytes + length,
                         size - kLengthBytes - length);
  const std::size_t room = most - kLengthBytes - rest.size();
  length = LLVMFuzzerMutate(data + kLengthBytes, static_cast<std::size_t>(length), room);
  std::memcpy(data, &length, kLengthBytes);
  std::memcpy(data + kLengthBytes + length, rest.data(), rest.size());
  return kLengthBytes + static_cast<std::size_t>(length) + rest.size();
}
#endif
