// gguf_fuzz.cpp -- any bytes as a GGUF file: refused by an Error of exit status 3 or 5, or read, and then its
// tensors lie in order within it, their values can be decoded, and what our writer writes of them reads back
// the same.
#include <cstring>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "fuzz.h"
#include "tensor/blocks.h"

namespace {

using namespace glossa;

void check_tensors(Bytes file, const GgufHeader& header) {
  std::uint64_t covered = 0;
  for (const GgufTensorInfo& t : header.tensors) {
    require(t.begin % header.alignment == 0 && t.begin >= covered && t.begin - covered < header.alignment);
    covered = t.begin + t.bytes;
    require(header.data_begin + covered <= file.size());
    const BlockSize block = block_of(t.type);
    require(t.elements() > 0 && t.elements() / static_cast<std::uint64_t>(block.elements) *
                                        static_cast<std::uint64_t>(block.bytes) ==
                                    t.bytes);
  }
}

// Of a tensor's bytes, which need not be aligned here.
Tensor copied(Bytes file, const GgufHeader& header, const GgufTensorInfo& t) {
  Tensor copy = Tensor::empty(Shape(t.shape()), *dtype_of(t.type));
  require(copy.bytes() == t.bytes);
  std::memcpy(copy.raw(), file.data() + header.data_begin + t.begin, t.bytes);
  return copy;
}

void check_rewritten(Bytes file, const GgufHeader& header) {
  std::vector<GgufTensorPlan> plan;
  std::vector<const GgufTensorInfo*> kept;
  for (const GgufTensorInfo& t : header.tensors) {
    if (!dtype_of(t.type) || ggml_type_of(*dtype_of(t.type)) != t.type) continue;
    plan.push_back({t.name, Shape(t.shape()), *dtype_of(t.type)});
    kept.push_back(&t);
  }
  std::string out;
  GgufWriter writer([&](Bytes bytes) { out += as_text(bytes); }, header.metadata, plan);
  for (const GgufTensorInfo* t : kept) {
    const Tensor tensor = copied(file, header, *t);
    if (is_quantised(tensor.dtype())) tensor.to(DType::f32);
    writer.add(tensor);
  }
  writer.finish();
  const GgufHeader again = parse_gguf(as_bytes(out), "rewritten");
  require(again.tensors.size() == kept.size() && again.alignment == header.alignment);
  require(again.metadata.entries().size() == header.metadata.entries().size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    require(again.tensors[i].name == kept[i]->name && again.tensors[i].dims == kept[i]->dims &&
            again.tensors[i].type == kept[i]->type);
    require(std::memcmp(out.data() + again.data_begin + again.tensors[i].begin,
                        file.data() + header.data_begin + kept[i]->begin, kept[i]->bytes) == 0);
  }
}

// Whatever is asked of a value, there is an answer or an Error.
void ask(const GgufMetadata& metadata) {
  const auto asked = [](auto&& question) {
    try {
      question();
    } catch (const Error& error) {
      require(error.code() == Code::gguf);
    }
  };
  for (const auto& entry : metadata.entries()) {
    const std::string& key = entry.first;
    asked([&] { metadata.integer(key, {1, 100}); });
    asked([&] { metadata.number(key); });
    asked([&] { metadata.boolean(key); });
    asked([&] { metadata.text(key); });
    asked([&] { metadata.strings(key); });
    asked([&] { metadata.integers(key); });
    asked([&] { metadata.numbers(key); });
    asked([&] { metadata.for_each(key, 3); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes file = as_bytes(fuzz_text(data, size));
  try {
    const GgufHeader header = parse_gguf(file, "input");
    check_tensors(file, header);
    ask(header.metadata);
    check_rewritten(file, header);
  } catch (const Error& error) {
    require(static_cast<int>(error.exit()) == 3 || static_cast<int>(error.exit()) == 5);
  }
  return 0;
}
