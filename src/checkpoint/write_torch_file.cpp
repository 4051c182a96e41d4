#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "base/error.h"
#include "base/unicode.h"
#include "checkpoint/torch_file.h"
#include "checkpoint/zip_archive.h"

namespace glossa {
namespace {

// torch.save names the folder after the file; a fixed one makes the bytes depend on the tensors alone.
constexpr std::string_view kFolder = "archive/";

std::string_view storage_type(DType type) {
  switch (type) {
    case DType::f64:
      return "DoubleStorage";
    case DType::f32:
      return "FloatStorage";
    case DType::f16:
      return "HalfStorage";
    case DType::bf16:
      return "BFloat16Storage";
    case DType::i64:
      return "LongStorage";
    case DType::i32:
      return "IntStorage";
    case DType::u8:
      return "ByteStorage";
    default:
      fail(Code::weights, "files of torch.save have no type for tensors of {}", name_of(type));
  }
}

// Writes opcodes of protocol 2, the oldest that has all that is needed.
class PickleWriter {
 public:
  PickleWriter() { out_ += "\x80\x02"; }
  void put(char opcode) { out_ += opcode; }
  void global(std::string_view module, std::string_view name) {
    out_ += fmt::format("c{}\n{}\n", module, name);
  }
  void text(std::string_view text) {
    put('X');
    append(text.size(), 4);
    out_ += text;
  }
  void integer(std::int64_t value) {
    out_ += "\x8A\x08";  // eight bytes whatever the value: one form
    append(static_cast<std::uint64_t>(value), 8);
  }
  void tuple(std::span<const std::int64_t> values) {
    put('(');
    for (const std::int64_t v : values) integer(v);
    put('t');
  }
  void empty_dict() {  // an OrderedDict
    global("collections", "OrderedDict");
    out_ += ")R";
  }
  std::string take() {
    put('.');
    return std::move(out_);
  }

 private:
  void append(std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) out_ += static_cast<char>(number >> 8 * i);
  }
  std::string out_;
};

// Row-major strides, which are what torch.save writes for a dense tensor.
std::vector<std::int64_t> strides_of(const Shape& shape) {
  std::vector<std::int64_t> strides(static_cast<std::size_t>(shape.rank()));
  std::int64_t stride = 1;
  for (int i = shape.rank(); i-- > 0;) {
    strides[static_cast<std::size_t>(i)] = stride;
    stride *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

void put_tensor(PickleWriter& pickle, const TensorPlan& tensor, std::size_t storage) {
  pickle.global("torch._utils", "_rebuild_tensor_v2");
  pickle.put('(');
  pickle.put('(');
  pickle.text("storage");
  pickle.global("torch", storage_type(tensor.type));
  pickle.text(std::to_string(storage));
  pickle.text("cpu");
  pickle.integer(tensor.shape.elements());
  pickle.put('t');
  pickle.put('Q');
  pickle.integer(0);  // where in the storage it begins
  const Shape& shape = tensor.shape;
  pickle.tuple({shape.begin(), shape.end()});
  pickle.tuple(strides_of(shape));
  pickle.put('\x89');   // requires_grad: False
  pickle.empty_dict();  // hooks
  pickle.put('t');
  pickle.put('R');
}

void check_names(const std::vector<TensorPlan>& plans) {
  std::vector<std::string_view> names;
  for (const TensorPlan& plan : plans) {
    check(!utf8_error(plan.name), Code::utf8, "names of a torch.save file must be UTF-8, and {} is not",
          quoted(plan.name));
    names.push_back(plan.name);
  }
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  check(twin == names.end(), Code::weights, "two tensors to write under the name {}",
        twin == names.end() ? "" : quoted(*twin));
}

// Tensor i has the elements of storage `storages[i]`, which its first tensor makes.
void write_archive(const std::function<void(Bytes)>& write, const std::vector<TensorPlan>& plans,
                   const std::vector<std::size_t>& storages, const std::function<Tensor(std::size_t)>& make) {
  check_names(plans);
  PickleWriter pickle;
  pickle.empty_dict();
  pickle.put('(');
  for (std::size_t i = 0; i < plans.size(); ++i) {
    pickle.text(plans[i].name);
    put_tensor(pickle, plans[i], storages[i]);
  }
  pickle.put('u');

  ZipWriter archive(write);
  archive.add(fmt::format("{}data.pkl", kFolder), as_bytes(pickle.take()));
  archive.add(fmt::format("{}byteorder", kFolder), as_bytes("little"));
  std::size_t next = 0;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (storages[i] != next) continue;
    const Tensor dense = make(i);
    archive.add(fmt::format("{}data/{}", kFolder, next++),
                {static_cast<const std::byte*>(dense.raw()), dense.bytes()});
  }
  archive.add(fmt::format("{}version", kFolder), as_bytes("3\n"));
  archive.finish();
}

}  // namespace

void write_torch_file(const std::function<void(Bytes)>& write, const NamedTensors& tensors) {
  using Memory = std::tuple<const void*, std::int64_t, DType>;  // of a dense tensor: address, elements, type
  std::map<Memory, std::size_t> numbers;
  std::vector<std::size_t> storages;
  const std::vector<TensorPlan> plans = plans_of(tensors);
  std::size_t count = 0;
  for (const auto& [name, tensor] : tensors) {
    std::size_t number = count;
    if (tensor.dense() && tensor.elements() > 0)
      number = numbers.try_emplace({tensor.raw(), tensor.elements(), tensor.dtype()}, number).first->second;
    if (number == count) ++count;
    storages.push_back(number);
  }
  write_archive(write, plans, storages, [&](std::size_t i) { return tensors[i].second.contiguous(); });
}

void write_torch_file(const std::function<void(Bytes)>& write, const std::vector<TensorPlan>& plans,
                      const TensorMaker& make) {
  std::vector<std::size_t> storages(plans.size());
  std::iota(storages.begin(), storages.end(), std::size_t{0});
  write_archive(write, plans, storages, [&](std::size_t i) { return made_as_planned(make, plans[i]); });
}

void save_torch_file(const fs::path& path, const NamedTensors& tensors) {
  AtomicFile file(path);
  write_torch_file([&](Bytes bytes) { file.write(bytes); }, tensors);
  file.commit();
}

}  // namespace glossa
