// pickle_fuzz.cpp -- any bytes as a pickle: refused by an Error of exit status 3 or 5, or a graph of values
// that all have their items, and no value contains itself. Then as the pickle of a file of torch.save with
// two storages, whose tensors must lie within them.
#include <vector>

#include "checkpoint/pickle.h"
#include "checkpoint/torch_file.h"
#include "checkpoint/zip_archive.h"
#include "fuzz.h"

namespace {

using namespace glossa;

// Goes down the last items, which must end.
void check_values(const Pickle& pickle) {
  Pickle::Value value = pickle.root();
  for (int depth = 0;; ++depth) {
    require(depth < Limits{}.pickle_depth);
    require(!name_of(pickle.kind(value)).empty());
    const auto items = pickle.items(value);
    if (items.empty()) return;
    for (const Pickle::Value item : items)
      require(pickle.text(item).size() <= 4096 && pickle.items(item).size() <= 4096);
    value = items.back();
  }
}

void check_tensors(Bytes code) {
  std::string file;
  ZipWriter archive([&](Bytes bytes) { file += as_text(bytes); });
  archive.add("f/data.pkl", code);
  const std::string first(64, '\1'), second(24, '\2');
  archive.add("f/data/0", as_bytes(first));
  archive.add("f/data/1", as_bytes(second));
  archive.finish();
  const auto table = read_or_refused([&] { return read_torch_file(as_bytes(file), "input"); });
  if (!table) return;
  for (const TensorInfo& t : table->tensors) {
    require(t.begin <= t.end && t.end <= file.size());
    std::uint64_t reach = t.elements() > 0;
    if (t.elements() > 0)
      for (std::size_t i = 0; i < t.rank; ++i)
        reach += static_cast<std::uint64_t>(t.dims[i] - 1) *
                 static_cast<std::uint64_t>(t.strides.empty() ? 0 : t.strides[i]);
    require(t.strides.empty() ? t.end - t.begin == t.bytes() : t.end - t.begin == reach * size_of(t.type));
    for (std::uint64_t at = t.begin; at < t.end; ++at) require(file[at] == '\1' || file[at] == '\2');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes code = as_bytes(fuzz_text(data, size));
  if (const auto pickle = read_or_refused([&] { return parse_pickle(code, "input"); })) check_values(*pickle);
  check_tensors(code);
  return 0;
}
